"""Notes that are owed about incidents, and announcements. They are written where these change,
in the same transaction, so that none is lost; each has one name, so that none is owed twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from gateway.core.alerting import MARK
from gateway.store.dialect import add
from gateway.store.incident_tables import NOTICE

#: The audience of the Métropole's operators; any other is a commune.
OPERATORS = ""
WAITING, SENT, SUPERSEDED = "waiting", "sent", "superseded"
#: The time for which a note is left to whoever claimed it.
LEASE = timedelta(minutes=5)
#: The failures of a note that has nobody to go to.
NOBODY = ("no_contact", "no_mail_relay", "no_channel")
#: The reason of a note that waits for people to be up.
QUIET = "quiet_hours"
#: The steps that a later one makes pointless, while they have not been told.
_WORSE = ("worse_majeur", "worse_bloquant")
_OVER = {
    "resolved": ("opened", "warned", "breached", *_WORSE),
    "opened": ("resolved",),
    "breached": ("warned",),
}


@dataclass(frozen=True, slots=True)
class IncidentNotice:
    """A note: `audience` is a commune, `OPERATORS`, or the tool of the tickets. `n`: how often the
    incident came back; of a ticket, the number of the trail's entry."""

    incident_id: str
    audience: str
    step: str
    n: int
    state: str
    created_at: datetime
    next_at: datetime
    attempts: int
    failure: str | None
    sent_at: datetime | None
    unsure: bool

    @property
    def name(self) -> str:
        """Tells this note from all others: one that comes twice is shown as one."""
        audience = self.audience or "operators"
        return f"{self.incident_id}.{audience}.{self.step}.{self.n}".lower()


def owe(
    connection: Connection,
    incident_id: str,
    audiences: Iterable[str],
    step: str,
    n: int,
    now: datetime,
) -> None:
    """Owe a note of this step to each, if it is not owed already."""
    over = _OVER.get(step, ())
    for audience in audiences:
        mine = and_(NOTICE.c.incident_id == incident_id, NOTICE.c.audience == audience)
        pointless = and_(mine, NOTICE.c.step.in_(over), NOTICE.c.state == WAITING)
        connection.execute(update(NOTICE).where(pointless).values(state=SUPERSEDED))
        add(
            connection,
            NOTICE,
            incident_id=incident_id,
            audience=audience,
            step=step,
            n=n,
            state=WAITING,
            created_at=now,
            next_at=now,
            attempts=0,
        )


def claim(connection: Connection, now: datetime, limit: int) -> list[IncidentNotice]:
    """Take the notes that are due, the oldest first. They are nobody else's for `LEASE`."""
    mail = NOTICE.c.audience.not_like("@%")
    due = and_(NOTICE.c.state == WAITING, NOTICE.c.next_at <= now, mail)
    rows = connection.execute(
        select(NOTICE).where(due).order_by(NOTICE.c.created_at, NOTICE.c.audience).limit(limit)
    ).all()
    claimed = []
    for row in rows:
        mine = and_(is_notice(row), due)
        values = {"next_at": now + LEASE, "attempts": row.attempts + 1}
        taken = update(NOTICE).where(mine).values(**values).returning(*NOTICE.c)
        found = connection.execute(taken).first()
        if found is not None:
            claimed.append(IncidentNotice(*found))
    return claimed


def sent(connection: Connection, one: IncidentNotice, now: datetime) -> None:
    """Note that a claimed note was handed over."""
    values = {"state": SENT, "sent_at": now, "failure": None}
    mine = and_(is_claim(one), NOTICE.c.state == WAITING)
    connection.execute(update(NOTICE).where(mine).values(**values))


def failed(connection: Connection, one: IncidentNotice, failure: str, next_at: datetime) -> None:
    """Note why a claimed note could not be handed over, and when it is tried again."""
    mine = and_(is_claim(one), NOTICE.c.state == WAITING)
    connection.execute(update(NOTICE).where(mine).values(failure=failure, next_at=next_at))


def drop(connection: Connection, one: IncidentNotice) -> None:
    """Give up a claimed note that nobody can get."""
    mine = and_(is_claim(one), NOTICE.c.state == WAITING)
    connection.execute(update(NOTICE).where(mine).values(state=SUPERSEDED))


def of_incident(connection: Connection, incident_id: str) -> list[IncidentNotice]:
    """List the notes of an incident, oldest first."""
    rows = connection.execute(
        select(NOTICE)
        .where(NOTICE.c.incident_id == incident_id)
        .order_by(NOTICE.c.created_at, NOTICE.c.audience, NOTICE.c.step)
    )
    return [IncidentNotice(*row) for row in rows]


def channels_told(connection: Connection, incident_id: str) -> list[str]:
    """List the channels that were told, or are to be, that an incident is open."""
    mine = and_(NOTICE.c.incident_id == incident_id, NOTICE.c.audience.like(f"{MARK}%"))
    rows = connection.execute(select(NOTICE.c.audience).where(mine).distinct())
    return sorted(rows.scalars())


def waiting_notes(connection: Connection, limit: int) -> list[IncidentNotice]:
    """List the notes that are owed, the oldest first, whatever they are about."""
    waiting = NOTICE.c.state == WAITING
    rows = connection.execute(
        select(NOTICE).where(waiting).order_by(NOTICE.c.created_at, NOTICE.c.audience).limit(limit)
    )
    return [IncidentNotice(*row) for row in rows]


def failing_since(connection: Connection) -> datetime | None:
    """Return since when the oldest note waits that the relay did not take; None: it took all. That
    there is no relay, or no address, is a gap in the files, and shown with the incident."""
    found: datetime | None = connection.execute(
        select(func.min(NOTICE.c.created_at)).where(
            NOTICE.c.state == WAITING,
            NOTICE.c.failure.not_in((*NOBODY, QUIET)),
            NOTICE.c.audience.not_like("@%"),
        )
    ).scalar()
    return found


def is_notice(one: Any) -> ColumnElement[bool]:
    """Return the condition of one note, by a row or an IncidentNotice."""
    return and_(
        NOTICE.c.incident_id == one.incident_id,
        NOTICE.c.audience == one.audience,
        NOTICE.c.step == one.step,
        NOTICE.c.n == one.n,
    )


def is_claim(one: IncidentNotice) -> ColumnElement[bool]:
    """Return the condition of a note that nobody has claimed since."""
    return and_(is_notice(one), NOTICE.c.attempts == one.attempts)
