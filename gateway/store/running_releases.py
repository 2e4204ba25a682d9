"""Releases as a running daemon sees them: the one it runs, and why it does not run another. Stored
beside the cursors while it runs; without an entry, no daemon runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete

from gateway.store import cursors
from gateway.store.tables import CURSOR

_PREFIX = "release:"
#: Characters of a text that says why.
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class RunningRelease:
    """A commune's release: the active digest, and why it does not run (None: it does)."""

    digest: str
    refused: str | None
    at: datetime


def record(
    connection: Connection, words: Mapping[str, tuple[str, str | None]], now: datetime
) -> None:
    """Record, by commune, the active digest and why it does not run. Replaces all former ones."""
    connection.execute(delete(CURSOR).where(CURSOR.c.name.startswith(_PREFIX, autoescape=True)))
    for insee, (digest, refused) in words.items():
        why = None if refused is None else refused[:_LONGEST]
        cursors.move(connection, f"{_PREFIX}{insee}", digest, now, why)


def get_all(connection: Connection) -> dict[str, RunningRelease]:
    """Return the daemon's records, by commune."""
    return {
        name.removeprefix(_PREFIX): RunningRelease(one.value or "", one.failure, one.updated_at)
        for name, one in cursors.get_all(connection).items()
        if name.startswith(_PREFIX)
    }
