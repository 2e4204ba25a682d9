"""An incident's notes and moves, as a reader may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.console.sight import Sight
from gateway.store import incident_notices, incident_tickets, trail_pages
from gateway.store import incidents as stored
from gateway.store.incidents import Incident
from gateway.store.trail import TrailEntry
from gateway.store.trail_pages import TrailFilter

#: Moves of one incident that are shown.
_MOST: Final = 500
_MOVES: Final = {
    "opened": "Ouvert",
    "reopened": "Revenu : l'incident reprend",
    "worse": "Aggravé",
    "warned": "L'échéance approche",
    "breached": "L'échéance est dépassée",
    "resolved": "Résolu : plus aucun symptôme",
    "acknowledged": "Pris en charge",
    "assigned": "Confié à quelqu'un",
    "severity": "Gravité changée",
    "paused": "Délai suspendu : une commune doit agir",
    "resumed": "Le délai court de nouveau",
    "notified": "Attaque notifiée",
    "closed": "Clos",
}


@dataclass(frozen=True, slots=True)
class IncidentMoment:
    """A thing that happened to an incident. `more` are values that belong to it."""

    at: datetime
    kind: str
    what: str
    by: str
    because: str
    more: str


@dataclass(frozen=True, slots=True)
class IncidentNote:
    """A note that somebody got, or is to get. `insee`: the commune; empty: the operators."""

    insee: str
    audience: str
    step: str
    state: str
    at: datetime
    attempts: int
    failure: str


@dataclass(frozen=True, slots=True)
class TicketAnswer:
    """A text that a person wrote in the Métropole's tool."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class IncidentTicketPart:
    """The ticket of an incident in the Métropole's tool. `number` is empty until the tool has it;
    `word` is the tool's own for its state."""

    number: str
    link: str
    word: str
    answers: tuple[TicketAnswer, ...]


async def ticket_of(sight: Sight, one: Incident) -> IncidentTicketPart | None:
    """Return the ticket of an incident, for who sees all; None where there is none. Raises
    Unavailable."""
    store = sight.engine.store
    found = await store.read(incident_tickets.get, one.id)
    if found is None or not sight.reader.grant.sees_all:
        return None
    answers = await store.read(incident_tickets.answers, one.id)
    link = found.link or ""
    return IncidentTicketPart(
        found.number or "",
        link if link.startswith(("https://", "http://")) else "",
        found.word or "",
        tuple(TicketAnswer(answer.at, answer.text) for answer in answers),
    )


async def notes_of(sight: Sight, one: Incident) -> tuple[IncidentNote, ...]:
    """Return who was told of an incident that the reader sees: an agent learns of their communes'
    notes. Raises Unavailable."""
    found = await sight.engine.store.read(incident_notices.of_incident, one.id)
    return tuple(
        IncidentNote(
            insee=note.audience,
            audience=sight.name_of(note.audience) if note.audience else "l'exploitation",
            step=_MOVES.get(note.step.partition("_")[0], note.step),
            state=note.state,
            at=note.sent_at or note.created_at,
            attempts=note.attempts,
            failure=note.failure or "",
        )
        for note in found
        if note.audience != incident_tickets.TOOL and sight.sees(note.audience or None)
    )


async def moments_of(sight: Sight, one: Incident) -> tuple[IncidentMoment, ...]:
    """Return all that happened to an incident that the reader sees, oldest first. Raises
    Unavailable."""
    wanted = TrailFilter([stored.STREAM], naming=[one.id])
    found = await sight.engine.store.read(trail_pages.last_entries, wanted, _MOST)
    whole = await sight.sees_whole(one.id)
    return tuple(
        _moment(sight, e, whole) for e in reversed(found) if e.data.get("incident") == one.id
    )


def _moment(sight: Sight, entry: TrailEntry, whole: bool) -> IncidentMoment:
    """Return an entry. Of an incident that hits other communes too (not `whole`), an agent learns
    no person's words, which may name these, and no commune that is not theirs."""
    data = entry.data
    what = _MOVES.get(entry.kind, entry.kind)
    if not whole and not sight.sees(_one(data, "commune")):
        return IncidentMoment(entry.at, entry.kind, what, "", "", "")
    said = [sight.name_of(insee) for insee in _communes(data) if sight.sees(insee)]
    if entry.kind == "severity":
        said = [f"{_text(data, 'from')} → {_text(data, 'to')}"]
    elif "to" in data:
        said = [_text(data, "to")]
    by, because = _text(data, "by"), _text(data, "because")
    return IncidentMoment(entry.at, entry.kind, what, by, because, ", ".join(said))


def _communes(data: Any) -> list[str]:
    named = data.get("communes", [])
    every = [*(named if isinstance(named, list) else []), data.get("commune")]
    return [one for one in every if isinstance(one, str)]


def _one(data: Any, name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None


def _text(data: Any, name: str) -> str:
    return _one(data, name) or ""


__all__ = [
    "IncidentMoment",
    "IncidentNote",
    "IncidentTicketPart",
    "moments_of",
    "notes_of",
    "ticket_of",
]
