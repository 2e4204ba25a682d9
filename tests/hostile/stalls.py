"""How long the event loop stands still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

#: How often it is looked, in seconds.
PACE = 0.002


@dataclass(slots=True)
class Stalls:
    """What was seen: the longest time between two turns of the loop beyond what was asked for.

    `cpu` is what the loop's own thread worked in it: it does not grow because the machine is busy
    with something else, and is what a test can hold to a bound. All in seconds.
    """

    longest: float = 0.0
    cpu: float = 0.0


@asynccontextmanager
async def stalls() -> AsyncIterator[Stalls]:
    """Looks while it is open."""
    found = Stalls()

    async def look() -> None:
        while True:
            then, worked = time.monotonic(), time.thread_time()
            await asyncio.sleep(PACE)
            found.longest = max(found.longest, time.monotonic() - then - PACE)
            found.cpu = max(found.cpu, time.thread_time() - worked)

    task = asyncio.create_task(look())
    await asyncio.sleep(0)
    try:
        yield found
        await asyncio.sleep(0)
    finally:
        task.cancel()
