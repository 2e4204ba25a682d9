"""A clock that runs fast and can be moved on, so that leases, retries and days pass in seconds."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.flow.environment import Environment

#: Seconds by which a clock is moved on at once, at most: 60 days.
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
        """Sleep for its seconds; moving the clock on may end the sleep."""
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
        """Return a gateway's environment with this clock."""
        return Environment(now=self.now, monotonic=self.monotonic, sleep=self.sleep)
