"""The pace of a lane: its configured bounds, and what the far end has shown to bear.

Normally the configured bounds rule. When a far end strains (the breaker opens, or it asks to come
back later), its rate becomes a ceiling. Afterwards the lane starts with one call at a time and
grows with each good answer, from a quarter of the ceiling up to a safe share: the backlog of an
outage must not cause the next one. All times are seconds of one monotonic clock, given as
arguments.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

#: Share of the breaking rate that a lane allows itself afterwards.
SAFE_SHARE = 0.8
#: Answers slower than the usual by this factor stop the growth.
SLOW = 2.5
#: Seconds without strain after which a ceiling is lifted a little.
CALM = 3600.0
#: Growth of the rate after each second with good answers.
GROWTH = 1.2
#: Seconds of delay that a lane may make up for: a busy process keeps its rate.
SLACK = 0.1
#: Far ends count calls over a second or more: a shorter burst says no more.
SECOND = 1.0
#: Good answers needed to learn a rate.
ENOUGH = 20
#: Seconds over which throughput is measured.
WINDOW = 15.0


@dataclass(slots=True)
class Pace:
    """The pace of one lane, bounded by `concurrency` and `rate` (calls per second)."""

    concurrency: int
    rate: float | None = None
    window: float = 0.0
    allowed: float | None = None
    ceiling: float | None = None
    usual: float | None = None
    strained_at: float | None = None
    _next: float = 0.0
    _grown_at: float = 0.0
    #: The times of good answers, and the lane's bound then: `_room`.
    _done: deque[tuple[float, float]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.window = float(self.concurrency)
        self.allowed = self.rate

    def permits(self, now: float, running: int) -> int:
        """Return the number of calls that may start now, with `running` under way."""
        free = int(self.window) - running
        if free <= 0 or self.allowed is None:
            return max(0, free)
        late = now - self._begin(now)
        return min(free, 1 + int(late * self.allowed)) if late >= 0 else 0

    def _begin(self, now: float) -> float:
        """Return when the next call was or is due: a lane with nothing to send is not late."""
        return self._next if now - self._next <= SLACK else now

    def pause(self, now: float) -> float:
        """Return the seconds until the rate allows another call; 0 when it does."""
        return 0.0 if self.allowed is None else max(0.0, self._next - now)

    def started(self, now: float, calls: int) -> None:
        """Record started calls."""
        if self.allowed is not None and calls:
            self._next = self._begin(now) + calls / self.allowed

    def answered(self, now: float, seconds: float) -> None:
        """Record a good answer after `seconds`: the lane may go a little faster."""
        self._done.append((now, self._room()))
        self._forget(now)
        slow = self.usual is not None and seconds > SLOW * self.usual
        if self.strained_at is None:
            self.usual = seconds if self.usual is None else 0.95 * self.usual + 0.05 * seconds
            return
        if slow:
            return
        self.window = min(float(self.concurrency), self.window + 1 / max(self.window, 1.0))
        if self.ceiling is not None and now - self.strained_at > CALM:
            self.ceiling *= 1.1
            self.strained_at = now
        bound = self._bound()
        if self.allowed is not None and bound is not None and now - self._grown_at >= 1.0:
            self.allowed = min(self.allowed * GROWTH, bound)
            self._grown_at = now

    def _room(self) -> float:
        """Return the lane's present bound: the learnt rate, or the calls at once."""
        return self.window if self.ceiling is None or self.allowed is None else self.allowed

    def _bound(self) -> float | None:
        """Return the calls per second to which a lane with a ceiling grows; None without one."""
        if self.ceiling is None:
            return None
        safe = SAFE_SHARE * self.ceiling
        return safe if self.rate is None else min(safe, self.rate)

    def strained(self, now: float) -> None:
        """Record that the far end fails or asks for rest: its rate until now becomes the
        ceiling."""
        bore = self._speed(now, SECOND)
        again = self.strained_at is not None and now - self.strained_at < 1.0
        if len(self._done) >= ENOUGH and not again:
            self.ceiling = bore if self.ceiling is None else min(self.ceiling, bore)
        self.strained_at = now
        self.window = 1.0
        self.allowed = self.rate
        if self.ceiling is not None:
            start = self.ceiling / 4
            self.allowed = start if self.rate is None else min(start, self.rate)
        self._grown_at = now
        self._done.clear()

    def throughput(self, now: float) -> float:
        """Return the recent good answers per second; 0.0 when there were none."""
        return self._speed(now, 0.05)

    def _speed(self, now: float, least: float) -> float:
        self._forget(now)
        if len(self._done) < 2:
            return 0.0
        return len(self._done) / max(now - self._done[0][0], least)

    def estimate(self, waiting: int, now: float) -> float | None:
        """Return the seconds until `waiting` deliveries are through, by the recent pace and its
        growth."""
        speed = self.throughput(now)
        if waiting <= 0:
            return 0.0
        if speed <= 0:
            return None
        # A lane reaches a part of its bound, which is not expected to change.
        part = speed * sum(1 / room for _, room in self._done) / len(self._done)
        bound = self._bound()
        if self.allowed is None or bound is None:
            return waiting / (part * self.window)
        start, growth = part * self.allowed, math.log(GROWTH)
        growing = max(0.0, math.log(bound / self.allowed) / growth)
        meanwhile = start * (math.exp(growth * growing) - 1) / growth
        if waiting <= meanwhile:
            return math.log1p(waiting * growth / start) / growth
        return growing + (waiting - meanwhile) / (part * bound)

    def _forget(self, now: float) -> None:
        while self._done and now - self._done[0][0] > WINDOW:
            self._done.popleft()
