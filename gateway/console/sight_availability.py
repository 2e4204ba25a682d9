"""The availability of a month and the announcements, as a reader may see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from gateway.console.sight import MOST, Sight
from gateway.core.errors import NotFound
from gateway.core.working_time import PARIS
from gateway.flow import announcements
from gateway.flow.announcements import Announcement
from gateway.flow.availability import MonthFigures, month_figures

#: The months that a reader may ask for, back from the present one: the ledger is kept three years.
MONTHS = 36


async def month_of_theirs(sight: Sight, month: date) -> MonthFigures:
    """Return the figures of a month: of every service, and of the reader's communes alone. Raises
    Unavailable."""
    rules = sight.engine.incidents.rules
    found = await month_figures(sight.engine.store, month, sight.now, rules)
    communes = tuple(
        replace(
            one,
            incidents=tuple(
                replace(judged, incident=sight.as_theirs(judged.incident))
                for judged in one.incidents
            ),
        )
        for one in found.communes
        if sight.sees(one.scope.commune)
    )
    mine = [_as_theirs(sight, one) for one in found.announced]
    return replace(found, communes=communes, announced=tuple(one for one in mine if one.communes))


async def share_of(sight: Sight, insee: str) -> float | None:
    """Return the availability of a commune this month, in percent; None while no ledger is kept.
    Raises NotFound and Unavailable."""
    sight.theirs(insee)
    rules, now = sight.engine.incidents.rules, sight.now
    month = now.astimezone(PARIS).date()
    found = await month_figures(sight.engine.store, month, now, rules, insee)
    shares = [one.minutes.share for one in found.communes if one.minutes.share is not None]
    return percent(min(shares)) if shares else None


def percent(share: float) -> float:
    """Return a share in percent, cut, not rounded: 99.8999 % is not 99.9 %."""
    return int(share * 100_000 + 1e-6) / 1000


def town_names(sight: Sight) -> Mapping[str, str]:
    """Return the names of the reader's communes."""
    return {one.insee: one.name for one in sight.towns()}


async def announced(sight: Sight, *, everything: bool = False) -> list[Announcement]:
    """List the announcements that concern the reader's communes. Raises Unavailable."""
    store = sight.engine.store
    found = await announcements.announcements_of(
        store, None, sight.now, everything=everything, limit=MOST
    )
    mine = [_as_theirs(sight, one) for one in found]
    return [one for one in mine if one.communes or sight.reader.grant.sees_all]


async def announcement_of(sight: Sight, which: str) -> Announcement:
    """Return one that concerns the reader. Raises NotFound."""
    one = _as_theirs(sight, await announcements.read_announcement(sight.engine.store, which))
    if not (one.communes or sight.reader.grant.sees_all):
        raise NotFound("no such announcement")
    return one


def _as_theirs(sight: Sight, one: Announcement) -> Announcement:
    return replace(one, communes=tuple(c for c in one.communes if sight.sees(c.commune)))


__all__ = ["MONTHS", "announced", "announcement_of", "month_of_theirs", "percent", "town_names"]
__all__ += ["share_of"]
