"""A half-connector that is killed again and again, and so are we: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from gateway.store import requests
from tests.web.half_connector import Disk, HalfConnector, Killed
from tests.web.harness import ENVIRON, Gateway
from tests.web.pivot_town import OURS, SIGNING, SLUG, THEIRS, URL, filed, pivot_town

REQUESTS, MESSAGES = 4, 2
BRON, VILLEURBANNE = "69029", "69266"
SECRETS = {BRON: OURS, VILLEURBANNE: THEIRS}
KEYS = {BRON: ENVIRON["BRON_KEY"], VILLEURBANNE: ENVIRON["VILLEURBANNE_KEY"]}


@asynccontextmanager
async def process(folder: Path, template: Path) -> AsyncIterator[Gateway]:
    """A process of ours, which is killed at the end: nothing is waited for."""
    async with pivot_town(folder, template) as gw:
        running = asyncio.create_task(gw.engine.lanes.run(gw.engine.lane_names()))
        yield gw
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def cities(gw: Gateway, insee: str) -> list[str]:
    """Citizens file their requests, and write to them; our references."""
    found = []
    for n in range(REQUESTS):
        found.append(await filed(gw, insee, str(n)))
        for m in range(MESSAGES):
            path = f"/portal/v1/communes/{insee}/teleservices/{SLUG}/requests/{n}/events"
            body = {"action": "message", "event": f"m{m}", "message": f"Message {m}"}
            answer = await gw.client.post(gw.signed(path, key=KEYS[insee], orig=None), json=body)
            assert answer.status_code == 201, answer.text
    return found


def connector(gw: Gateway, insee: str, disk: Disk, chance: random.Random) -> HalfConnector:
    half = HalfConnector(
        gw.client,
        disk,
        lambda point: chance.random() < 0.25,
        f"{insee}.desk",
        SECRETS[insee],
        SIGNING,
    )
    gw.portal.post(URL).mock(side_effect=half.receive)
    gw.portal.route().mock(side_effect=lambda request: httpx.Response(403))
    return half


async def over(gw: Gateway, half: HalfConnector, insee: str, expected: int) -> None:
    """Time passes until everything is settled."""
    lane = f"gru:{insee}:desk"
    settled = 0
    for _ in range(400):
        if insee == VILLEURBANNE:
            with suppress(Killed):
                await half.fetch()
        gw.advance(minutes=2)
        await gw.engine.lanes._reaper._reap()  # noqa: SLF001 - its own look comes seconds later
        gw.engine.lanes.wake(lane)
        for _ in range(20):
            await asyncio.sleep(0.001)
        settled = await done(gw, insee)
        if settled >= expected:
            return
    raise AssertionError(f"{settled} of {expected} settled")


async def done(gw: Gateway, insee: str) -> int:
    total = 0
    for one in await gw.database.read(requests.listing, commune=insee, limit=100):
        trace = await gw.database.read(requests.trace, one.id)
        assert trace is not None
        total += sum(
            d.state.value == "done" for d in trace.deliveries if d.kind.value in ("submit", "amend")
        )
    return total


@pytest.mark.parametrize("insee", [BRON, VILLEURBANNE], ids=["push", "mailbox"])
async def test_nothing_is_lost_or_taken_twice_and_all_comes_in_order(
    tmp_path: Path, template: Path, insee: str
) -> None:
    disk, chance = Disk(), random.Random(14)
    whole = REQUESTS * (1 + MESSAGES)
    async with process(tmp_path, template) as gw:
        half = connector(gw, insee, disk, chance)
        references = await cities(gw, insee)
        await over(gw, half, insee, whole // 2) if insee == VILLEURBANNE else None
        clock = gw.clock[0]
    async with process(tmp_path, template) as gw:  # we were killed as well
        gw.clock[0] = clock
        again = connector(gw, insee, disk, chance)
        await over(gw, again, insee, whole)
        assert half.deaths + again.deaths > 3, "or else nothing was shown"
        assert disk.order() == {one: [1, 2, 3] for one in references}
        assert len(disk.taken) == whole
        for reference in references:
            change = {"key": "1", "status": "accepted", "public": "Vu."}
            await again.tell(reference, change)
            trace = await gw.database.read(requests.trace, reference)
            assert trace is not None
            assert [e.status for e in trace.events if e.origin == "gru"] == ["accepted"]
            mine = disk.number(f"{reference}-creation")
            assert trace.request.gru_reference == mine
