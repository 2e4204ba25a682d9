"""Incidents as they are stored, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, and_, or_, select

from gateway.core.errors import NotFound
from gateway.core.incident import (
    IncidentKind,
    IncidentRules,
    IncidentState,
    Party,
    Severity,
    SymptomWord,
)
from gateway.core.working_time import Pause
from gateway.store.incident_tables import COMMUNE, INCIDENT, PAUSE
from gateway.store.texts import say

#: The stream of the trail.
STREAM = "incidents"
OPENED: ColumnElement[bool] = INCIDENT.c.state != IncidentState.SUSPECTED.value


@dataclass(frozen=True, slots=True)
class IncidentPause:
    """A time in which the clock stands still. `commune`: who must act; None: it was resolved."""

    started_at: datetime
    ended_at: datetime | None
    commune: str | None
    because: str
    by: str

    @property
    def pause(self) -> Pause:
        return Pause(self.started_at, self.ended_at)


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as stored; see `gateway.store.incident_tables.IncidentRow`."""

    id: str
    cause: str
    kind: IncidentKind
    severity: Severity
    party: Party
    worst: SymptomWord
    words: tuple[SymptomWord, ...]
    reason: str
    state: IncidentState
    live: bool
    first_seen_at: datetime
    opened_at: datetime | None
    last_seen_at: datetime
    gone_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    returns: int
    times: int
    severity_by: str | None
    party_by: str | None
    acked_at: datetime | None
    acked_by: str | None
    assigned_to: str | None
    warned_at: datetime | None
    breached_at: datetime | None
    notified_at: datetime | None
    notified_by: str | None
    closed_by: str | None
    because: str | None
    post_mortem: str | None
    communes: tuple[str, ...] = ()
    pauses: tuple[IncidentPause, ...] = ()

    @property
    def begun_at(self) -> datetime:
        """The moment from which its clock runs: the first symptom."""
        return self.first_seen_at

    @property
    def solved_at(self) -> datetime | None:
        """The time at which it was solved, or an attack notified; None: not yet."""
        if self.kind is IncidentKind.SECURITY:
            return self.notified_at or self.closed_at
        return self.resolved_at or self.closed_at

    @property
    def paused(self) -> IncidentPause | None:
        """The pause that lasts."""
        return next((one for one in self.pauses if one.ended_at is None), None)

    @property
    def needs_a_person(self) -> bool:
        """Has a person a word to add? The convention asks why a *bloquant* came about."""
        closing = self.severity is Severity.BLOQUANT or self.kind is IncidentKind.SECURITY
        return self.state is IncidentState.RESOLVED and closing

    def deadline(self, rules: IncidentRules) -> datetime | None:
        """Return by when it must be solved, or an attack notified."""
        pauses = [one.pause for one in self.pauses]
        return rules.deadline(self.kind, self.severity, self.begun_at, pauses)

    def left(self, rules: IncidentRules, now: datetime) -> timedelta | None:
        """Return the time left, below zero once it is spent."""
        pauses = [one.pause for one in self.pauses]
        until = min(now, self.solved_at or now)
        return rules.left(self.kind, self.severity, self.begun_at, pauses, until)


_COLUMNS = [INCIDENT.c[name] for name in Incident.__slots__ if name in INCIDENT.c]


def get(connection: Connection, incident_id: str) -> Incident:
    """Return one incident. Raises NotFound; also for what was only suspected."""
    found = read(connection, and_(INCIDENT.c.id == incident_id, OPENED), limit=1)
    if not found:
        raise NotFound(say("no_incident", id=incident_id))
    return found[0]


def opened(
    connection: Connection,
    *,
    everything: bool = False,
    commune: str | None = None,
    limit: int = 100,
) -> list[Incident]:
    """List incidents, the last one first: those that want a person, or with `everything` all that
    were ever opened. With `commune` those alone that hit it."""
    wanted = OPENED
    if not everything:
        closing = or_(
            INCIDENT.c.severity == Severity.BLOQUANT.value,
            INCIDENT.c.kind == IncidentKind.SECURITY.value,
        )
        resolved = INCIDENT.c.state == IncidentState.RESOLVED.value
        is_open = INCIDENT.c.state == IncidentState.OPEN.value
        wanted = or_(is_open, and_(resolved, closing))
    if commune is not None:
        hit = select(COMMUNE.c.incident_id).where(COMMUNE.c.commune == commune)
        wanted = and_(wanted, INCIDENT.c.id.in_(hit))
    return read(connection, wanted, limit=limit)


def begun_between(connection: Connection, since: datetime, until: datetime) -> list[Incident]:
    """List the incidents of a time that were ever open, by their first symptom."""
    begun = and_(INCIDENT.c.first_seen_at >= since, INCIDENT.c.first_seen_at < until)
    return read(connection, and_(OPENED, begun))


def going_on(connection: Connection) -> list[Incident]:
    """List the open incidents."""
    return read(connection, INCIDENT.c.state == IncidentState.OPEN.value)


def read(
    connection: Connection, wanted: ColumnElement[bool] | TextClause, limit: int | None = None
) -> list[Incident]:
    """List the incidents of a condition, the last one first."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(wanted)
        .order_by(INCIDENT.c.first_seen_at.desc(), INCIDENT.c.id.desc())
        .limit(limit)
    ).all()
    ids = [row.id for row in rows]
    communes: dict[str, list[str]] = {}
    pauses: dict[str, list[IncidentPause]] = {}
    for one in connection.execute(
        select(COMMUNE).where(COMMUNE.c.incident_id.in_(ids)).order_by(COMMUNE.c.commune)
    ):
        communes.setdefault(one.incident_id, []).append(one.commune)
    for one in connection.execute(
        select(PAUSE).where(PAUSE.c.incident_id.in_(ids)).order_by(PAUSE.c.n)
    ):
        found = IncidentPause(one.started_at, one.ended_at, one.commune, one.because, one.by)
        pauses.setdefault(one.incident_id, []).append(found)
    return [
        _incident(row, tuple(communes.get(row.id, ())), tuple(pauses.get(row.id, ())))
        for row in rows
    ]


def _incident(row: Any, communes: tuple[str, ...], pauses: tuple[IncidentPause, ...]) -> Incident:
    values = dict(row._mapping)
    values |= {
        "kind": IncidentKind(row.kind),
        "severity": Severity(row.severity),
        "party": Party(row.party),
        "worst": SymptomWord(row.worst),
        "words": tuple(SymptomWord(word) for word in row.words.split()),
        "state": IncidentState(row.state),
    }
    return Incident(**values, communes=communes, pauses=pauses)
