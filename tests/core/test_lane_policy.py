"""The bounds of a lane."""

from __future__ import annotations

from gateway.core.lane_policy import CALLS, LanePolicy
from gateway.core.retry import RetryPolicy


def test_a_claim_outlasts_every_call_of_an_attempt_and_the_far_end_s_work_on_the_last() -> None:
    policy = LanePolicy(2, None, 30.0, RetryPolicy())
    longest_attempt, work_on_the_last = CALLS * policy.timeout, policy.timeout
    assert policy.lease == longest_attempt + work_on_the_last + 10
