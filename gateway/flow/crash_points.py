"""Named points at which a test lets the process die, as an outage would."""

from __future__ import annotations

import os
import signal
from typing import Final

#: Holds the name of a point at which this process dies. `NAME:3` is its third passage.
CRASH_VARIABLE: Final = "GRU_GATEWAY_CRASH_AT"

#: Tests kill at each: tests/acceptance and tests/erasure.
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
    "erase.keys_destroyed",
    "erase.flushed",
    "erase.erased",
    "erase.acknowledged",
    "erase.remembered",
    "decommission.draining",
    "decommission.telling",
    "decommission.settled",
    "decommission.erasing",
    "decommission.deleted",
    "decommission.rest_deleted",
    "decommission.cleaned",
    "decommission.ended",
    "incident.ticketed",
)

_passed: dict[str, int] = {}


def die_if_told(point: str) -> None:
    """Kill this process at the point that the environment variable names."""
    wanted = os.environ.get(CRASH_VARIABLE)
    if wanted is None or wanted.partition(":")[0] != point:
        return
    nth = int(wanted.partition(":")[2] or 1)
    _passed[point] = _passed.get(point, 0) + 1
    if _passed[point] == nth:
        os.kill(os.getpid(), signal.SIGKILL)
