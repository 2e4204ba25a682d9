"""What lanes remember over a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from gateway.store import notices
from gateway.store.dialect import upsert
from gateway.store.reading import LANE


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


def remember(connection: Connection, memory: LaneMemory) -> None:
    """Keep a breaker's state; a pause is kept by `pause` alone."""
    upsert(
        connection,
        LANE,
        "name",
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
    upsert(connection, LANE, "name", name=name, paused=paused)
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
