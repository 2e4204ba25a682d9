"""A poll: the requests that moved since the last one, and those that were not looked at for long.

`last_update_time` is the wall clock of the site, without an offset. It moves with an entry of the
history, and not with what a workflow adds to the last one: so each poll reads some requests whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from adapters.publik.client import WcsClient
from adapters.publik.options import PublikOptions
from adapters.publik.reading import read_changes, request_number, status_names
from gateway.sdk import (
    Change,
    Changes,
    Outcome,
    Patience,
    Refused,
    Tracked,
    TryLater,
    beside,
    by_turns,
    read_cursor,
    weight,
)
from gateway.sdk.publik.localtime import filter_text, parse_aware, parse_local

#: So long after it was changed, a request may show in the list only now.
OVERLAP = timedelta(minutes=2)
#: What a row of the list tells besides its number and times.
TOLD = {"include-evolution": "on", "include-workflow": "on"}
#: A request with the files of its history, and without those of its fields.
WITH_FILES = {
    f"include-{part}": "off" for part in ("fields", "user", "roles", "submission", "workflow-data")
}


@dataclass(slots=True)
class PublikPoll:
    """One poll. Its cursor: `since`, the last change that was read; of a list that was too long for
    one poll `after`, the last id of it that was read, and `latest`, the last change so far."""

    options: PublikOptions
    wcs: WcsClient
    tracked: Sequence[Tracked]
    cursor: str | None
    now: datetime
    items: list[Change] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    latest: datetime = field(init=False)
    names: Mapping[str, str] = field(default_factory=dict)

    async def run(self) -> Changes:
        """Ask, and tell what was read. The cursor moves no further than that."""
        if not self.tracked:
            return Changes(cursor=self.cursor)
        told = read_cursor(self.cursor)
        since = parse_aware(told.get("since")) or min(one.since for one in self.tracked)
        begin = min(since, self.now) - OVERLAP
        self.latest = parse_aware(told.get("latest")) or since
        after = told.get("after")
        asked = self.tracked[: self.options.batch]
        failure = await self._asked(asked, begin)
        cursor = self.cursor
        if failure is None and len(asked) < len(self.tracked):
            failure, after = await self._moved(begin, after if isinstance(after, int) else 0)
            latest = self.latest.isoformat()
            cursor = json.dumps({"since": since.isoformat(), "after": after, "latest": latest})
        if failure is None:
            cursor = json.dumps({"since": self.latest.isoformat()})
        return Changes(
            self.items,
            cursor,
            failure,
            asked=[one.reference for one in asked],
            seen=[one.reference for one in asked if one.gru_reference in self.seen],
        )

    async def _asked(self, asked: Sequence[Tracked], begin: datetime) -> Outcome | None:
        schema = await self.wcs.schema()
        if isinstance(schema, Outcome):
            return schema
        self.names = status_names(schema)
        numbers = ",".join(one.gru_reference for one in asked)
        rows = await self.wcs.rows({**TOLD, "filter-identifier": numbers})
        return rows if isinstance(rows, Outcome) else await self._read_rows(rows, begin)

    async def _moved(self, begin: datetime, after: int) -> tuple[Outcome | None, int]:
        """Read all that moved since, page by page: an id never moves within the list. Return the
        last id that was read."""
        window = {"filter-start-mtime": "on", "filter-start-mtime-value": filter_text(begin)}
        patience, size = Patience(), self.options.batch
        while not patience.over:
            page = {"limit": str(size), "filter-internal-id": str(after)}
            rows = await self.wcs.rows(
                {**TOLD, **window, **page, "filter-internal-id-operator": "gt"}
            )
            if isinstance(rows, Outcome):
                return rows, after
            ids = [_id(row) for row in rows]
            if any(one <= before for before, one in pairwise([after, *ids])):
                # An older w.c.s. does not know the bound, and gives other rows.
                return TryLater("unreadable_answer", "the list is not in the order asked"), after
            if (failure := await self._read_rows(rows, begin)) is not None:
                return failure, after
            after = max(ids, default=after)
            if len(rows) < size:
                return None, after
        return TryLater("poll_too_long", "the list was not read to its end"), after

    async def _read_rows(self, rows: Sequence[Any], begin: datetime) -> Outcome | None:
        async for row in by_turns(rows):
            number = request_number(row)
            if number is None or number in self.seen:
                continue
            moved = _moved_at(row)
            if self.options.public_messages and (moved is None or moved >= begin):
                # Only the answer about one request holds its files.
                whole = await self.wcs.formdata(number, WITH_FILES)
                if isinstance(whole, Refused):
                    continue  # it is gone since
                if isinstance(whole, Outcome):
                    return whole
                if request_number(whole) != number:
                    return TryLater("unreadable_answer", "another request than the one asked for")
                row = whole
            self.seen.add(number)
            self.items += await beside(weight(row), partial(self._changes, row))
            if moved is not None and moved > self.latest:
                self.latest = moved
        return None

    def _changes(self, row: Mapping[str, Any]) -> list[Change]:
        return [*read_changes(row, self.names, self.options)]


def _moved_at(row: Mapping[str, Any]) -> datetime | None:
    """Return when a request moved; its last entry tells which hour of autumn is meant."""
    evolution = row.get("evolution")
    last = evolution[-1] if isinstance(evolution, list) and evolution else None
    at = parse_aware(last.get("time")) if isinstance(last, dict) else None
    return parse_local(row.get("last_update_time"), [at] if at else [])


def _id(row: Any) -> int:
    text = str(row.get("internal_id") or "") if isinstance(row, dict) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


__all__ = ["PublikPoll"]
