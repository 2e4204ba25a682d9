"""The processes that share the lanes."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, select

from gateway.store.dialect import is_postgresql, upsert
from gateway.store.tables import REPLICA

#: Seconds without renewal after which a row is deleted.
FORGOTTEN = 3600.0
_SILENT = delete(REPLICA).where(REPLICA.c.seen_at < bindparam("before"))
_ALIVE = (
    select(REPLICA.c.owner)
    .where(REPLICA.c.seen_at.between(bindparam("since"), bindparam("until")))
    .order_by(REPLICA.c.owner)
)


def beat(connection: Connection, owner: str, now: datetime, within: float) -> tuple[str, ...]:
    """Note that `owner` lives. Return all that said so in the last `within` seconds, sorted.

    PostgreSQL's clock counts, not `now`: the machines' clocks may differ. A row ahead of that clock
    was written before it was set back, and does not count as alive.
    """
    if is_postgresql(connection):
        now = connection.execute(select(func.clock_timestamp())).scalar_one()
    upsert(connection, REPLICA, "owner", owner=owner, seen_at=now)
    connection.execute(_SILENT, {"before": now - timedelta(seconds=FORGOTTEN)})
    near = timedelta(seconds=within)
    rows = connection.execute(_ALIVE, {"since": now - near, "until": now + near})
    return tuple(row.owner for row in rows)


def leave(connection: Connection, owner: str) -> None:
    """Forget `owner`, which stops: the others need not wait for its silence."""
    connection.execute(delete(REPLICA).where(REPLICA.c.owner == owner))
