"""The availability of a month for people and spreadsheets: a French page to print, rows, JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.contracts.report import french, month_name, render_page
from gateway.contracts.spreadsheet import BEGIN, sheet_row
from gateway.core.availability import Availability, MinuteVerdict
from gateway.core.incident import IncidentRules
from gateway.core.lane_name import portal_of
from gateway.flow.availability import JudgedIncident, MonthFigures, ScopeMonth
from gateway.flow.incident_texts import parties, symptoms

_PARTIES = (
    MinuteVerdict.GATEWAY,
    MinuteVerdict.PORTAL,
    MinuteVerdict.GLC,
    MinuteVerdict.COMMUNE,
    MinuteVerdict.ANNOUNCED,
)
_HEADINGS = (
    *("mois", "service", "commune", "nom", "minutes", "passerelle", "portail", "GLC"),
    *("côté commune", "maintenance annoncée", "disponibilité %", "vue de l'usager %", "engagement"),
    *("incidents jugés", "résolus à temps", "engagement incidents"),
)
_KEPT = {True: "tenu", False: "non tenu", None: "sans objet"}


@dataclass(frozen=True, slots=True)
class _Row:
    """A service or commune as the page tells it."""

    name: str
    code: str
    minutes: Availability
    share: str
    seen: str
    down: tuple[int, ...]
    kept: bool | None
    solved: str
    solved_kept: bool | None


@dataclass(frozen=True, slots=True)
class _IncidentRow:
    """An incident as the page tells it."""

    id: str
    what: str
    severity: str
    party: str
    communes: str
    begun: str
    solved: str
    deadline: str
    kept: str
    good: bool | None


def month_page(figures: MonthFigures, names: Mapping[str, str], now: datetime) -> str:
    """Return the page (HTML, A4). `names` are those of communes."""
    every = (*figures.services, *figures.communes)
    found = {one.incident.id: one for scope in figures.communes for one in scope.incidents}
    judged = [kept for one in every for kept in (one.minutes.kept, one.solved_kept)]
    return render_page(
        "availability.html.j2",
        month=month_name(figures.month),
        services=[_row(one, names) for one in figures.services],
        communes=[_row(one, names) for one in figures.communes],
        incidents=[_incident_row(one, names) for one in found.values()],
        announced=figures.announced,
        over=figures.until >= now,
        good=False not in judged,
        until=figures.until,
        report={"at": now},
        words=_KEPT,
    )


def month_rows(figures: MonthFigures, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the rows of a spreadsheet, with their heading."""
    yield BEGIN + sheet_row(_HEADINGS)
    for one in (*figures.services, *figures.communes):
        minutes, insee = one.minutes, one.scope.commune
        yield sheet_row(
            (
                f"{figures.month:%Y-%m}",
                one.scope.service,
                insee,
                names.get(insee, ""),
                minutes.total,
                *map(minutes.of, _PARTIES),
                _percent(minutes.share),
                _percent(minutes.seen_share),
                _KEPT[minutes.kept],
                one.judged,
                one.solved,
                _KEPT[one.solved_kept],
            )
        )


def month_json(figures: MonthFigures, rules: IncidentRules, now: datetime) -> dict[str, Any]:
    """Return the month for scripts."""
    return {
        "month": f"{figures.month:%Y-%m}",
        "since": figures.since,
        "until": figures.until,
        "services": [_scope_json(one, rules, now) for one in figures.services],
        "communes": [_scope_json(one, rules, now) for one in figures.communes],
        "announced": [one.id for one in figures.announced],
    }


def _scope_json(one: ScopeMonth, rules: IncidentRules, now: datetime) -> dict[str, Any]:
    minutes = one.minutes
    return {
        "service": one.scope.service,
        "commune": one.scope.commune or None,
        "minutes": minutes.total,
        "down": {verdict.value: minutes.of(verdict) for verdict in _PARTIES},
        "availability": _cut(minutes.share),
        "availability_seen": _cut(minutes.seen_share),
        "kept": minutes.kept,
        "incidents_judged": one.judged,
        "incidents_solved": one.solved,
        "incidents_kept": one.solved_kept,
        "incidents": [_incident_json(judged, rules, now) for judged in one.incidents],
    }


def _incident_json(one: JudgedIncident, rules: IncidentRules, now: datetime) -> dict[str, Any]:
    incident = one.incident
    left = incident.left(rules, now)
    return {
        "id": incident.id,
        "severity": incident.severity,
        "party": incident.party,
        "begun_at": incident.begun_at,
        "solved_at": incident.solved_at,
        "deadline": one.deadline,
        "left_seconds": None if left is None else round(left.total_seconds()),
        "kept": one.kept,
        "counts": one.counts,
    }


def _row(one: ScopeMonth, names: Mapping[str, str]) -> _Row:
    minutes = one.minutes
    return _Row(
        name=names.get(one.scope.commune, "") if one.scope.commune else _service(one.scope.service),
        code=one.scope.commune,
        minutes=minutes,
        share=_percent(minutes.share),
        seen=_percent(minutes.seen_share),
        down=tuple(map(minutes.of, _PARTIES)),
        kept=minutes.kept,
        solved=f"{one.solved} sur {one.judged}" if one.judged else "aucun",
        solved_kept=one.solved_kept,
    )


def _service(service: str) -> str:
    portal = portal_of(service)
    return "comptes GrandLyon Connect" if portal is None else f"portail {portal}"


def _incident_row(one: JudgedIncident, names: Mapping[str, str]) -> _IncidentRow:
    incident = one.incident
    solved = incident.solved_at
    late = "en cours" if one.counts else "à la commune"
    return _IncidentRow(
        id=incident.id,
        what=symptoms(incident.worst).what("fr"),
        severity=incident.severity.value,
        party=parties(incident.party).what("fr"),
        communes=", ".join(names.get(insee, insee) for insee in incident.communes),
        begun=french(incident.begun_at),
        solved="non résolu" if solved is None else french(solved),
        deadline="sans" if one.deadline is None else french(one.deadline),
        kept=late if one.kept is None or not one.counts else _KEPT[one.kept],
        good=one.kept if one.counts else None,
    )


def _percent(share: float | None) -> str:
    """Return a share in French, cut after three decimals: 99.8999 % is not 99.9 %."""
    cut = None if share is None else _cut(share)
    return "" if cut is None else f"{100 * cut:.3f}".replace(".", ",")


def _cut(share: float | None) -> float | None:
    """Return a share, cut after five decimals."""
    return None if share is None else int(share * 100_000 + 1e-6) / 100_000


__all__ = ["month_json", "month_page", "month_rows"]
