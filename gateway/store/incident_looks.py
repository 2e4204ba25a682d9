"""A look at the gateway, and what it changes in incidents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from gateway.core.alerting import Hearing
from gateway.core.incident import (
    IncidentKind,
    IncidentRules,
    IncidentState,
    Observation,
    Severity,
)
from gateway.store import incident_notices, incident_tickets, incidents, trail
from gateway.store.conditions import LIVE_INCIDENT
from gateway.store.dialect import add
from gateway.store.incident_acts import end_pause
from gateway.store.incident_tables import COMMUNE, INCIDENT, PAUSE
from gateway.store.incidents import Incident

#: A cause that comes back so soon after its incident was resolved goes on with it.
AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class IncidentMove:
    """A change that a look made: `kind` is that of the trail's entry."""

    kind: str
    incident: Incident


def observe(
    connection: Connection,
    seen: Sequence[Observation],
    rules: IncidentRules,
    new_id: Callable[[], str],
    now: datetime,
    *,
    complete: bool = True,
) -> list[IncidentMove]:
    """Take in a look at the gateway: open, change and resolve incidents, with the notices owed.

    Not `complete`: what was not seen may be there. Replicas that look at once open one incident.
    """
    if not seen and connection.execute(select(INCIDENT.c.id).where(LIVE_INCIDENT)).first() is None:
        return []
    trail.lock_trail(connection)
    known = {(one.cause, one.kind): one for one in incidents.read(connection, LIVE_INCIDENT)}
    look = _Look(connection, rules, new_id, now, [])
    for one in seen:
        look.present(known.pop((one.cause, one.kind), None), one)
    if complete:
        for old in known.values():
            look.absent(old)
    return look.moves


@dataclass(frozen=True, slots=True)
class _Look:
    """One look, at one moment."""

    connection: Connection
    rules: IncidentRules
    new_id: Callable[[], str]
    now: datetime
    moves: list[IncidentMove]

    def present(self, known: Incident | None, one: Observation) -> None:
        """Take in a cause that shows."""
        if known is None:
            if one.part_of is None:
                self._begin(one)
            return
        fresh = sorted(one.communes - {*known.communes})
        if known.state is IncidentState.CLOSED and _grows(known, one, fresh):
            self._update(known.id, live=False)
            self._begin(one)
            return
        self._add_communes(known.id, fresh)
        worse = self._note(known, one)
        lasts = self.now - known.first_seen_at >= one.after
        if known.state is IncidentState.SUSPECTED and one.part_of is None and lasts:
            self._open(known.id)
        elif known.state is IncidentState.RESOLVED and one.part_of is None:
            self._reopen(known)
        elif known.state is IncidentState.OPEN:
            if worse:
                one_now = self._record("worse", known.id)
                self._owe_worse(one_now, known.severity)
            self._owe(known, "opened", fresh, operators=False)

    def _note(self, known: Incident, one: Observation) -> bool:
        """Note what shows; return whether it is worse than it was."""
        words = " ".join(sorted({*known.words, *one.words}))
        values: dict[str, Any] = {"last_seen_at": self.now, "gone_at": None, "words": words}
        if known.gone_at is not None:
            values["times"] = known.times + 1
        worse = _is_worse(known, one)
        if worse:
            values |= {"severity": one.severity.value, "worst": one.worst.value}
            values |= {"reason": one.reason, "warned_at": None, "breached_at": None}
            if known.party_by is None:
                values["party"] = one.party.value
        self._update(known.id, **values)
        return worse

    def absent(self, known: Incident) -> None:
        """Take in a cause that shows no more."""
        if known.gone_at is None:
            self._update(known.id, gone_at=self.now)
            return
        gone = self.now - known.gone_at
        match known.state:
            case IncidentState.SUSPECTED:
                if gone >= self.rules.settle:
                    self._forget(known.id)
            case IncidentState.OPEN:
                # Of an attack that has ended, somebody must still say what it was.
                settled = gone >= self.rules.settle_after(known.returns)
                if settled and known.kind is IncidentKind.SERVICE:
                    self._resolve(known)
            case IncidentState.RESOLVED:
                if gone >= max(AGAIN, self.rules.settle_after(known.returns)):
                    self._end(known)
            case IncidentState.CLOSED:
                if gone >= self.rules.settle:
                    self._update(known.id, live=False)

    def _begin(self, one: Observation) -> None:
        since = min(one.since or self.now, self.now)
        incident_id = self.new_id()
        values: dict[str, Any] = {
            "id": incident_id,
            "cause": one.cause,
            "kind": one.kind.value,
            "severity": one.severity.value,
            "party": one.party.value,
            "worst": one.worst.value,
            "words": " ".join(sorted(one.words)),
            "reason": one.reason,
            "state": IncidentState.SUSPECTED.value,
            "live": True,
            "first_seen_at": since,
            "last_seen_at": self.now,
            "returns": 0,
            "times": 1,
        }
        self.connection.execute(insert(INCIDENT).values(**values))
        self._add_communes(incident_id, one.communes)
        if self.now - since >= one.after:
            self._open(incident_id)

    def _open(self, incident_id: str) -> None:
        self._update(incident_id, state=IncidentState.OPEN.value, opened_at=self.now)
        if self.rules.ticketing:
            incident_tickets.begin(self.connection, incident_id, self.now)
        one = self._record("opened", incident_id)
        self._owe(one, "opened", one.communes)

    def _reopen(self, known: Incident) -> None:
        """Go on with an incident that was resolved too soon; the time between does not count."""
        returns = known.returns + 1
        values = {"state": IncidentState.OPEN.value, "resolved_at": None, "returns": returns}
        self._update(known.id, **values)
        if known.resolved_at is not None:
            self.connection.execute(
                insert(PAUSE).values(
                    incident_id=known.id,
                    n=len(known.pauses) + 1,
                    started_at=known.resolved_at,
                    ended_at=self.now,
                    because="resolved",
                    by="gateway",
                )
            )
        one = self._record("reopened", known.id)
        self._owe(one, "opened", one.communes)

    def _resolve(self, known: Incident) -> None:
        end_pause(self.connection, known.id, known.gone_at or self.now)
        values = {"state": IncidentState.RESOLVED.value, "resolved_at": known.gone_at}
        self._update(known.id, **values)
        one = self._record("resolved", known.id)
        self._owe(one, "resolved", one.communes)

    def _end(self, known: Incident) -> None:
        values: dict[str, Any] = {"live": False}
        if not known.needs_a_person:
            values |= {"state": IncidentState.CLOSED.value, "closed_at": self.now}
            values["closed_by"] = "gateway"
        self._update(known.id, **values)

    def _forget(self, incident_id: str) -> None:
        """Forget a symptom that did not last."""
        mine = COMMUNE.c.incident_id == incident_id
        self.connection.execute(delete(COMMUNE).where(mine))
        self.connection.execute(delete(INCIDENT).where(INCIDENT.c.id == incident_id))

    def _add_communes(self, incident_id: str, communes: Iterable[str]) -> None:
        """Note communes that it hits."""
        for insee in communes:
            values = {"incident_id": incident_id, "commune": insee, "since": self.now}
            add(self.connection, COMMUNE, **values)

    def _owe(
        self, one: Incident, step: str, communes: Collection[str], *, operators: bool = True
    ) -> None:
        """Owe a note to the communes, and to the operators. Of an attack, operators alone are
        told: what the communes are told, a person decides."""
        audiences = list(communes) if one.kind is IncidentKind.SERVICE else []
        if operators and self.rules.operators:
            audiences.append(incident_notices.OPERATORS)
        if step == "resolved":
            audiences += incident_notices.channels_told(self.connection, one.id)
        else:
            heard = [h for h in self.rules.hearings if operators or h.communes is not None]
            audiences += _audiences(heard, one, communes)
        incident_notices.owe(self.connection, one.id, audiences, step, one.returns, self.now)

    def _owe_worse(self, one: Incident, before: Severity) -> None:
        """Owe a note that it is worse to the operators; those channels that hear of nothing as mild
        as it was are told that it is open."""
        told = [incident_notices.OPERATORS] if self.rules.operators else []
        heard = [h for h in self.rules.hearings if h.communes is None and h.hears(before)]
        fresh = [h for h in self.rules.hearings if not h.hears(before)]
        told += _audiences(heard, one, ())
        step = f"worse_{one.severity.value}"
        incident_notices.owe(self.connection, one.id, told, step, one.returns, self.now)
        told = _audiences(fresh, one, one.communes)
        incident_notices.owe(self.connection, one.id, told, "opened", one.returns, self.now)

    def _update(self, incident_id: str, **values: Any) -> None:
        mine = INCIDENT.c.id == incident_id
        self.connection.execute(update(INCIDENT).where(mine).values(**values))

    def _record(self, kind: str, incident_id: str) -> Incident:
        """Add an entry to the trail. Return the incident as it is now."""
        one = incidents.get(self.connection, incident_id)
        told: dict[str, Any] = {"cause": one.cause, "severity": one.severity.value}
        if one.communes:
            told["communes"] = list(one.communes)
        incident_tickets.record(self.connection, one.id, kind, told, self.now)
        self.moves.append(IncidentMove(kind, one))
        return one


