"""The machine's clock is set by hours while everything is under way: nothing is lost, nothing is
sent twice, and nobody waits for the hour that it was.

The GRUs keep their own time. The portal goes along where nobody's signature is to be refused.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.sim.faults import When
from tests.acceptance.clock import MachineClock
from tests.acceptance.town import Town, open_town, until

HOURS = timedelta(hours=2)
#: Much less than two hours: a breaker's first pauses, and what a busy machine takes for all this.
SOON = 45
#: Every other creation takes long, so that there is room to ask about those that do.
CREATION = When(path="/requests", method="POST", every=2)


def clock_of(town: Town, *, along: bool) -> MachineClock:
    clock = MachineClock(town.stage.folder / "clock")
    clock.set(timedelta())
    town.gateway.clock = clock
    # By the demo's ten minutes all that has failed once would be given up as too late.
    settings = town.gateway.config / "gateway.yaml"
    text = settings.read_text("utf-8")
    assert "limit: 10m" in text
    settings.write_text(text.replace("limit: 10m", "limit: 7d"), "utf-8")
    if along:
        town.stage.portal.clock = clock.now
    return clock


async def under_way(town: Town) -> None:
    """Bron has calls in flight; Villeurbanne fails, then asks for an hour's rest: the one lane has
    claims under a lease, the other one an open breaker, a hold and waiting deliveries."""
    stage = town.stage
    stage.bron.faults.slow(0.7, CREATION)
    stage.villeurbanne.faults.fail(500, when=When(path="/api/tickets", method="POST", first=5))
    stage.villeurbanne.faults.fail(
        503, 3600, when=When(path="/api/tickets", method="POST", after=5)
    )
    await town.gateway.start()
    town.send(24, 8)
    await until(lambda: len(stage.bron.faults.injected) >= 3, 30, "calls are under way")
    await until(lambda: '"lane.breaker"' in town.gateway.said, 30, "the breaker opens")


async def end(town: Town) -> None:
    town.stage.villeurbanne.faults.clear()
    assert not town.stage.villeurbanne.tickets
    await town.settle(SOON)
    assert len(town.sent) == 32


@pytest.mark.parametrize("hours", [HOURS, -HOURS], ids=["forward", "back"])
async def test_it_is_set(tmp_path: Path, hours: timedelta) -> None:
    async with open_town(tmp_path) as town:
        clock = clock_of(town, along=True)
        await under_way(town)
        clock.set(hours)
        await end(town)
        assert f'"by":{round(hours.total_seconds())}' in town.gateway.said


async def test_ours_is_wrong_for_a_while(tmp_path: Path) -> None:
    """The portal believes none of our signatures, nor we any of its, until it is put right."""
    async with open_town(tmp_path) as town:
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
        await town.settle(SOON)
        assert len(town.sent) == 35


async def test_it_is_set_back_while_we_are_dead(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        clock = clock_of(town, along=True)
        await under_way(town)
        await town.gateway.kill()
        clock.set(-HOURS)
        await town.gateway.start()
        await end(town)
