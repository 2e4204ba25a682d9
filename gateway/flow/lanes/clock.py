"""Noticing that the machine's clock was set: by an operator, by NTP, or over a suspension."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from gateway.flow.environment import Environment

#: What a clock drifts, or is slewed by, between two looks is less than this.
STEP: Final = timedelta(seconds=5)


class ClockStepDetector:
    """Compares the clock that may be set with the one that never goes back."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._apart = self._ask()
        self._since = environment.monotonic()

    def look(self) -> timedelta:
        """By how much the clock was set since the last look; zero when it was not."""
        apart = self._ask()
        step = timedelta(seconds=apart - self._apart)
        if abs(step) < STEP:
            step = timedelta()
        else:
            self._since = self._environment.monotonic()
        self._apart = apart
        return step

    def since(self) -> float:
        """Since when, by the clock that never goes back, the other one was not set to our
        knowledge. That is none from before the start."""
        if abs(timedelta(seconds=self._ask() - self._apart)) >= STEP:
            return self._environment.monotonic()
        return self._since

    def _ask(self) -> float:
        return self._environment.now().timestamp() - self._environment.monotonic()
