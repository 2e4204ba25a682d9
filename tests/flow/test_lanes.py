"""Invariants 4 and 5: a lane bounds what one commune uses, and no call holds the database."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from gateway.core.breaker import BreakerPolicy, Breaking
from gateway.core.delivery import State
from gateway.core.lane_name import GruLane
from gateway.flow.lanes.state import Lane
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import lanes as memory
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, GRU_B, PORTAL_A, VILLEURBANNE, Rig


def lane(rig: Rig, name: str = GRU_A) -> Lane:
    found = rig.engine.lanes.lane(name)
    assert found is not None
    return found


async def remembered(rig: Rig, state: str) -> None:
    """Wait until the lane's breaker is kept in this state."""

    async def there() -> bool:
        kept = (await rig.database.read(memory.recall)).get(GRU_A)
        return ("closed" if kept is None else kept.breaker) == state

    await rig.until(there)


async def test_a_hanging_gru_delays_no_other_commune(rig: Rig) -> None:
    rig.line.before.clear()
    async with rig.gateway():
        stuck = [(await rig.send())[1] for _ in range(6)]
        await rig.until(lambda: rig.line.in_flight == 4)
        others = [(await rig.send(VILLEURBANNE))[1] for _ in range(10)]
        await rig.rest(*others)
        assert rig.line.in_flight == 4
        rig.line.before.set()
        await rig.rest(*stuck)
    assert len(rig.grus[GRU_B].tickets) == 10


async def test_no_more_calls_at_once_than_allowed(build_rig: Builder) -> None:
    rig = build_rig(gru={"lane": {"concurrency": 2}})
    rig.line.before.clear()
    async with rig.gateway():
        sent = [(await rig.send())[1] for _ in range(8)]
        await rig.until(lambda: rig.line.in_flight == 2)
        rig.advance(1)
        await asyncio.sleep(0.05)
        rig.line.before.set()
        await rig.rest(*sent)
    assert rig.line.most == 2
    assert len(rig.gru.tickets) == 8


async def test_no_more_calls_per_second_than_allowed(build_rig: Builder) -> None:
    rig = build_rig(gru={"lane": {"rate": 25}})
    async with rig.gateway():
        sent = [(await rig.send())[1] for _ in range(6)]
        await rig.rest(*sent)
    gaps = [b - a for a, b in pairwise(rig.line.times)]
    # One call may leave late, and the next is then closer to it; never closer over a run.
    assert rig.line.times[-1] - rig.line.times[0] >= 5 * 0.04 - 0.02, gaps


async def test_the_breaker_opens_probes_with_one_call_and_hurries_the_rest(
    build_rig: Builder,
) -> None:
    policy = BreakerPolicy(minimum=4, pause=15)
    rig = build_rig(breaker=policy, gru={"retry": {"delays": [600]}})
    rig.gru.faults.fail(503)
    async with rig.gateway():
        sent = [(await rig.send())[1] for _ in range(4)]
        await remembered(rig, "open")
        late = (await rig.send())[1]
        rig.advance(10)
        await asyncio.sleep(0.05)
        assert rig.line.count("POST") == 4, "an open breaker lets nothing out"
        # The first probe fails, and the pause doubles.
        rig.advance(6)
        await rig.until(lambda: rig.line.count("POST") == 5)
        await rig.until(lambda: lane(rig).breaker.state is Breaking.OPEN)
        assert lane(rig).breaker.trips == 2
        rig.gru.faults.clear()
        rig.line.before.clear()
        more = [(await rig.send())[1] for _ in range(3)]
        rig.advance(31)
        await rig.until(lambda: rig.line.in_flight == 1)
        rig.advance(1)
        await asyncio.sleep(0.05)
        assert rig.line.in_flight == 1, "one probe only"
        rig.line.before.set()
        # Long before their 600 seconds are over.
        await rig.rest(*sent, late, *more)
        assert lane(rig).breaker.state is Breaking.CLOSED
        await remembered(rig, "closed")
    assert len(rig.gru.tickets) == 8


async def test_neither_a_break_nor_an_open_breaker_has_anything_tried_early(
    build_rig: Builder,
) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=3, pause=60), gru={"retry": {"delays": [600]}})
    rig.gru.faults.fail(503)
    async with rig.gateway():
        _, first = await rig.send()
        due = (await rig.failed(first, "busy")).next_at
        rig.gru.faults.clear()
        rig.gru.faults.fail(429, retry_after=10, when=FaultCondition(first=1))
        await rig.send()
        await rig.until(lambda: lane(rig).hold_until is not None and rig.idle())
        assert (await rig.the(first)).next_at == due
        rig.gru.faults.fail(503)
        # The break is over, and the first one's time has not come.
        rig.advance(11)
        assert rig.clock() < due
        await rig.send()
        await remembered(rig, "open")
        await rig.until(rig.idle)
        assert (await rig.the(first)).next_at == due


