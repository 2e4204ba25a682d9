"""Records, call by call, whether anything left that may have altered the far end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import httpx

#: RFC 9110, 9.2.1: these methods alter nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(slots=True)
class SentCalls:
    """The calls handed to a client meanwhile. `unsafe`: one of them may have altered something."""

    unsafe: bool = False


_watched: ContextVar[SentCalls | None] = ContextVar("departures", default=None)


@contextmanager
def departures() -> Iterator[SentCalls]:
    """Record the calls of this task and its children within the block."""
    found = SentCalls()
    token = _watched.set(found)
    try:
        yield found
    finally:
        _watched.reset(token)


def note_departure() -> None:
    """Record that something left, by another way than HTTP, that may be acted upon."""
    watched = _watched.get()
    if watched is not None:
        watched.unsafe = True


class RecordingTransport(httpx.AsyncBaseTransport):
    """Records what leaves through another transport; a streamed body once it has a first piece."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        watched = _watched.get()
        if watched is not None and request.method not in SAFE_METHODS:
            if isinstance(request.stream, httpx.SyncByteStream):
                watched.unsafe = True
            else:
                request.stream = _OutgoingBody(request.stream, watched)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _OutgoingBody(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, watched: SentCalls) -> None:
        self._inner = inner
        self._watched = watched

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            self._watched.unsafe = True
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
