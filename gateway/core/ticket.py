"""A ticket: what the tool of the Métropole is told of an incident. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.request import EventKind


class TicketField(StrEnum):
    """A value that a ticket, or a later entry of it, is made of. None names a citizen.

    step: the word of what happened. communes: the names of those hit. since, deadline: times, in
    ISO 8601 (deadline: empty without one)."""

    TITLE = "title"
    TEXT = "text"
    INCIDENT = "incident"
    STEP = "step"
    KIND = "kind"
    SEVERITY = "severity"
    PARTY = "party"
    STATE = "state"
    CAUSE = "cause"
    COMMUNES = "communes"
    SINCE = "since"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class TicketRules:
    """`fields`: our values by the tool's names. `closed`: its words for what is over, by which ours
    is closed too with `closes`. `ask`: after a lost answer the tool is asked."""

    fields: tuple[tuple[str, TicketField], ...]
    closed: frozenset[str]
    closes: bool
    ask: bool


#: The entries of an incident's trail that end its ticket, and those that change it. The others are
#: comments.
_ENDS = frozenset({"resolved", "closed"})
_CHANGES = frozenset({"worse", "severity", "reopened"})
OPENED = "opened"
COMMENTED = "commented"


def event_of(step: str) -> EventKind:
    """Return the adapter's word for an entry: a cancellation closes the ticket."""
    if step in _ENDS:
        return EventKind.CANCELLATION
    return EventKind.CHANGE if step in _CHANGES else EventKind.MESSAGE


def ticket_reference(incident_id: str) -> str:
    """Return our reference in the tool, in the form that adapters know."""
    return f"TDG-{incident_id.removeprefix('INC-')}"


def entry_key(incident_id: str, n: int) -> str:
    """Return the key of an entry: the same each time that it is sent."""
    return f"{incident_id}-{n}"


__all__ = ["COMMENTED", "OPENED", "TicketField", "TicketRules"]
__all__ += ["entry_key", "event_of", "ticket_reference"]
