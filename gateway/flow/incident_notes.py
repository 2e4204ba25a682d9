"""The notes that people get about an incident, in French: nothing of any citizen or request."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gateway.catalogue.catalogue import Catalogue
from gateway.core.incident import IncidentRules, Party
from gateway.core.ticket import OPENED as BEGUN
from gateway.core.ticket import TicketField, TicketRules
from gateway.core.working_time import PARIS
from gateway.flow.incident_texts import (
    ACT,
    COMMUNE_READS,
    HEADINGS,
    NOTICE,
    OPENED,
    OPERATORS,
    RESOLVED,
    TICKET_ENTRIES,
    parties,
    symptoms,
)
from gateway.store.incident_notices import OPERATORS as OPERATORS_OF_ALL
from gateway.store.incident_notices import IncidentNotice
from gateway.store.incident_tickets import OwedEntry
from gateway.store.incidents import Incident

#: Communes named in one note.
_MOST = 60


def note_of(
    one: Incident, notice: IncidentNotice, catalogue: Catalogue, rules: IncidentRules
) -> tuple[str, str]:
    """Return subject and text of a note that is owed."""
    if notice.audience:
        return _for_commune(one, notice, catalogue)
    heading = HEADINGS[notice.step]
    names = [commune_named(insee, catalogue) for insee in one.communes]
    more = f" et {len(names) - _MOST} autres" if len(names) > _MOST else ""
    text = OPERATORS.format(
        id=one.id,
        heading=heading,
        what=symptoms(one.worst).what("fr"),
        cause=one.cause,
        since=paris_time(one.begun_at),
        severity=one.severity.value,
        party=parties(one.party).what("fr"),
        communes=", ".join(names[:_MOST]) + more or "aucune",
        deadline=paris_time(one.deadline(rules)),
    )
    return f"Toodego, incident {one.severity.value} {one.id} : {heading}", text


def ticket_payload(
    one: Incident, entry: OwedEntry, catalogue: Catalogue, rules: TicketRules
) -> dict[str, str]:
    """Return what the tool is told of an entry, under its own names."""
    deadline = one.deadline(catalogue.settings.incidents)
    notice = entry.notice
    creates = entry.ticket.taken_at is None
    what = symptoms(one.worst).what("fr")
    if creates:
        opened = replace(notice, audience=OPERATORS_OF_ALL, step=BEGUN)
        _, text = note_of(one, opened, catalogue, catalogue.settings.incidents)
    else:
        text = _entry(one, entry)
    told = {
        TicketField.TITLE: f"Toodego, incident {one.severity.value} {one.id} : {what}",
        TicketField.TEXT: text,
        TicketField.INCIDENT: one.id,
        TicketField.STEP: notice.step,
        TicketField.KIND: one.kind.value,
        TicketField.SEVERITY: one.severity.value,
        TicketField.PARTY: one.party.value,
        TicketField.STATE: one.state.value,
        TicketField.CAUSE: one.cause,
        TicketField.COMMUNES: ", ".join(commune_named(c, catalogue) for c in one.communes[:_MOST]),
        TicketField.SINCE: one.begun_at.isoformat(),
        TicketField.DEADLINE: "" if deadline is None else deadline.isoformat(),
    }
    return {name: told[field] for name, field in rules.fields}


def _entry(one: Incident, entry: OwedEntry) -> str:
    """Return an entry of the trail for the ticket, without the names of those who act."""
    said = TICKET_ENTRIES.get(entry.notice.step, entry.notice.step)
    data = entry.data
    lines = [said.format(severity=data.get("to") or data.get("severity") or one.severity.value)]
    lines += [str(data[name]) for name in ("text", "commune", "because") if data.get(name)]
    return "\n".join(lines)


def security_notice(one: Incident, rules: IncidentRules) -> str:
    """Return the notice of an attack, ready to be completed and sent, with what is to be done."""
    return NOTICE.format(
        id=one.id,
        since=paris_time(one.begun_at),
        what=symptoms(one.worst).what("fr"),
        words=", ".join(one.words),
        cause=one.cause,
        last=paris_time(one.last_seen_at),
        times=one.times,
        deadline=paris_time(one.deadline(rules)),
    )


def _for_commune(one: Incident, notice: IncidentNotice, catalogue: Catalogue) -> tuple[str, str]:
    commune = commune_named(notice.audience, catalogue)
    what = COMMUNE_READS.get(one.worst) or symptoms(one.worst).what("fr")
    told = {
        "id": one.id,
        "commune": commune,
        "what": what,
        "since": paris_time(one.begun_at),
        "severity": one.severity.value,
        "party": parties(one.party).what("fr"),
    }
    if notice.step == "resolved":
        text = RESOLVED.format(**told, until=paris_time(one.resolved_at or one.closed_at))
        return f"Toodego, {commune} : incident résolu ({one.id})", text
    act = ACT.format(where="sa GRU") if one.party is Party.COMMUNE else ""
    again = " de nouveau" if one.returns else ""
    return f"Toodego, {commune} : incident{again} en cours ({one.id})", OPENED.format(
        **told, act=act
    )


def commune_named(insee: str, catalogue: Catalogue) -> str:
    """Return a commune's name and code; its code alone where it is not known."""
    found = catalogue.communes.get(insee) or catalogue.unreleased.get(insee)
    refused = catalogue.refused.get(insee)
    name = found.name if found is not None else refused.name if refused is not None else ""
    return f"{name} ({insee})" if name else insee


def paris_time(value: datetime | None) -> str:
    """Return a time of Paris, for people."""
    return "aucune" if value is None else f"{value.astimezone(PARIS):%d/%m/%Y à %H:%M}"


__all__ = ["commune_named", "note_of", "paris_time", "security_notice", "ticket_payload"]
