"""Harmful answers of a far end, intended or not. Each one is an application of its own."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

_PIECE = 1 << 20
_JSON = (b"content-type", b"application/json")

Header = tuple[bytes, bytes]


def saying(
    pieces: Callable[[], Iterable[bytes]], *headers: Header, status: int = 200, rest: float = 0.0
) -> ASGIApp:
    """Answer `status` with these headers and pieces, `rest` seconds apart, until the caller
    disconnects."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            for piece in pieces():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.wait([gone], timeout=rest)
                if gone.done():
                    return
            await send({"type": "http.response.body"})
        finally:
            gone.cancel()

    return answer


def bomb(megabytes: int, media_type: bytes = b"application/json") -> ASGIApp:
    """Answer with zeros that are compressed twice: a few kilobytes become many megabytes."""
    once = zlib.compressobj(9, wbits=31)
    zeros = bytes(_PIECE)
    begun = once.compress(zeros) + once.flush(zlib.Z_FULL_FLUSH)
    # After a full flush nothing refers back: the same bytes repeat.
    again = once.compress(zeros) + once.flush(zlib.Z_FULL_FLUSH)
    body = gzip.compress(begun + again * (megabytes - 1))
    coded = (b"content-encoding", b"gzip, gzip")
    return saying(lambda: [body], (b"content-type", media_type), coded)


def flood(megabytes: int, begun: bytes = b"[") -> ASGIApp:
    """Answer with an endless list of spaces."""
    return saying(lambda: (begun, *(b" " * _PIECE for _ in range(megabytes)), b"]"), _JSON)


def rows(count: int, before: bytes = b"[", row: bytes = b"{}", behind: bytes = b"]") -> ASGIApp:
    """Answer with a list of this many empty rows."""
    body = before + b",".join([row] * count) + behind
    return saying(lambda: [body], _JSON)


def drip(seconds: float) -> ASGIApp:
    """Answer with one byte from time to time, without end."""

    def forever() -> Iterable[bytes]:
        while True:
            yield b" "

    return saying(forever, _JSON, rest=seconds)


def nested(levels: int) -> ASGIApp:
    """Answer with nested lists."""
    return saying(lambda: [b"[" * levels], _JSON)


def page(status: int, text: bytes, *headers: Header) -> ASGIApp:
    """Answer with a page, as a proxy does."""
    return saying(lambda: [text], (b"content-type", b"text/html"), *headers, status=status)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


__all__ = ["bomb", "drip", "flood", "nested", "page", "rows", "saying"]
