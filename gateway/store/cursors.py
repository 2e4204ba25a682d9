"""Cursors of polls, and other named values that outlast a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from gateway.store.dialect import upsert
from gateway.store.tables import CURSOR


@dataclass(frozen=True, slots=True)
class CursorValue:
    """A poll's progress: how far it read, when, its last failure, the far end's last fault."""

    name: str
    value: str | None
    updated_at: datetime
    failure: str | None
    fault: str | None = None


def get(connection: Connection, name: str) -> CursorValue | None:
    row = connection.execute(
        select(*(CURSOR.c[n] for n in CursorValue.__slots__)).where(CURSOR.c.name == name)
    ).first()
    return None if row is None else CursorValue(*row)


def get_all(connection: Connection) -> dict[str, CursorValue]:
    rows = connection.execute(select(*(CURSOR.c[n] for n in CursorValue.__slots__)))
    return {row.name: CursorValue(*row) for row in rows}


def move(
    connection: Connection,
    name: str,
    value: str | None,
    now: datetime,
    failure: str | None = None,
    fault: str | None = None,
) -> None:
    """Move a cursor, in the transaction that stores what was read."""
    upsert(
        connection,
        CURSOR,
        "name",
        name=name,
        value=value,
        updated_at=now,
        failure=failure,
        fault=fault,
    )


def forget(connection: Connection, name: str) -> None:
    """Take a named value away."""
    connection.execute(delete(CURSOR).where(CURSOR.c.name == name))
