"""*Incidents*: what is amiss, by when it must be solved; and one of them, from end to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.console.sight import MOST, Sight, TownName
from gateway.console.sight_incidents import (
    IncidentMoment,
    IncidentNote,
    IncidentTicketPart,
    moments_of,
    notes_of,
    ticket_of,
)
from gateway.console.views.view import View
from gateway.core import reasons
from gateway.core.console import ConsoleRole
from gateway.core.incident import IncidentKind, IncidentState
from gateway.flow.incident_notes import security_notice
from gateway.flow.incident_texts import COMMUNE_READS, symptoms
from gateway.store.incidents import Incident


@dataclass(frozen=True, slots=True)
class IncidentClock:
    """The convention's clock on an incident. `due` is None without a bound, and while it stands
    still. `late`: the time is spent; `over`: it counts no more."""

    due: datetime | None
    left_seconds: float | None
    late: bool
    over: bool
    still: bool
    walls: bool


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident of the list."""

    incident: Incident
    what: str
    severity: str
    communes: tuple[str, ...]
    clock: IncidentClock


@dataclass(frozen=True, slots=True)
class IncidentList:
    """The page. `everything`: those that are over too."""

    lines: tuple[IncidentLine, ...]
    everything: bool
    commune: str
    towns: tuple[TownName, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """The page of one. `notice` is the text to notify an attack with; `may`: its acts that can be
    done as it is."""

    title: str
    incident: Incident
    what: tuple[str, ...]
    cure: str
    reason: str
    severity: str
    clock: IncidentClock
    communes: tuple[TownName, ...]
    notes: tuple[IncidentNote, ...]
    moments: tuple[IncidentMoment, ...]
    ticket: IncidentTicketPart | None
    notice: str
    may: tuple[str, ...]


async def load_incidents(sight: Sight, query: Mapping[str, str]) -> IncidentList:
    """List the incidents that hit the reader's communes. Raises NotFound."""
    commune, everything = query.get("commune", ""), query.get("etat") == "tous"
    found = await sight.incidents(everything=everything, commune=commune or None)
    return IncidentList(
        tuple(_line(sight, one) for one in found),
        everything,
        commune,
        tuple(sight.towns()),
        len(found) >= MOST,
    )


def _line(sight: Sight, one: Incident) -> IncidentLine:
    names = tuple(sight.name_of(insee) for insee in one.communes)
    return IncidentLine(
        one, said_to(sight, one.worst), severity_word(one), names, clock_of(sight, one)
    )


def said_to(sight: Sight, word: str) -> str:
    """Return a symptom in French: as a commune reads it, or as the operators do."""
    told = COMMUNE_READS.get(word) if sight.reader.role is ConsoleRole.AGENT else None
    return told or symptoms(word).what("fr")


def severity_word(one: Incident) -> str:
    """Return the word for how grave an incident is, an attack's own one included."""
    return one.kind.value if one.kind is IncidentKind.SECURITY else one.severity.value


def clock_of(sight: Sight, one: Incident) -> IncidentClock:
    """Return the clock of an incident, now."""
    rules = sight.engine.incidents.rules
    left = one.left(rules, sight.now)
    return IncidentClock(
        one.deadline(rules),
        None if left is None else left.total_seconds(),
        left is not None and left < timedelta(),
        one.solved_at is not None,
        one.paused is not None,
        one.kind is IncidentKind.SECURITY,
    )


async def load_incident(sight: Sight, query: Mapping[str, str]) -> IncidentPage:
    """Return an incident that hits one of the reader's communes. Raises NotFound."""
    one = await sight.incident(query.get("id", ""))
    operates = sight.reader.role is not ConsoleRole.AGENT
    attack = one.kind is IncidentKind.SECURITY
    return IncidentPage(
        title=f"Incident {one.id}",
        incident=one,
        what=tuple(said_to(sight, word) for word in dict.fromkeys([one.worst, *one.words])),
        cure=symptoms(one.worst).remedy("fr") if operates else "",
        reason=reasons.of(one.reason).said.what("fr") if one.reason else "",
        severity=severity_word(one),
        clock=clock_of(sight, one),
        communes=tuple(sight.town(insee) for insee in one.communes if _is_here(sight, insee)),
        notes=await notes_of(sight, one),
        moments=await moments_of(sight, one),
        ticket=await ticket_of(sight, one),
        notice=security_notice(one, sight.engine.incidents.rules) if attack else "",
        may=_may(one),
    )


def _is_here(sight: Sight, insee: str) -> bool:
    return any(town.insee == insee for town in sight.towns())


def _may(one: Incident) -> tuple[str, ...]:
    """Name the acts that can be done to it as it is; each looks again when it is done."""
    if one.state is IncidentState.CLOSED:
        return ()
    attack, opened = one.kind is IncidentKind.SECURITY, one.state is IncidentState.OPEN
    found = {
        "incident.ack": one.acked_by is None,
        "incident.assign": True,
        "incident.severity": True,
        "incident.pause": opened and not attack and one.paused is None,
        "incident.resume": opened and one.paused is not None,
        "incident.notified": attack and one.notified_at is None,
        "incident.close": not attack or one.notified_at is not None,
    }
    return tuple(name for name, fits in found.items() if fits)


INCIDENTS: Final = View(
    name="incidents",
    title="Incidents",
    path="/incidents",
    api="/incidents",
    load=load_incidents,
    menu="Incidents",
    live=15,
)
INCIDENT: Final = View(
    name="incident",
    title="Incident",
    path="/incidents/{id}",
    api="/incidents/{id}",
    load=load_incident,
    live=15,
)

__all__ = ["INCIDENT", "INCIDENTS", "clock_of", "said_to", "severity_word"]
