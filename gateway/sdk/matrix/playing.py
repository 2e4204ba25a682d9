"""A far end whose answers a check chooses, between a suite's routes and its adapter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import httpx

from gateway.sdk.adapter import Adapter
from gateway.sdk.under_test import SAFE_VERBS, AdapterUnderTest

if TYPE_CHECKING:
    import respx

Play = Callable[[httpx.Request], Awaitable[httpx.Response]]


@dataclass(slots=True)
class PlayedFarEnd:
    """The far end of one adapter.

    `play` answers the calls that count: all but those of `prepare`. Without it the suite's routes
    answer. `calls` are the calls that counted, `before` is the number of the others.
    """

    router: respx.MockRouter
    prepared: int
    play: Play | None = None
    calls: list[httpx.Request] = field(default_factory=list)
    before: int = 0

    def prepares(self, request: httpx.Request) -> bool:
        """Is it a call of `prepare`?"""
        routes = list(self.router.routes)[: self.prepared]
        return any(route.pattern.match(request) for route in routes)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a call."""
        if self.prepares(request):
            self.before += 1
            return await self.router.async_handler(request)
        self.calls.append(request)
        if self.play is not None:
            return await self.play(request)
        return await self.router.async_handler(request)

    @property
    def creating(self) -> list[httpx.Request]:
        """The calls that may have made something."""
        return [call for call in self.calls if call.method not in SAFE_VERBS]


@asynccontextmanager
async def playing(
    suite: AdapterUnderTest,
    transport: Callable[[PlayedFarEnd], httpx.AsyncBaseTransport] | None = None,
    *,
    seconds: float = 60.0,
) -> AsyncIterator[tuple[Adapter, PlayedFarEnd]]:
    """Give an adapter and its far end, with `seconds` for each call.

    An adapter without HTTP has the suite's own far end, and nothing is played to it.
    """
    if not suite.speaks_http:
        async with suite.built() as (adapter, unused):
            yield adapter, PlayedFarEnd(unused, 0)
        return
    from respx import MockRouter  # only tests install it

    router = MockRouter(assert_all_called=False)
    suite.prepare(router)
    far_end = PlayedFarEnd(router, len(router.routes))
    made = httpx.MockTransport(far_end.handle) if transport is None else transport(far_end)
    async with httpx.AsyncClient(transport=made, timeout=seconds) as client:
        adapter = suite.build(client)
        try:
            yield adapter, far_end
        finally:
            await adapter.aclose()


def answering(status: int, **how: Any) -> Play:
    """Return a play that gives this answer to each call."""

    async def play(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, **how)

    return play


def says(call: httpx.Request, word: str) -> bool:
    """Does the body or the address of a call have the word, in any encoding?"""
    carried = call.content + b" " + str(call.url).encode() + b" " + repr(call.headers.raw).encode()
    json_escaped = json.dumps(word)[1:-1]
    references = "".join(c if c.isascii() else f"&#{ord(c)};" for c in word)
    written = {word, json_escaped, references, quote(word), quote(word, safe="")}
    written.add(quote_plus(word))
    lowered = carried.lower()
    return any(one.encode().lower() in lowered for one in written)


async def together(count: int, arrived: asyncio.Event, here: list[int]) -> None:
    """Wait until `count` calls are at the far end at once; let sequential calls pass."""
    here.append(1)
    if len(here) >= count:
        arrived.set()
    try:
        async with asyncio.timeout(0.2):
            await arrived.wait()
    except TimeoutError:
        arrived.set()


__all__ = ["SAFE_VERBS", "Play", "PlayedFarEnd", "answering", "playing", "says", "together"]
