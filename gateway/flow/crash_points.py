"""The named points of the pass at which a process may be told to die, as an outage kills it."""

from __future__ import annotations

import os
import signal
from typing import Final

#: Names a point: this process dies there. `NAME:3` is the third time that it comes there.
CRASH_VARIABLE: Final = "GRU_GATEWAY_CRASH_AT"

#: All of them, for tests that kill at each; see tests/acceptance and tests/erasure.
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

_passed: dict[str, int] = {}


def die_if_told(point: str) -> None:
    """Kill this process when the environment variable names this point."""
    wanted = os.environ.get(CRASH_VARIABLE)
    if wanted is None or wanted.partition(":")[0] != point:
        return
    nth = int(wanted.partition(":")[2] or 1)
    _passed[point] = _passed.get(point, 0) + 1
    if _passed[point] == nth:
        os.kill(os.getpid(), signal.SIGKILL)
