"""*Journal*: who did what, and whether what is written there is as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from gateway.console import acting
from gateway.console.sight import Sight, TownName
from gateway.console.sight_trail import STREAMS, JournalEntry, TrailChain, chains, journal
from gateway.console.views.view import View
from gateway.console.words import JOURNAL, PARIS
from gateway.core.console import ConsoleRole
from gateway.core.errors import Rejected

#: Entries of a page, and pages back.
_PAGE: Final = 100
_PAGES: Final = 1000
#: The streams that touch no commune, which are not offered to agents.
_OURS: Final = ("rights",)


@dataclass(frozen=True, slots=True)
class JournalLine:
    """An entry in words. `link` leads to what it concerns, where the console shows it."""

    entry: JournalEntry
    what: str
    link: str
    communes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JournalPage:
    """The page. `number` counts from 0, the last entries first; `more`: there is a further one."""

    lines: tuple[JournalLine, ...]
    chains: tuple[TrailChain, ...]
    intact: bool
    streams: tuple[str, ...]
    towns: tuple[TownName, ...]
    stream: str
    commune: str
    by: str
    since: str
    until: str
    number: int
    more: bool


async def load_journal(sight: Sight, query: Mapping[str, str]) -> JournalPage:
    """Return a page of the trail. Raises NotFound, and Rejected for filters that are none."""
    agent = sight.reader.role is ConsoleRole.AGENT
    streams = tuple(one for one in STREAMS if not (agent and one in _OURS))
    stream, commune = query.get("flux", ""), query.get("commune", "")
    if stream and stream not in streams:
        raise Rejected(400, "bad_stream", "Ce journal n'existe pas.")
    since, until = _day(query.get("du", "")), _day(query.get("au", ""))
    number = _number(query.get("page", ""))
    chosen = (stream,) if stream else streams
    found = await journal(
        sight,
        chosen,
        commune or None,
        query.get("qui", "").strip(),
        since,
        None if until is None else until + timedelta(days=1),
        _PAGE,
        number * _PAGE,
    )
    verified = await chains(sight, chosen)
    return JournalPage(
        lines=tuple(_line(sight, one) for one in found),
        chains=tuple(verified),
        intact=all(one.intact for one in verified),
        streams=streams,
        towns=tuple(sight.towns()),
        stream=stream,
        commune=commune,
        by=query.get("qui", "").strip(),
        since=query.get("du", ""),
        until=query.get("au", ""),
        number=number,
        more=len(found) >= _PAGE,
    )


def _line(sight: Sight, one: JournalEntry) -> JournalLine:
    act = acting.ACTS.get(one.kind)
    what = act.title if act is not None else JOURNAL.get(f"{one.stream}.{one.kind}", one.kind)
    names = tuple(sight.name_of(insee) for insee in one.communes)
    return JournalLine(one, what, _link(one), names)


def _link(one: JournalEntry) -> str:
    for beginning, place in (("INC-", "incidents"), ("TDG-", "demandes")):
        if one.about.startswith(beginning):
            return f"/console/{place}/{one.about}"
    return ""


def _day(told: str) -> datetime | None:
    """Return the beginning of a day in Paris; None for no day. Raises Rejected."""
    if not told:
        return None
    try:
        day = date.fromisoformat(told)
    except ValueError:
        raise Rejected(400, "bad_day", "Une date s'écrit comme 2026-11-28.") from None
    if not 2000 <= day.year <= 2999:
        raise Rejected(400, "bad_day", "Cette date est hors du journal.")
    return datetime(day.year, day.month, day.day, tzinfo=PARIS)


def _number(told: str) -> int:
    if not told:
        return 0
    if not (told.isascii() and told.isdigit() and len(told) <= 4 and int(told) < _PAGES):
        raise Rejected(400, "bad_page", "Cette page n'existe pas.")
    return int(told)


JOURNAL_VIEW: Final = View(
    name="journal",
    title="Journal",
    path="/journal",
    api="/journal",
    load=load_journal,
    menu="Journal",
)

__all__ = ["JOURNAL_VIEW"]