async def test_a_far_end_that_is_back_is_not_asked_about_what_it_may_be_at_work_on(
    build_rig: Builder,
) -> None:
    """It would say that it has not got it, and be sent it twice."""
    rig = build_rig(breaker=BreakerPolicy(minimum=2, pause=5))
    rig.gru.faults.cut_after(FaultCondition(method="POST", first=1))
    async with rig.gateway():
        _, doubtful = await rig.send()
        unsure = await rig.state(doubtful, State.UNSURE)
        rig.gru.faults.clear()
        rig.gru.faults.fail(503, when=FaultCondition(method="POST", first=1))
        await rig.send()
        await remembered(rig, "open")
        _, probe = await rig.send()
        rig.advance(6)
        await rig.state(probe, State.DONE)
        await remembered(rig, "closed")
        await rig.until(rig.idle)
        assert (await rig.the(doubtful)).next_at == unsure.next_at
    assert rig.line.count("GET") == 0


async def test_an_open_breaker_is_kept_over_a_restart(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=2, pause=60))
    rig.gru.faults.fail(503)
    async with rig.gateway():
        sent = [(await rig.send())[1] for _ in range(2)]
        await remembered(rig, "open")
    rig.gru.faults.clear()
    async with rig.gateway():
        rig.advance(10)
        await asyncio.sleep(0.05)
        assert rig.line.count("POST") == 2
        rig.advance(51)
        await rig.rest(*sent)


async def test_refusals_open_no_breaker(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=2))
    rig.gru.required = ("sector",)
    async with rig.gateway():
        sent = [(await rig.send())[1] for _ in range(4)]
        await rig.rest(*sent)
        assert lane(rig).breaker.state is Breaking.CLOSED


async def test_retry_after_holds_the_whole_lane(rig: Rig) -> None:
    async def kept() -> bool:
        known = (await rig.database.read(memory.recall)).get(GRU_A)
        return known is not None and known.hold_until == lane(rig).hold_until

    rig.gru.faults.fail(429, retry_after=120, when=FaultCondition(first=1))
    async with rig.gateway():
        _, first = await rig.send()
        failed = await rig.failed(first, "busy")
        assert (failed.next_at - rig.clock()).total_seconds() == 120
        await rig.until(lambda: lane(rig).hold_until is not None)
        await rig.until(kept, "a restart would forget the break")
        _, other = await rig.send()
        rig.advance(100)
        await asyncio.sleep(0.05)
        assert rig.line.count("POST") == 1
        assert (await rig.the(other)).attempts == 0
        rig.advance(21)
        await rig.rest(first, other)
    assert len(rig.gru.tickets) == 2


async def test_a_person_s_pause_stops_a_lane_and_lasts(rig: Rig) -> None:
    async with rig.gateway():
        await rig.pause(GRU_A)
        _, request = await rig.send()
        await asyncio.sleep(0.05)
        assert rig.line.calls == []
    async with rig.gateway():
        rig.advance(1)
        await asyncio.sleep(0.05)
        assert rig.line.calls == []
        await rig.pause(GRU_A, False)
        await rig.state(request, State.DONE)


async def test_a_commune_paused_in_its_file_is_received_but_not_sent(build_rig: Builder) -> None:
    rig = build_rig(commune={"paused": True})
    async with rig.gateway():
        _, request = await rig.send()
        _, other = await rig.send(VILLEURBANNE)
        await rig.state(other, State.DONE)
        assert (await rig.the(request)).state is State.WAITING
        assert rig.line.calls == []


async def test_a_delivery_that_fails_too_long_is_given_up(build_rig: Builder) -> None:
    rig = build_rig(gru={"retry": {"delays": [60], "limit": 100}})
    rig.gru.faults.fail(425)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.failed(request, "busy")
        rig.advance(61)
        dead = await rig.state(request, State.DEAD)
        assert dead.attempts == 2


async def test_no_far_end_call_holds_the_database(rig: Rig) -> None:
    rig.line.before.clear()
    rig.lines["portal:toodego"].before.clear()
    async with rig.gateway():
        _, slow = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        for n in range(20):
            await rig.database.write(memory.pause, str(GruLane("00000", f"essai-{n}")), False)
        assert rig.line.in_flight == 1, "the call hangs still"
        rig.line.before.set()
        await rig.state(slow, State.DONE)
        await rig.until(lambda: rig.lines["portal:toodego"].in_flight == 1)
        await rig.database.write(memory.pause, "gru:00000:essai", False)
        assert rig.lines["portal:toodego"].in_flight == 1


async def test_a_stop_from_another_process_is_taken(rig: Rig) -> None:
    async with rig.gateway():
        _, first = await rig.send()
        await rig.rest(first)
        await rig.database.write(memory.pause, GRU_A, True)
        await rig.until(lambda: lane(rig).paused)
        _, second = await rig.send()
        await asyncio.sleep(0.05)
        assert (await rig.the(second)).state is State.WAITING
        await rig.database.write(memory.pause, GRU_A, False)
        await rig.rest(second)


async def test_a_lane_with_nothing_to_do_asks_the_database_nothing(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        rig.running = asyncio.create_task(engine.lanes.run())
        await asyncio.sleep(0.05)
        assert lane_names(rig) == set()
        _, request = await rig.send()
        await rig.rest(request)
        assert lane_names(rig) == {GRU_A, PORTAL_A}


def lane_names(rig: Rig) -> set[str]:
    return {one.name for one in rig.engine.lanes.views()}
