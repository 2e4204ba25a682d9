"""Checks that a bad answer costs its own call alone, in bytes, memory and time."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx

from gateway.core.outcome import CannotTell, TryLater, Unsure
from gateway.sdk import bad_answers as bad
from gateway.sdk.adapter import Adapter
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.playing import answering, playing
from gateway.sdk.under_test import REFERENCE, AdapterUnderTest


@dataclass(slots=True)
class _Turns:
    longest: float = 0.0


@asynccontextmanager
async def _turns() -> AsyncIterator[_Turns]:
    """Measure the loop's own work between two turns of ours."""
    seen = _Turns()

    async def measure() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            seen.longest = max(seen.longest, time.thread_time() - before)

    task = asyncio.create_task(measure())
    try:
        yield seen
    finally:
        task.cancel()


async def bounded(name: str, suite: AdapterUnderTest) -> None:
    """Give the answer of this name to a creation, a search and a poll."""
    outcome = await _tried(suite, name, lambda adapter: adapter.submit(suite.submission()))
    must(outcome, TryLater if suite.idempotent_submit else Unsure)
    async with suite.built() as (adapter, _):
        able = adapter.capabilities
    if able.find:
        must(await _tried(suite, name, lambda adapter: adapter.find(REFERENCE)), CannotTell)
    if able.statuses:

        async def call(adapter: Adapter) -> object:
            changes = await adapter.statuses(suite.tracked(), None)
            holds(list(changes.items) == [], "changes are made of it")
            holds(changes.cursor is None, "what was not read would be skipped")
            return changes.failure

        holds(await _tried(suite, name, call) is not None, "a poll that failed does not say so")


async def _tried(
    suite: AdapterUnderTest, name: str, call: Callable[[Adapter], Awaitable[object]]
) -> object:
    """Make a call and return its result. Fails above the bounds of time, bytes and memory."""
    pieces, every, headers = bad.BAD[name]
    next(pieces(), None)  # packing a bomb is no work of the adapter's
    bodies: list[bad.CountedBody] = []

    async def play(_: httpx.Request) -> httpx.Response:
        bodies.append(bad.CountedBody(pieces, every))
        told = {"content-type": "application/json", **headers}
        return httpx.Response(200, headers=told, stream=bodies[-1])

    measured, slow = "bomb" in name, every > 0
    began = time.process_time()
    async with playing(suite, seconds=bad.TIMEOUT) as (adapter, far_end), _turns() as turns:
        far_end.play = play
        if measured:
            tracemalloc.start()
        try:
            async with asyncio.timeout(bad.OVER if slow else bad.PATIENCE):
                came = await call(adapter)
            peak = tracemalloc.get_traced_memory()[1] if measured else 0
        except TimeoutError:
            raise AssertionError(f"{name} holds the call") from None
        finally:
            tracemalloc.stop()
        used = time.process_time() - began
        holds(used < bad.OVER, f"{name} holds the processor: {used:.0f} s")
        held = max((body.given for body in bodies), default=0)
        holds(held < bad.MOST, f"{name} is read to its end")
        holds(peak < bad.MOST, f"{name} is held in memory: {peak} bytes")
        holds(turns.longest < bad.LONGEST_TURN, f"{name} holds the loop: {turns.longest:.2f} s")
    return came


_BODIES = (
    ("oversized", "1 GB", "an answer of a gigabyte", "une réponse d'un gigaoctet"),
    ("bomb", "a gzip bomb", "a zipped answer that unfolds", "une réponse compressée qui se déplie"),
    (
        "bomb_twice",
        "a bomb gzipped twice",
        "an answer zipped twice",
        "une réponse compressée deux fois",
    ),
    ("rows", "1.5 million empty rows", "a million rows", "un million de lignes"),
    ("dripped", "a drip", "an answer that drips", "une réponse au compte-gouttes"),
)
for _name, _body, _en, _fr in _BODIES:
    proves(
        f"answer.{_name}",
        Tier.SILVER,
        f"{_en} costs its own call alone",
        f"{_fr} ne coûte que son propre appel",
        "http",
    )(partial(bounded, _body))


@proves(
    "answer.page_in_french",
    Tier.SILVER,
    "a proxy's page, whatever it says and in whatever encoding, decides nothing",
    "la page d'un proxy, quoi qu'elle dise et dans tout encodage, ne décide de rien",
    "http",
)
async def page_in_french(suite: AdapterUnderTest) -> None:
    page = "<html><h1>Accès refusé : déjà traité, 404 introuvable</h1></html>".encode("cp1252")
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"x-motif", b"refus\xe9")]
    for status in (500, 502, 503, 504):
        async with playing(suite) as (adapter, far_end):
            far_end.play = answering(status, headers=headers, content=page)
            outcome = await adapter.submit(suite.submission())
            must(outcome, TryLater if suite.idempotent_submit else Unsure)
            must(await adapter.find(REFERENCE), CannotTell)
