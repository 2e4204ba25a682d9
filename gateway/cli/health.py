"""`health`: the probe of a container. It runs twice a minute, so it loads no part of the daemon."""

from __future__ import annotations

import asyncio
from typing import Annotated

import httpx
import typer

from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit
from gateway.wire.clients import open_client

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """Gateway between the Toodego portal and the GRUs of the communes."""


@app.command()
def health(
    url: Annotated[
        str,
        typer.Option(metavar="URL", envvar="GRU_GATEWAY_URL", help="Where the daemon listens."),
    ] = "http://127.0.0.1:8700",
    timeout: Annotated[float, typer.Option(help="Seconds to wait.", min=0.1)] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Ask a daemon whether it takes requests: exit code 0 if so, else 1."""
    status, text = asyncio.run(_ready(url.rstrip("/") + "/ops/ready", timeout))
    if as_json:
        emit({"ready": status == 200, "status": status, "detail": text})
    else:
        typer.echo("ready" if status == 200 else f"not ready: {text}")
    if status != 200:
        raise typer.Exit(Exit.NO)


async def _ready(url: str, timeout: float) -> tuple[int | None, str]:
    async with open_client(timeout=timeout, connections=1) as client:
        try:
            answer = await client.get(url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"no answer ({type(error).__name__})"
    return answer.status_code, f"HTTP {answer.status_code}"
