"""The cost of sealing: accepts and deliveries per second, sealed and in clear."""

from __future__ import annotations

import tempfile

from tests.bench.figure import Figure, faster, rounds
from tests.bench.intake import COMMUNES, pushes
from tests.bench.processes import serving, work

#: At most a tenth slower.
AIM = 0.9


def sealing(quick: bool) -> list[Figure]:
    """Two daemons over SQLite side by side, of which one seals; then two workers in turns."""
    n = 800 if quick else 2400
    turns = 2 if quick else 5
    with (
        tempfile.TemporaryDirectory(prefix="tdg-bench-") as one,
        tempfile.TemporaryDirectory(prefix="tdg-bench-") as other,
        serving("farend") as far,
    ):
        how = {"far": far.address, "communes": COMMUNES, "paused": True}
        with (
            serving("daemon", data_dir=one, **how) as sealed,
            serving("daemon", data_dir=other, sealed=False, **how) as clear,
        ):
            for daemon in (sealed, clear):
                pushes(daemon.address, far.address, 200)
            accepts = rounds(
                turns,
                lambda: pushes(sealed.address, far.address, n),
                lambda: pushes(clear.address, far.address, n),
            )

        def drained(in_clear: bool) -> float:
            worker = {"worker": "ours", "n": n // 4, "far": far.address, "in_clear": in_clear}
            return float(work("draining", url=None, **worker))

        deliveries = rounds(turns, lambda: drained(False), lambda: drained(True))
    clear_name = "the same in clear"
    return [
        faster(
            "accepts, sealed, 32 connections, SQLite", accepts[0], "/s", clear_name, accepts[1], AIM
        ),
        faster("deliveries, sealed, SQLite", deliveries[0], "/s", clear_name, deliveries[1], AIM),
    ]
