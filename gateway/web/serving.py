"""Listens, and has an application answer: the gateway's own, or one that tells to come again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import orjson
import structlog
import uvicorn

from gateway.catalogue.catalogue import Settings
from gateway.core.errors import GatewayError, Unavailable
from gateway.flow.texts import say
from gateway.web.connection import BoundedConnection

log = structlog.get_logger()

_Event = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Event]]
_Send = Callable[[_Event], Awaitable[None]]
#: Asked by probes: a process that waits is alive, and not to be killed.
_LIVE: Final = "/ops/live"


def come_again(
    why: Callable[[], Unavailable],
) -> Callable[[_Event, _Receive, _Send], Awaitable[None]]:
    """Return an application that takes nothing. `why` says what it waits for."""

    async def answer(scope: _Event, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        error, live = why(), scope["path"] == _LIVE
        told = {"err": "unavailable", "description": error.text, "err_desc": error.text}
        body = _json({"live": True} if live else told)
        headers = [(b"content-type", b"application/json")]
        if not live:
            headers.append((b"retry-after", str(error.after).encode("ascii")))
            headers.append((b"connection", b"close"))
        start = {"type": "http.response.start", "status": 200 if live else 503}
        await send(start | {"headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def _json(told: object) -> bytes:
    return orjson.dumps(told)


class OpsConnection(BoundedConnection):
    """One of the port that `/ops` has to itself. Few ask there, and none shares a bound with the
    other port: strangers who hold connections keep no operator out."""

    most = 50


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen at an address. Raises GatewayError where it cannot be had."""

    async def nothing(*_: object) -> None: ...

    config = uvicorn.Config(nothing, host=host, port=port, log_config=None)
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise GatewayError(say("not_listening", host=host, port=port)) from None
    try:
        yield listener
    finally:
        listener.close()


@asynccontextmanager
async def serving_http(
    app: Any,
    listener: socket.socket,
    connection: type[BoundedConnection] = BoundedConnection,
) -> AsyncIterator[int]:
    """Have an application answer, and give the port."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        http=connection,
        ws="none",
        proxy_headers=False,  # no decision hangs on a claimed caller
        server_header=False,
    )
    server = uvicorn.Server(config)
    # The gateway handles signals itself, to stop in its own order.
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[listener.dup()]), name="http")
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


@contextmanager
def listeners(settings: Settings) -> Iterator[tuple[socket.socket, socket.socket | None]]:
    """Listen for all, and for `/ops` where it has a port of its own."""
    with listening(settings.host, settings.port) as listener:
        if settings.ops.listen is None:
            yield listener, None
        else:
            with listening(*settings.ops.listen) as ops:
                yield listener, ops


@asynccontextmanager
async def serving_operations(app: Any, listener: socket.socket | None) -> AsyncIterator[None]:
    """Have `/ops` answer on the port that it has to itself, if it has one."""
    if listener is None:
        yield
        return
    async with serving_http(app, listener, OpsConnection) as port:
        log.info("gateway.operations", host=listener.getsockname()[0], port=port)
        yield


@contextmanager
def _no_signals() -> Any:
    yield
