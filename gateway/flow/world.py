"""What every use case is handed: time, chance, identifiers, and the named points of a crash.

All of it is replaceable, so that a test can drive the real code under a clock of its own and kill
it wherever it hurts.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

CRASH_VARIABLE: Final = "GRU_GATEWAY_CRASH_AT"

#: Every point of the pass where a process may be told to die; see tests/acceptance.
CRASH_POINTS: Final = (
    "attachments.put",
    "attachments.deleted",
    "receive.before_commit",
    "receive.after_commit",
    "deliver.claimed",
    "deliver.answered",
    "deliver.settled",
    "report.claimed",
    "report.answered",
    "report.settled",
    "changes.before_commit",
    "changes.after_commit",
    "find.answered",
    "erase.found",
    "erase.stopped",
    "erase.scrubbed",
    "erase.flushed",
    "erase.erased",
    "erase.acknowledged",
)


def _die_if_told(point: str) -> None:
    """Kill this process, as an outage would, when the environment names this point."""
    wanted = os.environ.get(CRASH_VARIABLE)
    if wanted is None or wanted.partition(":")[0] != point:
        return
    nth = int(wanted.partition(":")[2] or 1)
    _passed[point] = _passed.get(point, 0) + 1
    if _passed[point] == nth:
        os.kill(os.getpid(), signal.SIGKILL)


_passed: dict[str, int] = {}


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _entropy() -> int:
    return int.from_bytes(_random(4))


def _new_id() -> str:
    """The time in milliseconds, then chance: what is made one after the other lies together in an
    index. Otherwise each new row of a large table would touch, and log, a page of its own."""
    return ((time.time_ns() // 1_000_000).to_bytes(6) + _random(7)).hex()


def _random(n: int) -> bytes:
    """`n` unpredictable bytes. The system is asked for many at once: each time costs a switch."""
    with _drawing:
        if len(_pool) < n:
            _pool.extend(os.urandom(4096))
        drawn = bytes(_pool[-n:])
        del _pool[-n:]
    return drawn


_pool = bytearray()
_drawing = threading.Lock()


def _forked() -> None:
    """A child must not draw what its parent draws, nor wait for a thread that it has not."""
    global _drawing
    _drawing = threading.Lock()
    _pool.clear()


os.register_at_fork(after_in_child=_forked)


@dataclass(frozen=True, slots=True)
class World:
    """`now` is aware UTC; `clock` counts seconds and never goes back; `chance` is in [0, 1);
    `new_id` never repeats; `crash` may not return."""

    now: Callable[[], datetime] = _utc_now
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    entropy: Callable[[], int] = _entropy
    new_id: Callable[[], str] = _new_id
    crash: Callable[[str], None] = field(default=_die_if_told)
