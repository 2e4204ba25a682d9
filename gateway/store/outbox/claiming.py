"""Claims what is due, for several lanes at once: they share one round trip.

The literal condition on `head` and `state` repeats that of the partial index: with bound parameters
the planner could not use it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from gateway.core.delivery import Kind
from gateway.core.request import Attachment
from gateway.core.sealing import NotOpened
from gateway.store import sealed, statements
from gateway.store.dialect import EPOCH, is_postgresql, micros, moment
from gateway.store.engine import Batch
from gateway.store.outbox.rows import Delivery
from gateway.store.reading import (
    DELIVERY_COLUMNS,
    REQUEST_COLUMNS,
    from_driver,
    to_delivery,
    to_request,
)
from gateway.store.rows import StoredRequest


class ClaimOrder(StrEnum):
    """The order in which a claim takes due deliveries."""

    #: First what came due within `FRESH_FOR`, then the oldest.
    NEWEST_FIRST = "newest_first"
    OLDEST_FIRST = "oldest_first"
    #: First what has not failed yet, then the oldest.
    UNTRIED_FIRST = "untried_first"


#: A delivery that came due within this time is fresh: a citizen has just sent it.
FRESH_FOR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Ask for up to `limit` due deliveries of a lane, leased for `lease` seconds."""

    lane: str
    limit: int
    owner: str
    now: datetime
    lease: float
    order: ClaimOrder = ClaimOrder.OLDEST_FIRST


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours until the lease ends, with all that its far end needs. `body` is None
    when the stored event cannot be decoded."""

    delivery: Delivery
    request: StoredRequest
    event_key: str
    event_kind: str
    body: Mapping[str, Any] | None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The claims that are ours now; when they are fewer than asked for, the next is `due` then."""

    claims: list[Claimed]
    due: datetime | None = None


_SQL = statements.load("claim")


def _claim(connection: Connection, asks: Sequence[ClaimRequest]) -> list[ClaimResult]:
    """Claim what each asks for. What is returned is ours.

    The UPDATE repeats the state's condition, so two replicas never hold the same one; `fence` grows
    with each claim, so a late owner cannot settle.
    """
    chosen = _choose(connection, asks)
    claims: list[list[Claimed]] = [[] for _ in asks]
    if chosen:
        _SQL["claim"].run_all(
            connection,
            [
                {
                    "id": id_,
                    "owner": asks[n].owner,
                    "until": asks[n].now + timedelta(seconds=asks[n].lease),
                    "now": asks[n].now,
                }
                for id_, n in chosen.items()
            ],
        )
        for claimed in read_claimed(connection, list(chosen)):
            n = chosen[claimed.delivery.id]
            if claimed.delivery.lease_owner == asks[n].owner:
                claims[n].append(claimed)
    short = [ask.lane for ask, mine in zip(asks, claims, strict=True) if len(mine) < ask.limit]
    due = _next_due(connection, short)
    return [ClaimResult(mine, due.get(ask.lane)) for ask, mine in zip(asks, claims, strict=True)]


claim = Batch(_claim)


def _choose(connection: Connection, asks: Sequence[ClaimRequest]) -> dict[str, int]:
    """Choose and lock the deliveries to claim, each with the index of its ask."""
    chosen: dict[str, int] = {}
    left = [ask.limit for ask in asks]

    def choose(found: Iterable[tuple[int, str]]) -> None:
        for n, id_ in found:
            if left[n] > 0 and id_ not in chosen:
                chosen[id_] = n
                left[n] -= 1

    choose(_due(connection, [(n, w, *_FIRST[w.order](w)) for n, w in enumerate(asks)]))
    still = [n for n, more in enumerate(left) if more > 0]
    choose(_due(connection, [(n, asks[n], _EVER, _HOWEVER_OFTEN) for n in still]))
    return chosen


