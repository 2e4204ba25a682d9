"""The total time for a reading of many calls, however long each call takes."""

from __future__ import annotations

import time

#: Seconds that a poll may go on asking. One that is cut gives what it has read.
POLL = 300.0
#: A poll that goes on for so long all the same is given up by the gateway.
LONGEST_POLL = 600.0
#: Seconds that all of a long list may take: of accounts, or of the requests to reconcile.
LONGEST_READING = 3600.0


class Patience:
    """`over` once `seconds` have passed since it was made. The default is `POLL`."""

    def __init__(self, seconds: float | None = None) -> None:
        self._end = time.monotonic() + (POLL if seconds is None else seconds)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._end


__all__ = ["LONGEST_POLL", "LONGEST_READING", "POLL", "Patience"]
