"""People's word on erasures that are held: two agree, or one gives up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select, update

from gateway.core.erasure import Phase, same_person
from gateway.core.errors import Conflict, NotFound
from gateway.store import trail
from gateway.store.erasure_tables import ERASURE
from gateway.store.erasures import STREAM, close_as_withdrawn, id_batches, open_erasure
from gateway.store.texts import say


def approve(
    connection: Connection, target: str, by: str, deadline: timedelta, now: datetime
) -> tuple[int, int]:
    """Record one person's agreement to a held erasure, or to all of a run.

    A second person's agreement opens it. Return how many were agreed to, and how many of them
    opened. Raises NotFound, and Conflict when nothing waits for this person.
    """
    held = _held(connection, target)
    first = [row.id for row in held if row.first_by is None]
    second = [
        row.id for row in held if row.first_by is not None and not same_person(row.first_by, by)
    ]
    if not first and not second:
        raise Conflict(say("agreed_before", by=by))
    for column, ids in (("first_by", first), ("second_by", second)):
        for part in id_batches(ids):
            connection.execute(update(ERASURE).where(ERASURE.c.id.in_(part)).values(**{column: by}))
    for erasure_id in second:
        open_erasure(connection, erasure_id, deadline, now)
    data = {"target": target, "by": by, "agreed": len(first), "opened": len(second)}
    trail.append(connection, STREAM, "approved", data, now)
    return len(first) + len(second), len(second)


def withdraw(connection: Connection, target: str, by: str, because: str, now: datetime) -> int:
    """Give up a held erasure, or all of a run: who would be erased turned out to exist. Return how
    many. Whoever the provider tells again to be gone is held again. Raises NotFound and Conflict.
    """
    held = [row.id for row in _held(connection, target)]
    for part in id_batches(held):
        close_as_withdrawn(connection, ERASURE.c.id.in_(part), now)
    data = {"target": target, "by": by, "because": because, "withdrawn": len(held)}
    trail.append(connection, STREAM, "withdrawn", data, now)
    return len(held)


def _held(connection: Connection, target: str) -> Sequence[Any]:
    """Lock and return the held erasures of a run, or one. Raises NotFound and Conflict."""
    rows = connection.execute(
        select(ERASURE.c.id, ERASURE.c.state, ERASURE.c.first_by)
        .where(or_(ERASURE.c.id == target, ERASURE.c.run == target))
        .order_by(ERASURE.c.id)
        .with_for_update()
    ).all()
    if not rows:
        raise NotFound(say("no_erasure_nor_run", id=target))
    held = [row for row in rows if row.state == Phase.HELD.value]
    if not held:
        raise Conflict(say("not_held", id=target, state=rows[0].state))
    return held
