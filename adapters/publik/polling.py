"""One poll: the requests that changed since the last one, and some that were not read for long.

`last_update_time` is the wall clock of the site, without an offset. A new entry of the history
moves it; a part that a workflow adds to the last entry does not. So each poll also reads some
requests whole.
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
    TookTooLong,
    Tracked,
    TryLater,
    beside,
    by_turns,
    read_cursor,
    weight,
)
from gateway.sdk.publik.localtime import filter_text, parse_aware, parse_local

#: The delay after which a changed request is surely in the list.
OVERLAP = timedelta(minutes=2)
#: Failures that concern one request alone: the others are read all the same.
_ALONE = frozenset(
    {"answer_too_large", "unreadable_answer", "far_end_error", "access_denied", "took_too_long"}
)
#: After so many of them one after the other, the rest waits for the next poll.
_IN_A_ROW = 5
#: So long after it was changed, a request whose files cannot be had is read without them.
_WITHOUT_FILES = timedelta(days=1)
#: Parts of a row in the list, besides its number and times.
TOLD = {"include-evolution": "on", "include-workflow": "on"}
#: Parts of a whole request: with the files of its history, without those of its fields.
WITH_FILES = {
    f"include-{part}": "off" for part in ("fields", "user", "roles", "submission", "workflow-data")
}


@dataclass(slots=True)
class PublikPoll:
    """One poll.

    Its cursor has `since`, the last change that was read. In the middle of a list that is too long
    for one poll it also has `after`, the last id read, and `latest`, the last change so far.

    `lost` is the failure of the first request that could not be read. `held`: one of them is to be
    read again, so the cursor stays.
    """

    options: PublikOptions
    wcs: WcsClient
    tracked: Sequence[Tracked]
    cursor: str | None
    now: datetime
    items: list[Change] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    latest: datetime = field(init=False)
    names: Mapping[str, str] = field(default_factory=dict)
    lost: Outcome | None = None
    held: bool = False
    in_a_row: int = 0

    async def run(self) -> Changes:
        """Poll. The cursor moves no further than the changes that were read."""
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
            reached = since if self.held else self.latest
            cursor = json.dumps({"since": reached.isoformat()})
        return Changes(
            self.items,
            cursor,
            failure or self.lost,
            asked=[one.reference for one in asked],
            seen=[one.reference for one in asked if one.gru_reference in self.seen],
        )

    async def _asked(self, asked: Sequence[Tracked], begin: datetime) -> Outcome | None:
        schema = await self.wcs.schema()
        if isinstance(schema, Outcome):
            return schema
        self.names = status_names(schema)
        return await self._these([one.gru_reference for one in asked], begin)

    async def _these(self, numbers: Sequence[str], begin: datetime) -> Outcome | None:
        """Read the requests of these numbers, by halves where they are too large for one answer."""
        rows = await self.wcs.rows({**TOLD, "filter-identifier": ",".join(numbers)})
        if not isinstance(rows, Outcome):
            return await self._read_rows(rows, begin)
        if not _too_large(rows):
            return rows
        if len(numbers) == 1:
            return self._lost(rows, held=False)
        half = len(numbers) // 2
        return await self._these(numbers[:half], begin) or await self._these(numbers[half:], begin)

    async def _moved(self, begin: datetime, after: int) -> tuple[Outcome | None, int]:
        """Read the changed requests page by page. Return a failure, if any, and the last id read.

        The pages are cut by id, which never moves within the list.
        """
        window = {"filter-start-mtime": "on", "filter-start-mtime-value": filter_text(begin)}
        patience, size = Patience(), self.options.batch
        while not patience.over:
            page = {"limit": str(size), "filter-internal-id": str(after)}
            asked = {**window, **page, "filter-internal-id-operator": "gt"}
            rows = await self.wcs.rows({**TOLD, **asked})
            if _too_large(rows) and size > 1:
                size = max(1, size // 4)
                continue
            alone = rows if isinstance(rows, Outcome) and _too_large(rows) else None
            if alone is not None:  # its number is still to be known, to go on behind it
                rows = await self.wcs.rows(asked)
            if isinstance(rows, Outcome):
                return rows, after
            ids = [_id(row) for row in rows]
            if any(one <= before for before, one in pairwise([after, *ids])):
                # An older w.c.s. ignores the bound and gives other rows.
                return TryLater("unreadable_answer", "the list is not in the order asked"), after
            if alone is None:
                failure = await self._read_rows(rows, begin)
            else:
                failure = self._lost(alone, held=False)
            if failure is not None:
                return failure, after
            after = max(ids, default=after)
            if len(rows) < size:
                return None, after
            size = min(self.options.batch, size * 2)
        return TryLater("poll_too_long", "the list was not read to its end"), after

    async def _read_rows(self, rows: Sequence[Any], begin: datetime) -> Outcome | None:
        async for row in by_turns(rows):
            number = request_number(row)
            if number is None or number in self.seen:
                continue
            moved = _moved_at(row)
            if self.options.public_messages and (moved is None or moved >= begin):
                whole = await self._whole(number, row, moved)
                if isinstance(whole, Refused):
                    continue  # it is gone since
                if isinstance(whole, Outcome):
                    if (failure := self._lost(whole)) is not None:
                        return failure
                    continue
                row = whole
            try:
                self.items += await beside(weight(row), partial(self._changes, row))
            except TookTooLong as error:
                if (failure := self._lost(TryLater("took_too_long", error.text))) is not None:
                    return failure
                continue
            self.in_a_row = 0
            self.seen.add(number)
            if moved is not None and moved > self.latest:
                self.latest = moved
        return None

    async def _whole(self, number: str, row: Any, moved: datetime | None) -> Any:
        """Return a request with its files, which the answer about one request alone holds; as the
        list has it where they are too large, or could not be had for long."""
        whole = await self.wcs.formdata(number, WITH_FILES)
        if not isinstance(whole, Outcome) and request_number(whole) != number:
            whole = TryLater("unreadable_answer", "another request than the one asked for")
        old = moved is not None and self.now - moved > _WITHOUT_FILES
        return row if _too_large(whole) or (old and _reason(whole) in _ALONE) else whole

    def _lost(self, failure: Outcome, *, held: bool = True) -> Outcome | None:
        """Pass over a request that could not be read. Return the failure where that ends the
        poll."""
        if _reason(failure) not in _ALONE:
            return failure
        self.in_a_row += 1
        self.lost, self.held = self.lost or failure, self.held or held
        return failure if self.in_a_row >= _IN_A_ROW else None

    def _changes(self, row: Mapping[str, Any]) -> list[Change]:
        return [*read_changes(row, self.names, self.options)]


def _reason(told: Any) -> str:
    """Return the reason of a failure; empty for what is none."""
    return getattr(told, "reason", "") if isinstance(told, Outcome) else ""


def _too_large(told: Any) -> bool:
    return _reason(told) == "answer_too_large"


def _moved_at(row: Mapping[str, Any]) -> datetime | None:
    """Return the time of a request's last change.

    In the doubled hour of autumn, the last entry says which hour is meant.
    """
    evolution = row.get("evolution")
    last = evolution[-1] if isinstance(evolution, list) and evolution else None
    at = parse_aware(last.get("time")) if isinstance(last, dict) else None
    return parse_local(row.get("last_update_time"), [at] if at else [])


def _id(row: Any) -> int:
    text = str(row.get("internal_id") or "") if isinstance(row, dict) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


__all__ = ["PublikPoll"]
