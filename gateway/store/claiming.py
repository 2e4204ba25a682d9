"""Taking what is due: for several lanes at once, so that none of them pays for a round trip alone.

The literal condition on `head` and `state` repeats that of the partial index: with bound
parameters the planner could not use it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text, update

from gateway.core.delivery import Kind, State
from gateway.core.request import Attachment
from gateway.store.engine import Batch
from gateway.store.prepared import Prepared, among, listed, run
from gateway.store.reading import (
    ATTACHMENT,
    DELIVERY,
    DELIVERY_COLUMNS,
    EVENT,
    REQUEST,
    REQUEST_COLUMNS,
    as_given,
    delivery,
    kept,
)
from gateway.store.rows import Claimed, Delivery
from gateway.store.tables import EPOCH, micros, moment


class Favour(StrEnum):
    """Whom a claim serves first."""

    FRESH = "fresh"
    BACKLOG = "backlog"
    UNTRIED = "untried"


#: What came due within this time is fresh: a citizen has just sent it.
FRESH_FOR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Wish:
    """Up to `limit` due deliveries of a lane for `lease` seconds.

    Oldest first, or with `favour` FRESH first those that came due of late, then the oldest; with
    UNTRIED first those that have not failed yet.
    """

    lane: str
    limit: int
    owner: str
    now: datetime
    lease: float
    favour: Favour = Favour.BACKLOG


@dataclass(frozen=True, slots=True)
class Taken:
    """What is ours now, and, where that is less than was wished, when the lane's next is due."""

    claims: list[Claimed]
    due: datetime | None = None


_DUE = text("head AND state IN ('waiting', 'unsure')")

# SQLite, which has one writer, leaves FOR UPDATE out by itself.
_OF_ONE = Prepared(
    lambda dialect: (
        select(DELIVERY.c.id)
        .where(
            DELIVERY.c.lane == bindparam("lane"),
            _DUE,
            DELIVERY.c.next_at <= bindparam("now"),
            DELIVERY.c.next_at > bindparam("after"),
            DELIVERY.c.failures <= bindparam("failures"),
        )
        .order_by(DELIVERY.c.next_at)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )
)
#: PostgreSQL alone: what `_OF_ONE` asks for each lane, in one statement.
_OF_MANY = """SELECT w.n, d.id
FROM unnest(%(n)s::int[], %(lane)s::text[], %(now)s::bigint[], %(after)s::bigint[],
            %(failures)s::int[], %(most)s::int[]) AS w(n, lane, now, after, failures, most)
CROSS JOIN LATERAL (
    SELECT id FROM delivery
    WHERE lane = w.lane AND head AND state IN ('waiting', 'unsure')
      AND next_at <= w.now AND next_at > w.after AND failures <= w.failures
    ORDER BY next_at LIMIT w.most FOR UPDATE SKIP LOCKED
) AS d
"""
_TAKE = Prepared(
    lambda dialect: (
        update(DELIVERY)
        .where(DELIVERY.c.id == bindparam("mine"), _DUE)
        .values(
            state=State.SENDING.value,
            asking=DELIVERY.c.state == State.UNSURE.value,
            lease_owner=bindparam("by"),
            lease_until=bindparam("until"),
            fence=DELIVERY.c.fence + 1,
            attempts=DELIVERY.c.attempts + 1,
        )
    )
)
_CLAIMED = Prepared(
    lambda dialect: (
        select(
            *DELIVERY_COLUMNS,
            *REQUEST_COLUMNS,
            EVENT.c.key,
            EVENT.c.kind.label("event_kind"),
            EVENT.c.body,
        )
        .join(REQUEST, REQUEST.c.id == DELIVERY.c.request_id)
        .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
        .where(among(DELIVERY.c.id, "ids", dialect), DELIVERY.c.state == text("'sending'"))
        .order_by(DELIVERY.c.next_at, DELIVERY.c.id)
    )
)
_FILES = Prepared(
    lambda dialect: (
        select(
            ATTACHMENT.c.event_id,
            ATTACHMENT.c.id,
            *(ATTACHMENT.c[name] for name in Attachment.__slots__),
        )
        .where(among(ATTACHMENT.c.event_id, "ids", dialect))
        .order_by(ATTACHMENT.c.id)
    )
)


_NEXT = Prepared(
    lambda dialect: select(
        (lanes := listed("lanes", dialect)).c.value,
        select(func.min(DELIVERY.c.next_at))
        .where(DELIVERY.c.lane == lanes.c.value, _DUE)
        .scalar_subquery(),
    )
)


