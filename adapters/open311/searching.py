"""Going through a list of requests: page by page, and in search of our reference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from adapters.open311.client import GeoReport, as_setting
from adapters.open311.georeport import Row, leaves, stamp, text
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from gateway.sdk import Absent, CannotTell, Finding, Found, Outcome, Refused, TryLater

#: The specification's limit of one answer: at this length, rows may be missing.
MOST_ROWS = 1000
#: How far a window reaches past our present: the server's clock may be ahead of ours, and ours may
#: have been set back by hours. A request that falls outside would be called absent, and made again.
AHEAD = timedelta(hours=23)
#: Names under which servers give attributes back (`extensions=true` is not standardised further).
ATTRIBUTES = ("attributes", "extended_attributes", "attribute")


async def pages(
    options: Open311Options, server: GeoReport, pairs: Pairs
) -> AsyncIterator[list[Row] | Outcome]:
    """Each page's rows. A list that may be cut ends with `TryLater("too_many")`.

    There is no total and no link: the end is a page that is empty, unknown, or brings nothing new
    (a server that knows no paging). A short page is not the end: a server may cap `page_size`.
    """
    paging = options.paging
    if paging is None:
        rows = await server.get("requests", pairs=pairs)
        yield rows
        if isinstance(rows, list) and len(rows) >= MOST_ROWS:
            yield TryLater("too_many", f"{len(rows)} rows: set paging, or a shorter window")
        return
    seen: set[str] = set()
    for number in range(paging.first, paging.first + options.max_pages):
        asked = [*pairs, (paging.page, str(number)), (paging.size, str(paging.rows))]
        rows = await server.get("requests", pairs=asked)
        if seen and isinstance(rows, Refused) and rows.reason == "unknown":
            return
        yield rows
        if not isinstance(rows, list) or not rows:
            return
        ids = {identity for row in rows if (identity := text(row, "service_request_id"))}
        if ids <= seen:
            # It ignores the page number: what it gave is all, unless it reached its limit.
            if len(rows) >= MOST_ROWS:
                break
            return
        seen |= ids
    yield TryLater("too_many", "the list has no end within max_pages")


async def find_by_attribute(
    options: Open311Options, server: GeoReport, reference: str, now: datetime
) -> Finding:
    """Look for `reference` among the attributes of the requests created in the window.

    `Absent` leads to a second creation, so it is only said when every row gave its attributes and
    the list was whole.
    """
    since = now - timedelta(days=options.find_window_days)
    window: Pairs = [
        ("start_date", stamp(since)),
        ("end_date", stamp(now + AHEAD)),
        ("extensions", "true"),
    ]
    mute = False
    async for rows in pages(options, server, window):
        if not isinstance(rows, list):
            return unanswered(rows)
        for row in rows:
            given = [row[name] for name in ATTRIBUTES if name in row]
            if any(reference in leaves(value) for value in given):
                number = text(row, "service_request_id")
                token = text(row, "token")
                return Found(number or (f"token:{token}" if token else None))
            mute = mute or not given
    if mute:
        return CannotTell("no_attributes", "the server lists requests without attributes", True)
    return Absent()


def unanswered(outcome: Outcome) -> CannotTell:
    """A search that came to nothing. Only a refused one will never do better by itself."""
    outcome = as_setting(outcome)
    reason = getattr(outcome, "reason", "no_answer")
    after = outcome.after if isinstance(outcome, TryLater) else None
    return CannotTell(reason, getattr(outcome, "detail", ""), isinstance(outcome, Refused), after)


__all__ = ["AHEAD", "find_by_attribute", "pages", "unanswered"]
