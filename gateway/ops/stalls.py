"""Stalls of the event loop: while it has no turn, nobody is served."""

from __future__ import annotations

import asyncio
import time

#: Seconds between two turns of the meter, and the largest error of a measure.
PERIOD = 0.01


class StallMeter:
    """The longest time between two turns of the running loop, in seconds.

    `longest` counts what the process itself did: the lesser of the time and the CPU that its
    threads used in it, since a thread that parses blocks the loop as well. It leaves out other
    processes' load. `longest_wait` is the time by the clock.
    """

    def __init__(self, period: float = PERIOD) -> None:
        self.longest = 0.0
        self.longest_wait = 0.0
        self._period = period
        self._handle: asyncio.TimerHandle | None = None
        self._last = (0.0, 0.0)

    def __enter__(self) -> StallMeter:
        """Measure from now on. Raises RuntimeError without a running loop."""
        self._last = _now()
        self._next()
        return self

    def __exit__(self, *_: object) -> None:
        self._measure()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _next(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._period, self._turn)

    def _turn(self) -> None:
        self._measure()
        self._next()

    def _measure(self) -> None:
        now = _now()
        elapsed, used = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        self.longest = max(self.longest, min(elapsed, used))
        self.longest_wait = max(self.longest_wait, elapsed - self._period)


def _now() -> tuple[float, float]:
    """Read the monotonic clock, and the CPU that this process has used."""
    return time.perf_counter(), time.process_time()
