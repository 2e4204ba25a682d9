"""Listens, and has an application answer: the gateway's own, or one that tells to come again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import orjson
import uvicorn

from gateway.catalogue.catalogue import Settings
from gateway.core.errors import GatewayError, Unavailable
from gateway.flow.texts import say
from gateway.web.connection import BoundedConnection

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


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    async def nothing(*_: object) -> None: ...

    config = uvicorn.Config(nothing, host=settings.host, port=settings.port, log_config=None)
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise GatewayError(say("not_listening", host=settings.host, port=settings.port)) from None
    try:
        yield listener
    finally:
        listener.close()


@asynccontextmanager
async def serving_http(app: Any, listener: socket.socket) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        http=BoundedConnection,
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
def _no_signals() -> Any:
    yield
