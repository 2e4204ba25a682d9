"""Killed at every step of an erasure, and started again: the same end."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.delivery import Kind, State
from gateway.core.erasure import Phase
from gateway.flow.crash_points import CRASH_POINTS
from gateway.store import erasures, trail
from tests.erasure.conftest import Build
from tests.erasure.following import MARKER, uuid
from tests.flow.rig import BRON, GRU_A, VILLEURBANNE, Died

#: Of the start after a restore: tests/erasure/test_no_return.
RESTORED = "erase.remembered"
POINTS = [one for one in CRASH_POINTS if one.startswith("erase.") and one != RESTORED]
#: There are no keys here: these databases are in clear. See tests.erasure.test_killed_daemon.
KEYS = "erase.keys_destroyed"


def test_there_are_points() -> None:
    assert len(POINTS) >= 6


@pytest.mark.parametrize("point", [point for point in POINTS if point != KEYS])
async def test_the_next_process_goes_on(follow: Build, point: str) -> None:
    world = follow("deletions")
    rig = world.rig
    async with rig.gateway(stop=False):
        await world.people(4)
        first = await world.send(uuid(9), BRON, marker=MARKER, photo=True)
        second = await world.send(uuid(9), VILLEURBANNE, marker=MARKER)
        for one in (first, second):
            await rig.state(one, State.DONE)
        world.provider.delete(uuid(9))
        rig.crash_at = point
        with pytest.raises(Died):  # noqa: PT012 - at which of the two is what the point tells
            await world.poll()
            await world.erased()
        assert rig.crash_at != point, "it has not come to it"
    async with rig.gateway():
        await world.poll()
        await world.erased(step=10)  # what was being sent is asked about in its time
        assert world.places() == []
        found = await world.the()
        assert (found.state, found.requests) == (Phase.CLOSED, 2)
        assert await world.erase_deliveries(first, second) == ["done", "done"]
        kinds = [e.kind for e in await rig.database.read(trail.entries, erasures.STREAM)]
        assert sorted(kinds) == sorted(
            ["found", "erased", "commune_acknowledged", "commune_acknowledged", "closed"]
        )
        assert await rig.database.read(trail.verify, erasures.STREAM) == []


@pytest.mark.parametrize("point", ["deliver.claimed", "deliver.answered"])
async def test_killed_while_it_sends(follow: Build, point: str) -> None:
    """The claim of a dead process is reaped: its request may be at the GRU."""
    world = follow("deletions")
    rig = world.rig
    async with rig.gateway(run=False, stop=False):
        await world.people_kept(4)
        request = await world.send(uuid(9), marker=MARKER)
        world.provider.delete(uuid(9))
        await rig.pause(GRU_A)
        claimed = await rig.database.write(_claim, request, rig.clock.now)
        assert claimed
        if point == "deliver.answered":
            rig.gru.create({"external_id": request, "description": MARKER})
        assert (await world.poll()).opened == 1
        await rig.engine.eraser.advance()
        assert (await world.live())[0].state is Phase.OPEN
    await rig.database.write(_unpause)
    async with rig.gateway():
        await rig.until(lambda: _is_final(rig, request))
        await world.erased(step=30)
        assert (await rig.the(request)).reason == "erased"
        assert await world.erase_deliveries(request) == ["done"]
        assert world.places() == []


async def _is_final(rig: Any, request: str) -> bool:
    return bool((await rig.the(request, Kind.SUBMIT)).state is State.DISCARDED)


def _claim(connection: Any, request: str, now: Any) -> bool:
    from tests.builders import take

    taken = take(connection, GRU_A, 100, owner="dead", now=now, lease=60)
    return any(one.request.id == request for one in taken)


def _unpause(connection: Any) -> None:
    from gateway.store.outbox import lanes

    lanes.pause(connection, GRU_A, False)
