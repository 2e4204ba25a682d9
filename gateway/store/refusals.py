"""The number of refused calls, by kind and minute: all replicas count together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select

from gateway.store.dialect import insert
from gateway.store.incident_tables import REFUSAL

#: Counts are forgotten after this.
KEPT = timedelta(days=1)


def count(connection: Connection, counts: Mapping[str, int], now: datetime) -> None:
    """Add refused calls, by kind, to those of this minute. Drops old counts."""
    minute = now.replace(second=0, microsecond=0)
    for kind, more in sorted(counts.items()):
        statement = insert(connection, REFUSAL).values(kind=kind, minute=minute, count=more)
        added = {"count": REFUSAL.c["count"] + statement.excluded.count}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["kind", "minute"], set_=added)
        )
    connection.execute(delete(REFUSAL).where(REFUSAL.c.minute < now - KEPT))


def since(connection: Connection, begin: datetime) -> dict[str, int]:
    """Count the refused calls by kind, from the minute of `begin` on."""
    minute = begin.replace(second=0, microsecond=0)
    rows = connection.execute(
        select(REFUSAL.c.kind, func.sum(REFUSAL.c["count"]))
        .where(REFUSAL.c.minute >= minute)
        .group_by(REFUSAL.c.kind)
    )
    return {kind: int(total) for kind, total in rows}