_EVER = EPOCH - timedelta(days=1)
_HOWEVER_OFTEN = 2**31 - 1
#: The earliest due time of those that are taken first, and their most failures.
_FIRST: Mapping[ClaimOrder, Callable[[ClaimRequest], tuple[datetime, int]]] = {
    ClaimOrder.NEWEST_FIRST: lambda ask: (ask.now - FRESH_FOR, _HOWEVER_OFTEN),
    ClaimOrder.UNTRIED_FIRST: lambda ask: (_EVER, 0),
    ClaimOrder.OLDEST_FIRST: lambda ask: (_EVER, _HOWEVER_OFTEN),
}


def _due(
    connection: Connection, wanted: Sequence[tuple[int, ClaimRequest, datetime, int]]
) -> list[tuple[int, str]]:
    """Find what came due after that time with at most so many failures, oldest first, up to each
    limit."""
    if not wanted:
        return []
    if is_postgresql(connection):
        columns = {
            "n": [n for n, *_ in wanted],
            "lane": [ask.lane for _, ask, *_ in wanted],
            "now": [micros(ask.now) for _, ask, *_ in wanted],
            "after": [micros(after) for *_, after, _ in wanted],
            "failures": [failures for *_, failures in wanted],
            "most": [ask.limit for _, ask, *_ in wanted],
        }
        return [(row[0], row[1]) for row in _SQL["due_on_lanes"].rows(connection, **columns)]
    return [
        (n, row[0])
        for n, ask, after, failures in wanted
        for row in _SQL["due_on_lane"].rows(
            connection,
            lane=ask.lane,
            now=ask.now,
            after=after,
            failures=failures,
            most=ask.limit,
        )
    ]


def _next_due(connection: Connection, lanes: list[str]) -> dict[str, datetime | None]:
    if not lanes:
        return {}
    return {row[0]: moment(row[1]) for row in _SQL["next_due"].rows(connection, lanes=lanes)}


def read_claimed(connection: Connection, ids: list[str]) -> list[Claimed]:
    """Read these deliveries, with all that their far ends need."""
    return _read(connection, ids, "claimed")


def read_owed(connection: Connection, ids: list[str]) -> list[Claimed]:
    """Read these deliveries as `read_claimed` does, claimed or not."""
    return _read(connection, ids, "owed_again")


def _read(connection: Connection, ids: list[str], statement: str) -> list[Claimed]:
    rows = [from_driver(row) for row in _SQL[statement].rows(connection, ids=ids)]
    width = len(DELIVERY_COLUMNS)
    mines = [to_delivery(row[:width]) for row in rows]
    files: dict[str, list[tuple[str, Attachment]]] = {}
    events = sorted({mine.event_id for mine in mines})
    stored = _SQL["files"].rows(connection, ids=events)
    sealed.load_keys(connection, [row[-1] for row in rows] + [name for *_, name, _, _, _ in stored])
    for event_id, *file in stored:
        with suppress(NotOpened):  # as one that is gone
            found = sealed.read_attachment(connection, file)
            files.setdefault(event_id, []).append((file[0], found))
    result = []
    for row, mine in zip(rows, mines, strict=True):
        key, event_kind, body = row[width + len(REQUEST_COLUMNS) :]
        result.append(
            Claimed(
                mine,
                to_request(row[width:]),
                key,
                event_kind,
                _decoded(connection, mine, body),
                tuple(file for at, file in files.get(mine.event_id, ()) if _carries(mine, at)),
            )
        )
    return result


def _decoded(connection: Connection, mine: Delivery, body: str | None) -> Mapping[str, Any] | None:
    """Return None for a body that cannot be read: one such row must not stop its lane."""
    if not body:
        return {}
    try:
        text = sealed.unseal(connection, sealed.event_body(mine.event_id, mine.request_id), body)
        found = None if text is None else json.loads(text)
    except (NotOpened, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _carries(mine: Delivery, attachment_id: str) -> bool:
    """Does the delivery send this file of its event?"""
    return mine.kind is not Kind.ERASE and mine.attachment_id in (None, attachment_id)
