"""Turns of timers: one replica wins each."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete

from gateway.store.dialect import add, upsert
from gateway.store.tables import TICK

#: Replicas' clocks differ by less than this.
AHEAD = timedelta(minutes=1)


def probe(connection: Connection, now: datetime) -> None:
    """Write something, to learn whether the database can."""
    upsert(connection, TICK, "job", "tick", job="probe", tick=0, at=now)


def win(connection: Connection, job: str, tick: int, now: datetime) -> bool:
    """Try to win this tick of this job for this replica; return whether it did. Drops old ticks,
    and those of a clock that was ahead: until then they would all count as won."""
    mine = TICK.c.job == job
    connection.execute(delete(TICK).where(mine, TICK.c.at > now + AHEAD))
    won = add(connection, TICK, job=job, tick=tick, at=now)
    connection.execute(delete(TICK).where(mine, TICK.c.at < now - timedelta(days=1)))
    return won
