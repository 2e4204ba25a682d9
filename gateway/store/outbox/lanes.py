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
    """Keep a person's stop or go for one lane, and tell every replica."""
    upsert(connection, LANE, "name", name=name, paused=paused)
    notices.notify(connection, notices.MEMORY)


def resume(connection: Connection, name: str, now: datetime) -> None:
    """Let one lane go, as a person wants it: end its pause, and `lift` it."""
    pause(connection, name, False)
    lift(connection, name, now)


def lift(connection: Connection, name: str, now: datetime) -> None:
    """End the break that a lane's far end asked for, and have an open breaker probed now, as the
    far end may do well again. Tell every replica."""
    mine = LANE.c.name == name
    connection.execute(update(LANE).where(mine).values(hold_until=None))
    connection.execute(update(LANE).where(mine, LANE.c.probe_at > now).values(probe_at=now))
    notices.notify(connection, notices.MEMORY)


def probe_now(connection: Connection, name: str, now: datetime) -> None:
    """Have an open breaker that waits be probed now, as the lane's far end has just answered
    something else. A break that was asked for stays."""
    waits = (LANE.c.name == name, LANE.c.breaker == "open", LANE.c.probe_at > now)
    if connection.execute(update(LANE).where(*waits).values(probe_at=now)).rowcount:
        notices.notify(connection, notices.MEMORY)


def recall(connection: Connection) -> dict[str, LaneMemory]:
    """Return the lanes that are not as a lane is at first: few, however many there are."""
    rows = connection.execute(
        select(*(LANE.c[name] for name in LaneMemory.__slots__)).where(
            or_(LANE.c.paused, LANE.c.breaker != "closed", LANE.c.hold_until.is_not(None))
        )
    )
    return {row.name: LaneMemory(*row) for row in rows}
