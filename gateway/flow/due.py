"""Reads at the portal what is due and not here: requests, and what citizens added to them.

A mark that the workflow sets just before its call makes a request due. Other requests of a form do
not concern us. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from gateway.catalogue.catalogue import Catalogue, Teleservice
from gateway.core.errors import Rejected
from gateway.core.outcome import Outcome
from gateway.core.request import EventKind, Json
from gateway.core.sighting import SKEW
from gateway.flow.departures import LEFT
from gateway.flow.far_ends import FarEnds
from gateway.sdk.publik.localtime import parse_local
from gateway.store import cursors, intake
from gateway.store.engine import Store
from gateway.store.intake import KnownRequest, PassedOverRequest
from gateway.wire.event import AnnouncedEvent
from gateway.wire.event_content import spoken
from gateway.wire.history import HistoryEntry, events_in, read_history
from gateway.wire.portal import Page, internal_id

PAGE = 100
#: Requests passed over that one run looks at again.
AGAIN = 500
#: Characters of the numbers in one address. Servers accept some 8 KB, and the sender of a formdata
#: chooses its number.
NAMED = 2_500
#: Windows overlap: clocks differ, and the bounds of a list are in whole seconds.
OVERLAP = timedelta(minutes=10)
SECOND = timedelta(seconds=1)


def names_at_once(refs: Sequence[str]) -> Iterator[list[str]]:
    """Split into parts that fit into an address."""
    part: list[str] = []
    size = 0
    for ref in refs:
        longer = len(quote(ref, safe="")) + 3
        if part and (len(part) == PAGE or size + longer > NAMED):
            yield part
            part, size = [], 0
        part.append(ref)
        size += longer
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class MissingRequest:
    """A request that is missing here as a whole (`created`), or of which later events are. `events`
    are (instant in the history, event), oldest first."""

    ref: str
    commune: str
    due_at: datetime
    created: bool
    events: tuple[tuple[datetime, AnnouncedEvent], ...]
    row: Mapping[str, Json]


@dataclass(slots=True)
class DueFound:
    """The findings of one page of the portal's list.

    `refused` are (id, commune's code, code of the refusal) of due requests without a route.
    `placed` gives, by id, the instants in the history of events that are here. `settled` are
    requests that were passed over and need no look any more.
    """

    missing: list[MissingRequest] = field(default_factory=list)
    refused: list[tuple[str, str | None, str]] = field(default_factory=list)
    placed: dict[str, datetime] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DueReader:
    """Reads what is due. `settle`: changes younger than this are left to their push."""

    store: Store
    far_ends: FarEnds
    settle: timedelta

    @property
    def catalogue(self) -> Catalogue:
        return self.far_ends.catalogue

    async def read(
        self, portal: str, teleservice: Teleservice, now: datetime
    ) -> AsyncIterator[DueFound | Outcome]:
        """Yield what is missing, page by page; last the outcome of a list that cannot be read.
        Requests passed over come first, then those that changed since the last run."""
        client, slug, field = self.far_ends.portals[portal], teleservice.slug, teleservice.due.field
        connected = await self.store.read(intake.routed_since, portal, slug)
        begun = min(
            (
                connected[one.insee]
                for one in self.catalogue.communes.values()
                if one.portal == portal and slug in one.routes and one.insee in connected
            ),
            default=None,
        )
        if begun is None:
            return  # no commune is connected
        passed = await self.store.read(intake.passed_over, portal, slug, AGAIN)
        noted = {one.ref for one in passed}
        again = await self.store.read(intake.to_look_at, portal, slug, [*connected], AGAIN)
        refs = [one.ref for one in again if self._worth_a_look(teleservice, one)]
        for some in names_at_once(refs):
            page = await client.due(slug, field, refs=some, limit=PAGE)
            if not isinstance(page, Page):
                yield page
                return
            found = await self._found(portal, teleservice, page.rows, connected, now)
            listed = {str(row.get("id")) for row in page.rows}
            found.settled = [
                *((noted | {*some}) & {*found.settled}),
                *(ref for ref in some if ref not in listed),
            ]
            yield found
        since = await self._cursor(portal, slug, now)
        since = (begun if since is None else max(begun, since)) - OVERLAP
        after, more = 0, True
        while more:
            page = await client.due(slug, field, since=since, after=after, limit=PAGE)
            if not isinstance(page, Page):
                yield page
                return
            found = await self._found(portal, teleservice, page.rows, connected, now)
            found.settled = [ref for ref in found.settled if ref in noted]
            yield found
            more = page.more
            after = internal_id(page.rows[-1]) if page.rows else after

    async def _cursor(self, portal: str, slug: str, now: datetime) -> datetime | None:
        """Return the instant that the last run reached; None for one ahead of `now` (a clock was
        set)."""
        cursor = await self.store.read(cursors.get, cursor_name(portal, slug))
        if cursor is None or cursor.value is None:
            return None
        read = datetime.fromisoformat(cursor.value)
        return read if read <= now else None

    def _worth_a_look(self, teleservice: Teleservice, one: PassedOverRequest) -> bool:
        """May its commune have a route now?"""
        if not one.ref:
            return False
        return one.commune is None or self._routed(one.portal, one.commune, teleservice) is None

    def _routed(self, portal: str, commune: str, teleservice: Teleservice) -> str | None:
        """Return None, or the code of the refusal."""
        departures = self.far_ends.departures
        if departures.is_closed(departures.commune_of(commune, self.catalogue)):
            return LEFT
        try:
            self.catalogue.route(portal, commune, teleservice.slug)
        except Rejected as error:
            return error.code
        return None

    async def _found(
        self,
        portal: str,
        teleservice: Teleservice,
        rows: Sequence[Mapping[str, Json]],
        connected: Mapping[str, datetime],
        now: datetime,
    ) -> DueFound:
        rows = [row for row in rows if row.get("id") is not None]
        refs = [str(row["id"]) for row in rows]
        known = await self.store.read(intake.known_requests, portal, teleservice.slug, refs)
        found = DueFound()
        for ref, row in zip(refs, rows, strict=True):
            entries = read_history(row.get("evolution"))
            due_at = _due_at(teleservice, row, entries)
            if due_at is None:
                found.settled.append(ref)
                continue
            here = known.get(ref)
            commune, code = self._commune(portal, teleservice, row, here)
            if here is not None and here.commune != commune:
                here = None  # another commune's key named it
            if code == LEFT:
                found.settled.append(ref)
                continue
            if commune is None or code is not None:
                found.refused.append((ref, commune, code or "no_commune"))
                continue
            since = connected.get(commune, now)
            ours = max(since, due_at)
            told = [
                (entry.at, event)
                for entry, event in events_in(entries, teleservice.events)
                if ours <= entry.at <= now - self.settle
            ]
            if here is not None:
                told = [] if here.erased else _unseen(told, here, found.placed)
            elif due_at < since:
                found.settled.append(ref)
                continue
            elif _changed(row, entries) > now - self.settle:
                continue
            if here is None or told:
                found.missing.append(
                    MissingRequest(ref, commune, due_at, here is None, tuple(told), row)
                )
            else:
                found.settled.append(ref)
        return found

    def _commune(
        self,
        portal: str,
        teleservice: Teleservice,
        row: Mapping[str, Json],
        here: KnownRequest | None,
    ) -> tuple[str | None, str | None]:
        """Return (the commune of a row, the code of the refusal if it has no route)."""
        only = [
            one.insee
            for one in self.catalogue.communes.values()
            if one.portal == portal and teleservice.slug in one.routes
        ]
        named = self.catalogue.filled_in_for(teleservice, row)
        if here is not None and (here.vouched or named in (None, here.commune)):
            commune = here.commune
        elif teleservice.commune_path is None and len(only) == 1:
            commune = only[0]  # the address of its push would name it
        else:
            try:
                commune = self.catalogue.insee(teleservice.code_in(row))
            except Rejected as error:
                return None, error.code
        return commune, self._routed(portal, commune, teleservice)


def cursor_name(portal: str, slug: str) -> str:
    """Name the cursor of a form's runs."""
    return f"reconcile:{portal}:{slug}"


def _due_at(
    teleservice: Teleservice, row: Mapping[str, Json], entries: Sequence[HistoryEntry]
) -> datetime | None:
    """Return the instant at which a request became due, None while it is not.

    A mark whose time is not between submission and last change counts from the submission: its
    writer may have another clock or date format.
    """
    due = teleservice.due
    if due.field is None:
        return next((e.at for e in entries if e.status in due.statuses), None)
    workflow = row.get("workflow")
    fields = workflow.get("fields") if isinstance(workflow, dict) else None
    mark = fields.get(due.field) if isinstance(fields, dict) else None
    if mark in (None, "", []):
        return None
    hints = [e.at for e in entries]
    submitted = entries[0].at if entries else parse_local(row.get("receipt_time"))
    told = parse_local(mark, hints)
    if told is None or submitted is None:
        return told or submitted
    # The mark is in whole seconds; `last_update_time` may be too.
    return told if submitted < told <= _changed(row, entries) + SECOND else submitted


def _changed(row: Mapping[str, Json], entries: Sequence[HistoryEntry]) -> datetime:
    hints = [e.at for e in reversed(entries)]
    changed = parse_local(row.get("last_update_time"), hints)
    return changed or (entries[-1].at if entries else datetime.min.replace(tzinfo=UTC))


def _unseen(
    told: Sequence[tuple[datetime, AnnouncedEvent]], here: KnownRequest, placed: dict[str, datetime]
) -> list[tuple[datetime, AnnouncedEvent]]:
    """Return the entries that are not here. Record in `placed` the entry of an event that was
    pushed without its history: the entry with the same content, or else the latest before it."""
    unseen = [
        (at, event)
        for at, event in told
        if all(one.at != at for kind in _kinds(event) for one in here.events.get(kind, ()))
    ]
    for same in (True, False):
        for kind, sightings in here.events.items():
            for one in sightings:
                if one.at is not None or one.id in placed:
                    continue
                before = [
                    (at, event)
                    for at, event in unseen
                    if event.kind is kind
                    and at <= one.received_at + SKEW
                    and (not same or spoken(event) == one.content)
                ]
                if before:
                    found = before[0] if same else before[-1]
                    placed[one.id] = found[0]
                    unseen.remove(found)
    return unseen


def _kinds(event: AnnouncedEvent) -> tuple[EventKind, ...]:
    """List the kinds that an entry may have here: a message of one file alone may be a document."""
    if event.kind is EventKind.MESSAGE and not event.message:
        return EventKind.MESSAGE, EventKind.DOCUMENT
    return (event.kind,)
