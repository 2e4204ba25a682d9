"""A lane's breaker: opens when most recent calls failed, and closes on a good probe."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Breaking(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Opens when `minimum` of the last `window` calls are in and `ratio` of them failed. The first
    pause is `pause` seconds; each failed probe doubles it up to `pause_max`."""

    window: int = 20
    minimum: int = 5
    ratio: float = 0.5
    pause: float = 15.0
    pause_max: float = 300.0


@dataclass(slots=True)
class Breaker:
    """The breaker of one lane. Only `record` and `allows` change it; time is an argument."""

    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    state: Breaking = Breaking.CLOSED
    reason: str = ""
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    trips: int = 0
    recent: deque[bool] = field(default_factory=deque)

    def allows(self, now: datetime) -> bool:
        """May a call be made now? An open breaker turns half open when its probe is due."""
        if self.state is Breaking.OPEN and self.probe_at is not None and now >= self.probe_at:
            self.state = Breaking.HALF_OPEN
        return self.state is not Breaking.OPEN

    def record(self, good: bool, now: datetime, reason: str = "") -> bool:
        """Record one result. Return whether the state changed (which is worth storing)."""
        if self.state is Breaking.HALF_OPEN:
            if good:
                self._close()
            else:
                self._open(now, reason)
            return True
        if self.state is Breaking.OPEN:
            return False  # a call under way when it opened tells nothing new
        self.recent.append(good)
        while len(self.recent) > self.policy.window:
            self.recent.popleft()
        failed = self.recent.count(False)
        enough = len(self.recent) >= self.policy.minimum
        if good or not enough or failed < self.policy.ratio * len(self.recent):
            return False
        self._open(now, reason)
        return True

    def _open(self, now: datetime, reason: str) -> None:
        if self.opened_at is None:
            self.opened_at = now
        # Bounded: an outage of days makes so many trips that the power would overflow.
        pause = min(self.policy.pause * 2 ** min(self.trips, 30), self.policy.pause_max)
        self.trips += 1
        self.state = Breaking.OPEN
        self.reason = reason
        self.probe_at = now + timedelta(seconds=pause)
        self.recent.clear()

    def _close(self) -> None:
        self.state = Breaking.CLOSED
        self.reason = ""
        self.opened_at = self.probe_at = None
        self.trips = 0
        self.recent.clear()
