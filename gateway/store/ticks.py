"""Turns of timers: each is one replica's."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete

from gateway.store.dialect import add, upsert
from gateway.store.tables import TICK

#: Replicas' clocks differ by less than this.
AHEAD = timedelta(minutes=1)


def probe(connection: Connection, now: datetime) -> None:
    """Write something, to learn whether anything can be kept."""
    upsert(connection, TICK, "job", "tick", job="probe", tick=0, at=now)


def win(connection: Connection, job: str, tick: int, now: datetime) -> bool:
    """Try to be the one replica that runs this tick of this job; True when we are. Drops old ticks,
    and those of a clock that was ahead: until then they would all be taken."""
    mine = TICK.c.job == job
    connection.execute(delete(TICK).where(mine, TICK.c.at > now + AHEAD))
    won = add(connection, TICK, job=job, tick=tick, at=now)
    connection.execute(delete(TICK).where(mine, TICK.c.at < now - timedelta(days=1)))
    return won