def _claim(connection: Connection, wishes: Sequence[Wish]) -> list[Taken]:
    """Take what each wish asks for. What comes back is ours.

    The UPDATE repeats the state test, so two replicas never hold the same one; `fence` grows at
    each claim, so that an owner that comes back late cannot settle.
    """
    chosen = _choose(connection, wishes)
    claims: list[list[Claimed]] = [[] for _ in wishes]
    if chosen:
        _TAKE.many(
            connection,
            [
                {
                    "mine": id_,
                    "by": wishes[n].owner,
                    "until": wishes[n].now + timedelta(seconds=wishes[n].lease),
                }
                for id_, n in chosen.items()
            ],
        )
        for claimed in _read(connection, list(chosen)):
            n = chosen[claimed.delivery.id]
            if claimed.delivery.lease_owner == wishes[n].owner:
                claims[n].append(claimed)
    short = [wish.lane for wish, mine in zip(wishes, claims, strict=True) if len(mine) < wish.limit]
    due = _next_due(connection, short)
    return [Taken(mine, due.get(wish.lane)) for wish, mine in zip(wishes, claims, strict=True)]


claim = Batch(_claim)


def _choose(connection: Connection, wishes: Sequence[Wish]) -> dict[str, int]:
    """The deliveries to take, each with the number of its wish; nobody else can take them now."""
    chosen: dict[str, int] = {}
    left = [wish.limit for wish in wishes]

    def take(found: Iterable[tuple[int, str]]) -> None:
        for n, id_ in found:
            if left[n] > 0 and id_ not in chosen:
                chosen[id_] = n
                left[n] -= 1

    take(_due(connection, [(n, w, *_FIRST[w.favour](w)) for n, w in enumerate(wishes)]))
    still = [n for n, more in enumerate(left) if more > 0]
    take(_due(connection, [(n, wishes[n], _EVER, _HOWEVER_OFTEN) for n in still]))
    return chosen


_EVER = EPOCH - timedelta(days=1)
_HOWEVER_OFTEN = 2**31 - 1
#: Since when those that a wish is to serve first came due, and how often they have failed at most.
_FIRST: Mapping[Favour, Callable[[Wish], tuple[datetime, int]]] = {
    Favour.FRESH: lambda wish: (wish.now - FRESH_FOR, _HOWEVER_OFTEN),
    Favour.UNTRIED: lambda wish: (_EVER, 0),
    Favour.BACKLOG: lambda wish: (_EVER, _HOWEVER_OFTEN),
}


def _due(
    connection: Connection, wanted: Sequence[tuple[int, Wish, datetime, int]]
) -> list[tuple[int, str]]:
    """What came due after that moment and failed no oftener than that, oldest first, up to each
    wish's limit."""
    if not wanted:
        return []
    if connection.dialect.name == "postgresql":
        told = {
            "n": [n for n, *_ in wanted],
            "lane": [wish.lane for _, wish, *_ in wanted],
            "now": [micros(wish.now) for _, wish, *_ in wanted],
            "after": [micros(after) for *_, after, _ in wanted],
            "failures": [failures for *_, failures in wanted],
            "most": [wish.limit for _, wish, *_ in wanted],
        }
        return [(row[0], row[1]) for row in run(connection, "execute", _OF_MANY, told).fetchall()]
    return [
        (n, row[0])
        for n, wish, after, failures in wanted
        for row in _OF_ONE(
            connection,
            lane=wish.lane,
            now=wish.now,
            after=after,
            failures=failures,
            most=wish.limit,
        ).fetchall()
    ]


def _next_due(connection: Connection, lanes: list[str]) -> dict[str, datetime | None]:
    if not lanes:
        return {}
    return {row[0]: moment(row[1]) for row in _NEXT(connection, lanes=lanes).fetchall()}


def _read(connection: Connection, ids: list[str]) -> list[Claimed]:
    """These deliveries, with all that their far ends need."""
    rows = [as_given(row) for row in _CLAIMED(connection, ids=ids).fetchall()]
    width = len(DELIVERY_COLUMNS)
    mines = [delivery(row[:width]) for row in rows]
    files: dict[str, list[tuple[str, Attachment]]] = {}
    for row in _FILES(connection, ids=sorted({mine.event_id for mine in mines})).fetchall():
        files.setdefault(row[0], []).append((row[1], Attachment(*row[2:])))
    result = []
    for row, mine in zip(rows, mines, strict=True):
        key, event_kind, body = row[width + len(REQUEST_COLUMNS) :]
        result.append(
            Claimed(
                mine,
                kept(row[width:]),
                key,
                event_kind,
                _decoded(body),
                tuple(file for at, file in files.get(mine.event_id, ()) if _carries(mine, at)),
            )
        )
    return result


def _decoded(body: str | None) -> Mapping[str, Any] | None:
    """None for what cannot be read: one such row must not stop its lane."""
    if not body:
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _carries(mine: Delivery, attachment_id: str) -> bool:
    """Is this file of the event the delivery's to send?"""
    return mine.kind is not Kind.ERASE and mine.attachment_id in (None, attachment_id)


__all__ = ["FRESH_FOR", "Favour", "Taken", "Wish", "claim"]
