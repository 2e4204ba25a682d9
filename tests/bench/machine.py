"""The machine's spending: CPU seconds of processes, and idle seconds of its cores."""

from __future__ import annotations

import os
from pathlib import Path

CORES = os.cpu_count() or 1
_TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, counted from behind the name.
_PARENT, _OWN, _ENDED_TOO = 1, slice(11, 13), slice(11, 15)


def _fields(stat: Path) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()


def cpu(*pids: int) -> float:
    """CPU seconds of these processes so far."""
    return sum(sum(map(int, _fields(Path(f"/proc/{pid}/stat"))[_OWN])) / _TICKS for pid in pids)


def family_cpu(pid: int) -> float:
    """CPU seconds of a process and of all its children, also of those that have ended."""
    seconds = sum(map(int, _fields(Path(f"/proc/{pid}/stat"))[_ENDED_TOO])) / _TICKS
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = _fields(stat)
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        if int(fields[_PARENT]) == pid:
            seconds += sum(map(int, fields[_OWN])) / _TICKS
    return seconds


def idle() -> float:
    """Seconds that cores have had nothing to do, all cores together."""
    cores = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(cores[4]) + int(cores[5])) / _TICKS
