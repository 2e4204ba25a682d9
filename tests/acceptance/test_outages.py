"""Outages of the process: nothing is lost, doubled or out of order.

Each play disturbs a gateway at work; in the end the far ends are counted.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.catalogue.settings import DEFAULT_LANE
from gateway.flow.crash_points import CRASH_POINTS
from gateway.sim.faults import FaultCondition
from tests.acceptance.plays import Outcomes, Play, asked_for, long, played, tell
from tests.acceptance.town import TIMEOUT, Town, until
from tests.files import edit

#: Those of erasures, tickets and of a commune's end have tests of their own.
ELSEWHERE = ("erase.", "attachments.", "decommission.", "incident.")
POINTS = [point for point in CRASH_POINTS if not point.startswith(ELSEWHERE)]
AT_ONCE = 6
#: A claim is held for so long.
LEASE = replace(DEFAULT_LANE, timeout=TIMEOUT).lease
#: For an orderly end once nothing is under way any more, in seconds.
ORDERLY = 10.0

PLAYS: dict[str, Play] = {}


def play(name: str) -> Callable[[Play], Play]:
    def register(function: Play) -> Play:
        PLAYS[name] = function
        return function

    return register


def lose_replies(
    town: Town, *, gru: FaultCondition | None = None, portal: FaultCondition | None = None
) -> None:
    """The far end does what was asked, and the answer never comes."""
    if gru is not None:
        town.stage.bron.faults.cut_after(gru)
    if portal is not None:
        town.stage.portal.faults.cut_after(portal)


@play("kill -9, eight times at random, every third reply lost")
async def eight_kills(town: Town) -> None:
    stage = town.stage
    lose_replies(
        town,
        gru=FaultCondition(path="/requests", method="POST", every=3),
        portal=FaultCondition(path="/hooks/", method="POST", every=3),
    )
    stage.villeurbanne.faults.cut_after(FaultCondition(path="/api/tickets", method="POST", every=3))
    for _ in range(8):
        await town.gateway.start()
        town.send(3, 2)
        await asyncio.sleep(stage.dice.uniform(0.05, 1.0))
        await town.gateway.kill()
    await town.gateway.start()
    await town.settle()
    assert len(town.sent) == 40
    for far_end in (stage.bron, stage.villeurbanne, stage.portal):
        assert len(far_end.faults.injected) >= 3


@play("SIGSTOP until its leases are over, then SIGCONT")
async def frozen(town: Town) -> None:
    bron = town.stage.bron
    bron.faults.slow(0.3, FaultCondition(path="/requests", method="POST"))
    await town.gateway.start()
    town.send(9, 3)
    await until(lambda: len(bron.faults.injected) >= 3, "calls are under way")
    town.gateway.signal(signal.SIGSTOP)
    held = len(bron.tickets)
    await asyncio.sleep(LEASE + 1)
    assert held < len(bron.tickets) < 9  # some arrived, and their answers were not read
    town.gateway.signal(signal.SIGCONT)
    await town.settle()


def stopped_by(number: signal.Signals) -> Play:
    async def stop(town: Town) -> None:
        gateway, bron = town.gateway, town.stage.bron
        # The far end decides how long its calls last here, and not how busy this machine is.
        edit(gateway.config / "gateway.yaml", "shutdown_grace: 3", "shutdown_grace: 60")
        edit(gateway.config / "communes/69029-bron.yaml", f"timeout: {TIMEOUT}", "timeout: 60")
        let_go = asyncio.Event()
        bron.faults.wait_for(let_go, FaultCondition(path="/requests", method="POST", after=3))
        await gateway.start()
        town.send(9, 3)
        await until(lambda: len(bron.faults.injected) >= 1, "it is under load")
        gateway.signal(number)
        await until(gateway.turned_away, "readiness is taken back")
        # Calls are under way, and none of them is cut off.
        assert len(bron.tickets) == 3
        let_go.set()
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while gateway.lives:
            assert await gateway.readiness() != 200
            await asyncio.sleep(0.01)
        assert gateway.life.exit_code == 0, gateway.said
        assert loop.time() - answered < ORDERLY, gateway.said[-4000:]
        assert '"reason":"stopped"' not in gateway.said
        assert '"gateway.stopped"' in gateway.said
        assert len(bron.tickets) > 3, "what was under way was cut off"
        assert len(bron.tickets) < 9, "nothing was left to do: this was no stop under load"
        await gateway.start()
        await town.settle()

    return stop


for number in (signal.SIGTERM, signal.SIGINT):
    play(f"{number.name} under load")(stopped_by(number))


def killed_at(
    *crashes: str, gru: FaultCondition | None = None, portal: FaultCondition | None = None
) -> Play:
    """A life that ends at each of these, then one that is left alone."""

    async def crash(town: Town) -> None:
        lose_replies(town, gru=gru, portal=portal)
        for n, point in enumerate(crashes):
            await town.gateway.start(point, until_ready=False)
            if n == 0:
                town.send(2, 1)
            assert await town.gateway.dies() == -signal.SIGKILL, town.gateway.said
        await town.gateway.start()
        await town.settle()

    return crash


ONE_CREATION = FaultCondition(path="/requests", method="POST", first=1)
ONE_REPORT = FaultCondition(path="/hooks/", method="POST", first=1)

for point in POINTS:
    # The second time, so that something was done before and something is under way.
    PLAYS[f"killed at {point}"] = killed_at(f"{point}:2", gru=ONE_CREATION, portal=ONE_REPORT)
PLAYS["killed as a GRU said that it has it"] = killed_at("find.answered", gru=ONE_CREATION)
PLAYS["killed as the portal said that it has it"] = killed_at("find.answered", portal=ONE_REPORT)
PLAYS["killed again while it recovers"] = killed_at(
    "deliver.answered:2", "find.answered", "report.answered"
)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return played(asked_for(request, PLAYS), AT_ONCE, tmp_path_factory)


@long
@pytest.mark.parametrize("name", PLAYS)
def test_nothing_is_lost_doubled_or_out_of_order(name: str, outcomes: Outcomes) -> None:
    tell(outcomes, name)
