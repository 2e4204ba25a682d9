"""`python -m gateway.sim NAME --port N`: run one simulator in its own process.

The simulator listens on 127.0.0.1, prints its address on one line of the standard output, and ends
cleanly on SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp

from gateway.sim.glc import SimulatedGlc
from gateway.sim.open311 import Open311
from gateway.sim.portal import SimulatedPortal
from gateway.sim.server import run_server
from gateway.sim.ticketing import Ticketing


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise argparse.ArgumentTypeError("NAME=VALUE is expected")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gateway.sim", description=__doc__)
    parser.add_argument("sim", choices=["portal", "open311", "ticketing", "glc"])
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument(
        "--key",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=SECRET",
        help="portal: an orig and its key; glc: a Basic name and its password; may be repeated",
    )
    parser.add_argument("--secret", help="open311: the api_key; ticketing: the X-Api-Key token")
    parser.add_argument("--hook", action="append", default=[], help="portal: a global action")
    parser.add_argument("--language", choices=["fr", "en"], default="fr", help="portal: its texts")
    parser.add_argument("--batch", action="store_true", help="open311: answer tokens")
    parser.add_argument("--errors-in-200", action="store_true", help="ticketing: Znuny's manner")
    parser.add_argument("--webhook", metavar="URL", help="ticketing: where changes are told")
    parser.add_argument("--webhook-key", help="ticketing: signs the webhooks")
    return parser


def _build(given: argparse.Namespace) -> tuple[ASGIApp, Callable[[str], None]]:
    """Return the application, and the function to call with its address."""
    keys: dict[str, str] = dict(given.key)
    if given.sim == "portal":
        portal = SimulatedPortal(keys=keys, language=given.language)
        if given.hook:
            portal.hooks = tuple(given.hook)
        return portal.app, lambda url: setattr(portal, "base_url", url)
    if given.sim == "open311":
        server = Open311(batch=given.batch)
        server.api_key = given.secret or server.api_key
        return server.app, lambda url: setattr(server, "base_url", url)
    if given.sim == "ticketing":
        gru = Ticketing(errors_in_200=given.errors_in_200, webhook_url=given.webhook)
        gru.token = given.secret or gru.token
        gru.webhook_key = given.webhook_key or gru.webhook_key
        return gru.app, lambda url: None
    glc = SimulatedGlc()
    glc.clients = keys or glc.clients
    return glc.app, lambda url: setattr(glc, "base_url", url)


async def _run(given: argparse.Namespace) -> None:
    app, located = _build(given)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, over.set)
    async with run_server(app, given.port) as running:
        located(running.url)
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        await over.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator. Return 0 after a signal, 4 when the port is taken."""
    given = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(given))
    except OSError as error:
        sys.stderr.write(f"cannot listen on port {given.port}: {error.strerror}\n")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
