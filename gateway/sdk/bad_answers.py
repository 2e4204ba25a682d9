# ruff: noqa: S101 - this module is tests
"""Answers by which a far end may do harm, and tests that an adapter feels them in that call alone.

An adapter whose every call goes through `gateway.sdk.send` keeps all of it.
"""

from __future__ import annotations

import asyncio
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final

import httpx
import pytest
import respx

from gateway.core.outcome import Absent, Accepted, CannotTell, Found, TryLater, Unsure
from gateway.sdk.adapter import Adapter
from gateway.sdk.under_test import REFERENCE, AdapterUnderTest

#: Seconds that a call has to connect, and to read, in these tests.
TIMEOUT: Final = 0.3
#: Seconds within which it is over: of the processor's, or of the clock's where bytes come slowly.
OVER: Final = 15.0
#: Seconds of the clock within which it is over, on a machine that is busy with much else.
PATIENCE: Final = 300.0
#: Bytes that a far end may get rid of, and that may be held meanwhile: ten times `max_answer`.
MOST: Final = 50_000_000
#: Seconds that the loop's thread may work without giving others a turn.
LONGEST_TURN: Final = 0.25
ELSEWHERE: Final = "ailleurs.exemple.invalid"


@dataclass
class CountedBody(httpx.AsyncByteStream):
    """A body on its way; `given` counts its bytes."""

    pieces: Callable[[], Iterator[bytes]]
    every: float = 0.0
    given: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces():
            await asyncio.sleep(self.every)
            self.given += len(piece)
            yield piece


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    zeros = bytes(10_000_000)
    return b"".join(packer.compress(zeros) for _ in range(20)) + packer.flush()


@cache
def _twice() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(_bomb()) + packer.flush()


def _cut(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 65_536):
        yield body[at : at + 65_536]


def _gigabyte() -> Iterator[bytes]:
    yield b"["
    for _ in range(16_384):
        yield b" " * 65_536


def _rows() -> Iterator[bytes]:
    yield b"[{}"
    for _ in range(1_500):
        yield b",{}" * 1_000
    yield b"]"


def _drip() -> Iterator[bytes]:
    while True:
        yield b" "


#: Name -> what makes the body, how often a piece of it comes, and its headers.
BAD: Final[dict[str, tuple[Callable[[], Iterator[bytes]], float, dict[str, str]]]] = {
    "1 GB": (_gigabyte, 0.0, {}),
    "a gzip bomb": (lambda: _cut(_bomb()), 0.0, {"content-encoding": "gzip"}),
    "a bomb gzipped twice": (lambda: _cut(_twice()), 0.0, {"content-encoding": "gzip, gzip"}),
    "1.5 million empty rows": (_rows, 0.0, {}),
    "a drip": (_drip, 0.05, {}),
}


@dataclass(slots=True)
class _Turns:
    longest: float = 0.0


@asynccontextmanager
async def _turns() -> AsyncIterator[_Turns]:
    """Measure how long the loop's own thread worked between two turns of ours."""
    seen = _Turns()

    async def look() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            seen.longest = max(seen.longest, time.thread_time() - before)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()


class BadAnswers(AdapterUnderTest):
    """Whatever a far end answers costs its own call alone."""

    @asynccontextmanager
    async def answered_so(self, name: str) -> AsyncIterator[tuple[Adapter, list[CountedBody]]]:
        """Give the adapter, and the bodies that its far end gave to whatever it asked."""
        pieces, every, headers = BAD[name]
        bodies: list[CountedBody] = []

        def answer(_: httpx.Request) -> httpx.Response:
            bodies.append(CountedBody(pieces, every))
            told = {"content-type": "application/json", **headers}
            return httpx.Response(200, headers=told, stream=bodies[-1])

        router = respx.MockRouter(assert_all_called=False)
        self.prepare(router)
        router.route().mock(side_effect=answer)
        transport = httpx.MockTransport(router.async_handler)
        async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
            adapter = self.build(client)
            try:
                yield adapter, bodies
            finally:
                await adapter.aclose()

    async def _tried(self, name: str, call: Callable[[Adapter], Awaitable[object]]) -> object:
        """Make the call, within its bounds in time, bytes and memory, and return its result."""
        measured, slow = "bomb" in name, BAD[name][1] > 0
        began = time.process_time()
        async with self.answered_so(name) as (adapter, bodies), _turns() as turns:
            if measured:
                tracemalloc.start()
            try:
                async with asyncio.timeout(OVER if slow else PATIENCE):
                    came = await call(adapter)
                peak = tracemalloc.get_traced_memory()[1] if measured else 0
            except TimeoutError:
                raise AssertionError(f"{name} holds the call") from None
            finally:
                tracemalloc.stop()
            used = time.process_time() - began
            assert used < OVER, f"{name} holds the processor: {used:.0f} s"
            assert all(body.given < MOST for body in bodies), f"{name} is read to its end"
            assert peak < MOST, f"{name} is held in memory: {peak} bytes"
            assert turns.longest < LONGEST_TURN, f"{name} holds the loop: {turns.longest:.2f} s"
        return came

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", BAD)
    async def test_submit_is_bounded_under(self, name: str) -> None:
        async def call(adapter: Adapter) -> object:
            return await adapter.submit(self.submission())

        outcome = await self._tried(name, call)
        wanted = TryLater if self.idempotent_submit else Unsure
        assert isinstance(outcome, wanted), "it may have been done, and nothing says so"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", BAD)
    async def test_find_is_bounded_under(self, name: str) -> None:
        finding = await self._tried(name, lambda adapter: adapter.find(REFERENCE))
        assert not isinstance(finding, Found | Absent)
        assert isinstance(finding, CannotTell)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", BAD)
    async def test_statuses_are_bounded_under(self, name: str) -> None:
        async with self.built() as (adapter, _):
            if not adapter.capabilities.statuses:
                return

        async def call(adapter: Adapter) -> object:
            changes = await adapter.statuses(self.tracked(), None)
            assert list(changes.items) == []
            assert changes.cursor is None, "what was not read would be skipped"
            return changes.failure

        assert await self._tried(name, call) is not None, "a poll that failed says so"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_followed_to_no_other_host(self, status: int) -> None:
        """Secrets, signatures and personal data go to the configured far end alone."""
        async with self.built() as (adapter, router):
            router.route().respond(status, headers={"location": f"https://{ELSEWHERE}/ici"})
            outcome = await adapter.submit(self.submission())
            assert not isinstance(outcome, Accepted)
            await adapter.find(REFERENCE)
            await adapter.statuses(self.tracked(), None)
            assert ELSEWHERE not in {call.request.url.host for call in router.calls}

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    async def test_a_page_in_french_decides_nothing(self, status: int) -> None:
        """A proxy's page, in Windows-1252 under the name of UTF-8, beside a header in French."""
        page = "<html><h1>Accès refusé : déjà traité, 404 introuvable</h1></html>".encode("cp1252")
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"x-motif", b"refus\xe9")]
        async with self.built() as (adapter, router):
            router.route().mock(
                side_effect=lambda _: httpx.Response(status, headers=headers, content=page)
            )
            outcome = await adapter.submit(self.submission())
            assert isinstance(outcome, TryLater if self.idempotent_submit else Unsure)
            assert isinstance(await adapter.find(REFERENCE), CannotTell)


__all__ = ["BAD", "BadAnswers"]
