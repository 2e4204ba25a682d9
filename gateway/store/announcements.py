"""Announcements as they are stored: made, cancelled, read. Each act is an entry of the trail.

The notes about them are in the queue of those about incidents (`incident_notices`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from gateway.core.announcement import AnnouncementKind, AnnouncementState, in_time
from gateway.core.errors import Conflict, NotFound
from gateway.store import incident_notices, trail
from gateway.store.announcement_tables import ANNOUNCEMENT, CONCERNED
from gateway.store.incident_tables import NOTICE
from gateway.store.texts import say

#: The stream of the trail.
STREAM = "announcements"
#: The steps of notes about announcements.
ANNOUNCED, CANCELLED = "announced", "cancelled"
STEPS = frozenset({ANNOUNCED, CANCELLED})


@dataclass(frozen=True, slots=True)
class ConcernedCommune:
    """A commune that an announcement concerns. `told_at`: when its mail was handed over."""

    commune: str
    told_at: datetime | None
    read_at: datetime | None
    read_by: str | None


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announcement as stored; see `gateway.store.announcement_tables.AnnouncementRow`."""

    id: str
    kind: AnnouncementKind
    title: str
    body: str
    starts_at: datetime
    ends_at: datetime | None
    notice: timedelta
    announced_at: datetime
    by: str
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    because: str | None = None
    communes: tuple[ConcernedCommune, ...] = ()

    @property
    def last_call(self) -> datetime:
        """The moment until which communes are told in time."""
        return self.starts_at - self.notice

    @property
    def until(self) -> datetime | None:
        """The end of a maintenance: as planned, or when it was called off; None for a change."""
        if self.ends_at is None or self.cancelled_at is None:
            return self.ends_at
        return max(self.starts_at, min(self.ends_at, self.cancelled_at))

    def told_in_time(self, one: ConcernedCommune) -> bool:
        """Was this commune told soon enough?"""
        return in_time(self.starts_at, self.notice, one.told_at, one.read_at)

    @property
    def in_time(self) -> tuple[str, ...]:
        """The communes that were told soon enough."""
        return tuple(one.commune for one in self.communes if self.told_in_time(one))

    def state(self, now: datetime) -> AnnouncementState:
        """Return where it stands."""
        if self.cancelled_at is not None:
            return AnnouncementState.CANCELLED
        if now < self.starts_at:
            return AnnouncementState.PLANNED
        over = self.ends_at is None or now >= self.ends_at
        return AnnouncementState.ENDED if over else AnnouncementState.UNDER_WAY


_COLUMNS = [ANNOUNCEMENT.c[name] for name in Announcement.__slots__ if name in ANNOUNCEMENT.c]


def make(connection: Connection, one: Announcement, communes: Collection[str]) -> Announcement:
    """Make an announcement, and owe each commune a note of it. Return it as it is now."""
    values = {column.name: getattr(one, column.name) for column in _COLUMNS}
    values |= {"kind": one.kind.value, "notice": round(one.notice.total_seconds())}
    connection.execute(insert(ANNOUNCEMENT).values(**values))
    rows = [{"announcement_id": one.id, "commune": insee} for insee in sorted(communes)]
    connection.execute(insert(CONCERNED), rows)
    incident_notices.owe(connection, one.id, sorted(communes), ANNOUNCED, 0, one.announced_at)
    told: dict[str, Any] = {"kind": one.kind.value, "communes": sorted(communes)}
    told["from"] = one.starts_at.isoformat()
    if one.ends_at is not None:
        told["to"] = one.ends_at.isoformat()
    _record(connection, "announced", one.id, one.by, one.announced_at, told)
    return get(connection, one.id)


def cancel(
    connection: Connection, announcement_id: str, because: str, by: str, *, now: datetime
) -> Announcement:
    """Call it off, and tell those who were told. Raises NotFound, and Conflict for one that was
    called off or has ended."""
    trail.lock_trail(connection)
    one = get(connection, announcement_id)
    if one.state(now) is AnnouncementState.CANCELLED:
        raise Conflict(say("announcement_cancelled", id=one.id, by=one.cancelled_by or ""))
    if one.state(now) is AnnouncementState.ENDED:
        raise Conflict(say("announcement_ended", id=one.id))
    values = {"cancelled_at": now, "cancelled_by": by, "because": because}
    connection.execute(update(ANNOUNCEMENT).where(ANNOUNCEMENT.c.id == one.id).values(**values))
    notes = incident_notices.of_incident(connection, one.id)
    # A note that was tried may have come, whatever became of our knowledge of it.
    never_left = (*incident_notices.NOBODY, incident_notices.QUIET)
    may_know = {n.audience for n in notes if n.attempts and n.failure not in never_left}
    may_know |= {commune.commune for commune in one.communes if commune.read_at}
    for note in notes:
        if note.state == incident_notices.WAITING:
            incident_notices.drop(connection, note)
    incident_notices.owe(connection, one.id, sorted(may_know), CANCELLED, 0, now)
    _record(connection, "cancelled", one.id, by, now, {"because": because})
    return get(connection, one.id)


