"""Tickets of incidents in the Métropole's tool.

Each entry of an incident's trail is owed to its ticket, in the transaction that writes the entry.
They go one after the other, and each under one key: one that may have been taken is asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, update

from gateway.core.errors import Conflict
from gateway.core.incident import IncidentState
from gateway.core.ticket import OPENED, ticket_reference
from gateway.store import incidents, trail
from gateway.store.dialect import add
from gateway.store.incident_notices import SENT, WAITING, IncidentNotice, is_claim
from gateway.store.incident_tables import ANSWER, INCIDENT, NOTICE, TICKET
from gateway.store.incidents import STREAM, Incident
from gateway.store.texts import say

#: The audience of what is owed to the tool.
TOOL = "@ticket"
#: The time for which an entry is left to whoever claimed it.
LEASE = timedelta(minutes=2)
#: Answers kept of one incident.
MOST_ANSWERS = 200
#: A ticket is followed so long after its incident's end.
_FOLLOWED = timedelta(days=30)
_MINE: ColumnElement[bool] = and_(NOTICE.c.audience == TOOL, NOTICE.c.state == WAITING)


@dataclass(frozen=True, slots=True)
class IncidentTicket:
    """A ticket; see `gateway.store.incident_tables.IncidentTicketRow`."""

    incident_id: str
    reference: str
    number: str | None
    link: str | None
    word: str | None
    begun_at: datetime
    taken_at: datetime | None
    over_at: datetime | None


@dataclass(frozen=True, slots=True)
class IncidentAnswer:
    """A text that a person wrote in the tool."""

    incident_id: str
    key: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class OwedEntry:
    """An entry that is claimed for the tool, with its ticket and what the trail has of it."""

    notice: IncidentNotice
    ticket: IncidentTicket
    data: Mapping[str, Any]


def record(
    connection: Connection, incident_id: str, kind: str, data: Mapping[str, Any], now: datetime
) -> None:
    """Add an entry to the trail, and owe it to the incident's ticket, if it has one."""
    entry = trail.append(connection, STREAM, kind, {"incident": incident_id, **data}, now)
    if get(connection, incident_id) is not None:
        _owe(connection, incident_id, kind, entry.n, now)


def begin(connection: Connection, incident_id: str, now: datetime) -> bool:
    """Have a ticket for an incident. Was there none?"""
    reference = ticket_reference(incident_id)
    return add(connection, TICKET, incident_id=incident_id, reference=reference, begun_at=now)


def begin_missing(connection: Connection, now: datetime) -> None:
    """Have a ticket for the incidents that were open before there was a tool."""
    mine = TICKET.c.incident_id == INCIDENT.c.id
    without = and_(INCIDENT.c.state == IncidentState.OPEN.value, ~exists().where(mine))
    for incident_id in connection.execute(select(INCIDENT.c.id).where(without)).scalars().all():
        if begin(connection, incident_id, now):
            _owe(connection, incident_id, OPENED, 0, now)


def _owe(connection: Connection, incident_id: str, kind: str, n: int, now: datetime) -> None:
    values = {"state": WAITING, "created_at": now, "next_at": now, "attempts": 0}
    names = {"incident_id": incident_id, "audience": TOOL, "step": kind, "n": n}
    add(connection, NOTICE, **names, **values)


def get(connection: Connection, incident_id: str) -> IncidentTicket | None:
    """Return the ticket of an incident."""
    row = connection.execute(select(TICKET).where(TICKET.c.incident_id == incident_id)).first()
    return None if row is None else IncidentTicket(*row)


def numbers(connection: Connection) -> dict[str, str]:
    """Return the tool's numbers of the incidents that are not closed."""
    rows = connection.execute(
        select(TICKET.c.incident_id, TICKET.c.number)
        .join(INCIDENT, INCIDENT.c.id == TICKET.c.incident_id)
        .where(TICKET.c.number.is_not(None), INCIDENT.c.closed_at.is_(None))
    )
    return {row.incident_id: row.number for row in rows}


def claim_entry(connection: Connection, now: datetime) -> OwedEntry | None:
    """Take the entry that waits longest, of an incident of which no earlier one waits. It is nobody
    else's for `LEASE`; until it is settled it counts as one that may have been taken."""
    before = NOTICE.alias("before")
    earlier = and_(
        before.c.incident_id == NOTICE.c.incident_id,
        before.c.audience == TOOL,
        before.c.state == WAITING,
        before.c.n < NOTICE.c.n,
    )
    due = and_(_MINE, NOTICE.c.next_at <= now)
    found = connection.execute(
        select(NOTICE)
        .where(due, ~exists().where(earlier))
        .order_by(NOTICE.c.next_at, NOTICE.c.incident_id)
        .limit(1)
    ).first()
    if found is None:
        return None
    one = IncidentNotice(*found)
    values = {"next_at": now + LEASE, "attempts": one.attempts + 1, "unsure": True}
    taken = update(NOTICE).where(is_claim(one), due).values(**values)
    ticket = get(connection, one.incident_id)
    if ticket is None or connection.execute(taken).rowcount == 0:
        return None
    mine = replace(one, attempts=one.attempts + 1)
    return OwedEntry(mine, ticket, trail.data_of(connection, STREAM, one.n))


def note_taken(
    connection: Connection,
    one: OwedEntry,
    now: datetime,
    number: str | None = None,
    link: str | None = None,
) -> bool:
    """Note that the tool has a claimed entry. False: the claim was lost meanwhile."""
    values = {"state": SENT, "sent_at": now, "failure": None, "unsure": False}
    mine = and_(is_claim(one.notice), NOTICE.c.state == WAITING)
    if connection.execute(update(NOTICE).where(mine).values(**values)).rowcount == 0:
        return False
    if one.ticket.taken_at is None:
        ours = TICKET.c.incident_id == one.ticket.incident_id
        told = {"number": number, "link": link, "taken_at": now}
        connection.execute(update(TICKET).where(ours).values(**told))
    return True


