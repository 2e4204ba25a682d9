"""The durable retry policy: a list of delays, jitter, a clamp on Retry-After, a time limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """All in seconds. `delays[n]` follows the n-th failure; the last one repeats.

    `jitter` is the share of a delay that is added at random, so that calls that failed together do
    not return together. A far end's Retry-After lengthens a delay, up to `retry_after_max`, and
    never shortens it. `limit` counts from the delivery's creation; a longer Retry-After leaves one
    more try, at the limit.
    """

    delays: tuple[float, ...] = (5, 30, 120, 600, 1800, 3600, 3 * 3600, 6 * 3600)
    jitter: float = 0.2
    retry_after_max: float = 6 * 3600
    limit: float = 7 * 24 * 3600

    def __post_init__(self) -> None:
        if not self.delays or any(d <= 0 for d in self.delays):
            raise ValueError("a retry policy needs at least one delay, each above zero")
        if not 0 <= self.jitter <= 1:
            raise ValueError("jitter is a share between 0 and 1")

    def delay(self, failures: int, chance: float, after: float | None = None) -> float:
        """Return the seconds to wait after the `failures`-th failure (1 is the first).

        `chance` is a random number in [0, 1); `after` is the far end's Retry-After.
        """
        base = self.delays[min(max(failures, 1), len(self.delays)) - 1]
        if after is not None:
            base = max(base, min(after, self.retry_after_max))
        return base * (1 + self.jitter * chance)
