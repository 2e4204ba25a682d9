"""One lane: what a call tells of it, when it may call, what another process may change."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.breaker import Breaker, BreakerPolicy, Breaking
from gateway.core.lane_policy import LanePolicy
from gateway.core.retry import RetryPolicy
from gateway.flow.lanes.state import BREAK, SAFETY_POLL, HealthSign, Lane
from gateway.store.outbox.claiming import ClaimOrder
from gateway.store.outbox.lanes import LaneMemory

NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POLICY = LanePolicy(4, None, 20.0, RetryPolicy(retry_after_max=60))
GOOD, BAD = HealthSign(True, "", 0.1), HealthSign(False, "unreachable", 0.1)


def lane(**changes: object) -> Lane:
    breaker = Breaker(BreakerPolicy(minimum=2, pause=15))
    return Lane("gru:69029:outil", dataclasses.replace(POLICY, **changes), breaker)  # type: ignore[arg-type]


def opened() -> Lane:
    made = lane()
    assert made.judge(BAD, NOW, 0) == (False, False)
    assert made.judge(BAD, NOW, 0) == (False, True)
    return made


def test_a_good_call_says_that_it_does_well_and_a_bad_one_does_not() -> None:
    made = lane()
    said = [made.doing_well]
    for sign in (GOOD, BAD):
        made.judge(sign, NOW, 0)
        said.append(made.doing_well)
    assert said == [False, True, False], "nothing is known at first"


def test_the_last_call_counts_whatever_the_others_said() -> None:
    made = lane()
    for sign in (GOOD, GOOD, BAD):
        made.judge(sign, NOW, 0)
    assert made.breaker.state is Breaking.CLOSED
    assert not made.doing_well


def test_a_lane_that_is_on_trial_does_not_do_well_yet() -> None:
    made = lane()
    made.judge(GOOD, NOW, 0)
    made.start_break(NOW, 30)
    assert made.probing
    assert not made.doing_well
    tripped = opened()
    tripped.breaker.recent.append(True)
    assert not tripped.doing_well


def test_good_answers_alone_widen_it_again() -> None:
    made = opened()
    assert made.breaker.state is Breaking.OPEN
    assert made.pace.window == 1, "it begins with one call"
    made.judge(BAD, NOW, 1)
    assert made.pace.window == 1
    made.judge(GOOD, NOW, 2)
    assert made.pace.window == 2
    assert made.breaker.allows(NOW + 15 * SECOND)
    assert made.judge(GOOD, NOW + 15 * SECOND, 17) == (False, True)
    assert made.pace.window == 2.5, "the breaker has closed, which is no strain"


def test_a_good_call_after_a_break_ends_the_trial() -> None:
    made = lane()
    made.start_break(NOW, 10)
    made.judge(GOOD, NOW + 9 * SECOND, 0)
    probing = [made.probing]
    made.judge(GOOD, NOW + 10 * SECOND, 0)
    assert [*probing, made.probing] == [True, False]


def test_a_far_end_that_asks_for_rest_gets_a_break_within_bounds() -> None:
    made = lane()
    assert made.judge(dataclasses.replace(BAD, after=10.0), NOW, 0) == (True, False)
    assert made.hold_until == NOW + 10 * SECOND
    assert made.pace.window == 1
    greedy = lane()
    greedy.judge(dataclasses.replace(BAD, after=1e6), NOW, 0)
    assert greedy.hold_until == NOW + 60 * SECOND, "retry_after_max"
    assert BREAK > 60


def test_a_break_that_ends_a_second_later_is_no_news() -> None:
    made = lane()
    assert made.start_break(NOW, 10)
    assert not made.start_break(NOW, 11)
    assert made.hold_until == NOW + 10 * SECOND
    assert made.start_break(NOW, 11.5)
    assert made.hold_until == NOW + 11.5 * SECOND
    assert made.breaks == 1, "one break"


def test_when_it_may_call() -> None:
    made = lane()
    assert made.room(NOW, 0) == (4, SAFETY_POLL)
    made.running = 3
    assert made.room(NOW, 0) == (1, SAFETY_POLL)
    made.paused = True
    assert made.room(NOW, 0) == (0, SAFETY_POLL)
    assert lane(paused=True).room(NOW, 0) == (0, SAFETY_POLL), "by configuration"


def test_a_break_is_kept_to_its_end_and_then_one_call_goes_first() -> None:
    made = lane()
    made.start_break(NOW, 10)
    assert made.room(NOW + 4 * SECOND, 0) == (0, 6)
    assert made.room(NOW + 10 * SECOND, 0)[0] == 1
    made.running = 1
    assert made.room(NOW + 10 * SECOND, 0)[0] == 0
    made.well(NOW + 10 * SECOND)
    assert made.room(NOW + 10 * SECOND, 0)[0] == 3


def test_an_open_breaker_is_waited_for_and_then_probed_by_one_call() -> None:
    made = opened()
    assert made.room(NOW, 0) == (0, 15)
    assert made.room(NOW + 15 * SECOND, 0)[0] == 1
    assert made.probing
    assert made.claim_order is ClaimOrder.UNTRIED_FIRST
    made.running = 1
    assert made.room(NOW + 15 * SECOND, 0)[0] == 0


def test_a_rate_is_waited_for() -> None:
    made = lane(rate=2.0)
    made.pace.started(100, 1)
    assert made.room(NOW, 100) == (0, 0.5)


def test_lifting_a_break_has_an_open_breaker_probed_at_once_and_no_later() -> None:
    made = opened()
    made.start_break(NOW, 600)
    made.lift(NOW + SECOND)
    assert (made.hold_until, made.breaks) == (None, 0)
    assert made.breaker.probe_at == NOW + SECOND
    made.lift(NOW + 99 * SECOND)
    assert made.breaker.probe_at == NOW + SECOND
    closed = lane()
    closed.lift(NOW)
    assert closed.breaker.probe_at is None


@pytest.mark.parametrize(
    ("hold", "probe", "known", "lifted"),
    [
        (NOW, None, LaneMemory("l"), True),
        (NOW, None, LaneMemory("l", hold_until=NOW), False),
        (None, NOW, LaneMemory("l", probe_at=NOW - SECOND), True),
        (None, NOW, LaneMemory("l", probe_at=NOW), False),
        (None, NOW, LaneMemory("l"), False),
        (None, None, LaneMemory("l", probe_at=NOW), False),
        (None, None, LaneMemory("l"), False),
    ],
)
def test_somebody_else_may_have_lifted_it(
    hold: datetime | None, probe: datetime | None, known: LaneMemory, lifted: bool
) -> None:
    made = lane()
    made.hold_until, made.breaker.probe_at = hold, probe
    assert made.lifted(known) is lifted


def test_what_is_remembered_is_what_it_was() -> None:
    made = opened()
    made.start_break(NOW, 10)
    made.paused = True
    again = lane()
    again.judge(GOOD, NOW, 0)
    again.recall(made.memory())
    assert again.memory() == made.memory()
    assert list(again.breaker.recent) == [], "what was counted in another state is forgotten"
    closed = lane()
    closed.judge(GOOD, NOW, 0)
    closed.recall(LaneMemory(closed.name))
    assert list(closed.breaker.recent) == [True]


def test_a_lane_that_is_closed_is_woken_to_end() -> None:
    made = lane()
    made.close()
    assert made.closed
    assert made.event.is_set()


async def _wait_for_ever() -> None:
    await asyncio.Event().wait()


async def test_its_loop_and_its_calls_are_its_tasks_until_they_are_over() -> None:
    """A far end is taken away only after these."""
    made = lane()
    over = asyncio.create_task(asyncio.sleep(0))
    await over
    call = asyncio.create_task(_wait_for_ever())
    made.calls = {over, call}
    assert made.tasks == {call}
    made.loop = asyncio.create_task(_wait_for_ever())
    assert made.tasks == {call, made.loop}
    for task in made.tasks:
        task.cancel()
