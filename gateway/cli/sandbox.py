"""`sandbox`: the vendor's side of the pivot contract, on this machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import print_message, print_text
from gateway.cli.usage import Misuse

if TYPE_CHECKING:
    from gateway.sandbox.sandbox import Sandbox

_ADDRESS = ("http://", "https://")


def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it listens; 0: any.")] = 8440,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Your half-connector's address (push); without, it fetches.",
        ),
    ] = None,
    fast: Annotated[
        float,
        typer.Option(min=1, max=100_000, help="Seconds that pass in one: leases, retries, days."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed files the same requests.")] = 1,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep data and secrets here, and go on with them."),
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Begin without requests.")] = False,
    bind: Annotated[
        str, typer.Option(metavar="HOST", help="Listen there; beyond loopback: --exposed.")
    ] = "127.0.0.1",
    exposed: Annotated[
        bool, typer.Option("--exposed", help="Let other machines use it. It has no login.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The address and the secrets on one line of JSON.")
    ] = False,
) -> None:
    """Try a half-connector: a whole gateway over an invented commune. Never for production."""
    from gateway import telemetry
    from gateway.sandbox.run import is_loopback, run_sandbox
    from gateway.sandbox.sandbox import SandboxOptions
    from gateway.sandbox.texts import say

    if not is_loopback(bind) and not exposed:
        raise Misuse(say("not_loopback", host=bind))
    if push is not None and not push.startswith(_ADDRESS):
        raise Misuse(say("odd_push", url=push))
    telemetry.configure("console", "error")

    def started(running: Sandbox, url: str) -> None:
        if exposed and not as_json:
            print_message(say("exposed", host=bind))
        _print_start(running, url, as_json=as_json)

    options = SandboxOptions("", push=push, speed=fast, seed=seed, keep=keep, seeded=not empty)
    asyncio.run(run_sandbox(options, host=bind, port=port, started=started))


def _print_start(running: Sandbox, url: str, *, as_json: bool) -> None:
    """Print the address, and the secrets: they are the sandbox's own, and invented."""
    from gateway.sandbox.files import CLIENT_ID
    from gateway.sandbox.texts import say

    told = {
        "client_id": CLIENT_ID,
        "client_secret": running.secrets.client,
        "signing_secret": running.secrets.signing[0],
        "former_signing_secret": running.secrets.signing[1],
    }
    if as_json:
        print_text(json.dumps({"url": url, **told}))
        return
    print_message(say("started", url=url))
    for name, value in told.items():
        print_message(say("line", name=f"{name:22}", value=value))
    print_message(say("end_by"))
