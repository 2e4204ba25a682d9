"""Durable accepts per second at 32 connections."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.figure import Figure, faster, rounds
from tests.bench.processes import Failed, serving, work

COMMUNES = 8


def pushes(address: str, far: str, n: int, connections: int = 32) -> float:
    """Pushes taken per second."""
    done = work(
        "pushing", address=address, far=far, n=n, communes=COMMUNES, connections=connections
    )
    if done["failures"]:
        raise Failed(f"pushes were refused: {done['failures']}")
    return n / float(done["seconds"])


def accepts(quick: bool) -> list[Figure]:
    """The real HTTP side over SQLite, every commune paused, beside two services on SQLite."""
    n = 1000 if quick else 2400
    with tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder:
        here = Path(folder)
        with (
            serving("farend") as far,
            serving(
                "daemon", data_dir=folder, far=far.address, communes=COMMUNES, paused=True
            ) as ours,
            serving("reference_sqlmodel", path=str(here / "sqlmodel.db")) as sqlmodel,
            serving("reference_raw", path=str(here / "raw.db")) as raw,
        ):
            for one in (ours, sqlmodel, raw):
                pushes(one.address, far.address, 200)
            ours_s, sqlmodel_s, raw_s = rounds(
                1 if quick else 3,
                lambda: pushes(ours.address, far.address, n),
                lambda: pushes(sqlmodel.address, far.address, n // 4),
                lambda: pushes(raw.address, far.address, n),
            )
    name = "accepts, signed and validated, 32 connections, SQLite"
    return [
        faster(name, ours_s, "/s", "FastAPI + SQLModel, a commit each", sqlmodel_s, 6),
        faster(name, ours_s, "/s", "bare Starlette + raw SQL, group commit", raw_s, 0.7),
    ]
