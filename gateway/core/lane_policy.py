"""The bounds of a lane: how much it may send at once, how long a call may take, how it retries."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.breaker import BreakerPolicy
from gateway.core.retry import RetryPolicy

#: An adapter that makes many calls for one delivery may take as many timeouts for all of them.
CALLS = 4


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """What a lane may use: calls at once, calls per second (None: no bound), and how it retries.

    `paused`: by configuration, so that nothing is sent whatever a person says. `report_delay`: to a
    portal nothing is sent sooner after the push that it answers, in seconds.
    """

    concurrency: int
    rate: float | None
    timeout: float
    retry: RetryPolicy
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    paused: bool = False
    report_delay: float = 0.0

    @property
    def lease(self) -> float:
        """Longer than the longest attempt, so that a live owner never loses its claim, and than
        the far end is at work on the last call of it, so that a dead one's is not asked early."""
        return self.timeout * (CALLS + 1) + 10
