"""A clock that runs fast and may be moved on: leases, retries and days pass in seconds."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.flow.environment import Environment

#: A clock is moved on by so many seconds at most at once: 60 days.
FURTHEST = 60 * 86400.0


@dataclass(slots=True)
class FastClock:
    """Runs `speed` seconds in each real one, from `start` on. It never goes back."""

    speed: float = 1.0
    start: datetime = field(default_factory=lambda: datetime.now(UTC))
    moved: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _bell: asyncio.Event | None = None

    def monotonic(self) -> float:
        """Return its seconds since it was made."""
        return (time.monotonic() - self._began) * self.speed + self.moved

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        """Sleep so many of its seconds; when it is moved on, what is over is over."""
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0:
            bell = self._bell = self._bell or asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(left / self.speed):
                    await bell.wait()
        if seconds <= 0:
            await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move it on. Raises ValueError for less than nothing and for more than `FURTHEST`."""
        if not 0 <= seconds <= FURTHEST:
            raise ValueError("a clock moves on by 0 seconds to 60 days")
        self.moved += seconds
        if self._bell is not None:
            self._bell.set()
            self._bell = None

    def environment(self) -> Environment:
        """Return the environment of a gateway that lives by this clock."""
        return Environment(now=self.now, monotonic=self.monotonic, sleep=self.sleep)
