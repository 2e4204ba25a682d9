"""`check`: make the calls that the daemon will make, and name each path that matches nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from adapters.rest.answers import Item, Statuses
from adapters.rest.blind import blind_paths, needed_paths
from adapters.rest.changes import since_value
from adapters.rest.client import RestClient
from adapters.rest.expression import Json
from adapters.rest.items import ItemReader
from adapters.rest.options import RestOptions
from adapters.rest.paging import Pages
from adapters.rest.texts import say
from gateway.sdk import Absent, Answer, CannotTell, Change, Finding, Found, Note, TryLater

#: A reference that no request has.
NOBODY = "TDG-0000000000000000"
#: The time back to which items are read, their number, and the number read in detail.
SPAN = timedelta(days=30)
SAMPLE, FOLLOWED = 50, 3

Find = Callable[[str], Awaitable[Finding]]


async def check_search(options: RestOptions, find: Find, *, aloud: bool) -> list[Note]:
    """Does the GRU answer a search, and does it apply the filter? `aloud`: give the GRU's own words
    in a fault, on a test instance."""
    if options.find is None:
        return [Note("warning", say("no_find"))]
    if options.find.method != "GET":
        return [Note("ok", say("find_no_get"))]
    finding = await find(NOBODY)
    match finding:
        case Absent():
            return [Note("ok", say("find_answers"))]
        case Found():
            return [Note("fault", say("find_believes", nobody=NOBODY))]
        case CannotTell(reason, detail):
            failure = TryLater(reason, detail, answer=finding.answer)
            return [Note.fault(say("search"), failure, aloud=aloud)]


async def check_statuses(
    rules: Statuses, exchange: RestClient, now: Callable[[], datetime], *, aloud: bool
) -> list[Note]:
    """Is there a list, and does each path match something in recent changes?"""
    if rules.method != "GET":
        return [Note("ok", say("poll_no_get"))]
    if rules.each:
        return [Note("warning", say("poll_each"))]
    scope: dict[str, Json] = {"cursor": None, "since": since_value(rules.since, now() - SPAN)}
    one_page = rules.paging.model_copy(update={"max_pages": 1, "total": None})
    pages = Pages(rules, one_page, rules.list, exchange, scope, "statuses.list")
    listed: list[Json] = []
    async for _, items in pages:
        listed += items[:SAMPLE]
    if pages.failure is not None:
        return [Note.fault(say("poll"), pages.failure, aloud=aloud)]
    if pages.passed_over:
        detail = f"{pages.passed_over} item(s) larger than an answer may be"
        return [Note.fault(say("poll"), TryLater("item_too_large", detail))]
    if not listed:
        return [Note("warning", say("poll_empty"))]
    return await _items(rules, exchange, now, listed, aloud=aloud)


async def _items(
    rules: Statuses,
    exchange: RestClient,
    now: Callable[[], datetime],
    listed: Sequence[Json],
    *,
    aloud: bool,
) -> list[Note]:
    items = list(listed)
    if rules.detail is not None or rules.item.also:
        items = items[:FOLLOWED]
    if rules.detail is not None:
        fetched: list[Json] = []
        for item in items:
            answer = await exchange.run(rules.detail, {"item": item}, safe=True)
            if not isinstance(answer, Answer):
                part = say("poll_part", part="statuses.detail")
                return [Note.fault(part, answer, aloud=aloud)]
            fetched.append(rules.detail.content.read(answer.value))
        items = fetched
    reader = ItemReader(rules.item, exchange, now)
    whole: list[Json] = []
    fetching: Change | None = None
    for item in items:
        read = await reader.whole(item)
        if not isinstance(read, list):
            return [Note.fault(say("poll_part", part="item.also"), read, aloud=aloud)]
        whole += read
        told = await reader.changes(item)
        if isinstance(told, list) and fetching is None:
            fetching = next((one for one in told if one.more is not None), None)
    notes = _blind(rules.item, whole)
    if fetching is not None:
        notes += await _further(rules.item, fetching, aloud=aloud)
    return notes or [Note("ok", say("polled", count=len(whole)))]


def _blind(rules: Item, whole: Sequence[Json]) -> list[Note]:
    """Return the paths that match nothing in any of the items."""
    needed = set(needed_paths(rules, whole))
    return [
        Note("fault", say("blind", path=path, count=len(whole)))
        if path in needed
        else Note("warning", say("blind_maybe", path=path, count=len(whole)))
        for path in blind_paths(rules, whole)
    ]


async def _further(rules: Item, change: Change, *, aloud: bool) -> list[Note]:
    """Return the notes on the further calls that a change needs."""
    rest = change if change.more is None else await change.more()
    if not isinstance(rest, Change):
        return [Note.fault(say("poll_part", part=say("further_reads")), rest, aloud=aloud)]
    if rules.notes is not None and not (rest.message or rest.documents):
        text = rules.notes.message
        return [Note("warning", say("blind_message", path=text.text if text else ""))]
    if rest.unreadable:
        return [Note("fault", say("unreadable_part"))]
    return []


__all__ = ["check_search", "check_statuses"]
