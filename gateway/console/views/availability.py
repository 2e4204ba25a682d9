"""*Disponibilité*: the minutes of a month by whose they are, against the convention; and what is
announced."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from gateway.console.sight import Sight
from gateway.console.sight_availability import (
    MONTHS,
    announced,
    month_of_theirs,
    percent,
    town_names,
)
from gateway.console.views.view import ConsoleFile, View
from gateway.contracts.availability_page import month_page, month_rows
from gateway.contracts.report import month_name
from gateway.core.availability import MinuteVerdict
from gateway.core.errors import Rejected
from gateway.core.working_time import PARIS
from gateway.flow.announcements import Announcement
from gateway.flow.availability import MonthFigures, ScopeMonth

_DOWN: Final = (
    MinuteVerdict.GATEWAY,
    MinuteVerdict.PORTAL,
    MinuteVerdict.GLC,
    MinuteVerdict.COMMUNE,
    MinuteVerdict.ANNOUNCED,
)


@dataclass(frozen=True, slots=True)
class AvailabilityLine:
    """A service's month, or a commune's (`insee`). `down`: minutes by whose they are, in the order
    of the page. `kept` None: no minute counts; `solved_kept` None: no incident to judge."""

    service: str
    insee: str
    name: str
    share: float | None
    down: tuple[int, ...]
    kept: bool | None
    solved: int
    judged: int
    solved_kept: bool | None


@dataclass(frozen=True, slots=True)
class AvailabilityPage:
    """The page. `month` is as in the address; `earlier` and `later` are its neighbours."""

    title: str
    month: str
    earlier: str
    later: str
    since: datetime
    until: datetime
    services: tuple[AvailabilityLine, ...]
    communes: tuple[AvailabilityLine, ...]


@dataclass(frozen=True, slots=True)
class ConcernedTown:
    """A commune that an announcement concerns: when it was told, who read it."""

    insee: str
    name: str
    told_at: datetime | None
    in_time: bool
    read_at: datetime | None
    read_by: str
    target: str


@dataclass(frozen=True, slots=True)
class AnnouncementLine:
    """An announcement."""

    id: str
    kind: str
    state: str
    title: str
    body: str
    starts_at: datetime
    ends_at: datetime | None
    announced_at: datetime
    by: str
    because: str
    towns: tuple[ConcernedTown, ...]


@dataclass(frozen=True, slots=True)
class AnnouncementsPage:
    """The page."""

    lines: tuple[AnnouncementLine, ...]
    everything: bool


async def load_availability(sight: Sight, query: Mapping[str, str]) -> AvailabilityPage:
    """Return a month. Raises Rejected for one that is none."""
    month = _month(sight, query.get("mois", ""))
    found, names = await month_of_theirs(sight, month), town_names(sight)
    present = sight.now.astimezone(PARIS).date().replace(day=1)
    return AvailabilityPage(
        title=f"Disponibilité de {month_name(month)}",
        month=f"{month:%Y-%m}",
        earlier=f"{_moved(month, -1):%Y-%m}" if _age(present, month) < MONTHS else "",
        later=f"{_moved(month, 1):%Y-%m}" if month < present else "",
        since=found.since,
        until=found.until,
        services=tuple(_line(one, names) for one in found.services),
        communes=tuple(_line(one, names) for one in found.communes),
    )


def _line(one: ScopeMonth, names: Mapping[str, str]) -> AvailabilityLine:
    minutes, insee = one.minutes, one.scope.commune
    share = minutes.share
    return AvailabilityLine(
        one.scope.service,
        insee,
        names.get(insee, insee),
        None if share is None else percent(share),
        tuple(map(minutes.of, _DOWN)),
        minutes.kept,
        one.solved,
        one.judged,
        one.solved_kept,
    )


async def load_sheet(sight: Sight, query: Mapping[str, str]) -> ConsoleFile:
    """Return a month as rows for a French spreadsheet. Raises Rejected."""
    found = await _figures(sight, query)
    text = "".join(month_rows(found, town_names(sight)))
    return ConsoleFile(f"disponibilite-{found.month:%Y-%m}.csv", "text/csv", text)


async def load_report(sight: Sight, query: Mapping[str, str]) -> ConsoleFile:
    """Return a month as a page of A4. Raises Rejected."""
    found = await _figures(sight, query)
    html = await asyncio.to_thread(month_page, found, dict(town_names(sight)), sight.now)
    return ConsoleFile(f"disponibilite-{found.month:%Y-%m}.html", "text/html", html)


async def _figures(sight: Sight, query: Mapping[str, str]) -> MonthFigures:
    return await month_of_theirs(sight, _month(sight, query.get("mois", "")))


def _month(sight: Sight, told: str) -> date:
    """Return the first day of a month, of Paris. Raises Rejected."""
    present = sight.now.astimezone(PARIS).date().replace(day=1)
    if not told:
        return present
    try:
        found = date.fromisoformat(f"{told}-01")
    except ValueError:
        raise Rejected(400, "bad_month", "Un mois s'écrit comme 2026-11.") from None
    if not 0 <= _age(present, found) <= MONTHS:
        raise Rejected(400, "bad_month", "Ce mois n'est pas au registre.")
    return found


def _age(present: date, month: date) -> int:
    return (present.year - month.year) * 12 + present.month - month.month


def _moved(month: date, by: int) -> date:
    year, at = divmod(month.year * 12 + month.month - 1 + by, 12)
    return date(year, at + 1, 1)


async def load_announcements(sight: Sight, query: Mapping[str, str]) -> AnnouncementsPage:
    """List what is announced to the reader's communes."""
    everything = query.get("etat") == "tous"
    found = await announced(sight, everything=everything)
    return AnnouncementsPage(tuple(_announcement(sight, one) for one in found), everything)


def _announcement(sight: Sight, one: Announcement) -> AnnouncementLine:
    towns = tuple(
        ConcernedTown(
            c.commune,
            sight.name_of(c.commune),
            c.told_at,
            one.told_in_time(c),
            c.read_at,
            c.read_by or "",
            f"{one.id}:{c.commune}",
        )
        for c in one.communes
    )
    return AnnouncementLine(
        one.id,
        one.kind.value,
        one.state(sight.now).value,
        one.title,
        one.body,
        one.starts_at,
        one.until,
        one.announced_at,
        one.by,
        one.because or "",
        towns,
    )


AVAILABILITY: Final = View(
    name="availability",
    title="Disponibilité",
    path="/disponibilite",
    api="/availability",
    load=load_availability,
    menu="Disponibilité",
)
AVAILABILITY_SHEET: Final = View(
    name="availability_sheet",
    title="Disponibilité (CSV)",
    path="/disponibilite/csv",
    api="/availability/csv",
    load=load_sheet,
)
AVAILABILITY_REPORT: Final = View(
    name="availability_report",
    title="Disponibilité (page à imprimer)",
    path="/disponibilite/page",
    api="/availability/page",
    load=load_report,
)
ANNOUNCEMENTS: Final = View(
    name="announcements",
    title="Annonces",
    path="/annonces",
    api="/announcements",
    load=load_announcements,
    menu="Annonces",
)

__all__ = ["ANNOUNCEMENTS", "AVAILABILITY", "AVAILABILITY_REPORT", "AVAILABILITY_SHEET"]
