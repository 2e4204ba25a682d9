"""Notices that the machine's clock was set: by an operator, by NTP, or over a suspension."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from gateway.flow.environment import Environment

#: Drift and slewing between two looks stay below this.
STEP: Final = timedelta(seconds=5)


class ClockStepDetector:
    """Compares the clock that may be set with the monotonic one."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._offset = self._measure()
        self._since = environment.monotonic()

    def detect(self) -> timedelta:
        """Return by how much the clock was set since the last call; zero when it was not."""
        offset = self._measure()
        step = timedelta(seconds=offset - self._offset)
        if abs(step) < STEP:
            step = timedelta()
        else:
            self._since = self._environment.monotonic()
        self._offset = offset
        return step

    def remaining(self, noted: float | None, seconds: float) -> float:
        """Return the seconds left of `seconds` since an event.

        `noted` is the event's monotonic time; None where another process noted it by the other
        clock. 0 when the clock was not set since: then the other clock's time is right.
        """
        since = self._unset_since()
        if noted is not None and noted >= since:
            return 0.0
        return max(0.0, since + seconds - self._environment.monotonic())

    def _unset_since(self) -> float:
        """Return the monotonic time since which no step is known."""
        if abs(timedelta(seconds=self._measure() - self._offset)) >= STEP:
            return self._environment.monotonic()
        return self._since

    def _measure(self) -> float:
        return self._environment.now().timestamp() - self._environment.monotonic()