def put_off(
    connection: Connection, one: OwedEntry, failure: str, next_at: datetime, *, unsure: bool
) -> None:
    """Note why a claimed entry was not taken, or may not have been (`unsure`), and when it is tried
    again."""
    values = {"failure": failure, "next_at": next_at, "unsure": unsure}
    mine = and_(is_claim(one.notice), NOTICE.c.state == WAITING)
    connection.execute(update(NOTICE).where(mine).values(**values))


def settle_by_hand(
    connection: Connection, incident_id: str, number: str | None, by: str, *, now: datetime
) -> Incident:
    """Settle the entry that waits first, as a person says: it is in the tool, or need not be.
    `number` is that of a ticket which the tool had not told us. Raises NotFound, and Conflict where
    none waits, or where the ticket has no number yet."""
    trail.lock_trail(connection)
    one, ticket = incidents.get(connection, incident_id), get(connection, incident_id)
    mine = and_(_MINE, NOTICE.c.incident_id == incident_id)
    first = connection.execute(select(NOTICE).where(mine).order_by(NOTICE.c.n).limit(1)).first()
    if ticket is None or first is None:
        raise Conflict(say("incident_no_entry", id=one.id))
    if ticket.taken_at is None and number is None:
        raise Conflict(say("incident_no_number", id=one.id))
    entry = IncidentNotice(*first)
    # Whoever claimed it finds its claim lost.
    values = {"state": SENT, "sent_at": now, "unsure": False, "attempts": entry.attempts + 1}
    connection.execute(update(NOTICE).where(is_claim(entry)).values(**values))
    if number is not None:
        ours = TICKET.c.incident_id == incident_id
        told = {"number": number, "taken_at": ticket.taken_at or now}
        connection.execute(update(TICKET).where(ours).values(**told))
    data = {"incident": one.id, "by": by, "entry": entry.step, "number": number}
    trail.append(connection, STREAM, "ticket_settled", data, now)
    return one


def waiting_since(connection: Connection) -> tuple[int, datetime | None, str | None]:
    """Return how many entries wait, since when the oldest does, and why it was not taken."""
    count: int = connection.execute(select(func.count()).where(_MINE)).scalar_one()
    first = connection.execute(
        select(NOTICE.c.created_at, NOTICE.c.failure)
        .where(_MINE)
        .order_by(NOTICE.c.created_at)
        .limit(1)
    ).first()
    return (count, None, None) if first is None else (count, first.created_at, first.failure)


# --- what comes back ---------------------------------------------------------------------------


def followed(connection: Connection, now: datetime, limit: int) -> list[IncidentTicket]:
    """List the tickets that the tool is asked about: those of incidents that are not long over."""
    recent = or_(INCIDENT.c.closed_at.is_(None), INCIDENT.c.closed_at >= now - _FOLLOWED)
    rows = connection.execute(
        select(TICKET)
        .join(INCIDENT, INCIDENT.c.id == TICKET.c.incident_id)
        .where(TICKET.c.taken_at.is_not(None), recent)
        .order_by(INCIDENT.c.closed_at.is_not(None), TICKET.c.begun_at.desc())
        .limit(limit)
    )
    return [IncidentTicket(*row) for row in rows]


def ticket_named(
    connection: Connection, reference: str | None, number: str | None
) -> IncidentTicket | None:
    """Return the ticket of our reference, or of the tool's number."""
    for column, value in ((TICKET.c.reference, reference), (TICKET.c.number, number)):
        if value is not None:
            row = connection.execute(select(TICKET).where(column == value).limit(1)).first()
            if row is not None:
                return IncidentTicket(*row)
    return None


def note_word(
    connection: Connection, ticket: IncidentTicket, word: str, now: datetime, *, over: bool
) -> bool:
    """Note the tool's word for a ticket's state. Is it over there now, and was it not before?"""
    known = get(connection, ticket.incident_id)
    if known is None or known.word == word:
        return False
    over_at = (known.over_at or now) if over else None
    mine = TICKET.c.incident_id == ticket.incident_id
    connection.execute(update(TICKET).where(mine).values(word=word, over_at=over_at))
    return over and known.over_at is None


def add_answer(
    connection: Connection, ticket: IncidentTicket, key: str, at: datetime, text: str
) -> bool:
    """Keep what a person wrote in the tool. Is it new, and was there room?"""
    mine = ANSWER.c.incident_id == ticket.incident_id
    count: int = connection.execute(select(func.count()).where(mine)).scalar_one()
    if count >= MOST_ANSWERS:
        return False
    values = {"incident_id": ticket.incident_id, "key": key, "at": at, "text": text}
    return add(connection, ANSWER, **values)


def answers(connection: Connection, incident_id: str) -> list[IncidentAnswer]:
    """List what people wrote in the tool, oldest first."""
    mine = ANSWER.c.incident_id == incident_id
    rows = connection.execute(select(ANSWER).where(mine).order_by(ANSWER.c.at, ANSWER.c.key))
    return [IncidentAnswer(*row) for row in rows]


__all__ = ["MOST_ANSWERS", "TOOL", "IncidentAnswer", "IncidentTicket", "OwedEntry", "add_answer"]
__all__ += ["answers", "begin", "begin_missing", "claim_entry", "followed", "get"]
__all__ += ["note_taken", "note_word", "numbers", "put_off", "record", "settle_by_hand"]
__all__ += ["ticket_named"]
__all__ += ["waiting_since"]
