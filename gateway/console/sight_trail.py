"""The trail as a reader may see it: an agent learns of what touches their communes, and no more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.console.sight import ChainLook, Sight
from gateway.store import (
    announcements,
    console,
    decommissions,
    erasures,
    incidents,
    person,
    releases,
    trail,
    trail_pages,
)
from gateway.store.trail import TrailEntry
from gateway.store.trail_pages import TrailFilter

#: The streams, in the order in which they are offered.
PEOPLE: Final = console.STREAM
STREAMS: Final = (
    PEOPLE,
    releases.STREAM,
    erasures.STREAM,
    incidents.STREAM,
    announcements.STREAM,
    decommissions.STREAM,
    person.STREAM,
    "links",
)
#: Seconds for which a chain without new entries counts as verified.
_FRESH: Final = 300.0
#: Values of one entry that are shown, and characters of each.
_VALUES, _LONGEST = 12, 200
_SHOWN: Final = ("by", "because", "way", "from", "commune", "communes")
_ABOUT: Final = ("incident", "erasure", "announcement", "decommission", "target", "run")


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An entry as a reader may see it. `about` is the id of what it concerns; `more` has the other
    values that the trail keeps, for who sees all."""

    stream: str
    n: int
    at: datetime
    kind: str
    by: str
    way: str
    place: str
    because: str
    about: str
    communes: tuple[str, ...]
    more: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TrailChain:
    """A stream's chain. `faults` are the French words for what does not verify, of who sees all."""

    stream: str
    last: int
    intact: bool
    at: datetime
    faults: tuple[str, ...]


async def journal(
    sight: Sight,
    streams: Collection[str],
    commune: str | None,
    by: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    skip: int,
) -> list[JournalEntry]:
    """List entries, the last one first. Raises NotFound for a commune that is not the reader's."""
    if commune is not None:
        sight.theirs(commune)
    mine = sight.reader.grant.communes if commune is None else frozenset({commune})
    if mine is not None and not mine:
        return []
    wanted = TrailFilter(streams, naming=mine or (), by=by, since=since, until=until)
    found = await sight.engine.store.read(trail_pages.last_entries, wanted, limit, skip)
    return [_entry(sight, e) for e in found if mine is None or mine & {*communes_of(e.data)}]


def _entry(sight: Sight, entry: TrailEntry) -> JournalEntry:
    data, everything = entry.data, sight.reader.grant.sees_all
    named = communes_of(data)
    whole = everything or all(map(sight.sees, named))
    abouts = _ABOUT if whole else ("incident",)
    more = [(name, value) for name, value in data.items() if name not in (*_SHOWN, *_ABOUT)]
    return JournalEntry(
        stream=entry.stream,
        n=entry.n,
        at=entry.at,
        kind=entry.kind,
        by=_text(data.get("by")),
        way=_text(data.get("way")),
        place=_text(data.get("from")) if everything else "",
        because=_text(data.get("because") or data.get("why")) if whole else "",
        about=next((_text(data[name]) for name in abouts if data.get(name)), ""),
        communes=tuple(insee for insee in named if sight.sees(insee)),
        more=tuple((name, _text(v)) for name, v in more[:_VALUES]) if everything else (),
    )


def communes_of(data: Any) -> list[str]:
    """Return the communes that an entry names."""
    several = data.get("communes")
    every = [data.get("commune"), *(several if isinstance(several, list) else [])]
    return list(dict.fromkeys(one for one in every if isinstance(one, str) and one))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


async def chains(sight: Sight, streams: Iterable[str]) -> list[TrailChain]:
    """Verify the chains of streams, each once for all readers and for some minutes. Raises
    Unavailable."""
    store, known, found = sight.engine.store, sight.look.chains, []
    for stream in streams:
        last = await store.read(trail.last_entry, stream)
        now = sight.engine.environment.monotonic()
        chain = known.get(stream)
        if chain is None or chain.last != last or now - chain.looked > _FRESH:
            faults = await store.read(trail.verify, stream)
            said = tuple(fault.message.told("fr") for fault in faults[:_VALUES])
            chain = known[stream] = ChainLook(last, now, sight.now, not faults, said)
        told = chain.faults if sight.reader.grant.sees_all else ()
        found.append(TrailChain(stream, chain.last, chain.intact, chain.at, told))
    return found


__all__ = ["PEOPLE", "STREAMS", "JournalEntry", "TrailChain", "chains", "journal"]
