"""Checks over real sockets, with a far end that cuts, stalls or garbles the connection.

The server is on the loopback. The adapter names its GRU's own address; the transport leads to the
server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import httpx

from gateway.core.outcome import Accepted, CannotTell, TryLater, Unsure
from gateway.sdk.adapter import Adapter
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.playing import PlayedFarEnd, playing
from gateway.sdk.under_test import REFERENCE, AdapterUnderTest

#: Seconds for a call of a slow far end, and of any other.
SHORT: Final = 0.3
LONG: Final = 60.0
#: Carries the address that the adapter called.
_MEANT: Final = "x-matrix-address"
#: Writes an answer in its own way; then the connection is closed.
Writing = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter, httpx.Response], Coroutine[Any, Any, None]
]


class _ToServer(httpx.AsyncBaseTransport):
    def __init__(self, port: int) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        there = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        headers = httpx.Headers(
            [*request.headers.raw, (_MEANT.encode(), str(request.url).encode())]
        )
        turned = httpx.Request(
            request.method,
            there,
            headers=headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._inner.handle_async_request(turned)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Server:
    """Answers calls of `prepare` rightly, and each call that counts through `Writing`."""

    def __init__(self, writing: Writing) -> None:
        self.writing = writing
        self.far_end: PlayedFarEnd | None = None
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer):
                pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one call. Return whether the connection stays open."""
        request = await _read(reader)
        if self.far_end is None:
            return False
        prepared = self.far_end.prepares(request)
        answer = await self.far_end.handle(request)
        await answer.aread()
        if not prepared:
            await self.writing(reader, writer, answer)
            return False
        await _well(reader, writer, answer)
        return True


async def _read(reader: asyncio.StreamReader) -> httpx.Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method = head[0].split(" ")[0]
    named = [line.partition(": ") for line in head[1:] if line]
    headers = httpx.Headers([(name, value) for name, _, value in named])
    body = b""
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    return httpx.Request(method, headers.pop(_MEANT), headers=headers, content=body)


def _head(answer: httpx.Response, length: int) -> bytes:
    kept = [
        f"{name}: {value}\r\n"
        for name, value in answer.headers.items()
        if name not in ("content-length", "transfer-encoding")
    ]
    status = f"HTTP/1.1 {answer.status_code} -\r\n"
    return (status + "".join(kept) + f"content-length: {length}\r\n\r\n").encode("latin-1")


async def _well(
    _: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: httpx.Response
) -> None:
    body = b"" if answer.status_code == 204 else answer.content
    writer.write(_head(answer, len(body)) + body)
    await writer.drain()


async def _dropped(
    _: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: httpx.Response
) -> None:
    """Take the call and break the connection before any answer."""


async def _reset(
    _: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: httpx.Response
) -> None:
    writer.transport.abort()


async def _half_head(
    _: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: httpx.Response
) -> None:
    writer.write(_head(answer, 10)[:25])
    await writer.drain()


async def _truncated(
    _: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: httpx.Response
) -> None:
    writer.write(_head(answer, len(answer.content) + 500) + answer.content)
    await writer.drain()


async def _slow(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: httpx.Response
) -> None:
    """Send the head and one byte of the body, then nothing more."""
    writer.write(_head(answer, len(answer.content) + 2) + b" ")
    await writer.drain()
    await reader.read()


async def _silent(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: httpx.Response
) -> None:
    await reader.read()


@asynccontextmanager
async def over_sockets(
    suite: AdapterUnderTest, writing: Writing, seconds: float = LONG
) -> AsyncIterator[tuple[Adapter, PlayedFarEnd]]:
    """Give an adapter, and its far end behind a real socket."""
    served = _Server(writing)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    try:
        async with playing(suite, lambda _: _ToServer(port), seconds=seconds) as (adapter, far_end):
            served.far_end = far_end
            yield adapter, far_end
    finally:
        server.close()
        await server.wait_closed()


async def _loses_nothing(suite: AdapterUnderTest, writing: Writing, seconds: float) -> None:
    """Check that a request whose answer is lost is not lost itself.

    On a machine so busy that the time ends before the call arrives, more time is given.
    """
    outcome, sent = await _submitted(suite, writing, seconds)
    while not sent and seconds < LONG:
        seconds *= 8
        outcome, sent = await _submitted(suite, writing, seconds)
    must(outcome, TryLater if suite.idempotent_submit else Unsure)
    if not suite.idempotent_submit:
        holds(sent == 1, f"it is sent {sent} times")
    await _reads_nothing(suite, writing, SHORT if writing in (_slow, _silent) else LONG)


async def _submitted(
    suite: AdapterUnderTest, writing: Writing, seconds: float
) -> tuple[object, int]:
    """Return the outcome of a creation, and how many calls of it arrived."""
    async with over_sockets(suite, writing, seconds) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        outcome = await adapter.submit(suite.submission())
        return outcome, len(far_end.creating)


async def _reads_nothing(suite: AdapterUnderTest, writing: Writing, seconds: float) -> None:
    async with suite.built() as (adapter, _):
        able = adapter.capabilities
    if able.find:
        async with over_sockets(suite, writing, seconds) as (adapter, far_end):
            suite.far_end_holds_nothing(far_end.router)
            must(await adapter.find(REFERENCE), CannotTell)
    if able.statuses:
        async with over_sockets(suite, writing, seconds) as (adapter, far_end):
            far_end.router.route().respond(200, json=[])
            changes = await adapter.statuses(suite.tracked(), None)
            holds(changes.failure is not None, "a poll that was cut does not say so")
            holds(changes.cursor is None, "what was not read would be skipped")


@proves(
    "wire.well",
    Tier.PLATINUM,
    "a request is taken over a real line",
    "une demande est prise sur une vraie ligne",
    "http",
)
async def well(suite: AdapterUnderTest) -> None:
    async with over_sockets(suite, _well) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        must(await adapter.submit(suite.submission()), Accepted)


for _name, _writing, _seconds, _en, _fr in (
    ("committed_then_dropped", _dropped, LONG, "taken, and the line closed", "prise, ligne fermée"),
    ("committed_then_reset", _reset, LONG, "taken, and the line reset", "prise, ligne coupée net"),
    ("half_a_head", _half_head, LONG, "taken, and half a head", "prise, en-têtes coupés"),
    ("truncated", _truncated, LONG, "taken, and the answer cut", "prise, réponse tronquée"),
    ("slow_body", _slow, SHORT, "taken, and a body without end", "prise, corps sans fin"),
    ("silent", _silent, SHORT, "taken, and no answer at all", "prise, aucune réponse"),
):

    def _made(writing: Writing = _writing, seconds: float = _seconds) -> Any:
        async def run(suite: AdapterUnderTest) -> None:
            await _loses_nothing(suite, writing, seconds)

        return run

    proves(
        f"wire.{_name}",
        Tier.PLATINUM,
        f"{_en}: nothing is sent twice, nothing is taken for absent",
        f"{_fr} : rien n'est envoyé deux fois, rien n'est cru absent",
        "http",
    )(_made())


@proves(
    "wire.refused",
    Tier.PLATINUM,
    "nobody listens: nothing can have been taken, so it is sent again later",
    "personne n'écoute : rien n'a pu être pris, l'envoi est refait plus tard",
    "http",
)
async def refused(suite: AdapterUnderTest) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with playing(suite, lambda _: _ToServer(port)) as (adapter, _):
        must(await adapter.submit(suite.submission()), TryLater)
