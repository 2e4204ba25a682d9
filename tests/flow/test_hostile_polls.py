"""A GRU whose list does harm: its polls say so, and its lane and everybody else's go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from gateway.core.delivery import State
from gateway.flow import changes
from gateway.ops.stalls import StallMeter
from gateway.store import cursors
from tests.flow.rig import BRON, GRU_A, VILLEURBANNE, Rig
from tests.hostile.bounds import MOST_STALLED, TRIES
from tests.hostile.conftest import collector as collector
from tests.hostile.test_work import all_at_it

ROW = (
    b'{"id":"%d","external_id":null,"status":"open","updated_at":"2026-03-12T08:00:00Z",'
    b'"comments":[]}'
)
#: What makes the body, and what is told of it.
LISTS: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "1.5 million empty rows": (
        lambda: b'{"tickets":[' + b",".join([b"{}"] * 1_500_000) + b"]}",
        "answer_too_large",
    ),
    "100,000 empty rows": (
        lambda: b'{"tickets":[' + b",".join([b"{}"] * 100_000) + b"]}",
        "unreadable_item",
    ),
    "10,000 rows of others": (
        lambda: b'{"tickets":[' + b",".join(ROW % n for n in range(10**6, 10**6 + 10_000)) + b"]}",
        None,
    ),
}


class Pieces(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.body), 65_536):
            yield self.body[at : at + 65_536]


class Listing(httpx.AsyncBaseTransport):
    """The simulated GRU, but for its list."""

    def __init__(self, inner: httpx.AsyncBaseTransport, body: bytes) -> None:
        self.inner = inner
        self.body = body

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and "updated_since" in request.url.params:
            kind = {"content-type": "application/json"}
            return httpx.Response(200, headers=kind, stream=Pieces(self.body))
        return await self.inner.handle_async_request(request)


pytestmark = pytest.mark.usefixtures("collector")


@pytest.mark.parametrize("name", LISTS)
async def test_the_lane_goes_on(rig: Rig, name: str) -> None:
    make, told = LISTS[name]
    rig.line.inner = Listing(rig.line.inner, make())
    async with rig.gateway() as engine:
        _, first = await rig.send()
        await rig.state(first, State.DONE)
        stalled = []
        for _ in range(TRIES):
            with StallMeter() as stalls:
                await engine.changes.poll(rig.gru_config)
            stalled.append(stalls.longest)
            if stalled[-1] < MOST_STALLED:
                break
        read = await rig.database.read(cursors.get, f"poll:{GRU_A}")
        assert read is not None
        assert read.failure == told
        for commune in (BRON, VILLEURBANNE):
            _, later = await rig.send(commune)
            await rig.state(later, State.DONE)
        assert min(stalled) < MOST_STALLED, stalled


async def test_a_list_that_takes_too_long_is_read_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = rig.line.inner
    make, _ = LISTS["100,000 empty rows"]
    async with rig.gateway() as engine:
        _, first = await rig.send()
        await rig.state(first, State.DONE)
        await engine.changes.poll(rig.gru_config)
        before = await rig.database.read(cursors.get, f"poll:{GRU_A}")
        rig.line.inner = Listing(simulated, make())
        async with all_at_it(monkeypatch):
            await engine.changes.poll(rig.gru_config)
        after = await rig.database.read(cursors.get, f"poll:{GRU_A}")
        assert before is not None
        assert after is not None
        assert (after.value, after.failure) == (before.value, "took_too_long")


async def test_a_poll_that_hangs_on_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig.gateway() as engine:
        _, first = await rig.send()
        await rig.state(first, State.DONE)
        monkeypatch.setattr(changes, "LONGEST_POLL", 0.05)
        rig.line.only = "GET"
        rig.line.before.clear()
        await engine.changes.poll(rig.gru_config)
        read = await rig.database.read(cursors.get, f"poll:{GRU_A}")
        assert read is not None
        assert read.failure == "poll_too_long"
        _, second = await rig.send()
        await rig.state(second, State.DONE)