def note_read(
    connection: Connection, announcement_id: str, commune: str, by: str, *, now: datetime
) -> Announcement:
    """Note that a commune has read it; the first reading counts. Raises NotFound, also for a
    commune that it does not concern."""
    mine = and_(CONCERNED.c.announcement_id == announcement_id, CONCERNED.c.commune == commune)
    unread = and_(mine, CONCERNED.c.read_at.is_(None))
    values = {"read_at": now, "read_by": by}
    marked = update(CONCERNED).where(unread).values(**values).returning(CONCERNED.c.commune)
    if connection.execute(marked).first() is not None:
        _record(connection, "read", announcement_id, by, now, {"commune": commune})
    elif connection.execute(select(CONCERNED.c.commune).where(mine)).first() is None:
        raise NotFound(say("no_announcement", id=announcement_id))
    return get(connection, announcement_id)


def get(connection: Connection, announcement_id: str) -> Announcement:
    """Return one. Raises NotFound."""
    found = _read(connection, ANNOUNCEMENT.c.id == announcement_id)
    if not found:
        raise NotFound(say("no_announcement", id=announcement_id))
    return found[0]


def listed(
    connection: Connection,
    now: datetime,
    *,
    everything: bool = False,
    commune: str | None = None,
    limit: int = 100,
) -> list[Announcement]:
    """List those that are to come or under way, the first one first; with `everything` all of them,
    the last one first. With `commune` those that concern it."""
    wanted: ColumnElement[bool] = ANNOUNCEMENT.c.id.is_not(None)
    order: Any = ANNOUNCEMENT.c.starts_at.desc()
    if not everything:
        last = func.coalesce(ANNOUNCEMENT.c.ends_at, ANNOUNCEMENT.c.starts_at)
        wanted = and_(ANNOUNCEMENT.c.cancelled_at.is_(None), last > now)
        order = ANNOUNCEMENT.c.starts_at
    if commune is not None:
        mine = select(CONCERNED.c.announcement_id).where(CONCERNED.c.commune == commune)
        wanted = and_(wanted, ANNOUNCEMENT.c.id.in_(mine))
    return _read(connection, wanted, order, limit)


def maintenances(connection: Connection, since: datetime, until: datetime) -> list[Announcement]:
    """List the maintenances that touch this time, but those that were called off before."""
    begins = and_(ANNOUNCEMENT.c.starts_at < until, ANNOUNCEMENT.c.ends_at > since)
    called_off = ANNOUNCEMENT.c.cancelled_at
    happened = or_(called_off.is_(None), called_off > ANNOUNCEMENT.c.starts_at)
    return _read(connection, and_(begins, happened), ANNOUNCEMENT.c.starts_at)


def _read(
    connection: Connection, wanted: ColumnElement[bool], order: Any = None, limit: int | None = None
) -> list[Announcement]:
    order = ANNOUNCEMENT.c.starts_at if order is None else order
    asked = select(*_COLUMNS).where(wanted).order_by(order, ANNOUNCEMENT.c.id).limit(limit)
    rows = connection.execute(asked).all()
    ids = [row.id for row in rows]
    note = and_(
        NOTICE.c.incident_id == CONCERNED.c.announcement_id,
        NOTICE.c.audience == CONCERNED.c.commune,
        NOTICE.c.step == ANNOUNCED,
    )
    told = (
        select(*CONCERNED.c, NOTICE.c.sent_at)
        .outerjoin_from(CONCERNED, NOTICE, note)
        .where(CONCERNED.c.announcement_id.in_(ids))
        .order_by(CONCERNED.c.commune)
    )
    communes: dict[str, list[ConcernedCommune]] = {}
    for one in connection.execute(told):
        found = ConcernedCommune(one.commune, one.sent_at, one.read_at, one.read_by)
        communes.setdefault(one.announcement_id, []).append(found)
    return [_announcement(row, tuple(communes.get(row.id, ()))) for row in rows]


def _announcement(row: Any, communes: tuple[ConcernedCommune, ...]) -> Announcement:
    values = dict(row._mapping)
    values |= {"kind": AnnouncementKind(row.kind), "notice": timedelta(seconds=row.notice)}
    return Announcement(**values, communes=communes)


def _record(
    connection: Connection,
    kind: str,
    announcement_id: str,
    by: str,
    now: datetime,
    told: Mapping[str, Any],
) -> None:
    trail.append(connection, STREAM, kind, {"announcement": announcement_id, "by": by, **told}, now)
