"""One look of a lane at what it owes: how much it claims, and when it looks again."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import update

from gateway.core.delivery import State
from gateway.core.lane_policy import CALLS
from gateway.core.outcome import TryLater
from gateway.flow.lanes.attempt import DOUBTED, PreparedCall
from gateway.flow.lanes.loop import IDLE, LaneLoop
from gateway.flow.lanes.state import SAFETY_POLL, Lane
from gateway.store.tables import DELIVERY
from tests.builders import take
from tests.flow.rig import GRU_A, Rig

CONCURRENCY = 4


def loop_of(rig: Rig) -> LaneLoop:
    return rig.engine.lanes._loop  # noqa: SLF001 - one look, without the task around it


def lane_of(rig: Rig) -> Lane:
    registry = rig.engine.lanes.registry
    return registry.get(GRU_A) or registry.add(registry.make(GRU_A))


async def look(rig: Rig) -> float:
    return await loop_of(rig)._advance(lane_of(rig))  # noqa: SLF001


async def at_rest(rig: Rig) -> None:
    rig.line.before.set()
    await rig.until(rig.idle)


@pytest.mark.parametrize(
    ("due", "seconds"), [(None, IDLE), (12, 12.0), (30, SAFETY_POLL), (100, SAFETY_POLL)]
)
async def test_a_lane_looks_again_when_its_next_is_due(
    rig: Rig, due: int | None, seconds: float
) -> None:
    async with rig.gateway(run=False):
        if due is not None:
            await rig.send()
            next_at = rig.clock() + timedelta(seconds=due)
            await rig.database.write(lambda c: c.execute(update(DELIVERY).values(next_at=next_at)))
        assert await look(rig) == seconds
        assert loop_of(rig).turns.under_way == 0, "what was not used is others'"
    assert rig.line.calls == []


async def test_a_lane_that_may_not_send_looks_again_when_it_may(rig: Rig) -> None:
    async with rig.gateway(run=False):
        await rig.send()
        lane_of(rig).hold_until = rig.clock() + timedelta(seconds=5)
        assert await look(rig) == 5.0
        lane_of(rig).hold_until = None
        lane_of(rig).paused = True
        assert await look(rig) == SAFETY_POLL
        assert loop_of(rig).turns.under_way == 0
    assert rig.line.calls == []


async def test_what_a_closed_lane_has_claimed_is_given_back(rig: Rig) -> None:
    """Nobody would wait for the call, and another takes the lane's place."""
    async with rig.gateway(run=False):
        _, request = await rig.send()
        lane_of(rig).close()
        assert await look(rig) == 0.0
        back = await rig.the(request)
        assert (back.state, back.attempts, back.lease_owner) == (State.WAITING, 0, None)
        assert back.next_at == rig.clock()
        assert loop_of(rig).turns.under_way == 0
    assert rig.line.calls == []


async def test_no_more_is_claimed_than_may_be_called(rig: Rig) -> None:
    """A claim that waits for its call would lose half of its lease."""
    rig.line.before.clear()
    async with rig.gateway(run=False):
        sent = [(await rig.send())[1] for _ in range(CONCURRENCY + 2)]
        assert 0 < await look(rig) <= SAFETY_POLL
        lane, turns = lane_of(rig), loop_of(rig).turns
        assert (lane.running, turns.under_way) == (CONCURRENCY, CONCURRENCY)
        assert 0 < await look(rig) <= SAFETY_POLL
        assert turns.under_way == CONCURRENCY
        left = [one for one in sent if (await rig.the(one)).state is State.WAITING]
        assert len(left) == 2
        await at_rest(rig)
        assert (lane.running, turns.under_way) == (0, 0)
        assert lane.event.is_set(), "it looks at once whether more may go"


