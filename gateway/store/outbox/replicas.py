"""The processes that work on lanes, so that each lane is worked by one of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select

from gateway.store.dialect import is_postgresql, upsert
from gateway.store.tables import REPLICA

#: A row that was not renewed for this long is taken away, seconds.
FORGOTTEN = 3600.0


def beat(connection: Connection, owner: str, now: datetime, within: float) -> tuple[str, ...]:
    """Note that `owner` lives; all that said so in the last `within` seconds, sorted.

    With PostgreSQL its clock counts, not `now`: the machines' clocks may differ. Who said so later
    than now has been silent since that clock was set back, and would live on until it is there.
    """
    if is_postgresql(connection):
        now = connection.execute(select(func.clock_timestamp())).scalar_one()
    upsert(connection, REPLICA, "owner", owner=owner, seen_at=now)
    connection.execute(
        delete(REPLICA).where(REPLICA.c.seen_at < now - timedelta(seconds=FORGOTTEN))
    )
    near = timedelta(seconds=within)
    rows = connection.execute(
        select(REPLICA.c.owner)
        .where(REPLICA.c.seen_at.between(now - near, now + near))
        .order_by(REPLICA.c.owner)
    )
    return tuple(row.owner for row in rows)


def leave(connection: Connection, owner: str) -> None:
    """Forget `owner`, which works no more: the others need not wait for its silence."""
    connection.execute(delete(REPLICA).where(REPLICA.c.owner == owner))