def _is_worse(known: Incident, one: Observation) -> bool:
    """A severity that a person gave stays."""
    return one.severity.weight > known.severity.weight and known.severity_by is None


def _audiences(hearings: Iterable[Hearing], one: Incident, communes: Collection[str]) -> list[str]:
    """Return the audiences of these channels."""
    return [a for hearing in hearings for a in hearing.audiences(one.kind, one.severity, communes)]


def _grows(known: Incident, one: Observation, fresh: Iterable[str]) -> bool:
    """Is there more of what a person has closed?"""
    return _is_worse(known, one) or bool(fresh) or not one.words <= {*known.words}


def mark_deadlines(
    connection: Connection, rules: IncidentRules, now: datetime
) -> list[IncidentMove]:
    """Note the open incidents whose deadline is near, or past: once each."""
    moves: list[IncidentMove] = []
    unmarked = or_(INCIDENT.c.warned_at.is_(None), INCIDENT.c.breached_at.is_(None))
    is_open = INCIDENT.c.state == IncidentState.OPEN.value
    for one in incidents.read(connection, and_(is_open, unmarked)):
        due = one.deadline(rules)
        if due is None or one.solved_at is not None:
            continue
        past = now >= due and one.breached_at is None
        near = one.warned_at is None and (one.left(rules, now) or rules.warn) < rules.warn
        if not past and not near:
            continue
        kind = "breached" if past else "warned"
        values = {"warned_at": one.warned_at or now} | ({"breached_at": now} if past else {})
        mine = INCIDENT.c.id == one.id
        connection.execute(update(INCIDENT).where(mine).values(**values))
        data = {"severity": one.severity.value}
        incident_tickets.record(connection, one.id, kind, data, now)
        told = [incident_notices.OPERATORS] if rules.operators else []
        told += _audiences([h for h in rules.hearings if h.communes is None], one, ())
        incident_notices.owe(connection, one.id, told, kind, one.returns, now)
        moves.append(IncidentMove(kind, one))
    return moves
