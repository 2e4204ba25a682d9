"""One lane by itself: how many calls it may begin, and what a call's result moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.catalogue.settings import DEFAULT_LANE
from gateway.core.breaker import Breaker, BreakerPolicy, Breaking
from gateway.core.lane_policy import LanePolicy
from gateway.flow.environment import Environment
from gateway.flow.lanes.clock import ClockStepDetector
from gateway.flow.lanes.state import BREAK, SAFETY_POLL, HealthSign, Lane
from gateway.store.outbox.lanes import LaneMemory
from tests.flow.rig import GRU_A

NOW = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
GOOD = HealthSign(True, "", 0.1)
BAD = HealthSign(False, "unreachable", 0.1)


def lane(policy: LanePolicy = DEFAULT_LANE, **breaker: int) -> Lane:
    return Lane(GRU_A, policy, Breaker(BreakerPolicy(**breaker)))


def breaking(made: Lane) -> Breaking:
    return made.breaker.state


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_an_idle_lane_may_begin_as_many_calls_as_it_may_have() -> None:
    made = lane()
    made.running = 1
    assert made.room(NOW, 0.0) == (DEFAULT_LANE.concurrency - 1, SAFETY_POLL)


def test_neither_a_person_s_pause_nor_the_file_s_lets_a_call_begin() -> None:
    by_person, by_file = lane(), lane(replace(DEFAULT_LANE, paused=True))
    by_person.paused = True
    assert by_person.room(NOW, 0.0) == by_file.room(NOW, 0.0) == (0, SAFETY_POLL)


def test_a_break_is_waited_for_and_ends_with_one_call() -> None:
    made = lane()
    assert made.hold(NOW, 10)
    assert made.room(after(4), 4.0) == (0, 6)
    assert made.room(after(10), 10.0)[0] == 1


def test_an_open_breaker_is_waited_for_and_probed_by_one_call() -> None:
    made = lane(minimum=1, pause=15)
    assert made.judge(BAD, NOW, 0.0) == (False, True)
    assert made.room(after(5), 5.0) == (0, 10)
    assert breaking(made) is Breaking.OPEN
    assert made.room(after(15), 15.0)[0] == 1
    assert breaking(made) is Breaking.HALF_OPEN
    made.running = 1
    assert made.room(after(16), 16.0)[0] == 0
    assert made.judge(GOOD, after(17), 17.0) == (False, True)
    assert breaking(made) is Breaking.CLOSED


def test_a_break_that_is_asked_for_is_bounded_by_the_configuration() -> None:
    retry = replace(DEFAULT_LANE.retry, retry_after_max=60)
    made = lane(replace(DEFAULT_LANE, retry=retry))
    assert made.judge(replace(BAD, reason="busy", after=1e9), NOW, 0.0) == (True, False)
    assert made.hold_until == after(60)
    assert made.judge(replace(BAD, reason="busy", after=60), NOW, 0.0) == (False, False), "no news"


def test_a_good_call_ends_the_count_of_breaks_once_the_last_is_over() -> None:
    made = lane()
    made.hold(NOW, BREAK)
    seen = []
    for at in (1, BREAK):  # the first was under way before the break
        made.judge(GOOD, after(at), at)
        seen.append((made.probing, made.doing_well))
    assert seen == [(True, False), (False, True)]


def test_a_far_end_that_strains_is_begun_again_with_one_call_at_a_time() -> None:
    made = lane(minimum=1)
    assert made.pace.window == DEFAULT_LANE.concurrency
    made.judge(BAD, NOW, 0.0)
    assert made.pace.window == 1, "the breaker opened"
    made.breaker.allows(after(60))
    made.judge(GOOD, after(60), 60.0)
    assert made.pace.window == 2, "it grows with good answers, and closing is none that strains"
    made.judge(replace(BAD, after=30), after(61), 61.0)
    assert made.pace.window == 1, "a break was asked for"


async def test_a_lane_that_is_closed_wakes_to_end() -> None:
    made = lane()
    assert made.tasks == set()
    made.close()
    assert made.closed
    assert made.event.is_set()


def test_a_lane_is_made_again_out_of_what_is_remembered_of_it() -> None:
    made, again = lane(minimum=1), lane()
    made.judge(BAD, NOW, 0.0)
    made.hold(NOW, 30)
    made.paused = True
    again.breaker.recent.append(True)
    again.recall(made.memory())
    assert again.memory() == made.memory()
    assert not again.breaker.recent, "what was counted in another state says nothing"


@pytest.mark.parametrize(
    ("known", "lifted"),
    [
        (LaneMemory(GRU_A, hold_until=after(30), probe_at=after(15)), False),
        (LaneMemory(GRU_A, hold_until=None, probe_at=after(15)), True),
        (LaneMemory(GRU_A, hold_until=after(30), probe_at=after(1)), True),
    ],
)
def test_an_end_that_somebody_else_put_to_a_break_is_seen(known: LaneMemory, lifted: bool) -> None:
    made = lane(minimum=1, pause=15)
    made.judge(BAD, NOW, 0.0)
    made.hold(NOW, 30)
    assert made.lifted(known) is lifted
    made.lift(after(2))
    assert (made.hold_until, made.holds, made.breaker.probe_at) == (None, 0, after(2))


class Clocks:
    """The machine's two clocks. `wrong` is by how much the one that may be set is."""

    def __init__(self) -> None:
        self.at, self.wrong = 0.0, 0.0
        self.detector = ClockStepDetector(
            Environment(now=lambda: after(self.at + self.wrong), monotonic=lambda: self.at)
        )


def test_a_step_of_the_clock_is_told_once_and_a_drift_never() -> None:
    clocks = Clocks()
    clocks.at, clocks.wrong = 60.0, 4.0
    assert clocks.detector.detect() == timedelta()
    clocks.wrong -= 3600
    assert clocks.detector.detect() == timedelta(hours=-1)
    assert clocks.detector.detect() == timedelta()


def test_what_was_noted_before_the_clock_was_set_is_given_its_time_anew() -> None:
    clocks = Clocks()
    clocks.at = 5.0
    assert clocks.detector.remaining(1.0, 20) == 0.0, "no step since: the other clock's word holds"
    assert clocks.detector.remaining(None, 20) == 15.0, "of another process: since our start"
    clocks.wrong = 3600.0
    assert clocks.detector.remaining(1.0, 20) == 20.0, "though nobody has looked yet"
    clocks.detector.detect()
    clocks.at = 12.0
    assert clocks.detector.remaining(1.0, 20) == 13.0
    assert clocks.detector.remaining(6.0, 20) == 0.0
