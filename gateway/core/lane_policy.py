"""The bounds of a lane: how much it may send at once, how long a call may take, how it retries."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.breaker import BreakerPolicy
from gateway.core.retry import RetryPolicy

#: An adapter that makes many calls for one delivery may take as many timeouts for all of them.
CALLS = 4


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """The bounds of a lane: calls at once, calls per second (None: any), retries, breaker.

    `paused`: by configuration, so that nothing is sent whatever a person says. `pulled`: nothing is
    sent at all, the commune fetches. `report_delay`: a
    portal is sent nothing sooner after the push that is answered, in seconds.
    """

    concurrency: int
    rate: float | None
    timeout: float
    retry: RetryPolicy
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    paused: bool = False
    pulled: bool = False
    report_delay: float = 0.0

    @property
    def lease(self) -> float:
        """Seconds that a claim is ours. It outlasts the longest attempt, so that a live owner never
        loses its claim; and the far end's work on the last call, so that it is not asked early."""
        return self.timeout * (CALLS + 1) + 10
