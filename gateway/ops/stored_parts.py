"""Parts of health that the database has: drifted forms, and incidents."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from gateway.catalogue.ticketing import TICKETING
from gateway.core.incident import IncidentKind
from gateway.flow.alerts import SWITCH
from gateway.flow.engine import Engine
from gateway.flow.incident_texts import symptoms
from gateway.ops.shapes import (
    DriftedForm,
    DriftPart,
    IncidentsPart,
    IncidentSummary,
    Overall,
    TellingPart,
    TicketingPart,
)
from gateway.store import alerts, cursors, forms, incident_notices, incident_tickets, incidents

#: Incidents listed at once.
_LISTED = 200
#: An entry that waits for so long shows that the tool takes none.
BEHIND = timedelta(minutes=15)


async def drift_part(engine: Engine) -> DriftPart:
    """Return the findings of the last look at forms. Those without a route do not count. Raises
    Unavailable."""
    known = await engine.store.read(forms.forms)
    found: list[DriftedForm] = []
    routed = {(c.portal, slug) for c in engine.catalogue.communes.values() for slug in c.routes}
    for form in known:
        name = (form.portal, form.teleservice)
        if name not in routed:
            continue
        if form.failure is not None:
            found.append(DriftedForm(*name, "unread", form.failure, "could not be read", (), ()))
        for one in form.drift:
            places = tuple(f"{place['file']}:{place['line']}" for place in one["places"])
            kind, what, detail = (str(one[key]) for key in ("kind", "what", "detail"))
            communes = tuple(one["communes"])
            found.append(DriftedForm(*name, kind, what, detail, places, communes))
    return DriftPart(Overall.DEGRADED if found else Overall.OK, tuple(found))


async def incident_summaries(engine: Engine) -> list[IncidentSummary]:
    """List the incidents that want a person, the last one first. Raises Unavailable."""
    rules, now = engine.incidents.rules, engine.environment.now()
    numbers = await engine.store.read(incident_tickets.numbers)
    return [
        IncidentSummary(
            id=one.id,
            kind=one.kind.value,
            severity=one.severity.value,
            state=one.state.value,
            party=one.party.value,
            cause=one.cause,
            symptom=one.worst.value,
            says=symptoms(one.worst).what(),
            communes=one.communes,
            since=one.begun_at,
            deadline=(due := one.deadline(rules)),
            paused=one.paused is not None,
            overdue=due is not None and due < (one.solved_at or now),
            ticket=numbers.get(one.id),
        )
        for one in await engine.store.read(incidents.opened, limit=_LISTED)
    ]


async def incidents_part(engine: Engine, now: datetime) -> IncidentsPart:
    """Return the open incidents, by severity; attacks count apart. Raises Unavailable."""
    rules = engine.incidents.rules
    going_on = await engine.store.read(incidents.going_on)
    counts = Counter(
        one.kind.value if one.kind is IncidentKind.SECURITY else one.severity.value
        for one in going_on
    )
    overdue = [one.id for one in going_on if (due := one.deadline(rules)) and due < now]
    told = [f"{count} {word}" for word, count in sorted(counts.items())]
    if overdue:
        told.append(f"{len(overdue)} past the deadline: incident list")
    return IncidentsPart(
        Overall.DEGRADED if going_on else Overall.OK,
        "; ".join(told),
        dict(sorted(counts.items())),
        len(overdue),
    )


async def telling_part(engine: Engine, now: datetime) -> TellingPart:
    """Return whether people can be told of incidents. Raises Unavailable."""
    since = await engine.store.read(incident_notices.failing_since)
    untold = tuple(await engine.store.read(alerts.untold, now - BEHIND))
    known = await engine.store.read(cursors.get, SWITCH)
    switch = None if known is None else known.failure
    told = []
    if since is not None and now - since >= BEHIND:
        told.append(f"notes wait since {since:%Y-%m-%d %H:%M} UTC: incident notices")
    if untold:
        told.append(f"nobody was told of {', '.join(untold[:3])}")
    if switch is not None:
        told.append(f"the switch was not called: {switch}")
    state = Overall.DEGRADED if told else Overall.OK
    return TellingPart(state, "; ".join(told), since, untold, switch)


async def ticketing_part(engine: Engine, now: datetime) -> TicketingPart | None:
    """Return how the tool of the tickets is; None where there is none. Raises Unavailable."""
    if engine.catalogue.settings.ticketing is None:
        return None
    waiting, since, reason = await engine.store.read(incident_tickets.waiting_since)
    known = await engine.store.read(cursors.get, TICKETING)
    poll = None if known is None else known.failure
    behind = since is not None and now - since >= BEHIND
    told = []
    if behind:
        told.append(f"{waiting} entries wait: {reason or 'not tried yet'}")
    if poll is not None:
        told.append(f"its answers cannot be read: {poll}")
    state = Overall.DEGRADED if told else Overall.OK
    return TicketingPart(state, "; ".join(told), waiting, since, reason, poll)
