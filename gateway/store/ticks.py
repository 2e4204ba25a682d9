"""Turns of timers: each is one replica's."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from gateway.store.outbox.lanes import _upsert
from gateway.store.reading import TICK

#: Replicas' clocks differ by less than this.
AHEAD = timedelta(minutes=1)


def probe(connection: Connection, now: datetime) -> None:
    """Write something, to learn whether anything can be kept."""
    _upsert(connection, TICK, ["job", "tick"], job="probe", tick=0, at=now)


def win(connection: Connection, job: str, tick: int, now: datetime) -> bool:
    """True for the one replica that runs this tick of this job. Old ticks are dropped, and those
    of a clock that was ahead: until then they would all be taken."""
    mine = TICK.c.job == job
    connection.execute(delete(TICK).where(mine, TICK.c.at > now + AHEAD))
    insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    won = connection.execute(
        insert(TICK)
        .values(job=job, tick=tick, at=now)
        .on_conflict_do_nothing()
        .returning(TICK.c.tick)  # an INSERT's row count is not to be relied on
    ).first()
    connection.execute(delete(TICK).where(mine, TICK.c.at < now - timedelta(days=1)))
    return won is not None
