"""The changes at the GRU: by polls by time, polls request by request, and webhooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from urllib.parse import parse_qsl

from adapters.rest.answers import PollRules, Since, Verify, Webhook
from adapters.rest.blind import needed_paths
from adapters.rest.client import RestClient
from adapters.rest.exchange import Exchange
from adapters.rest.expression import Json, word
from adapters.rest.items import WAITED, ItemReader
from adapters.rest.paging import Pages
from adapters.rest.proof import header, proven
from adapters.rest.reading import time_of
from gateway.sdk import (
    Answer,
    Change,
    Changes,
    Misconfigured,
    Outcome,
    Patience,
    Refused,
    Tracked,
    TryLater,
    Unreadable,
    WebhookCall,
    beside,
    by_turns,
    decoded,
    read_json,
)

#: Fields of a form that a webhook posts.
MOST_FIELDS = 1_000
#: Failures that concern one item or request alone, so that the others are still read.
_ALONE = frozenset(
    {"far_end_error", "unreadable_answer", "answer_too_large", "unexpected_status", "unrenderable"}
    | {"no_list", "list_cut", "access_denied", "refused"}
)
#: After so many of them one after the other, the rest waits for the next poll.
_IN_A_ROW = 5


class StatusPoll:
    """The poll that `statuses` describes. It keeps no state between two calls."""

    def __init__(self, rules: PollRules, exchange: Exchange, now: Callable[[], datetime]) -> None:
        self._rules = rules
        self._exchange = exchange
        self._now = now

    async def read(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        if self._rules.each:
            return await self._one_by_one(tracked, cursor)
        return await self._listed(tracked, cursor)

    # --- request by request -------------------------------------------------------------------

    async def _one_by_one(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        """Ask about the first `max_requests` tracked requests."""
        taking = _ItemsReading(self._rules, self._exchange, self._now)
        asked: list[str] = []
        seen: list[str] = []
        gone: list[str] = []
        patience = Patience()
        for one in tracked[: self._rules.max_requests]:
            if asked and patience.over:  # the others come first in the next poll
                taking.failed(TryLater("poll_too_long", f"{len(asked)} requests were asked about"))
                break
            scope = {"reference": one.reference, "gru_reference": one.gru_reference}
            answer = await self._exchange.run(self._rules, scope, safe=True, expected=(404, 410))
            if not isinstance(answer, Answer):
                if taking.failed(answer):
                    asked.append(one.reference)
                    continue
                break
            asked.append(one.reference)
            if answer.status in (404, 410):
                gone.append(one.reference)
                continue
            listed = [answer.value]
            if self._rules.list is not None:
                found = await self._rules.list.found_in(answer.value)
                if not isinstance(found, list):
                    path = self._rules.list.text
                    taking.failed(Misconfigured("no_list", f"statuses.list: {path} is no list"))
                    continue
                listed = found
            if not await taking.all_of(listed, answer.size):
                break
            if listed:
                seen.append(one.reference)
        failure = await taking.outcome()
        return Changes(taking.changes, cursor, failure, asked=asked, seen=seen, gone=gone)

    # --- since a moment, or a mark of the GRU -------------------------------------------------

    async def _listed(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        scope: dict[str, Json] = {"cursor": cursor}
        begun = cursor
        if self._rules.cursor == "max":
            begin = _moment_of(cursor)
            if begin is None:
                begin = min((t.since for t in tracked), default=self._now())
            # A clock of theirs or of ours that was ahead says nothing of what came since.
            begin = min(begin, self._now())
            begun = cursor or begin.isoformat()
            since = begin - timedelta(seconds=self._rules.overlap)
            scope["since"] = since_value(self._rules.since, since)
        rules = self._rules
        pages = Pages(
            rules,
            rules.pages,
            rules.list,
            self._exchange,
            scope,
            "statuses.list",
            patience=Patience(),
        )
        taking = _ItemsReading(rules, self._exchange, self._now)
        times: list[list[datetime]] = []
        server, passed_over = cursor, 0
        async for answer, listed in pages:
            if pages.passed_over > passed_over:
                taking.passed_over(max(times[-1]) if times else None)
                passed_over = pages.passed_over
            page = await beside(answer.size, partial(self._times, listed))
            if not await taking.all_of(listed, answer.size):
                break
            if page:
                times.append(page)
            if rules.server_cursor is not None:
                server = word(await rules.server_cursor.found_in(answer.value)) or server
        if pages.passed_over > passed_over:
            taking.passed_over(max(times[-1]) if times else None)
        whole = (pages.failure is None or pages.truncated) and not taking.held
        failure = pages.failure or await taking.outcome()
        if rules.cursor == "server":
            # Where there was no room for all pages, the mark says how far they were read.
            return Changes(taking.changes, server if whole else cursor, failure, asked=())
        if not (times or failure or pages.truncated):
            # Kept though this poll brought nothing: once no request is tracked any more, the next
            # one would begin at its own time, and what came in between would be lost.
            return Changes(taking.changes, begun, asked=())
        complete = whole and not pages.truncated
        reached = cursor if taking.held else _reached(times, cursor, complete=complete)
        if pages.truncated and reached == cursor:
            failure = failure or TryLater("too_many_changes", "more than max_pages hold")
        return Changes(taking.changes, reached, failure, asked=())

    def _times(self, listed: list[Json]) -> list[datetime]:
        """Return the items' times without those in the future, which say nothing about the
        others."""
        rule, now = self._rules.item.at, self._now()
        times = [time_of(rule, item) for item in listed] if rule is not None else []
        return [time for time in times if time is not None and time <= now]


class _ItemsReading:
    """Turns items into changes, each one separately. `held`: an item failed that must be read
    again."""

    def __init__(self, rules: PollRules, exchange: Exchange, now: Callable[[], datetime]) -> None:
        self._rules = rules
        self._exchange = exchange
        self._now = now
        self._reader = ItemReader(rules.item, exchange, now)
        self._failure: Outcome | None = None
        self._in_a_row = 0
        self._unnamed = 0
        self._read: list[Json] = []
        self._bytes = 0
        self.changes: list[Change] = []
        self.held = False

    async def all_of(self, listed: list[Json], size: int) -> bool:
        """Read the items of an answer of `size` bytes. Return False when the poll must stop."""
        self._bytes += size
        async for item in by_turns(listed):
            if not await self._one(item):
                return False
        return True

    async def _one(self, item: Json) -> bool:
        if self._rules.detail is not None:
            answer = await self._exchange.run(self._rules.detail, {"item": item}, safe=True)
            if isinstance(answer, Refused):
                return True  # gone in between
            if not isinstance(answer, Answer):
                return self._lost(item, answer)
            item = await self._rules.detail.content.found_in(answer.value)
        told = await self._reader.changes(item)
        if told is None:
            self._unnamed += 1
        elif isinstance(told, list):
            self._in_a_row = 0
            self._read.append(item)
            self.changes += told
        else:
            return self._lost(item, told)
        return True

    def _lost(self, item: Json, failure: Outcome) -> bool:
        at = time_of(self._rules.item.at, item) if self._rules.item.at else None
        # An item that cannot be read for a day is not waited for: the others would wait with it.
        self.held = self.held or at is None or self._now() - at <= WAITED
        return self.failed(failure)

    def passed_over(self, before: datetime | None) -> None:
        """Record an item that is too large to be read. The item before it has this time.

        The poll reports it for one day and goes on after it; then the item is left behind.
        """
        self.held = self.held or before is None or self._now() - before <= WAITED
        what = "statuses.list: an item is larger than an answer may be"
        self._failure = self._failure or TryLater("item_too_large", what)

    def failed(self, failure: Outcome) -> bool:
        """Record the outcome. Return whether the poll may go on with the other items."""
        self._failure = self._failure or failure
        self._in_a_row += 1
        alone = getattr(failure, "reason", "") in _ALONE and self._in_a_row < _IN_A_ROW
        self.held = self.held or not alone
        return alone

    async def outcome(self) -> Outcome | None:
        """Return the failure, if there was one."""
        if self._failure is not None:
            return self._failure
        if self._unnamed:
            return Misconfigured("unreadable_item", f"{self._unnamed} items name no request")
        blind = await beside(self._bytes, partial(needed_paths, self._rules.item, self._read))
        if blind:
            paths = ", ".join(f"item.{path}" for path in blind)
            return Misconfigured("path_found_nothing", f"{paths} (of {len(self._read)} items)")
        return None


def _reached(pages: list[list[datetime]], cursor: str | None, *, complete: bool) -> str | None:
    """Return the time up to which the poll has read. `pages`: the times of each page's items.

    Pages shift while they are read: a request that changes moves to the end, and the one after it
    slips onto a page that was already read. That one cannot be older than the end of the first
    page, so after several pages the next poll begins there. An unfinished reading counts only in
    ascending order.
    """
    read = [time for page in pages for time in page]
    if not read:
        return cursor
    before = _moment_of(cursor)
    ascending = read[0] < read[-1] and all(a <= b for a, b in pairwise(read))
    if not (complete or ascending):
        return cursor
    reached = max(read)
    if ascending and len(pages) > 1 and (before is None or pages[0][-1] > before):
        reached = pages[0][-1]
    return (reached if before is None else max(reached, before)).isoformat()


def _moment_of(cursor: str | None) -> datetime | None:
    if cursor is None:
        return None
    try:
        return datetime.fromisoformat(cursor).astimezone(UTC)
    except ValueError:
        return None


def since_value(rule: Since, when: datetime) -> Json:
    """Return a time in the format of `=since`."""
    if rule.format == "epoch":
        return int(when.timestamp())
    if rule.format == "iso":
        return when.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return when.astimezone(rule.zone).strftime(rule.format)


# --- the GRU's own calls --------------------------------------------------------------------


async def read_webhook(
    rules: Webhook, hook: WebhookCall, exchange: RestClient, now: Callable[[], datetime]
) -> Changes:
    """Return the changes of a GRU's call, after its proof.

    An item that cannot be read is left out alone; `failure` says so.
    """
    body = await beside(len(hook.body), lambda: _opened(rules.verify, hook, exchange, now()))
    if isinstance(body, Refused):
        return Changes(failure=body)
    listed = await rules.items.found_in(body)
    if not isinstance(listed, list):
        return Changes(failure=Refused("unreadable", f"webhook.items: {rules.items.text}: no list"))
    reader = ItemReader(rules.item, exchange, now)
    changes: list[Change] = []
    unreadable = 0
    failure: Outcome | None = None
    async for item in by_turns(listed):
        told = await reader.changes(item)
        if isinstance(told, list):
            changes += told
        elif told is None:
            unreadable += 1
        else:
            failure = failure or told
    if unreadable:
        failure = failure or Refused("unreadable", f"{unreadable} items name no request")
    return Changes(changes, failure=failure)


def _opened(
    rules: Verify, hook: WebhookCall, exchange: RestClient, now: datetime
) -> Json | Refused:
    """Return the value of a call's body, if the call proves its sender."""
    if not proven(rules, hook, now):
        return Refused("unproven", "the call does not prove its sender")
    kind = header(hook, "content-type") or ""
    try:
        if "xml" in kind.partition(";")[0].lower():
            return exchange.xml(hook.body)
        if "x-www-form-urlencoded" not in kind:
            return read_json(hook.body, kind.partition("charset=")[2].strip("\"' ;") or None)
        return dict(
            parse_qsl(
                decoded(hook.body),
                keep_blank_values=True,
                errors="gateway.windows",
                max_num_fields=MOST_FIELDS,
            )
        )
    except (Unreadable, ValueError):
        return Refused("unreadable", "neither JSON nor a form")
