"""The notes of channels: of an incident, of a day, of a trial. In French, and nothing of any
citizen or request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.catalogue.catalogue import Catalogue
from gateway.core.alerting import MARK, parse_audience
from gateway.core.incident import IncidentKind, IncidentState, Severity
from gateway.flow.incident_notes import commune_named, note_of, paris_time
from gateway.flow.incident_texts import DIGEST, DIGEST_LINE, TRIAL, parties, symptoms
from gateway.store.incident_notices import OPERATORS, IncidentNotice
from gateway.store.incidents import Incident

#: Incidents named in a digest.
_MOST = 50


@dataclass(frozen=True, slots=True)
class WrittenNote:
    """A note for people, and `data` for programs. `urgent`: it goes through quiet hours."""

    title: str
    text: str
    data: Mapping[str, Any]
    urgent: bool


def reader_of(notice: IncidentNotice) -> str:
    """Return the commune that a note is for; `OPERATORS` for the Métropole."""
    audience = notice.audience
    return parse_audience(audience)[1] if audience.startswith(MARK) else audience


def incident_note(one: Incident, notice: IncidentNotice, catalogue: Catalogue) -> WrittenNote:
    """Return the note about an incident."""
    rules = catalogue.settings.incidents
    reader = reader_of(notice)
    title, text = note_of(one, replace(notice, audience=reader), catalogue, rules)
    deadline = one.deadline(rules)
    data = {
        "incident": one.id,
        "step": notice.step,
        "kind": one.kind.value,
        "severity": one.severity.value,
        "state": one.state.value,
        "party": one.party.value,
        "symptom": one.worst.value,
        "cause": one.cause,
        "communes": [reader] if reader != OPERATORS else list(one.communes),
        "since": one.begun_at.isoformat(),
        "resolved": None if one.resolved_at is None else one.resolved_at.isoformat(),
        "deadline": None if deadline is None else deadline.isoformat(),
        "title": title,
        "text": text,
    }
    attack = one.kind is IncidentKind.SECURITY
    return WrittenNote(title, text, data, attack or one.severity is Severity.BLOQUANT)


def digest_note(
    found: Sequence[Incident], reader: str, day: datetime, catalogue: Catalogue
) -> WrittenNote:
    """Return the note about what is open, and what ended since the day before."""
    rules = catalogue.settings.incidents
    going_on = [one for one in found if one.state is IncidentState.OPEN]
    over = [one for one in found if one.state is not IncidentState.OPEN]
    lines = [
        DIGEST_LINE.format(
            id=one.id,
            severity=one.severity.value,
            what=symptoms(one.worst).what("fr"),
            party=parties(one.party).what("fr"),
            since=paris_time(one.begun_at),
            until=paris_time(one.resolved_at or one.closed_at or one.deadline(rules)),
            word="fin" if one in over else "échéance",
        )
        for one in (*going_on, *over)[:_MOST]
    ]
    whose = "" if reader == OPERATORS else f", {commune_named(reader, catalogue)}"
    title = f"Toodego{whose} : {len(going_on)} en cours, {len(over)} finis depuis hier"
    text = DIGEST.format(day=paris_time(day), lines="\n".join(lines))
    data = {
        "open": [one.id for one in going_on],
        "over": [one.id for one in over],
        "title": title,
        "text": text,
    }
    return WrittenNote(title, text, data, urgent=True)


def trial_note(at: datetime) -> WrittenNote:
    """Return the note of a trial."""
    text = TRIAL.format(at=paris_time(at))
    title = "Toodego : essai de l'alerte, rien à faire"
    return WrittenNote(title, text, {"title": title, "text": text}, urgent=True)


__all__ = ["WrittenNote", "digest_note", "incident_note", "reader_of", "trial_note"]
