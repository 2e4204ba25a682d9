"""What the GRU tells: by polls since a moment, polls request by request, and its own calls."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import parse_qsl

import orjson

from adapters.rest.exchange import Exchange
from adapters.rest.expression import Json, word
from adapters.rest.options import Documents, Item, NoteFields, Since, Statuses, Verify, Webhook
from adapters.rest.paging import Pages
from adapters.rest.reading import Answer, moment
from gateway.sdk import (
    Change,
    Changes,
    Document,
    Hook,
    Misconfigured,
    Outcome,
    Refused,
    Tracked,
    TryLater,
)

LONGEST_MESSAGE = 20_000


def read_item(rules: Item, item: Json) -> list[Change] | None:
    """The changes that one item tells; None when it cannot be read."""
    gru_reference = word(rules.gru_reference.read(item)) if rules.gru_reference else None
    reference = word(rules.reference.read(item)) if rules.reference else None
    if gru_reference is None and reference is None:
        return None
    changes: list[Change] = []
    status = word(rules.status.read(item)) if rules.status else None
    change = _change(rules, item, gru_reference, reference, status)
    if status is not None or change.message is not None or change.documents:
        changes.append(change)
    if rules.notes is not None:
        notes = rules.notes.list.read(item)
        for note in notes if isinstance(notes, list) else []:
            change = _change(rules.notes, note, gru_reference, reference, None)
            if change.message is not None or change.documents:
                changes.append(change)
    return changes


def _change(
    rules: NoteFields,
    item: Json,
    gru_reference: str | None,
    reference: str | None,
    status: str | None,
) -> Change:
    message = rules.message.read(item) if rules.message else None
    message = message.strip()[:LONGEST_MESSAGE] if isinstance(message, str) else None
    at = moment(rules.at, item) if rules.at else None
    public = rules.public or (rules.internal is not None and _is_no(rules.internal.read(item)))
    documents = _documents(rules.documents, item) if rules.documents and public else ()
    key = word(rules.key.read(item)) if rules.key else None
    if key is None:
        told = json.dumps([status, message, at.isoformat() if at else None])
        key = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    elif status is not None:
        # One journal number may be given to the status and again, later, to another status.
        key = f"{key}:{status}"[:200]
    return Change(
        key=key,
        gru_reference=gru_reference,
        reference=reference,
        status=status,
        message=message or None,
        public=public,
        at=at,
        documents=documents,
    )


def _documents(rules: Documents, item: Json) -> tuple[Document, ...]:
    listed = rules.list.read(item)
    documents: list[Document] = []
    for one in listed if isinstance(listed, list) else []:
        name, content = rules.filename.read(one), rules.content.read(one)
        kind = rules.content_type.read(one) if rules.content_type else None
        if not isinstance(name, str) or not isinstance(content, str):
            continue
        try:
            decoded = base64.b64decode(content, validate=True)
        except ValueError:
            continue
        kind = kind if isinstance(kind, str) else "application/octet-stream"
        documents.append(Document(name[:200], kind, decoded))
    return tuple(documents)


def _is_no(value: Json) -> bool:
    """Said to be not internal. What is unsaid or unclear stays internal."""
    if isinstance(value, str):
        return value.strip().lower() in ("false", "0", "no", "non")
    return value is False or (isinstance(value, int) and value == 0)


class Poll:
    """The poll that `statuses` describes. Holds nothing between two calls."""

    def __init__(self, rules: Statuses, exchange: Exchange, now: Callable[[], datetime]) -> None:
        self._rules = rules
        self._exchange = exchange
        self._now = now

    async def read(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        if self._rules.each:
            return await self._one_by_one(tracked, cursor)
        return await self._listed(tracked, cursor)

    # --- request by request -------------------------------------------------------------------

    async def _one_by_one(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        """At most `max_requests`, beginning after the one that the cursor names."""
        ordered = sorted(tracked, key=lambda t: t.reference)
        after = [t for t in ordered if cursor is None or t.reference > cursor]
        before = [t for t in ordered if cursor is not None and t.reference <= cursor]
        items: list[Change] = []
        failure: Outcome | None = None
        for one in (after + before)[: self._rules.max_requests]:
            scope = {"reference": one.reference, "gru_reference": one.gru_reference}
            answer = await self._exchange.run(self._rules, scope, safe=True)
            if isinstance(answer, Refused):
                # This one is unknown there: the others are not to wait for it.
                failure = failure or answer
            elif not isinstance(answer, Answer):
                return Changes(items, cursor, answer)
            else:
                listed = [answer.body] if self._rules.list is None else self._list(answer.body)
                failure = self._collect(listed, items) or failure
            cursor = one.reference
        return Changes(items, cursor, failure)

    # --- since a moment, or a mark of the GRU -------------------------------------------------

    async def _listed(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        scope: dict[str, Json] = {"cursor": cursor}
        begun = cursor
        if self._rules.cursor == "max":
            begin = _moment_of(cursor)
            if begin is None:
                begin = min((t.since for t in tracked), default=self._now())
            begun = cursor or begin.isoformat()
            since = begin - timedelta(seconds=self._rules.overlap)
            scope["since"] = _written(self._rules.since, since)
        pages = Pages(self._rules, self._exchange, scope)
        items: list[Change] = []
        times: list[list[datetime]] = []
        failure: Outcome | None = None
        server = cursor
        async for answer in pages:
            listed = self._list(answer.body)
            if not isinstance(listed, list):
                failure = Misconfigured("unreadable_answer", "there is no list where `list` says")
                break
            page = self._times(listed)
            if self._rules.detail is not None:
                listed, failure = await self._details(listed)
            unreadable = self._collect(listed, items)
            if failure is not None:
                break
            failure = unreadable
            if page:
                times.append(page)
            if self._rules.server_cursor is not None:
                server = word(self._rules.server_cursor.read(answer.body)) or server
            pages.saw(len(listed))
        stopped = pages.failure is not None or (failure is not None and not _skippable(failure))
        failure = pages.failure or failure
        if self._rules.cursor == "server":
            return Changes(items, cursor if stopped else server, failure)
        if not (times or failure or pages.truncated):
            # Kept though this poll brought nothing: once no request is tracked any more, the next
            # one would begin at its own time, and what came in between would be lost.
            return Changes(items, begun)
        reached = _reached(times, cursor, complete=not (stopped or pages.truncated))
        if pages.truncated and reached == cursor:
            failure = failure or TryLater("too_many_changes", "more than max_pages hold")
        return Changes(items, reached, failure)

    def _times(self, listed: list[Json]) -> list[datetime]:
        rule = self._rules.item.at
        return [t for item in listed if rule and (t := moment(rule, item)) is not None]

    def _list(self, body: Json) -> Json:
        return None if self._rules.list is None else self._rules.list.read(body)

    def _collect(self, listed: Json, items: list[Change]) -> Outcome | None:
        unreadable = 0
        for item in listed if isinstance(listed, list) else [None]:
            changes = read_item(self._rules.item, item)
            if changes is None:
                unreadable += 1
            else:
                items += changes
        if unreadable:
            return Misconfigured("unreadable_item", f"{unreadable} items name no request")
        return None

    async def _details(self, listed: list[Json]) -> tuple[list[Json], Outcome | None]:
        """Each item fetched by itself, where the list gives but the outlines."""
        detail = self._rules.detail
        fetched: list[Json] = []
        if detail is None:
            return listed, None
        for item in listed:
            answer = await self._exchange.run(detail, {"item": item}, safe=True)
            if isinstance(answer, Refused):
                continue  # gone in between
            if not isinstance(answer, Answer):
                return fetched, answer
            fetched.append(detail.content.read(answer.body))
        return fetched, None


def _skippable(failure: Outcome) -> bool:
    return isinstance(failure, Misconfigured) and failure.reason == "unreadable_item"


def _reached(pages: list[list[datetime]], cursor: str | None, *, complete: bool) -> str | None:
    """How far the poll may say that it has read. `pages`: the times of each page's items.

    Pages shift while they are read: a request that changes moves to the end, and the one after it
    slips onto a page already read. It cannot be older than the end of the first page: with several
    pages the next poll begins there. An unfinished reading counts only in ascending order.
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


