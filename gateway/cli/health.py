"""`health`: the probe of a container. It runs twice a minute, so it loads no part of the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import httpx
import typer
import yaml

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
        str | None,
        typer.Option(
            metavar="URL",
            envvar="GRU_GATEWAY_URL",
            help="Where the daemon listens; else as `listen` in gateway.yaml says.",
        ),
    ] = None,
    config: Annotated[
        Path,
        typer.Option(metavar="DIR", envvar="GRU_GATEWAY_CONFIG", help="Folder of gateway.yaml."),
    ] = Path("config"),
    timeout: Annotated[float, typer.Option(help="Seconds to wait.", min=0.1)] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Ask a daemon whether it takes requests: exit code 0 if so, else 1."""
    asked = (url or _listening(config)).rstrip("/") + "/ops/ready"
    status, text = asyncio.run(_ready(asked, timeout))
    if as_json:
        emit({"ready": status == 200, "status": status, "detail": text})
    else:
        typer.echo("ready" if status == 200 else f"not ready: {text}")
    if status != 200:
        raise typer.Exit(Exit.NO)


def _listening(config: Path) -> str:
    """Where gateway.yaml has the daemon listen; its defaults where that cannot be read."""
    try:
        settings = yaml.safe_load((config / "gateway.yaml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        settings = None
    listen = settings.get("listen") if isinstance(settings, dict) else None
    listen = listen if isinstance(listen, dict) else {}
    host, port = str(listen.get("host") or "127.0.0.1"), listen.get("port") or 8700
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _ready(url: str, timeout: float) -> tuple[int | None, str]:
    async with open_client(timeout=timeout, connections=1) as client:
        try:
            answer = await client.get(url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"no answer ({type(error).__name__})"
    return answer.status_code, f"HTTP {answer.status_code}"
