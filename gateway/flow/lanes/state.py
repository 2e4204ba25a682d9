"""One lane as a process sees it: its bounds, its breaker, what it has under way."""

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


@dataclass(slots=True)
class Lane:
    """One lane's state in this process."""

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
        """Whom the next claim serves first: of four, three serve what has just come. A probe is
        one of those that can tell, not one that has failed already."""
        if self.probing:
            return ClaimOrder.UNTRIED_FIRST
        return ClaimOrder.OLDEST_FIRST if self.turn % 4 == 3 else ClaimOrder.NEWEST_FIRST

    def close(self) -> None:
        """Have it claim nothing more, and its loop end."""
        self.closed = True
        self.event.set()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """What of it is not over: its loop, its calls."""
        own = self.calls if self.loop is None else {self.loop, *self.calls}
        return {task for task in own if not task.done()}

    @property
    def probing(self) -> bool:
        """One call at a time is to tell whether the far end does well again."""
        return self.holds > 0 or self.breaker.state is Breaking.HALF_OPEN

    @property
    def doing_well(self) -> bool:
        """Did the last of its calls come to good?"""
        recent = self.breaker.recent
        closed = self.breaker.state is Breaking.CLOSED
        return closed and not self.probing and bool(recent) and recent[-1]

    def hold(self, now: datetime, seconds: float) -> bool:
        """Give the far end the break that it asked for, up to a bound, after which others tell
        whether all of them are meant. True when that is news worth remembering."""
        if self.hold_until is None or now >= self.hold_until:
            self.holds += 1
        until = now + timedelta(seconds=min(seconds, BREAK * 2 ** min(self.holds - 1, 10)))
        news = self.hold_until is None or (until - self.hold_until).total_seconds() > 1
        if news:
            self.hold_until = until
        return news

    def well(self, now: datetime) -> None:
        """A call came to good; one that was under way when a break began says nothing of it."""
        if self.hold_until is None or now >= self.hold_until:
            self.holds = 0

    def lift(self, now: datetime) -> None:
        """Breaks are over, and an open breaker is probed now: a person says so, or the clock was
        set back, by which they would last too long."""
        self.hold_until, self.holds = None, 0
        if self.breaker.probe_at is not None:
            self.breaker.probe_at = min(self.breaker.probe_at, now)

    def lifted(self, known: LaneMemory) -> bool:
        """Has somebody else put an end to its breaks?"""
        probe_at = self.breaker.probe_at
        return (self.hold_until is not None and known.hold_until is None) or (
            probe_at is not None and known.probe_at is not None and known.probe_at < probe_at
        )

    def recall(self, known: LaneMemory) -> None:
        """Take up what was remembered, over a restart or by another replica."""
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
        """What is to be remembered over a restart, and for other replicas."""
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
