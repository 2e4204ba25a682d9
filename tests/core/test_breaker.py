"""A lane's breaker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.breaker import Breaker, BreakerPolicy, Breaking

NOW = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)
POLICY = BreakerPolicy(window=6, minimum=4, ratio=0.5, pause=10.0, pause_max=35.0)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def opened() -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(4):
        breaker.record(False, NOW, "busy")
    assert breaker.state is Breaking.OPEN
    return breaker


def test_too_few_calls_say_nothing() -> None:
    breaker = Breaker(POLICY)
    assert [breaker.record(False, NOW) for _ in range(3)] == [False] * 3
    assert breaker.state is Breaking.CLOSED
    assert breaker.record(False, NOW, "busy") is True
    assert (breaker.state, breaker.reason) == (Breaking.OPEN, "busy")
    assert (breaker.opened_at, breaker.probe_at, breaker.trips) == (NOW, later(10), 1)


def test_it_opens_at_the_ratio_and_on_a_failure_only() -> None:
    breaker = Breaker(POLICY)
    for good in (True, True, False):
        assert not breaker.record(good, NOW)
    assert breaker.record(False, NOW)
    mostly_well = Breaker(POLICY)
    for good in (True, True, True, False, False):
        assert not mostly_well.record(good, NOW)
    a_good_one = Breaker(POLICY)
    for good in (False, False, False, True):
        assert not a_good_one.record(good, NOW), "a call that went well opens nothing"


def test_only_the_last_calls_count() -> None:
    breaker = Breaker(POLICY)
    for good in (False, False, True, True, True, True, True, True):
        breaker.record(good, NOW)
    assert list(breaker.recent) == [True] * 6
    # Two failures of eight would be far from half; of the last six, the third makes half.
    assert [breaker.record(False, NOW) for _ in range(3)] == [False, False, True]


def test_nothing_leaves_until_the_probe_is_due() -> None:
    breaker = opened()
    assert not breaker.allows(later(9.9))
    assert breaker.allows(later(10))
    assert breaker.state is Breaking.HALF_OPEN
    assert breaker.allows(later(10))


def test_late_results_do_not_touch_an_open_breaker() -> None:
    breaker = opened()
    assert not breaker.record(True, later(1))
    assert not breaker.record(False, later(1))
    assert (breaker.state, breaker.probe_at) == (Breaking.OPEN, later(10))


def test_a_good_probe_closes_it_and_forgets() -> None:
    breaker = opened()
    breaker.allows(later(10))
    assert breaker.record(True, later(11))
    assert breaker == Breaker(POLICY)


def test_failed_probes_double_the_pause_up_to_its_bound() -> None:
    breaker = opened()
    pauses = []
    for _ in range(4):
        due = breaker.probe_at
        assert due is not None
        breaker.allows(due)
        assert breaker.record(False, due, "busy")
        assert breaker.probe_at is not None
        pauses.append((breaker.probe_at - due).total_seconds())
    assert pauses == [20, 35, 35, 35]
    assert breaker.opened_at == NOW, "since when is that of the first trip"
    assert breaker.trips == 5


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 60)), max_size=60))
def test_it_always_lets_a_probe_out_in_the_end(calls: list[tuple[bool, float]]) -> None:
    breaker, now = Breaker(POLICY), NOW
    for good, pause in calls:
        now += timedelta(seconds=pause)
        if breaker.allows(now):
            before = breaker.state
            changed = breaker.record(good, now)
            assert changed == (breaker.state is not before)
        assert len(breaker.recent) <= POLICY.window
    assert breaker.allows(now + timedelta(seconds=POLICY.pause_max))


def test_an_outage_of_days_does_not_overflow() -> None:
    breaker = opened()
    for _ in range(3000):
        assert breaker.probe_at is not None
        breaker.allows(breaker.probe_at)
        breaker.record(False, breaker.probe_at)
    assert breaker.trips == 3001