def _written(rule: Since, when: datetime) -> Json:
    if rule.format == "epoch":
        return int(when.timestamp())
    if rule.format == "iso":
        return when.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return when.astimezone(rule.zone).strftime(rule.format)


# --- the GRU's own calls --------------------------------------------------------------------


def read_webhook(rules: Webhook, hook: Hook) -> Changes:
    """What a call of the GRU tells, once it has proven its sender."""
    if not _proven(rules.verify, hook):
        return Changes(failure=Refused("unproven", f"{rules.verify.header} does not match"))
    headers = {k.lower(): v for k, v in hook.headers.items()}
    try:
        if "x-www-form-urlencoded" in headers.get("content-type", ""):
            body: Json = dict(parse_qsl(hook.body.decode(), keep_blank_values=True))
        else:
            body = orjson.loads(hook.body)
    except ValueError:
        return Changes(failure=Refused("unreadable", "neither JSON nor a form"))
    listed = rules.items.read(body)
    changes: list[Change] = []
    unreadable = 0
    for item in listed if isinstance(listed, list) else []:
        read = read_item(rules.item, item)
        if read is None:
            unreadable += 1
        else:
            changes += read
    if unreadable or not isinstance(listed, list):
        return Changes(
            changes, failure=Refused("unreadable", f"{unreadable} items name no request")
        )
    return Changes(changes)


def _proven(rules: Verify, hook: Hook) -> bool:
    given = next((v for k, v in hook.headers.items() if k.lower() == rules.header.lower()), None)
    if given is None or not given.startswith(rules.prefix):
        return False
    secret = rules.secret.get_secret_value().encode()
    if rules.kind == "token":
        expected = secret.decode()
    else:
        name = "sha256" if rules.kind == "hmac-sha256" else "sha1"
        digest = hmac.new(secret, hook.body, name).digest()
        expected = digest.hex() if rules.encoding == "hex" else base64.b64encode(digest).decode()
    shown = given[len(rules.prefix) :].strip()
    if rules.kind != "token" and rules.encoding == "hex":
        shown = shown.lower()
    return hmac.compare_digest(shown.encode("utf-8", "replace"), expected.encode())
