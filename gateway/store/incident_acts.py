"""The acts of people on incidents. Each is an entry of the trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, insert, select, update

from gateway.core.errors import Conflict
from gateway.core.incident import IncidentKind, IncidentState, Party, Severity
from gateway.core.ticket import COMMENTED
from gateway.store import incident_notices, incident_tickets, incidents, trail
from gateway.store.incident_tables import INCIDENT, PAUSE
from gateway.store.incidents import Incident
from gateway.store.texts import say


def acknowledge(connection: Connection, incident_id: str, by: str, *, now: datetime) -> Incident:
    """Note who has seen it. Raises NotFound, and Conflict for one that is over or has been seen."""
    one = _unclosed(connection, incident_id)
    if one.acked_by is not None:
        raise Conflict(say("incident_acked", id=one.id, by=one.acked_by))
    return _act(connection, one, "acknowledged", by, now, {"acked_at": now, "acked_by": by})


def assign(
    connection: Connection, incident_id: str, to: str, by: str, *, now: datetime
) -> Incident:
    """Note who works on it. Raises NotFound, and Conflict for one that is over."""
    one = _unclosed(connection, incident_id)
    return _act(connection, one, "assigned", by, now, {"assigned_to": to}, to=to)


def set_severity(
    connection: Connection,
    incident_id: str,
    severity: Severity,
    because: str,
    by: str,
    *,
    now: datetime,
) -> Incident:
    """Change how grave it is; no symptom changes it any more. Raises NotFound and Conflict."""
    one = _unclosed(connection, incident_id)
    if severity is one.severity:
        raise Conflict(say("incident_severity_same", id=one.id, severity=severity.value))
    values: dict[str, Any] = {"severity": severity.value, "severity_by": by}
    # Another deadline: what was said of the former one counts no more.
    values |= {"warned_at": None, "breached_at": None}
    told = {"from": one.severity.value, "to": severity.value, "because": because}
    return _act(connection, one, "severity", by, now, values, **told)


def pause(
    connection: Connection, incident_id: str, commune: str, because: str, by: str, *, now: datetime
) -> Incident:
    """Stop its clock while a commune must act. Raises NotFound, and Conflict for one that is not
    open, hits another commune, stands still already, or is an attack."""
    one = _open(connection, incident_id)
    if one.kind is IncidentKind.SECURITY:
        raise Conflict(say("incident_no_pause", id=one.id))
    if one.paused is not None:
        raise Conflict(say("incident_paused", id=one.id, by=one.paused.by))
    if one.communes and commune not in one.communes:
        raise Conflict(say("incident_other_commune", id=one.id, communes=one.communes))
    connection.execute(
        insert(PAUSE).values(
            incident_id=one.id,
            n=len(one.pauses) + 1,
            started_at=now,
            commune=commune,
            because=because,
            by=by,
        )
    )
    return _act(connection, one, "paused", by, now, {}, commune=commune, because=because)


def resume(connection: Connection, incident_id: str, by: str, *, now: datetime) -> Incident:
    """Have its clock run again. Raises NotFound, and Conflict where it does."""
    one = _open(connection, incident_id)
    if not end_pause(connection, one.id, now):
        raise Conflict(say("incident_runs", id=one.id))
    return _act(connection, one, "resumed", by, now, {})


def note_notified(
    connection: Connection, incident_id: str, to: str, by: str, *, now: datetime
) -> Incident:
    """Note that an attack was notified. Raises NotFound, and Conflict for what is none, or was."""
    one = _unclosed(connection, incident_id)
    if one.kind is not IncidentKind.SECURITY:
        raise Conflict(say("incident_no_attack", id=one.id))
    if one.notified_by is not None:
        raise Conflict(say("incident_notified", id=one.id, by=one.notified_by))
    values = {"notified_at": now, "notified_by": by}
    return _act(connection, one, "notified", by, now, values, to=to)


def close(
    connection: Connection,
    incident_id: str,
    because: str,
    by: str,
    *,
    now: datetime,
    party: Party | None = None,
    post_mortem: str | None = None,
) -> Incident:
    """Close it: nobody has anything more to do. `party` is whose fault it was.

    While its symptoms still show it stays closed, until there are more of them. Raises NotFound,
    and Conflict for one that is closed, a *bloquant* without a post-mortem, or an attack that
    nobody was notified of.
    """
    one = _unclosed(connection, incident_id)
    if one.severity is Severity.BLOQUANT and not (post_mortem or one.post_mortem):
        raise Conflict(say("incident_no_post_mortem", id=one.id))
    if one.kind is IncidentKind.SECURITY and one.notified_at is None:
        raise Conflict(say("incident_not_notified", id=one.id))
    end_pause(connection, one.id, now)
    values: dict[str, Any] = {
        "state": IncidentState.CLOSED.value,
        "closed_at": now,
        "closed_by": by,
        "because": because,
    }
    if post_mortem:
        values["post_mortem"] = post_mortem
    if party is not None:
        values |= {"party": party.value, "party_by": by}
    if one.state is IncidentState.OPEN and one.kind is IncidentKind.SERVICE:
        whom = [*one.communes, *incident_notices.channels_told(connection, one.id)]
        incident_notices.owe(connection, one.id, whom, "resolved", one.returns, now)
    told = {"because": because, "party": (party or one.party).value}
    return _act(connection, one, "closed", by, now, values, **told)


def comment(
    connection: Connection, incident_id: str, text: str, by: str, *, now: datetime
) -> Incident:
    """Add a word to it, which its ticket gets as well. Raises NotFound."""
    trail.lock_trail(connection)
    one = incidents.get(connection, incident_id)
    return _act(connection, one, COMMENTED, by, now, {}, text=text)


def end_pause(connection: Connection, incident_id: str, at: datetime) -> bool:
    """End the pause that lasts, not before it began; return whether there was one."""
    lasts = and_(PAUSE.c.incident_id == incident_id, PAUSE.c.ended_at.is_(None))
    found = connection.execute(select(PAUSE.c.n, PAUSE.c.started_at).where(lasts)).first()
    if found is None:
        return False
    mine = and_(lasts, PAUSE.c.n == found.n)
    connection.execute(update(PAUSE).where(mine).values(ended_at=max(at, found.started_at)))
    return True


def _unclosed(connection: Connection, incident_id: str) -> Incident:
    trail.lock_trail(connection)
    one = incidents.get(connection, incident_id)
    if one.state is IncidentState.CLOSED:
        raise Conflict(say("incident_closed", id=one.id))
    return one


def _open(connection: Connection, incident_id: str) -> Incident:
    one = _unclosed(connection, incident_id)
    if one.state is not IncidentState.OPEN:
        raise Conflict(say("incident_resolved", id=one.id))
    return one


def _act(
    connection: Connection,
    one: Incident,
    kind: str,
    by: str,
    now: datetime,
    values: dict[str, Any],
    **told: Any,
) -> Incident:
    """Change it, and say so in the trail. Return it as it is now."""
    if values:
        mine = INCIDENT.c.id == one.id
        connection.execute(update(INCIDENT).where(mine).values(**values))
    incident_tickets.record(connection, one.id, kind, {"by": by, **told}, now)
    return incidents.get(connection, one.id)
