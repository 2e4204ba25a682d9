"""Polls the server: statuses by number or by time window, mySociety's updates, tokens.

The cursor is a small JSON text: `requests` and `updates` (the times up to which each was read),
`tokens` (their numbers, once known), and `words` (the status word of each number's last update).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from adapters.open311.client import GeoReport
from adapters.open311.georeport import GeoReportRows, Row, format_time, leaves, parse_time, text
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from adapters.open311.searching import AHEAD, MOST_ROWS, pages
from gateway.sdk import (
    REFERENCE,
    Answer,
    Change,
    Changes,
    Document,
    Misconfigured,
    Outcome,
    Patience,
    Refused,
    Tracked,
    TryLater,
    by_turns,
    note_text,
    read_cursor,
)

TOKEN = "token:"  # noqa: S105 - a prefix of references, not a secret
#: Our updates begin so.
OURS = re.compile(REFERENCE.pattern + "-")
#: Files fetched of one update.
MOST_FILES = 10
#: Time after which a file that cannot be fetched is given up: a person is told.
WAITED = timedelta(days=1)
#: Windows of updates asked for in one poll.
MOST_WINDOWS = 64
#: The specification's widest window.
WIDEST = timedelta(days=90)
#: Lists of requests know these two words only; mySociety's updates say more.
PLAIN = frozenset({"open", "closed"})
#: Words of updates for which a list says `closed`.
ENDED = frozenset(
    {
        "closed",
        "fixed",
        "duplicate",
        "not_councils_responsibility",
        "no_further_action",
        "internal_referral",
        "cancelled",
    }
)
#: Numbers whose last word is remembered: the latest.
MOST_WORDS = 5000


@dataclass(slots=True)
class PollCursor:
    """The parsed cursor."""

    requests: datetime | None = None
    updates: datetime | None = None
    tokens: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> PollCursor:
        """Parse the cursor. An unreadable one begins anew, since repeats are recognised by their
        keys."""
        raw = read_cursor(cursor)
        return cls(
            parse_time(str(raw.get("requests"))),
            parse_time(str(raw.get("updates"))),
            _texts(raw.get("tokens")),
            _texts(raw.get("words")),
        )

    def write(self) -> str | None:
        value: dict[str, Any] = {}
        if self.requests:
            value["requests"] = format_time(self.requests)
        if self.updates:
            value["updates"] = format_time(self.updates)
        if self.tokens:
            value["tokens"] = self.tokens
        if self.words:
            value["words"] = dict(list(self.words.items())[-MOST_WORDS:])
        return json.dumps(value) if value else None


def _texts(raw: object) -> dict[str, str]:
    found = raw if isinstance(raw, Mapping) else {}
    return {str(name): str(value) for name, value in found.items()}


async def number_of_token(server: GeoReport, token: str) -> str | Outcome | None:
    """Return the number of a token. None while it is not known (404, or an empty number)."""
    rows = await server.get("tokens", token)
    if isinstance(rows, Refused) and rows.reason == "unknown":
        return None
    if not isinstance(rows, list):
        return rows
    return next((number for row in rows if (number := text(row, "service_request_id"))), None)


def _too_long(detail: str) -> TryLater:
    return TryLater("poll_too_long", detail)


class Open311Poll:
    """One poll. Items read before a failure are kept, and so is the cursor up to there."""

    def __init__(
        self,
        options: Open311Options,
        server: GeoReport,
        tracked: Sequence[Tracked],
        cursor: str | None,
        now: datetime,
    ) -> None:
        self._options = options
        self._server = server
        self._tracked = tracked
        self._state = PollCursor.read(cursor)
        self._now = now
        self._items: dict[tuple[str, str | None], Change] = {}
        #: The requests of each number at the server: one ticket may stand for several.
        self._numbers: dict[str, list[Tracked]] = {}
        #: The state of requests by the server's list, and the last update's word for each.
        self._standing: list[tuple[str, Change]] = []
        self._latest: dict[str, tuple[datetime, str]] = {}
        self._lost = 0
        self._asked: list[str] = []
        self._seen: list[str] = []
        self._gone: list[str] = []
        self._patience = Patience()

    async def run(self) -> Changes:
        failure = await self._tokens()
        if failure is None and self._options.poll == "ids":
            failure = await self._by_number()
        if failure is None and self._options.poll == "window":
            failure = await self._by_window()
        if failure is None and self._options.updates and self._options.updates.read:
            failure = await self._updates(self._options.updates.overlap_s)
        await self._stand()
        if failure is None and self._lost:
            failure = Misconfigured("unreadable_item", f"{self._lost} rows cannot be read")
        return Changes(
            list(self._items.values()),
            self._state.write(),
            failure,
            asked=self._asked,
            seen=self._seen,
            gone=self._gone,
        )

    async def _tokens(self) -> Outcome | None:
        """Fill `_numbers`: the requests of each number at the server."""
        kept: dict[str, str] = {}
        failure: Outcome | None = None
        for one in self._tracked:
            if not one.gru_reference.startswith(TOKEN):
                self._numbers.setdefault(one.gru_reference, []).append(one)
                continue
            token = one.gru_reference.removeprefix(TOKEN)
            number = self._state.tokens.get(token)
            if number is None and failure is None:
                answer = await number_of_token(self._server, token)
                if answer is None or isinstance(answer, str):
                    number = answer
                    if number is None:  # it was asked about, and is known there by its token
                        self._asked.append(one.reference)
                        self._seen.append(one.reference)
                else:
                    failure = answer
            if number is not None:
                kept[token] = number
                self._numbers.setdefault(number, []).append(one)
        self._state.tokens = kept
        return failure

    async def _by_number(self) -> Outcome | None:
        """Ask for all requests by number, in the order of the question.

        Requests missing from a batch are asked for one by one: an unknown number may spoil its
        batch, and an answer may be limited.
        """
        numbers, size = list(self._numbers), self._options.poll_batch
        silent: list[str] = []
        for start in range(0, len(numbers), size):
            if start and self._patience.over:  # the others come first in the next poll
                return _too_long(f"{start} numbers were asked about")
            batch = numbers[start : start + size]
            rows = await self._requests(",".join(batch))
            if isinstance(rows, Refused) and rows.reason == "unknown":
                rows = GeoReportRows()
            if not isinstance(rows, GeoReportRows):
                return rows
            self._asked += self._references(batch)
            told = await self._take_statuses(rows)
            silent += [number for number in batch if number not in told]
        for number in silent[:size] if size > 1 else ():
            if self._patience.over:
                return _too_long("some numbers were not asked about by themselves")
            rows = await self._requests(number)
            if isinstance(rows, GeoReportRows):
                if not await self._take_statuses(rows) and not rows.lost:
                    self._gone += self._references([number])
            elif isinstance(rows, Refused) and rows.reason == "unknown":
                self._gone += self._references([number])
            else:
                return rows
        return None

    def _references(self, numbers: Iterable[str]) -> list[str]:
        return [one.reference for number in numbers for one in self._numbers.get(number, ())]

    async def _requests(self, numbers: str) -> GeoReportRows | Outcome:
        rows = await self._server.get("requests", pairs=[("service_request_id", numbers)])
        if isinstance(rows, GeoReportRows):
            self._lost += rows.lost
        return rows

    async def _by_window(self) -> Outcome | None:
        since = self._since(self._state.requests, self._options.poll_overlap_s)
        window: Pairs = [("updated_after", format_time(since)), ("updated_before", self._end())]
        async for rows in pages(self._options, self._server, window):
            if not isinstance(rows, GeoReportRows):
                return rows
            self._lost += rows.lost
            await self._take_statuses(rows)
            if self._patience.over:
                return _too_long("the list was not read to its end")
        self._state.requests = self._now
        return None

    async def _updates(self, overlap_s: int) -> Outcome | None:
        """Read a list without pages. The window is halved where the list may be cut."""
        since, end = self._since(self._state.updates, overlap_s), self._now + AHEAD
        windows = [(since, end)]
        for _ in range(MOST_WINDOWS):
            if not windows:
                self._state.updates = self._now
                return None
            if self._patience.over:
                return _too_long("the list of updates was not read to its end")
            begin, end = windows.pop()
            window: Pairs = [("start_date", format_time(begin)), ("end_date", format_time(end))]
            rows = await self._server.get("servicerequestupdates", pairs=window)
            if not isinstance(rows, GeoReportRows):
                return rows
            middle = begin + (end - begin) / 2
            if len(rows) >= MOST_ROWS and end - begin > timedelta(minutes=2):
                windows += [(middle, end), (begin, middle)]
                continue
            self._lost += rows.lost
            async for row in by_turns(rows):
                self._take_update(row)
        return TryLater("too_many", "the list of updates has no end")

    def _since(self, read_to: datetime | None, overlap_s: int) -> datetime:
        """Return the beginning of a window. It overlaps the last one, since a server may list
        late."""
        widest = self._now - WIDEST + AHEAD + timedelta(minutes=1)
        first = min((one.since for one in self._tracked), default=self._now)
        begin = (read_to or first) - timedelta(seconds=overlap_s)
        if begin > self._now:
            return widest  # our clock was ahead when it read so far
        return max(begin, widest)

    def _end(self) -> str:
        return format_time(self._now + AHEAD)

    async def _take_statuses(self, rows: Sequence[Row]) -> set[str]:
        """Read statuses from rows. Return the numbers of the rows."""
        told: set[str] = set()
        async for row in by_turns(rows):
            number, status = text(row, "service_request_id"), text(row, "status")
            if number is None or status is None:
                continue
            told.add(number)
            # With updates the notes come from there; the server repeats the last one here.
            notes = None if self._reads_updates else text(row, "status_notes")
            at = parse_time(text(row, "updated_datetime"))
            self._standing.append(
                (number, Change(status=status, message=self._words(notes), at=at))
            )
        self._seen += self._references(told)
        return told

    async def _stand(self) -> None:
        """Judge the requests' states by the words of their last updates where the two fit: a list
        may say `open` for a planned request, and `closed` for a refused one."""
        words = self._state.words
        for number, (_, status) in self._latest.items():
            words.pop(number, None)  # the latest come last
            words[number] = status
        updates, self._items = self._items, {}
        async for number, change in by_turns(self._standing):
            word, plain = words.get(number), (change.status or "").lower()
            if word is not None and plain in PLAIN:
                if (word in ENDED) == (plain == "closed"):
                    change = replace(change, status=word)
                else:
                    del words[number]  # it has moved since, without an update
            self._add(change, number)
        self._items |= updates

    @property
    def _reads_updates(self) -> bool:
        return self._options.updates is not None and self._options.updates.read

    def _words(self, raw: str | None) -> str | None:
        return note_text(raw, self._options.html)

    def _take_update(self, row: Row) -> None:
        number, update_id = text(row, "service_request_id"), text(row, "update_id")
        if number is None or update_id is None:
            self._lost += 1
            return
        if OURS.match(update_id):
            return  # one of ours, given back: neither its text nor its status is theirs
        status = (text(row, "status") or "unchanged").lower()
        at = parse_time(text(row, "updated_datetime"))
        if status != "unchanged":
            when = at or self._now
            if number not in self._latest or self._latest[number][0] <= when:
                self._latest[number] = (when, status)
        change = Change(
            key=f"u:{update_id}"[:200],
            status=None if status == "unchanged" else status,
            message=self._words(text(row, "description")),
            at=at,
        )
        files = [address for address in leaves(row.get("media_url")) if address.strip()]
        self._add(change, number, files)

    async def _with_files(self, change: Change, addresses: Sequence[str]) -> Change | Outcome:
        """Return the update with its files, each from the server or an allowed host."""
        documents: list[Document] = []
        unreadable = max(0, len(addresses) - MOST_FILES)
        for address in addresses[:MOST_FILES]:
            fetched = await self._server.download(address)
            if isinstance(fetched, Answer):
                name = unquote(urlsplit(address).path).rpartition("/")[2] or "document"
                kind = fetched.content_type or "application/octet-stream"
                documents.append(Document(name[:200], kind, fetched.content))
            elif isinstance(fetched, Refused) or self._is_old(change):
                unreadable += 1
            else:
                return fetched
        return replace(change, documents=tuple(documents), unreadable=unreadable, more=None)

    def _is_old(self, change: Change) -> bool:
        return change.at is not None and self._now - change.at > WAITED

    def _add(self, change: Change, number: str, files: Sequence[str] = ()) -> None:
        """Add the change for each request with this number, by its number or its token."""
        known = {one.gru_reference for one in self._numbers.get(number, ())} or {number}
        for name in sorted(known):
            told = replace(change, gru_reference=name, public=self._options.public_notes)
            if files:
                told = replace(told, more=partial(self._with_files, told, files))
            self._items[name, change.key] = told


__all__ = ["TOKEN", "Open311Poll", "number_of_token"]
