"""The delays after which copies of the hand-over go: see docs/operators.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.core.status import FINAL

_DAY: Final = 86400.0
#: A date before every stored one.
NEVER: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Delays in seconds; None: kept for ever.

    The content of a request and its files go `ended` after its end, or `silent` after its last
    change of status where its end is never told.
    """

    ended: float | None = 30 * _DAY
    silent: float | None = 365 * _DAY

    def following(self, follow: float | None) -> RetentionPolicy:
        """Return the policy where a GRU is still asked about an ended request for `follow` seconds:
        until then its words are held against ours."""
        if self.ended is None or follow is None or follow <= self.ended:
            return self
        return RetentionPolicy(follow, self.silent)

    def cutoffs(self, now: datetime) -> Cutoffs:
        """Return the times before which a status must have been reached for its request to go."""
        return Cutoffs(cutoff(now, self.ended), cutoff(now, self.silent))


#: Applies where the configuration says nothing.
DEFAULT_RETENTION: Final = RetentionPolicy()


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Requests that ended before `ended`, and open ones that are silent since `silent`, may go."""

    ended: datetime
    silent: datetime

    def of(self, status: str) -> datetime:
        """Return the time before which a request of this status is due."""
        return self.ended if status in ENDED else self.silent


#: The statuses after which a GRU tells no more, in the database's words.
ENDED: Final = frozenset(status.value for status in FINAL)
#: Seconds that an attempt is kept at least, and until its delivery is over.
ATTEMPTS: Final = 90 * _DAY
#: Years that the proof of what people did is kept: until claims lapse (Code civil, art. 2224).
TRAIL_YEARS: Final = 5


def trail_delay(years: int | None) -> float | None:
    """Return the delay in seconds; None for ever."""
    return None if years is None else years * 365.25 * _DAY


def cutoff(now: datetime, delay: float | None) -> datetime:
    """Return the time before which something is older than `delay` seconds; `NEVER` for None."""
    if delay is None:
        return NEVER
    try:
        return max(NEVER, now - timedelta(seconds=delay))
    except OverflowError:
        return NEVER
