"""Reads a list of requests page by page, and searches it for our reference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

from adapters.open311.client import GeoReport, as_setting
from adapters.open311.georeport import GeoReportRows, format_time, leaves, text
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from gateway.sdk import (
    Absent,
    CannotTell,
    Finding,
    Found,
    Outcome,
    Refused,
    TryLater,
    by_turns,
    cannot_tell,
)

#: The specification's limit of one answer: a list of this length may be cut.
MOST_ROWS = 1000
#: A window ends so far ahead of our present: the server's clock may be ahead, or ours set back by
#: hours. A request outside would be called absent, and made again.
AHEAD = timedelta(hours=23)
#: Names of attributes in servers' answers (`extensions=true` is not standardised further).
ATTRIBUTES = ("attributes", "extended_attributes", "attribute")


async def pages(
    options: Open311Options, server: GeoReport, pairs: Pairs
) -> AsyncIterator[GeoReportRows | Outcome]:
    """Yield each page's rows. A list that may be cut ends with `TryLater("too_many")`.

    There is neither a total nor a link. The end is a page that is empty, unknown, or without new
    rows (a server without paging). A short page is not the end: a server may limit `page_size`.
    """
    paging = options.paging
    if paging is None:
        rows = await server.get("requests", pairs=pairs)
        yield rows
        if isinstance(rows, GeoReportRows) and len(rows) >= MOST_ROWS:
            yield TryLater("too_many", f"{len(rows)} rows: set paging, or a shorter window")
        return
    seen: set[str] = set()
    for number in range(paging.first, paging.first + options.max_pages):
        asked = [*pairs, (paging.page, str(number)), (paging.size, str(paging.rows))]
        rows = await server.get("requests", pairs=asked)
        if seen and isinstance(rows, Refused) and rows.reason == "unknown":
            return
        yield rows
        if not isinstance(rows, GeoReportRows) or not rows:
            return
        ids = {identity for row in rows if (identity := text(row, "service_request_id"))}
        if ids <= seen:
            # It ignores the page number: its answer is all, unless it reached the limit.
            if len(rows) >= MOST_ROWS:
                break
            return
        seen |= ids
    yield TryLater("too_many", "the list has no end within max_pages")


async def find_reference(
    options: Open311Options, server: GeoReport, reference: str, now: datetime
) -> Finding:
    """Search for `reference` in the attributes or the text of the requests of the window.

    `Absent` leads to a second creation. So it is returned only when the list was complete and every
    row had the searched part.
    """
    since = now - timedelta(days=options.find_window_days)
    window: Pairs = [("start_date", format_time(since)), ("end_date", format_time(now + AHEAD))]
    looked_into: tuple[str, ...] = ("description",)
    if options.find == "by_attribute":
        window.append(("extensions", "true"))
        looked_into = ATTRIBUTES
    mute, lost = False, 0
    async for rows in pages(options, server, window):
        if not isinstance(rows, GeoReportRows):
            return unanswered(rows)
        lost += rows.lost
        async for row in by_turns(rows):
            given = [row[name] for name in looked_into if name in row]
            words = [leaf for value in given for leaf in leaves(value)]
            inside = options.find == "by_text" and any(reference in word for word in words)
            if inside or reference in words:
                number = text(row, "service_request_id")
                token = text(row, "token")
                return Found(number or (f"token:{token}" if token else None))
            mute = mute or not given
    if lost:
        return CannotTell("unreadable_item", f"{lost} rows cannot be read", True)
    if mute:
        where = looked_into[0]
        return CannotTell("no_attributes", f"the server lists requests without {where}", True)
    return Absent(options.find_settle)


def unanswered(outcome: Outcome) -> CannotTell:
    """Return the finding of a search that failed. Only a refused search can never succeed."""
    outcome = as_setting(outcome)
    return replace(cannot_tell(outcome), forever=isinstance(outcome, Refused))


__all__ = ["AHEAD", "find_reference", "pages", "unanswered"]
