"""The environment of every use case: clocks, randomness, identifiers, crash points. Tests replace
each of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.core.ids import request_id
from gateway.flow import random_ids
from gateway.flow.crash_points import die_if_told


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Environment:
    """`now` is aware UTC; `monotonic` is in seconds; `chance` is in [0, 1); `new_id` never repeats;
    `crash` may not return."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    entropy: Callable[[], int] = random_ids.entropy
    new_id: Callable[[], str] = random_ids.new_id
    crash: Callable[[str], None] = die_if_told

    def new_name(self) -> str:
        """Return a new name that sorts by its time, to go behind a prefix."""
        return request_id(self.now(), self.entropy()).removeprefix("TDG-")
