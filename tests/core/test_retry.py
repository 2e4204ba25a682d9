"""The durable retry policy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.retry import RetryPolicy

policies = st.builds(
    RetryPolicy,
    delays=st.lists(st.floats(0.1, 86_400), min_size=1, max_size=8).map(tuple),
    jitter=st.floats(0, 1),
    retry_after_max=st.floats(1, 86_400),
)
chances = st.floats(0, 1, exclude_max=True)


@given(policies, st.integers(-5, 1000), chances, st.none() | st.floats(0, 1e9))
def test_a_delay_stays_within_its_bounds(
    policy: RetryPolicy, failures: int, chance: float, after: float | None
) -> None:
    delay = policy.delay(failures, chance, after)
    asked = 0.0 if after is None else min(after, policy.retry_after_max)
    most = max(max(policy.delays), policy.retry_after_max)
    assert min(policy.delays) <= delay <= most * (1 + policy.jitter)
    assert delay >= asked, "Retry-After is never undercut"
    assert delay >= policy.delay(failures, 0.0)


@given(policies, st.integers(1, 20))
def test_jitter_only_adds_and_grows_with_chance(policy: RetryPolicy, failures: int) -> None:
    low, middle, high = (policy.delay(failures, c) for c in (0.0, 0.5, 0.999))
    assert low == policy.delays[min(failures, len(policy.delays)) - 1]
    assert low <= middle <= high <= low * (1 + policy.jitter)


def test_the_last_delay_repeats() -> None:
    policy = RetryPolicy(delays=(1, 2, 3), jitter=0)
    assert [policy.delay(n, 0.5) for n in (1, 2, 3, 4, 50)] == [1, 2, 3, 3, 3]


def test_retry_after_lengthens_up_to_its_clamp_and_never_shortens() -> None:
    policy = RetryPolicy(delays=(60,), jitter=0, retry_after_max=600)
    assert [policy.delay(1, 0.0, after) for after in (0, 30, 90, 10_000)] == [60, 60, 90, 600]


@pytest.mark.parametrize(
    "bad", [{"delays": ()}, {"delays": (1, 0)}, {"delays": (-1,)}, {"jitter": -0.1}, {"jitter": 2}]
)
def test_a_policy_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"delay|jitter"):
        RetryPolicy(**bad)


def test_the_documented_delays_are_the_usual_ones() -> None:
    """From seconds to hours; the last one repeats."""
    minute, hour = 60, 3600
    usual = (5, 30, 2 * minute, 10 * minute, 30 * minute, hour, 3 * hour, 6 * hour)
    assert RetryPolicy().delays == usual
