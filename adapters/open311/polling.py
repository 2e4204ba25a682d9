"""What changed at the server: statuses by number or by window, mySociety's updates, tokens.

The cursor is a small JSON text: `requests` and `updates` (times up to which each was read) and
`tokens` (numbers that tokens turned into, so that each is asked for only until it is known).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adapters.open311.client import GeoReport
from adapters.open311.georeport import Row, moment, stamp, text
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from adapters.open311.searching import AHEAD, pages
from gateway.sdk import Change, Changes, Outcome, Refused, Tracked

TOKEN = "token:"  # noqa: S105 - a prefix of references, not a secret
#: The specification's widest window.
WIDEST = timedelta(days=90)


@dataclass(slots=True)
class State:
    """The cursor, read."""

    requests: datetime | None = None
    updates: datetime | None = None
    tokens: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> State:
        """An unreadable cursor begins anew: repeats are dropped by their keys."""
        try:
            raw: Any = json.loads(cursor or "{}")
        except ValueError:
            return cls()
        if not isinstance(raw, Mapping):
            return cls()
        tokens = raw.get("tokens")
        known = tokens if isinstance(tokens, Mapping) else {}
        return cls(
            moment(str(raw.get("requests"))),
            moment(str(raw.get("updates"))),
            {str(token): str(number) for token, number in known.items()},
        )

    def write(self) -> str | None:
        value: dict[str, Any] = {}
        if self.requests:
            value["requests"] = stamp(self.requests)
        if self.updates:
            value["updates"] = stamp(self.updates)
        if self.tokens:
            value["tokens"] = self.tokens
        return json.dumps(value, sort_keys=True) if value else None


async def number_of(server: GeoReport, token: str) -> str | Outcome | None:
    """The number that a token became; None when not yet known (404, or an empty number)."""
    rows = await server.get("tokens", token)
    if isinstance(rows, Refused) and rows.reason == "unknown":
        return None
    if not isinstance(rows, list):
        return rows
    return next((number for row in rows if (number := text(row, "service_request_id"))), None)


class Poll:
    """One poll. What was read before a failure is kept, and so is the cursor up to there."""

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
        self._state = State.read(cursor)
        self._now = now
        self._items: dict[tuple[str, str], Change] = {}
        self._numbers: dict[str, Tracked] = {}

    async def run(self) -> Changes:
        failure = await self._tokens()
        if failure is None and self._options.poll == "ids":
            failure = await self._by_number()
        if failure is None and self._options.poll == "window":
            failure = await self._by_window()
        if failure is None and self._options.updates and self._options.updates.read:
            failure = await self._updates(self._options.updates.overlap_s)
        return Changes(list(self._items.values()), self._state.write(), failure)

    async def _tokens(self) -> Outcome | None:
        """Fill `_numbers`: the server's number -> who tracks it."""
        kept: dict[str, str] = {}
        failure: Outcome | None = None
        for one in self._tracked:
            if not one.gru_reference.startswith(TOKEN):
                self._numbers[one.gru_reference] = one
                continue
            token = one.gru_reference.removeprefix(TOKEN)
            number = self._state.tokens.get(token)
            if number is None and failure is None:
                answer = await number_of(self._server, token)
                if isinstance(answer, str):
                    number = answer
                else:
                    failure = answer
            if number is not None:
                kept[token] = number
                self._numbers[number] = one
        self._state.tokens = kept
        return failure

    async def _by_number(self) -> Outcome | None:
        numbers, size = sorted(self._numbers), self._options.poll_batch
        for start in range(0, len(numbers), size):
            batch = ",".join(numbers[start : start + size])
            rows = await self._server.get("requests", pairs=[("service_request_id", batch)])
            if isinstance(rows, Refused) and rows.reason == "unknown":
                # One number unknown to the server may spoil its whole batch.
                rows = await self._one_by_one(numbers[start : start + size])
            if not isinstance(rows, list):
                return rows
            self._take_statuses(rows)
        return None

    async def _one_by_one(self, numbers: Sequence[str]) -> list[Row] | Outcome:
        found: list[Row] = []
        for number in numbers:
            rows = await self._server.get("requests", pairs=[("service_request_id", number)])
            if isinstance(rows, list):
                found += rows
            elif not (isinstance(rows, Refused) and rows.reason == "unknown"):
                return rows
        return found

    async def _by_window(self) -> Outcome | None:
        since = self._since(self._state.requests, self._options.poll_overlap_s)
        window: Pairs = [("updated_after", stamp(since)), ("updated_before", self._end())]
        async for rows in pages(self._options, self._server, window):
            if not isinstance(rows, list):
                return rows
            self._take_statuses(rows)
        self._state.requests = self._now
        return None

    async def _updates(self, overlap_s: int) -> Outcome | None:
        since = self._since(self._state.updates, overlap_s)
        window: Pairs = [("start_date", stamp(since)), ("end_date", self._end())]
        rows = await self._server.get("servicerequestupdates", pairs=window)
        if not isinstance(rows, list):
            return rows
        for row in rows:
            self._take_update(row)
        self._state.updates = self._now
        return None

    def _since(self, read_to: datetime | None, overlap_s: int) -> datetime:
        """Where a window begins: overlapping the last one, as a server can list late."""
        widest = self._now - WIDEST + AHEAD + timedelta(minutes=1)
        first = min((one.since for one in self._tracked), default=self._now)
        begin = (read_to or first) - timedelta(seconds=overlap_s)
        if begin > self._now:
            return widest  # our clock was ahead when it read so far: that tells nothing
        return max(begin, widest)

    def _end(self) -> str:
        return stamp(self._now + AHEAD)

    def _take_statuses(self, rows: Sequence[Row]) -> None:
        for row in rows:
            number, status = text(row, "service_request_id"), text(row, "status")
            if number is None or status is None:
                continue
            notes, at = text(row, "status_notes"), text(row, "updated_datetime")
            digest = hashlib.sha256((notes or "").encode()).hexdigest()[:12]
            self._keep(number, f"s:{status}:{at or '-'}:{digest}", status, notes, moment(at))

    def _take_update(self, row: Row) -> None:
        number, update_id = text(row, "service_request_id"), text(row, "update_id")
        if number is None or update_id is None:
            return
        one = self._numbers.get(number)
        if one is not None and update_id.startswith(f"{one.reference}-"):
            return  # ours, given back
        status = text(row, "status")
        self._keep(
            number,
            f"u:{update_id}",
            None if status is None or status.lower() == "unchanged" else status.lower(),
            text(row, "description"),
            moment(text(row, "updated_datetime")),
        )

    def _keep(
        self, number: str, key: str, status: str | None, message: str | None, at: datetime | None
    ) -> None:
        one = self._numbers.get(number)
        self._items[number, key] = Change(
            key,
            number if one is None else one.gru_reference,
            None if one is None else one.reference,
            status,
            message,
            self._options.public_notes,
            at,
        )


__all__ = ["TOKEN", "Poll", "number_of"]
