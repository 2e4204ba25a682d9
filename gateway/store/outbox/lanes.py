"""The memory of lanes, which outlasts a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from gateway.store import notices
from gateway.store.dialect import upsert
from gateway.store.tables import LANE


@dataclass(frozen=True, slots=True)
class LaneMemory:
    """A lane's breaker, a person's pause, and the break that its far end asked for."""

    name: str
    paused: bool = False
    breaker: str = "closed"
    reason: str = ""
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    trips: int = 0
    hold_until: datetime | None = None


_UNLIKE_NEW = select(*(LANE.c[name] for name in LaneMemory.__slots__)).where(
    or_(LANE.c.paused, LANE.c.breaker != "closed", LANE.c.hold_until.is_not(None))
)


def remember(connection: Connection, memory: LaneMemory) -> None:
    """Store a breaker's state; `pause` alone stores a pause."""
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
    """Store a person's pause or its end for one lane, and notify every replica."""
    upsert(connection, LANE, "name", name=name, paused=paused)
    notices.notify(connection, notices.MEMORY)


def resume(connection: Connection, name: str, now: datetime) -> None:
    """End one lane's pause, and `lift` it."""
    pause(connection, name, False)
    lift(connection, name, now)


def lift(connection: Connection, name: str, now: datetime) -> None:
    """End a lane's break, and have its open breaker probed now. Notifies every replica."""
    mine = LANE.c.name == name
    connection.execute(update(LANE).where(mine).values(hold_until=None))
    connection.execute(update(LANE).where(mine, LANE.c.probe_at > now).values(probe_at=now))
    notices.notify(connection, notices.MEMORY)


def probe_now(connection: Connection, name: str, now: datetime) -> None:
    """Have an open breaker probed now: the lane's far end has just answered another call. A break
    stays."""
    waits = (LANE.c.name == name, LANE.c.breaker == "open", LANE.c.probe_at > now)
    if connection.execute(update(LANE).where(*waits).values(probe_at=now)).rowcount:
        notices.notify(connection, notices.MEMORY)


def recall(connection: Connection) -> dict[str, LaneMemory]:
    """Return the lanes whose state differs from a new lane's: few, however many lanes there are."""
    return {row.name: LaneMemory(*row) for row in connection.execute(_UNLIKE_NEW)}
