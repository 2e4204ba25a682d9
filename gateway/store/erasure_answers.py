"""The answers of communes to an erasure, and the tasks that they have to do by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.core.delivery import FINAL, NEEDS_A_PERSON, State
from gateway.core.erasure import Phase
from gateway.core.errors import Conflict, NotFound
from gateway.core.outcome import ErasureAnswer
from gateway.store import trail
from gateway.store.erasure_tables import ERASURE, TARGET
from gateway.store.erasures import STREAM, target_ids
from gateway.store.outbox import operator
from gateway.store.tables import DELIVERY, REQUEST
from gateway.store.texts import say


@dataclass(frozen=True, slots=True)
class Todo:
    """A request that a commune has to erase by hand: what its GRU calls it, and why it is so."""

    erasure_id: str
    request_id: str
    commune: str
    gru: str
    gru_reference: str | None
    reason: str
    since: datetime
    due_at: datetime | None


def todo(connection: Connection, commune: str | None = None) -> list[Todo]:
    """List the tasks of communes that erase by hand, the nearest deadline first."""
    statement = (
        select(
            TARGET.c.erasure_id,
            TARGET.c.request_id,
            TARGET.c.commune,
            TARGET.c.gru,
            REQUEST.c.gru_reference,
            DELIVERY.c.reason,
            DELIVERY.c.created_at,
            ERASURE.c.due_at,
        )
        .join(ERASURE, ERASURE.c.id == TARGET.c.erasure_id)
        .join(DELIVERY, DELIVERY.c.id == TARGET.c.delivery_id)
        .join(REQUEST, REQUEST.c.id == TARGET.c.request_id)
        .where(
            ERASURE.c.state == Phase.TELLING.value,
            TARGET.c.acknowledged_at.is_(None),
            DELIVERY.c.state.in_([one.value for one in NEEDS_A_PERSON]),
        )
        .order_by(ERASURE.c.due_at, TARGET.c.commune, TARGET.c.request_id)
    )
    if commune is not None:
        statement = statement.where(TARGET.c.commune == commune)
    return [Todo(*row) for row in connection.execute(statement)]


def acknowledge(connection: Connection, erasure_id: str, now: datetime) -> bool:
    """Record acknowledgements since, and close the erasure once none is missing. Is it closed?"""
    state = connection.execute(
        select(ERASURE.c.state).where(ERASURE.c.id == erasure_id).with_for_update()
    ).scalar()
    if state != Phase.TELLING.value:
        return False
    owed = connection.execute(
        select(
            TARGET.c.request_id,
            TARGET.c.commune,
            TARGET.c.acknowledged_at,
            DELIVERY.c.state,
            DELIVERY.c.reason,
            DELIVERY.c.settled_at,
        )
        .join(DELIVERY, DELIVERY.c.id == TARGET.c.delivery_id)
        .where(TARGET.c.erasure_id == erasure_id)
        .order_by(TARGET.c.commune, TARGET.c.request_id)
    ).all()
    final = {one.value for one in FINAL}
    for row in owed:
        if row.acknowledged_at is None and row.state in final:
            by = "gru" if row.state == State.DONE.value else f"outbox: {row.reason}"
            _acknowledged(connection, erasure_id, row.request_id, by, row.settled_at)
    for commune in sorted({row.commune for row in owed}):
        _tell_of_commune(connection, erasure_id, commune, now)
    if any(row.acknowledged_at is None and row.state not in final for row in owed):
        return False
    connection.execute(
        update(ERASURE)
        .where(ERASURE.c.id == erasure_id)
        .values(state=Phase.CLOSED.value, closed_at=now)
    )
    connection.execute(
        update(REQUEST).where(REQUEST.c.id.in_(target_ids(erasure_id))).values(gru_reference=None)
    )
    trail.append(connection, STREAM, "closed", {"erasure": erasure_id}, now)
    return True


def done_by_hand(
    connection: Connection,
    erasure_id: str,
    commune: str,
    by: str,
    now: datetime,
    answer: ErasureAnswer | None = None,
    request_id: str | None = None,
) -> int:
    """Take a person's word for what a commune did (None: erased), for one request or for all that
    it owes; return how many. Raises NotFound, and Conflict when no erasure is pending there, or one
    is being sent."""
    rows = connection.execute(
        select(
            TARGET.c.request_id, TARGET.c.delivery_id, TARGET.c.acknowledged_at, DELIVERY.c.state
        )
        .join(DELIVERY, DELIVERY.c.id == TARGET.c.delivery_id)
        .where(TARGET.c.erasure_id == erasure_id, TARGET.c.commune == commune)
        .order_by(TARGET.c.request_id)
    ).all()
    if not rows:
        there = connection.execute(select(ERASURE.c.id).where(ERASURE.c.id == erasure_id)).first()
        word = "owes_nothing" if there else "no_erasure"
        raise NotFound(say(word, id=erasure_id, **({"commune": commune} if there else {})))
    final = {one.value for one in FINAL}
    owed = [
        row
        for row in rows
        if row.acknowledged_at is None
        and row.state not in final
        and request_id in (None, row.request_id)
    ]
    if not owed:
        raise Conflict(say("acknowledged_already", id=erasure_id, commune=commune))
    for row in owed:
        operator.discard(connection, row.delivery_id, now, because="by hand")
        told = answer or ErasureAnswer()
        connection.execute(
            update(TARGET)
            .where(TARGET.c.erasure_id == erasure_id, TARGET.c.request_id == row.request_id)
            .values(
                answer=told.result.value,
                ground=told.ground,
                until=told.until,
                decided_by=told.by or (by if told.ground else None),
            )
        )
        _acknowledged(connection, erasure_id, row.request_id, by, now)
    return len(owed)


def _acknowledged(
    connection: Connection, erasure_id: str, request_id: str, by: str, at: datetime
) -> None:
    connection.execute(
        update(TARGET)
        .where(
            TARGET.c.erasure_id == erasure_id,
            TARGET.c.request_id == request_id,
            TARGET.c.acknowledged_at.is_(None),
        )
        .values(acknowledged_at=at, acknowledged_by=by)
    )


def _tell_of_commune(connection: Connection, erasure_id: str, commune: str, now: datetime) -> None:
    """Append the trail's entry of a commune, once, when all its requests are acknowledged."""
    mine = (TARGET.c.erasure_id == erasure_id) & (TARGET.c.commune == commune)
    rows = connection.execute(
        select(
            TARGET.c.request_id,
            TARGET.c.acknowledged_at,
            TARGET.c.acknowledged_by,
            TARGET.c.answer,
            TARGET.c.until,
        )
        .where(mine, TARGET.c.delivery_id.is_not(None))
        .order_by(TARGET.c.request_id)
    ).all()
    told = connection.execute(select(ERASURE.c.told).where(ERASURE.c.id == erasure_id)).scalar_one()
    if commune in told.split() or any(row.acknowledged_at is None for row in rows):
        return
    data: dict[str, Any] = {
        "erasure": erasure_id,
        "commune": commune,
        "requests": [row.request_id for row in rows],
        "by": sorted({row.acknowledged_by for row in rows}),
        # A ground is a commune's free text, which an entry that cannot be taken back must not hold.
        "answers": dict(sorted(Counter(row.answer or "none" for row in rows).items())),
    }
    ends = [row.until for row in rows if row.until is not None]
    if ends:
        data["kept_until"] = max(ends).isoformat()
    trail.append(connection, STREAM, "commune_acknowledged", data, now)
    connection.execute(
        update(ERASURE).where(ERASURE.c.id == erasure_id).values(told=f"{told} {commune}".strip())
    )
