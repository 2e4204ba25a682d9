"""Runs a sandbox on a socket until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_address

from gateway.core.errors import GatewayError
from gateway.core.system_errors import system_error
from gateway.demo.stage import free_port, until_interrupted
from gateway.sandbox.http import SandboxApp
from gateway.sandbox.opening import open_sandbox
from gateway.sandbox.sandbox import Sandbox, SandboxOptions
from gateway.sandbox.texts import say
from gateway.sim.server import AbortableProtocol, run_server
from gateway.web.connection import BoundedConnection


class SandboxConnection(AbortableProtocol, BoundedConnection):
    """A connection with the gateway's bounds, which a case may drop."""


def is_loopback(host: str) -> bool:
    """Is it an address of the loopback?"""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def run_sandbox(
    options: SandboxOptions,
    *,
    host: str,
    port: int,
    started: Callable[[Sandbox, str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Run a sandbox until `stop`, Ctrl-C or SIGTERM. Raises GatewayError.

    `started` is called with the address once the sandbox takes calls. `port` 0: any free one.
    """
    stop = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        until_interrupted(stop, stack)
        port = port or free_port()
        shown = f"[{host}]" if ":" in host else host
        options = replace(options, public_url=f"http://{shown}:{port}")
        sandbox = await stack.enter_async_context(open_sandbox(options))
        app = SandboxApp(sandbox, frozenset({host}))
        serving = run_server(app, port, host=host, protocol=SandboxConnection)
        try:
            running = await stack.enter_async_context(serving)
        except OSError as error:
            why = system_error(error)
            raise GatewayError(say("port_taken", host=host, port=port, error=why)) from None
        started(sandbox, running.url)
        await stop.wait()
