"""Bounds how many calls a half-connector makes: one that loops must not slow the others down."""

from __future__ import annotations

import math
from collections.abc import Callable

from gateway.flow.pivot import PivotRefusal

#: Calls of one client: so many at once, of which so many a second come back.
AT_ONCE = 600
A_SECOND = 10.0
#: Clients that are remembered; one that called nothing for a minute needs no memory.
_MOST = 1000


class CallPace:
    """Counts the calls of proven clients, in this process. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: By client: calls that it may make at once, as of when.
        self._left: dict[str, tuple[float, float]] = {}

    def count(self, client: str) -> None:
        """Count one call. Raises PivotRefusal 429, which tells when the next may come."""
        now = self._clock()
        left, at = self._left.pop(client, (float(AT_ONCE), now))
        left = min(float(AT_ONCE), left + max(0.0, now - at) * A_SECOND)
        taken = left >= 1
        # The client that called last stands last, so the first is the one to forget.
        self._left[client] = (left - 1 if taken else left, now)
        if len(self._left) > _MOST:
            del self._left[next(iter(self._left))]
        if not taken:
            wait = {"Retry-After": str(max(1, math.ceil((1 - left) / A_SECOND)))}
            text = f"Plus de {A_SECOND:g} appels par seconde, en continu : c'est trop."
            raise PivotRefusal(429, "too_many_calls", text, headers=wait)
