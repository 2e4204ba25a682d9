"""Erasures of single requests, where no account is gone: a person asks, or the portal
anonymised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, select

from gateway.core.erasure import Phase
from gateway.core.errors import Conflict, NotFound
from gateway.store import erasures, trail
from gateway.store.erasure_tables import ERASURE
from gateway.store.reading import lock_request, request_by_id
from gateway.store.tables import REQUEST
from gateway.store.texts import say


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """A request to erase for itself, and its mark."""

    id: str
    mark: str


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order to erase single requests. `held`: why two people must agree first; empty: nobody
    must. `by` and `because` are those of a person, who has agreed by it."""

    run: str
    source: str
    deadline: timedelta
    held: str = ""
    by: str | None = None
    because: str | None = None


@dataclass(frozen=True, slots=True)
class ListedRequest:
    """A request that is not erased, with its number at the portal. `followed`: its contents are
    here, and nobody was asked yet whether to erase it."""

    id: str
    ref: str
    followed: bool


def listed(
    connection: Connection, portal: str, teleservice: str, after: str, limit: int
) -> list[ListedRequest]:
    """Return requests of a form that are not erased, behind the number `after`, in its order."""
    asked = select(ERASURE.c.id).where(ERASURE.c.request_id == REQUEST.c.id)
    followed = and_(REQUEST.c.purged_at.is_(None), ~asked.exists())
    rows = connection.execute(
        select(REQUEST.c.id, REQUEST.c.ref, followed)
        .where(
            REQUEST.c.portal == portal,
            REQUEST.c.teleservice == teleservice,
            REQUEST.c.ref > after,
            REQUEST.c.erased_at.is_(None),
        )
        .order_by(REQUEST.c.ref)
        .limit(limit)
    )
    return [ListedRequest(row[0], row[1], bool(row[2])) for row in rows]


def open_requests(
    connection: Connection,
    wanted: Sequence[SingleRequest],
    order: OpenOrder,
    new_id: Callable[[], str],
    now: datetime,
    *,
    skip: bool = False,
) -> list[str]:
    """Open the erasure of each of these requests, or hold it for two people; return their ids.

    Raises NotFound for a request that is not here, and Conflict for one that is erased, or being
    erased: nothing is opened then. With `skip` these are passed over.
    """
    made: list[dict[str, Any]] = []
    for one in wanted:
        lock_request(connection, one.id)
        known = request_by_id(connection, one.id)
        gone = known is None or known.erased_at is not None or _is_under_way(connection, one.id)
        if skip and gone:
            continue
        if known is None:
            raise NotFound(say("no_such_request", id=one.id))
        if gone:
            raise Conflict(say("erased_already", id=one.id))
        made.append(
            {
                "id": new_id(),
                "run": order.run,
                "account": one.id,
                "request_id": one.id,
                "mark": one.mark,
                "source": order.source,
                "state": Phase.HELD.value,
                "reason": order.held,
                "found_at": now,
                "first_by": order.by if order.held else None,
                "because": order.because,
                "requests": 0,
                "files": 0,
                "told": "",
            }
        )
    if not made:
        return []
    erasures.insert_all(connection, ERASURE, made)
    data: dict[str, Any]
    data = {"run": order.run, "source": order.source, "by": order.by, "because": order.because}
    data |= {"why": order.held, "requests": [row["request_id"] for row in made]}
    trail.append(connection, erasures.STREAM, "ordered", {k: v for k, v in data.items() if v}, now)
    if not order.held:
        for row in made:
            erasures.open_erasure(connection, row["id"], order.deadline, now)
    return [row["id"] for row in made]


def _is_under_way(connection: Connection, request_id: str) -> bool:
    held = select(ERASURE.c.id).where(ERASURE.c.account == request_id)
    return connection.execute(held).first() is not None
