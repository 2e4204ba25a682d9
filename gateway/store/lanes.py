"""What lanes, cursors and timers remember over a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.schema import Table

from gateway.store import notices
from gateway.store.reading import CURSOR, LANE, TICK

#: Replicas' clocks differ by less than this.
AHEAD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LaneMemory:
    """A lane's breaker, whether a person has paused it, and a far end's wish for a break."""

    name: str
    paused: bool = False
    breaker: str = "closed"
    reason: str = ""
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    trips: int = 0
    hold_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CursorValue:
    """How far a poll has read, when, what last failed, and what the far end says wrongly."""

    name: str
    value: str | None
    updated_at: datetime
    failure: str | None
    fault: str | None = None


def _upsert(connection: Connection, table: Table, keys: list[str], **values: object) -> None:
    insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    changed = {k: v for k, v in values.items() if k not in keys}
    connection.execute(
        insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=changed)
    )


def remember(connection: Connection, memory: LaneMemory) -> None:
    """Keep a breaker's state; a pause is kept by `pause` alone."""
    _upsert(
        connection,
        LANE,
        ["name"],
        name=memory.name,
        breaker=memory.breaker,
        reason=memory.reason,
        opened_at=memory.opened_at,
        probe_at=memory.probe_at,
        trips=memory.trips,
        hold_until=memory.hold_until,
    )


def pause(connection: Connection, name: str, paused: bool) -> None:
    """A person's stop or go for one lane, told to every replica."""
    _upsert(connection, LANE, ["name"], name=name, paused=paused)
    notices.notify(connection, notices.MEMORY)


def resume(connection: Connection, name: str, now: datetime) -> None:
    """A person's go for one lane: no pause, and what `lift` does. Told to every replica."""
    pause(connection, name, False)
    lift(connection, name, now)


def lift(connection: Connection, name: str, now: datetime) -> None:
    """A lane's far end may do well again: no break that it asked for, and an open breaker is probed
    now. Told to every replica."""
    mine = LANE.c.name == name
    connection.execute(update(LANE).where(mine).values(hold_until=None))
    connection.execute(update(LANE).where(mine, LANE.c.probe_at > now).values(probe_at=now))
    notices.notify(connection, notices.MEMORY)


def answers(connection: Connection, name: str, now: datetime) -> None:
    """A lane's far end has just answered something else: an open breaker is probed now, if it
    would wait. A break that was asked for stays."""
    waits = (LANE.c.name == name, LANE.c.breaker == "open", LANE.c.probe_at > now)
    if connection.execute(update(LANE).where(*waits).values(probe_at=now)).rowcount:
        notices.notify(connection, notices.MEMORY)


def recall(connection: Connection) -> dict[str, LaneMemory]:
    """All lanes that are not as a lane is at first: few, however many there are."""
    rows = connection.execute(
        select(*(LANE.c[name] for name in LaneMemory.__slots__)).where(
            or_(LANE.c.paused, LANE.c.breaker != "closed", LANE.c.hold_until.is_not(None))
        )
    )
    return {row.name: LaneMemory(*row) for row in rows}


def cursor(connection: Connection, name: str) -> CursorValue | None:
    row = connection.execute(
        select(*(CURSOR.c[n] for n in CursorValue.__slots__)).where(CURSOR.c.name == name)
    ).first()
    return None if row is None else CursorValue(*row)


def cursors(connection: Connection) -> dict[str, CursorValue]:
    rows = connection.execute(select(*(CURSOR.c[n] for n in CursorValue.__slots__)))
    return {row.name: CursorValue(*row) for row in rows}


def move_cursor(
    connection: Connection,
    name: str,
    value: str | None,
    now: datetime,
    failure: str | None = None,
    fault: str | None = None,
) -> None:
    """Move a cursor, in the transaction that keeps what was read."""
    _upsert(
        connection,
        CURSOR,
        ["name"],
        name=name,
        value=value,
        updated_at=now,
        failure=failure,
        fault=fault,
    )


def probe(connection: Connection, now: datetime) -> None:
    """Write something, to learn whether anything can be kept."""
    _upsert(connection, TICK, ["job", "tick"], job="probe", tick=0, at=now)


def win_tick(connection: Connection, job: str, tick: int, now: datetime) -> bool:
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
