"""One lane as a process sees it: its bounds, its breaker, what it has under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from gateway.core.breaker import Breaker, BreakerPolicy, Breaking
from gateway.core.pacing import Pace
from gateway.core.retry import RetryPolicy
from gateway.store.claiming import Favour
from gateway.store.lanes import LaneMemory

#: An adapter that makes many calls for one delivery may take as many timeouts for all of them.
CALLS = 4


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """What a lane may use: calls at once, calls per second (None: no bound), and how it retries.

    `paused`: by configuration, so that nothing is sent whatever a person says. `report_delay`: to a
    portal nothing is sent sooner after the push that it answers, in seconds.
    """

    concurrency: int = 4
    rate: float | None = None
    timeout: float = 20.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    paused: bool = False
    report_delay: float = 0.0

    @property
    def lease(self) -> float:
        """Longer than the longest attempt, so that a live owner never loses its claim, and than
        the far end is at work on the last call of it, so that a dead one's is not asked early."""
        return self.timeout * (CALLS + 1) + 10


@dataclass(slots=True)
class Lane:
    """One lane's state in this process."""

    name: str
    policy: LanePolicy
    breaker: Breaker
    paused: bool = False
    hold_until: datetime | None = None
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
    def favour(self) -> Favour:
        """Whom the next claim serves first: of four, three serve what has just come."""
        return Favour.BACKLOG if self.turn % 4 == 3 else Favour.FRESH

    def close(self) -> None:
        """Have it claim nothing more, and its loop end."""
        self.closed = True
        self.event.set()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """What of it is not over: its loop, its calls."""
        own = self.calls if self.loop is None else {self.loop, *self.calls}
        return {task for task in own if not task.done()}

    def hold(self, until: datetime) -> bool:
        """Send nothing before `until`. True when that is news worth remembering."""
        news = self.hold_until is None or (until - self.hold_until).total_seconds() > 1
        self.hold_until = until
        return news

    def rewind(self, now: datetime) -> None:
        """The clock was set back: a break or a pause that it had begun is over."""
        self.hold_until = None
        if self.breaker.probe_at is not None:
            self.breaker.probe_at = min(self.breaker.probe_at, now)

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