async def test_a_lane_claims_for_as_many_turns_as_it_has(rig: Rig) -> None:
    rig.line.before.clear()
    async with rig.gateway(run=False):
        turns = loop_of(rig).turns
        for _ in range(3):
            await rig.send()
        turns.most = 0
        assert await look(rig) == SAFETY_POLL
        assert turns.waiting == 1, "it keeps its place"
        turns.most = 2
        await look(rig)
        assert (lane_of(rig).running, turns.under_way) == (2, 2)
        await rig.until(lambda: rig.line.in_flight == 2)
        await at_rest(rig)
        # The turn that was given meanwhile is its own.
        await look(rig)
        await at_rest(rig)
        assert turns.under_way == 0
    assert rig.line.count("POST") == 3
    assert rig.line.most == 2


async def test_a_lane_that_goes_gives_up_its_turn_and_its_place(rig: Rig) -> None:
    """All others would have a call less from then on."""
    async with rig.gateway(run=False):
        await rig.send()
        loop, lane, turns = loop_of(rig), lane_of(rig), loop_of(rig).turns
        turns.most = 0
        await look(rig)
        assert turns.waiting == 1
        loop.give_up_turns(lane)
        assert turns.waiting == 0
        await look(rig)
        turns.most = 1
        turns.give_back(loop.caller(GRU_A), 0)
        assert (turns.waiting, turns.under_way) == (0, 1), "its turn has come"
        loop.give_up_turns(lane)
        assert turns.under_way == 0


async def test_what_fails_again_while_others_succeed_says_nothing_of_the_far_end(rig: Rig) -> None:
    async with rig.gateway(run=False):

        async def tried(*, well: bool) -> list[bool]:
            rig.line.raises = None if well else httpx.ConnectError("refused")
            await look(rig)
            await at_rest(rig)
            rig.advance(61)
            return list(lane_of(rig).breaker.recent)

        await rig.send()
        assert await tried(well=False) == [False]
        assert await tried(well=False) == [False, False], "nothing else has succeeded"
        lane_of(rig).breaker.recent.append(True)
        assert await tried(well=False) == [False, False, True], "it is at fault itself"
        assert await tried(well=True) == [False, False, True, True]


async def test_the_calls_of_an_attempt_are_over_before_another_process_may_ask(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        await rig.send()
        policy, clock, now = lane_of(rig).policy, rig.clock.steady(), rig.clock()
        (mine,) = await rig.database.write(take, GRU_A, 1, owner="one", now=now, lease=policy.lease)
        prepare = engine.lanes.attempts._prepare  # noqa: SLF001 - no call need last that long
        for share, most in (
            (0.0, policy.timeout * CALLS),
            (0.4, 0.6 * policy.lease - policy.timeout),
        ):
            rig.clock.now = now + timedelta(seconds=share * policy.lease)
            prepared = prepare(mine, policy, clock)
            assert isinstance(prepared, PreparedCall)
            assert 0 < prepared.within <= most


async def test_lost_replies_are_remembered_while_they_matter(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        attempts = engine.lanes.attempts
        for delivery, at in (("a", 0.0), ("b", 10.0), ("a", DOUBTED), ("c", DOUBTED + 10)):
            attempts._doubt(delivery, at)  # noqa: SLF001 - an hour of lost replies
        assert list(attempts._doubts.items()) == [  # noqa: SLF001
            ("a", DOUBTED),
            ("c", DOUBTED + 10),
        ]


async def test_what_a_commune_tells_of_what_it_fetched_says_nothing_of_its_health(
    rig: Rig,
) -> None:
    async with rig.gateway(run=False) as engine:
        await rig.send()
        lane = lane_of(rig)
        now = rig.clock()
        (mine,) = await rig.database.write(take, GRU_A, 1, owner="commune", now=now, lease=60.0)
        rig.clock.now += timedelta(seconds=7)
        for ours in (True, False):
            told = TryLater("commune_later")
            assert await engine.lanes.attempts.conclude_fetched(lane, mine, told, now) is ours
        assert not lane.breaker.recent
        (first, late) = (await rig.trace(mine.request.id)).attempts[mine.delivery.id]
        assert (first.state, first.started_at, late.state) == ("waiting", now, "late")
        assert 7_000 <= first.ms < 60_000
