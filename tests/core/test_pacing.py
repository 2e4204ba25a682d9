"""The pace of a lane: its bounds, the fall after a strain, the growth after it, the estimate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.pacing import CALM, ENOUGH, GROWTH, SAFE_SHARE, WINDOW, Pace


def busy(pace: Pace, now: float, *, rate: float, seconds: float) -> float:
    """Good answers at `rate` a second for `seconds`; the time afterwards."""
    for _ in range(int(rate * seconds)):
        now += 1 / rate
        pace.answered(now, 0.01)
    return now


def test_in_good_times_the_bounds_set_rule_alone() -> None:
    pace = Pace(4)
    assert pace.permits(0, 0) == 4
    assert pace.permits(0, 3) == 1
    assert pace.permits(0, 4) == 0
    assert pace.pause(0) == 0


def test_a_rate_spaces_the_calls() -> None:
    pace = Pace(4, rate=2)
    assert pace.permits(10, 0) == 1
    pace.started(10, 1)
    assert pace.permits(10.4, 0) == 0
    assert pace.pause(10.4) == pytest.approx(0.1)
    assert pace.permits(10.5, 0) == 1


def test_a_strain_falls_back_to_one_call_and_good_answers_widen_it_again() -> None:
    pace = Pace(8)
    pace.strained(0)
    assert pace.permits(0, 0) == 1
    for n in range(40):
        pace.answered(1 + n * 0.01, 0.01)
    assert pace.permits(2, 0) == 8


def test_the_rate_at_which_it_broke_is_not_reached_again() -> None:
    pace = Pace(50)
    now = busy(pace, 0, rate=100, seconds=10)
    pace.strained(now)
    ceiling = pace.ceiling
    assert ceiling is not None
    assert ceiling == pytest.approx(100, rel=0.05)
    now = busy(pace, now, rate=50, seconds=20)
    assert pace.allowed == pytest.approx(SAFE_SHARE * ceiling)


def strained(concurrency: int = 50, rate: float | None = None, broke_at: float = 100) -> Pace:
    """A pace that broke at `broke_at` calls a second, at the time 1000."""
    pace = Pace(concurrency, rate)
    busy(pace, 990, rate=broke_at, seconds=10)
    pace.strained(1000)
    return pace


def test_after_a_strain_it_begins_with_a_quarter_and_grows_once_a_second() -> None:
    pace = strained()
    assert pace.ceiling == pytest.approx(100, rel=0.02)
    assert pace.ceiling is not None
    start = pace.ceiling / 4
    assert (pace.allowed, pace.window) == (start, 1)
    pace.answered(1000.9, 0.01)
    assert (pace.allowed, pace.window) == (start, 2), "a call more, no faster"
    pace.answered(1001, 0.01)
    assert pace.allowed == pytest.approx(start * GROWTH)
    pace.answered(1001.9, 0.01)
    assert pace.allowed == pytest.approx(start * GROWTH)
    assert pace.window == pytest.approx(2 + 1 / 2 + 1 / 2.5)


def test_a_rate_that_was_set_is_never_exceeded_by_one_that_was_learnt() -> None:
    slow = strained(rate=10)
    assert slow.allowed == 10
    now = busy(slow, 1000, rate=10, seconds=30)
    assert slow.allowed == 10
    slow.strained(now)
    assert slow.ceiling == pytest.approx(10, rel=0.1)
    assert slow.allowed == pytest.approx(2.5, rel=0.1)


def test_of_two_ceilings_the_lower_one_counts() -> None:
    pace = strained()
    now = busy(pace, 1000, rate=40, seconds=10)
    pace.strained(now)
    assert pace.ceiling == pytest.approx(40, rel=0.05)
    now = busy(pace, now, rate=90, seconds=10)
    pace.strained(now)
    assert pace.ceiling == pytest.approx(40, rel=0.05)


def test_what_fails_at_once_is_one_strain() -> None:
    pace = strained()
    busy(pace, 1000, rate=40, seconds=0.8)
    pace.strained(1000.9)
    assert pace.ceiling == pytest.approx(100, rel=0.02)


def test_a_rate_is_learnt_from_enough_answers() -> None:
    for answers, learnt in ((ENOUGH - 1, False), (ENOUGH, True)):
        pace = Pace(50)
        for n in range(answers):
            pace.answered(n / 10, 0.01)
        pace.strained(answers / 10)
        assert (pace.ceiling is not None) is learnt


def test_what_is_usual_is_learnt_in_good_times_alone() -> None:
    pace = Pace(8)
    pace.answered(0, 1.0)
    pace.answered(1, 3.0)
    assert pace.usual == pytest.approx(1.1)
    pace.strained(2)
    for n in range(3, 9):
        pace.answered(n, 2.75)
    assert pace.usual == pytest.approx(1.1)
    assert pace.window > 3, "not slower than two and a half times the usual"
    wide = pace.window
    pace.answered(9, 2.76)
    assert pace.window == wide


def test_calm_is_needed_to_lift_the_ceiling() -> None:
    pace = strained()
    before = pace.ceiling
    pace.answered(1000 + CALM, 0.01)
    assert pace.ceiling == before
    pace.answered(1000 + CALM + 0.1, 0.01)
    assert pace.ceiling is not None
    assert before is not None
    assert pace.ceiling == pytest.approx(before * 1.1)
    pace.answered(1000 + CALM + 0.2, 0.01)
    assert pace.ceiling == pytest.approx(before * 1.1), "once in each calm"


def test_a_dead_far_end_teaches_no_rate() -> None:
    pace = Pace(4)
    for now in range(5):
        pace.strained(float(now * 60))
    assert pace.ceiling is None
    assert pace.permits(400, 0) == 1


def test_long_calm_lifts_the_ceiling_a_little() -> None:
    pace = Pace(4)
    now = busy(pace, 0, rate=100, seconds=10)
    pace.strained(now)
    before = pace.ceiling
    pace.answered(now + CALM + 1, 0.01)
    assert before is not None
    assert pace.ceiling == pytest.approx(before * 1.1)


def test_slow_answers_stop_the_growth() -> None:
    pace = Pace(8)
    busy(pace, 0, rate=10, seconds=5)
    pace.strained(10)
    for n in range(20):
        pace.answered(11 + n, 1.0)
    assert pace.permits(40, 0) == 1


def test_the_estimate_follows_the_throughput() -> None:
    pace = Pace(4)
    assert pace.estimate(100, 0) is None
    now = busy(pace, 0, rate=10, seconds=20)
    assert pace.estimate(100, now) == pytest.approx(10, rel=0.1)
    assert pace.estimate(0, now) == 0


def test_the_throughput_is_that_of_the_last_seconds() -> None:
    pace = Pace(4)
    pace.answered(0, 0.1)
    assert pace.throughput(1) == 0.0, "one answer tells no pace"
    pace.answered(1, 0.1)
    assert pace.throughput(1) == 2.0
    assert pace.throughput(WINDOW + 2) == 0.0


def test_a_burst_teaches_no_more_than_a_second_s_worth() -> None:
    pace = Pace(50)
    now = busy(pace, 0, rate=500, seconds=0.2)
    pace.strained(now)
    assert pace.ceiling == pytest.approx(100)


def test_a_late_process_makes_up_for_a_moment_only() -> None:
    pace = Pace(50, rate=100)
    pace.started(0, 1)
    assert pace.permits(0.005, 0) == 0
    assert pace.permits(0.035, 0) == 3
    assert pace.permits(9, 0) == 1, "after a long pause there is no burst"


def test_the_estimate_counts_on_the_growth_that_is_still_allowed() -> None:
    """A drain at exactly what is allowed ends when it was said from the beginning."""
    pace = Pace(200)
    now = busy(pace, 0, rate=400, seconds=10)
    pace.strained(now)
    left, said = 20_000, []
    now += 5
    while left:
        assert pace.allowed is not None
        now += 1 / pace.allowed
        pace.answered(now, 0.01)
        left -= 1
        if left % 1000 == 0 and left <= 18_000:
            guess = pace.estimate(left, now)
            assert guess is not None
            said.append((now, now + guess))
    assert len(said) == 19
    assert all(abs(end - now) <= 0.1 * (now - at) for at, end in said if now - at > 2)


@given(
    st.integers(1, 64),
    st.one_of(st.none(), st.floats(0.1, 1000)),
    st.lists(st.tuples(st.sampled_from("ask"), st.floats(0, 30)), max_size=80),
)
def test_the_bounds_set_are_never_exceeded(
    concurrency: int, rate: float | None, story: list[tuple[str, float]]
) -> None:
    pace, now = Pace(concurrency, rate), 0.0
    for what, seconds in story:
        now += seconds
        match what:
            case "a":
                pace.answered(now, seconds)
            case "s":
                pace.strained(now)
            case _:
                permits = pace.permits(now, 0)
                pace.started(now, permits)
                assert permits <= concurrency
        assert 1 <= pace.window <= concurrency
        assert rate is None or (pace.allowed is not None and pace.allowed <= rate)
