"""Noticing that the machine's clock was set, and how long to wait where its word is not good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from gateway.flow.environment import Environment
from gateway.flow.lanes.clock import STEP, ClockStepDetector

NOON = datetime(2026, 3, 16, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class Clocks:
    """A clock that nobody can set, and one that was set by `wrong`."""

    steady: float = 1000.0
    wrong: timedelta = timedelta()

    def detector(self) -> ClockStepDetector:
        return ClockStepDetector(
            Environment(
                now=lambda: NOON + timedelta(seconds=self.steady) + self.wrong,
                monotonic=lambda: self.steady,
            )
        )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_step_is_told_once_in_its_direction(sign: int) -> None:
    clocks = Clocks()
    steps = clocks.detector()
    assert steps.detect() == timedelta()
    clocks.steady += 3600
    assert steps.detect() == timedelta(), "time passes by both"
    clocks.wrong = sign * STEP
    assert steps.detect() == sign * STEP
    assert steps.detect() == timedelta()


def test_what_a_clock_is_slewed_by_is_no_step_though_it_adds_up() -> None:
    clocks = Clocks()
    steps = clocks.detector()
    for _ in range(4):
        clocks.wrong += STEP - SECOND
        assert steps.detect() == timedelta()


def test_what_was_noted_since_the_clock_was_set_waits_for_nothing() -> None:
    clocks = Clocks()
    steps = clocks.detector()
    assert steps.remaining(1000.0, 20) == 0, "noted as this began"
    clocks.steady, clocks.wrong = 1010.0, STEP
    steps.detect()
    assert steps.remaining(1010.0, 20) == 0
    clocks.steady = 1015.0
    assert steps.remaining(1009.0, 20) == 15, "before: counted from the step"
    clocks.steady = 1031.0
    assert steps.remaining(1009.0, 20) == 0


def test_what_another_process_noted_is_waited_for_from_the_start_of_this_one() -> None:
    clocks = Clocks()
    steps = clocks.detector()
    clocks.steady = 1005.0
    assert steps.remaining(None, 20) == 15
    clocks.steady = 1021.0
    assert steps.remaining(None, 20) == 0


def test_a_step_that_nobody_has_looked_at_yet_counts_from_now() -> None:
    clocks = Clocks()
    steps = clocks.detector()
    clocks.steady = 1100.0
    clocks.wrong = STEP - SECOND
    assert steps.remaining(1050.0, 20) == 0
    for wrong in (STEP, -STEP):
        clocks.wrong = wrong
        assert steps.remaining(1050.0, 20) == 20
