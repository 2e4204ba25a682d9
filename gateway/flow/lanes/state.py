"""One lane as a process sees it: its bounds, its breaker, its breaks, its calls under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.core.breaker import Breaker, Breaking
from gateway.core.lane_policy import LanePolicy
from gateway.core.pacing import Pace
from gateway.store.outbox.claiming import ClaimOrder
from gateway.store.outbox.lanes import LaneMemory

#: The break that a far end gets of a whole lane because one call was told to come back later, in
#: seconds; each that follows with no good answer between may be twice as long.
BREAK = 300.0
#: A settlement under way when its call is cancelled may take this long, in seconds.
SETTLE_GRACE = 5.0
#: A lane that nothing woke is looked at this often, in seconds.
SAFETY_POLL = 30.0


@dataclass(frozen=True, slots=True)
class HealthSign:
    """A sign of how a lane's far end does, given by one call; `reason` is why it is bad.

    `seconds` is how long the call took; `after` how long the far end asks to be left alone, None
    where it does not.
    """

    good: bool
    reason: str
    seconds: float
    after: float | None = None


@dataclass(slots=True)
class Lane:
    """One lane's state in this process. Every time and clock is an argument."""

    name: str
    policy: LanePolicy
    breaker: Breaker
    paused: bool = False
    hold_until: datetime | None = None
    #: Breaks since the last good answer.
    holds: int = 0
    running: int = 0
    turn: int = 0
    event: asyncio.Event = field(default_factory=asyncio.Event)
    #: It claims nothing more: another is to take its place.
    closed: bool = False
    loop: asyncio.Task[None] | None = None
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.policy.concurrency, self.policy.rate)

    @property
    def claim_order(self) -> ClaimOrder:
        """Serve first what has just come, in three of four claims. A probe is one that can tell."""
        if self.probing:
            return ClaimOrder.UNTRIED_FIRST
        return ClaimOrder.OLDEST_FIRST if self.turn % 4 == 3 else ClaimOrder.NEWEST_FIRST

    def close(self) -> None:
        """Have it claim nothing more, and its loop end."""
        self.closed = True
        self.event.set()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Its loop and its calls that are not over."""
        own = self.calls if self.loop is None else {self.loop, *self.calls}
        return {task for task in own if not task.done()}

    @property
    def probing(self) -> bool:
        """Is one call at a time to tell whether the far end does well again?"""
        return self.holds > 0 or self.breaker.state is Breaking.HALF_OPEN

    @property
    def doing_well(self) -> bool:
        """Did the last of its calls come to good?"""
        recent = self.breaker.recent
        closed = self.breaker.state is Breaking.CLOSED
        return closed and not self.probing and bool(recent) and recent[-1]

    def room(self, now: datetime, clock: float) -> tuple[int, float]:
        """Count the calls that may begin now; if none, the seconds until it is worth looking again.

        `clock` is the monotonic one.
        """
        if self.paused or self.policy.paused:
            return 0, SAFETY_POLL
        if self.hold_until is not None and now < self.hold_until:
            return 0, (self.hold_until - now).total_seconds()
        if not self.breaker.allows(now):
            probe_at = self.breaker.probe_at or now
            return 0, max(0.01, (probe_at - now).total_seconds())
        free = self.pace.permits(clock, self.running)
        if self.probing:
            free = min(free, 1 - self.running)
        return free, self.pace.pause(clock) or SAFETY_POLL

    def judge(self, sign: HealthSign, now: datetime, clock: float) -> tuple[bool, bool]:
        """Take in a sign of the far end: does a break begin, and does the breaker move?"""
        held = False
        if sign.after is not None:
            held = self.hold(now, min(sign.after, self.policy.retry.retry_after_max))
            self.pace.strained(clock)
        if sign.good:
            self.pace.answered(clock, sign.seconds)
            self.well(now)
        moved = self.breaker.record(sign.good, now, sign.reason)
        if moved and self.breaker.state is Breaking.OPEN:
            self.pace.strained(clock)
        return held, moved

    def hold(self, now: datetime, seconds: float) -> bool:
        """Give the far end the break that it asked for, up to a bound. Then one call tells whether
        it meant all of them. True when that is news worth remembering."""
        if self.hold_until is None or now >= self.hold_until:
            self.holds += 1
        until = now + timedelta(seconds=min(seconds, BREAK * 2 ** min(self.holds - 1, 10)))
        news = self.hold_until is None or (until - self.hold_until).total_seconds() > 1
        if news:
            self.hold_until = until
        return news

    def well(self, now: datetime) -> None:
        """Count no more breaks: a call came to good. One from before a break says nothing of it."""
        if self.hold_until is None or now >= self.hold_until:
            self.holds = 0

    def lift(self, now: datetime) -> None:
        """End its break, and have an open breaker probed now. A person says so; or the clock was
        set back, by which both would last too long."""
        self.hold_until, self.holds = None, 0
        if self.breaker.probe_at is not None:
            self.breaker.probe_at = min(self.breaker.probe_at, now)

    def lifted(self, known: LaneMemory) -> bool:
        """Has somebody else ended its break, or its breaker's pause?"""
        probe_at = self.breaker.probe_at
        return (self.hold_until is not None and known.hold_until is None) or (
            probe_at is not None and known.probe_at is not None and known.probe_at < probe_at
        )

    def recall(self, known: LaneMemory) -> None:
        """Take up what was remembered, from before a restart or by another replica."""
        if known.breaker != self.breaker.state.value:
            self.breaker.recent.clear()
        self.hold_until = known.hold_until
        self.paused = known.paused
        self.breaker.state = Breaking(known.breaker)
        self.breaker.reason = known.reason
        self.breaker.opened_at = known.opened_at
        self.breaker.probe_at = known.probe_at
        self.breaker.trips = known.trips

    def memory(self) -> LaneMemory:
        """Give what is remembered over a restart, and by other replicas."""
        breaker = self.breaker
        return LaneMemory(
            self.name,
            self.paused,
            breaker.state.value,
            breaker.reason,
            breaker.opened_at,
            breaker.probe_at,
            breaker.trips,
            self.hold_until,
        )
