"""The bounds of a lane: calls at once, length of a call, retries."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.breaker import BreakerPolicy
from gateway.core.retry import RetryPolicy

#: The calls of one delivery may take so many timeouts together.
CALLS = 4


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """The bounds of a lane: calls at once, calls per second (None: any), retries, breaker.

    `paused`: by configuration, whatever a person orders. `pulled`: the commune fetches, and nothing
    is sent. `report_delay`: the least seconds between a push and the report that answers it.
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
        """Seconds of a claim. It outlasts the longest attempt, so that a living owner keeps its
        claim, and the far end's work on the last call, so that this is not asked about early."""
        return self.timeout * (CALLS + 1) + 10
