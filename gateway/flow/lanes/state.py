"""One lane in one process: its bounds, breaker, breaks, and calls under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.core.breaker import Breaker, Breaking
from gateway.core.lane_policy import LanePolicy
from gateway.core.pacing import Pace
from gateway.store.outbox.claiming import ClaimOrder
from gateway.store.outbox.lanes import LaneMemory

#: Seconds of the break that one "come back later" gives a whole lane. Each that follows without a
#: good answer between may last twice as long.
BREAK = 300.0
#: Seconds that a settlement may take whose call is cancelled.
SETTLE_GRACE = 5.0
#: Seconds between two looks at a lane that nothing woke.
SAFETY_POLL = 30.0
#: A lane whose commune fetches has nothing to look at, in seconds.
PULLED = 86400.0


@dataclass(frozen=True, slots=True)
class HealthSign:
    """A sign of a far end's health from one call; `reason` says why it is bad. `seconds` is the
    call's length; `after` the seconds for which the far end asks for a break, or None."""

    good: bool
    reason: str
    seconds: float
    after: float | None = None


@dataclass(slots=True)
class Lane:
    """The state of one lane in this process. Every time and clock is an argument."""

    name: str
    policy: LanePolicy
    breaker: Breaker
    paused: bool = False
    hold_until: datetime | None = None
    #: Breaks since the last good answer.
    breaks: int = 0
    running: int = 0
    turn: int = 0
    event: asyncio.Event = field(default_factory=asyncio.Event)
    #: It claims nothing more: another object takes its place.
    closed: bool = False
    loop: asyncio.Task[None] | None = None
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.policy.concurrency, self.policy.rate)

    @property
    def claim_order(self) -> ClaimOrder:
        """Choose the newest first in three of four claims. A probe takes one that can tell."""
        if self.probing:
            return ClaimOrder.UNTRIED_FIRST
        return ClaimOrder.OLDEST_FIRST if self.turn % 4 == 3 else ClaimOrder.NEWEST_FIRST

    def close(self) -> None:
        """Claim nothing more, and end the loop."""
        self.closed = True
        self.event.set()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Its loop, and its calls under way."""
        own = self.calls if self.loop is None else {self.loop, *self.calls}
        return {task for task in own if not task.done()}

    @property
    def probing(self) -> bool:
        """Does one call at a time test whether the far end is well again?"""
        return self.breaks > 0 or self.breaker.state is Breaking.HALF_OPEN

    @property
    def doing_well(self) -> bool:
        """Did the last of its calls succeed?"""
        recent = self.breaker.recent
        closed = self.breaker.state is Breaking.CLOSED
        return closed and not self.probing and bool(recent) and recent[-1]

    def room(self, now: datetime, clock: float) -> tuple[int, float]:
        """Return the number of calls that may begin now, and if none, the seconds until the next
        look. `clock` is the monotonic one."""
        if self.policy.pulled:
            return 0, PULLED
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
        """Judge a sign of the far end. Return: does a break begin, does the breaker move."""
        held = False
        if sign.after is not None:
            held = self.start_break(now, min(sign.after, self.policy.retry.retry_after_max))
            self.pace.strained(clock)
        if sign.good:
            self.pace.answered(clock, sign.seconds)
            self.well(now)
        moved = self.breaker.record(sign.good, now, sign.reason)
        if moved and self.breaker.state is Breaking.OPEN:
            self.pace.strained(clock)
        return held, moved

    def start_break(self, now: datetime, seconds: float) -> bool:
        """Begin or prolong a break of these seconds, up to a bound. Return whether that is worth
        storing. After it one call tests whether the far end is back."""
        if self.hold_until is None or now >= self.hold_until:
            self.breaks += 1
        until = now + timedelta(seconds=min(seconds, BREAK * 2 ** min(self.breaks - 1, 10)))
        news = self.hold_until is None or (until - self.hold_until).total_seconds() > 1
        if news:
            self.hold_until = until
        return news

    def well(self, now: datetime) -> None:
        """Count breaks from zero again: a call succeeded, and not one from before a break."""
        if self.hold_until is None or now >= self.hold_until:
            self.breaks = 0

    def lift(self, now: datetime) -> None:
        """End the break, and have an open breaker tested now. By a person's order, or because the
        clock was set back, which would make both last too long."""
        self.hold_until, self.breaks = None, 0
        if self.breaker.probe_at is not None:
            self.breaker.probe_at = min(self.breaker.probe_at, now)

    def lifted(self, known: LaneMemory) -> bool:
        """Did somebody else end its break, or its breaker's pause?"""
        probe_at = self.breaker.probe_at
        return (self.hold_until is not None and known.hold_until is None) or (
            probe_at is not None and known.probe_at is not None and known.probe_at < probe_at
        )

    def recall(self, known: LaneMemory) -> None:
        """Take up what a former process or another replica stored."""
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
        """Return what is stored for a restart and for other replicas."""
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
