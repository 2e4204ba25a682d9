"""Runs a simulator on a real loopback socket, inside the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.sim.faults import ABORT


class AbortableProtocol(HttpToolsProtocol):
    """An HTTP protocol that lets the application drop the connection, by an ASGI scope
    extension."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # A plain mapping, despite the server's typed dictionary.
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]


class _Server(uvicorn.Server):
    """A server that leaves signals to the owner of the loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Running:
    """A running simulator; `url` has no trailing slash."""

    url: str
    port: int


@asynccontextmanager
async def run_server(
    app: ASGIApp,
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    protocol: type[AbortableProtocol] = AbortableProtocol,
) -> AsyncIterator[Running]:
    """Serve `app` on `host` until the block ends. `port` 0 means any free port.

    Calls under way have one more second. Nothing is logged. Raises OSError when the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    bound: int = listener.getsockname()[1]
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise OSError("the simulator's server did not start")
            await asyncio.sleep(0.002)
        shown = f"[{host}]" if ":" in host else host
        yield Running(f"http://{shown}:{bound}", bound)
    finally:
        server.should_exit = True
        await task
        listener.close()
