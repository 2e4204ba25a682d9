"""The machine's clock is set by hours while everything is under way: nothing is lost, nothing is
sent twice, and nobody waits for the hour that it was.

The GRUs keep their own time, and so does a PostgreSQL. The portal goes along where nobody's
signature is to be refused.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.sim.faults import FaultCondition
from tests.acceptance.clock import MachineClock
from tests.acceptance.plays import Outcomes, Play, asked_for, long, played, tell
from tests.acceptance.town import TIMEOUT, Town, until
from tests.files import edit
from tests.store.postgres import Server

HOURS = timedelta(hours=2)
AT_ONCE = 4
#: Every other creation takes long, so that there is room to ask about those that do.
CREATION = FaultCondition(path="/requests", method="POST", every=2)


def clock_of(town: Town, *, along: bool) -> MachineClock:
    clock = MachineClock(town.stage.folder / "clock")
    clock.set(timedelta())
    town.gateway.clock = clock
    # By the demo's ten minutes all that has failed once would be given up as too late.
    edit(town.gateway.config / "gateway.yaml", "limit: 10m", "limit: 7d")
    # A busy machine's calls are to be slow, and not lost.
    edit(town.gateway.config / "communes/69029-bron.yaml", f"timeout: {TIMEOUT}", "timeout: 2.5")
    if along:
        town.stage.portal.clock = clock.now
    return clock


async def under_way(town: Town) -> None:
    """Bron has calls in flight; Villeurbanne fails, then asks for an hour's rest: the one lane has
    claims under a lease, the other one an open breaker, a hold and waiting deliveries."""
    stage = town.stage
    stage.bron.faults.slow(0.7, CREATION)
    stage.villeurbanne.faults.fail(
        500, when=FaultCondition(path="/api/tickets", method="POST", first=5)
    )
    stage.villeurbanne.faults.fail(
        503, 3600, when=FaultCondition(path="/api/tickets", method="POST", after=5)
    )
    await town.gateway.start()
    town.send(24, 8)
    await until(lambda: len(stage.bron.faults.injected) >= 3, "calls are under way")
    await until(lambda: '"lane.breaker"' in town.gateway.said, "the breaker opens")

    async def over() -> bool:
        """Villeurbanne rests, and no call to it is under way: one that ended after the change would
        have its rest from there on."""
        lane = (await town.gateway.health())["lanes"]["gru:69266:education"]
        return '"lane.held"' in town.gateway.said and lane["running"] == 0

    await until(over, "Villeurbanne rests, and what failed is settled")


async def end(town: Town) -> None:
    town.stage.villeurbanne.faults.clear()
    assert not town.stage.villeurbanne.tickets
    await town.settle()
    assert len(town.sent) == 32


def set_by(hours: timedelta) -> Play:
    async def play(town: Town) -> None:
        clock = clock_of(town, along=True)
        await under_way(town)
        clock.set(hours)
        await end(town)
        assert f'"by":{round(hours.total_seconds())}' in town.gateway.said

    return play


async def wrong_for_a_while(town: Town) -> None:
    """The portal believes none of our signatures, nor we any of its, until it is put right."""
    clock = clock_of(town, along=False)
    await under_way(town)
    clock.set(HOURS)
    await asyncio.sleep(4)
    late = len(town.pushing)
    town.send(3, 0)
    await asyncio.sleep(2)
    assert not any(task.done() for task in town.pushing[late:])
    clock.set(timedelta())
    town.stage.villeurbanne.faults.clear()
    await town.settle()
    assert len(town.sent) == 35


async def set_back_while_dead(town: Town) -> None:
    clock = clock_of(town, along=True)
    await under_way(town)
    await town.gateway.kill()
    clock.set(-HOURS)
    await town.gateway.start()
    await end(town)


_PLAYS: dict[str, Play] = {
    "set forward": set_by(HOURS),
    "set back": set_by(-HOURS),
    "ours is wrong for a while": wrong_for_a_while,
    "set back while we are dead": set_back_while_dead,
}
_THERE = ", with PostgreSQL"
PLAYS = _PLAYS | {name + _THERE: play for name, play in _PLAYS.items()}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    def database(name: str) -> str | None:
        if not name.endswith(_THERE):
            return None
        postgres: Server = request.getfixturevalue("postgres")
        return postgres.fresh()

    return played(asked_for(request, PLAYS), AT_ONCE, tmp_path_factory, database)


@long
@pytest.mark.parametrize("name", PLAYS)
def test_nothing_is_lost_and_nobody_waits_for_the_hour(name: str, outcomes: Outcomes) -> None:
    tell(outcomes, name)
