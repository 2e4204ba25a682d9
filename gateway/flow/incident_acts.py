"""The acts of people on incidents, beside a running daemon or without one. Each is an entry of the
trail. All raise NotFound, and Conflict for what cannot be done to the incident as it is."""

from __future__ import annotations

from datetime import datetime

from gateway.core.incident import Party, Severity
from gateway.store import incident_acts, incident_tickets
from gateway.store.engine import Store
from gateway.store.incidents import Incident


async def acknowledge(store: Store, incident: str, by: str, *, now: datetime) -> Incident:
    """Note who has seen it."""
    return await store.write(incident_acts.acknowledge, incident, by, now=now)


async def assign(store: Store, incident: str, to: str, by: str, *, now: datetime) -> Incident:
    """Note who works on it."""
    return await store.write(incident_acts.assign, incident, to, by, now=now)


async def set_severity(
    store: Store, incident: str, severity: Severity, because: str, by: str, *, now: datetime
) -> Incident:
    """Change how grave it is, and so its deadline."""
    return await store.write(incident_acts.set_severity, incident, severity, because, by, now=now)


async def pause(
    store: Store, incident: str, commune: str, because: str, by: str, *, now: datetime
) -> Incident:
    """Stop its clock while a commune must act."""
    return await store.write(incident_acts.pause, incident, commune, because, by, now=now)


async def resume(store: Store, incident: str, by: str, *, now: datetime) -> Incident:
    """Have its clock run again."""
    return await store.write(incident_acts.resume, incident, by, now=now)


async def comment(store: Store, incident: str, text: str, by: str, *, now: datetime) -> Incident:
    """Add a word to it, which its ticket gets as well."""
    return await store.write(incident_acts.comment, incident, text, by, now=now)


async def settle_ticket(
    store: Store, incident: str, number: str | None, by: str, *, now: datetime
) -> Incident:
    """Settle the entry that waits first for its ticket: it is there, or need not be."""
    return await store.write(incident_tickets.settle_by_hand, incident, number, by, now=now)


async def note_notified(
    store: Store, incident: str, to: str, by: str, *, now: datetime
) -> Incident:
    """Note that an attack was notified."""
    return await store.write(incident_acts.note_notified, incident, to, by, now=now)


async def close(
    store: Store,
    incident: str,
    because: str,
    by: str,
    *,
    now: datetime,
    party: Party | None = None,
    post_mortem: str | None = None,
) -> Incident:
    """Close it: nobody has anything more to do. The communes that it hit are told."""
    return await store.write(
        incident_acts.close, incident, because, by, now=now, party=party, post_mortem=post_mortem
    )
