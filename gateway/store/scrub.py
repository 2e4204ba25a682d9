"""The erasure of one person, step by step; each step is one transaction and may be run again.

`stop` stops deliveries. `scrub` empties the tables once calls under way have settled, and enqueues
each commune's erasure. `Store.clean` clears SQLite's files; PostgreSQL's autovacuum removes dead
rows in its own time. `acknowledge` closes the erasure.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, false, func, insert, or_, select, update

from gateway.core.delivery import FINAL, Kind, State
from gateway.core.erasure import Phase
from gateway.core.errors import Conflict, NotFound
from gateway.core.lane_name import GruLane
from gateway.store import blobs, object_gc, sealed, trail, untold
from gateway.store.dialect import add_all
from gateway.store.erasure_tables import ERASURE, SUSPECT, TARGET
from gateway.store.erasures import STREAM, lock_account
from gateway.store.outbox import enqueuing, operator
from gateway.store.outbox.enqueuing import QueuedDelivery
from gateway.store.reading import lock_request
from gateway.store.tables import ATTACHMENT, ATTEMPT, DELIVERY, EVENT, HEARD, REQUEST, UNTOLD
from gateway.store.texts import say

#: The reason of a delivery about an erased person that was stopped.
REASON = "erased"
_STOPPABLE = (State.WAITING, State.UNSURE, State.QUESTION, State.PARKED, State.DEAD)
_FILES_AT_ONCE = 200


def stop(connection: Connection, erasure_id: str, now: datetime) -> int | None:
    """Stop all deliveries about this person; return the number of calls under way.

    None when this step is over. A call under way settles by its fence or is reaped, and is then
    discarded (`outbox`) unless it went through.
    """
    account = _account(connection, erasure_id)
    if account is None:
        return None
    theirs = (
        select(REQUEST.c.id, REQUEST.c.commune, REQUEST.c.gru)
        .where(REQUEST.c.account == account)
        .order_by(REQUEST.c.id)
    )
    rows = connection.execute(theirs.with_for_update(key_share=True)).all()
    add_all(
        connection,
        TARGET,
        [
            {
                "erasure_id": erasure_id,
                "request_id": row.id,
                "commune": row.commune,
                "gru": row.gru,
            }
            for row in rows
        ],
    )
    ids = _requests(erasure_id)
    connection.execute(
        update(REQUEST)
        .where(REQUEST.c.id.in_(ids), REQUEST.c.erased_at.is_(None))
        .values(erased_at=now)
    )
    connection.execute(
        update(DELIVERY)
        .where(
            DELIVERY.c.request_id.in_(ids),
            DELIVERY.c.kind != Kind.ERASE.value,
            DELIVERY.c.state.in_([state.value for state in _STOPPABLE]),
        )
        .values(
            state=State.DISCARDED.value,
            head=false(),
            reason=REASON,
            detail="",
            settled_at=now,
        )
    )
    sending: int = connection.execute(
        select(func.count()).where(
            DELIVERY.c.request_id.in_(ids), DELIVERY.c.state == State.SENDING.value
        )
    ).scalar_one()
    return sending


def scrub(
    connection: Connection,
    erasure_id: str,
    new_id: Callable[[], str],
    now: datetime,
    destroy_links: Callable[[Connection, str], object] | None = None,
) -> list[str] | None:
    """Empty the tables of this person and enqueue each GRU's erasure; return their lanes. None, and
    nothing changes, while a call is under way. `destroy_links` destroys the links of an account."""
    sending = stop(connection, erasure_id, now)
    if sending is None:
        return []
    if sending:
        return None
    ids = _requests(erasure_id)
    # First: no copy of what follows can be read from here on, wherever it lies.
    sealed.destroy(connection, connection.execute(_request_ids(erasure_id)).scalars().all())
    files = connection.execute(
        delete(ATTACHMENT).where(ATTACHMENT.c.request_id.in_(ids)).returning(ATTACHMENT.c.address)
    ).all()
    addresses = sorted({row.address for row in files})
    for start in range(0, len(addresses), _FILES_AT_ONCE):
        blobs.drop_orphans(connection, addresses[start : start + _FILES_AT_ONCE], erasure_id)
    connection.execute(
        update(EVENT).where(EVENT.c.request_id.in_(ids)).values(body=None, digest="", told_key=None)
    )
    connection.execute(delete(HEARD).where(HEARD.c.request_id.in_(ids)))
    connection.execute(delete(UNTOLD).where(UNTOLD.c.request_id.in_(ids)))
    # A call about an unknown number may concern this person; a poll tells it again.
    for gru in connection.execute(
        select(TARGET.c.commune, TARGET.c.gru).where(TARGET.c.erasure_id == erasure_id).distinct()
    ).all():
        untold.forget_numbers(connection, gru.commune, gru.gru)
    deliveries = select(DELIVERY.c.id).where(DELIVERY.c.request_id.in_(ids))
    connection.execute(
        update(ATTEMPT).where(ATTEMPT.c.delivery_id.in_(deliveries)).values(detail="", answer=None)
    )
    connection.execute(update(DELIVERY).where(DELIVERY.c.request_id.in_(ids)).values(detail=""))
    targets = connection.execute(
        select(TARGET.c.request_id, TARGET.c.commune, TARGET.c.gru)
        .where(TARGET.c.erasure_id == erasure_id)
        .order_by(TARGET.c.request_id)
    ).all()
    lanes: set[str] = set()
    for row in targets:
        # Not before a GRU that may still work on our call must have finished.
        due = _reached(connection, row.request_id)
        if due is not None:
            lane = str(GruLane(row.commune, row.gru))
            _owe(connection, erasure_id, row.request_id, lane, new_id, max(due, now), now)
            lanes.add(lane)
    account = _account(connection, erasure_id)
    if destroy_links is not None and account is not None:
        destroy_links(connection, account)
    connection.execute(delete(SUSPECT).where(SUSPECT.c.account == account))
    connection.execute(
        update(REQUEST)
        .where(REQUEST.c.id.in_(ids))
        .values(
            account=None,
            uuid=None,
            number=None,
            api_url=None,
            digest="",
            gru_link=None,
            word=None,
            ask_at=None,
        )
    )
    connection.execute(
        update(ERASURE)
        .where(ERASURE.c.id == erasure_id)
        .values(
            state=Phase.SCRUBBED.value,
            account=None,
            erased_at=now,
            requests=len(targets),
            files=len(files),
        )
    )
    return sorted(lanes)


def erased(connection: Connection, erasure_id: str, now: datetime) -> bool:
    """Record in the trail, once, that the files are clean. Not while the object store holds one."""
    if object_gc.unfinished(connection, [erasure_id]):
        return False
    moved = connection.execute(
        update(ERASURE)
        .where(ERASURE.c.id == erasure_id, ERASURE.c.state == Phase.SCRUBBED.value)
        .values(state=Phase.TELLING.value)
        .returning(ERASURE.c.requests, ERASURE.c.files)
    ).first()
    if moved is None:
        return False
    rows = connection.execute(
        select(TARGET.c.request_id, TARGET.c.commune, TARGET.c.delivery_id)
        .where(TARGET.c.erasure_id == erasure_id)
        .order_by(TARGET.c.request_id)
    ).all()
    data = {
        "erasure": erasure_id,
        "requests": [row.request_id for row in rows],
        "communes": sorted({row.commune for row in rows if row.delivery_id is not None}),
        "files": moved.files,
    }
    trail.append(connection, STREAM, "erased", data, now)
    return True


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
        update(REQUEST).where(REQUEST.c.id.in_(_requests(erasure_id))).values(gru_reference=None)
    )
    trail.append(connection, STREAM, "closed", {"erasure": erasure_id}, now)
    return True


def done_by_hand(
    connection: Connection, erasure_id: str, commune: str, by: str, now: datetime
) -> int:
    """Take a person's word that a commune has erased; return the number of requests. Raises
    NotFound, and Conflict when no erasure is pending there, or one is being sent."""
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
    owed = [row for row in rows if row.acknowledged_at is None and row.state not in final]
    if not owed:
        raise Conflict(say("acknowledged_already", id=erasure_id, commune=commune))
    for row in owed:
        operator.discard(connection, row.delivery_id, now, because="erased by hand")
        _acknowledged(connection, erasure_id, row.request_id, by, now)
    return len(owed)


def _account(connection: Connection, erasure_id: str) -> str | None:
    """Lock the person of an open erasure until the transaction ends; return the account."""
    row = connection.execute(
        select(ERASURE.c.account, ERASURE.c.mark)
        .where(ERASURE.c.id == erasure_id, ERASURE.c.state == Phase.OPEN.value)
        .with_for_update()
    ).first()
    if row is None:
        return None
    lock_account(connection, row.mark, shared=False)
    account: str = row.account
    return account


def _requests(erasure_id: str) -> Any:
    return _request_ids(erasure_id).scalar_subquery()


def _request_ids(erasure_id: str) -> Select[str]:
    return select(TARGET.c.request_id).where(TARGET.c.erasure_id == erasure_id)


def _reached(connection: Connection, request_id: str) -> datetime | None:
    """Return the time from which a GRU can be told to erase this request; None when it cannot have
    it. A claim without an attempt may have been sent by a process that died."""
    submit = connection.execute(
        select(DELIVERY.c.id, DELIVERY.c.state, DELIVERY.c.attempts, DELIVERY.c.next_at).where(
            DELIVERY.c.request_id == request_id, DELIVERY.c.kind == Kind.SUBMIT.value
        )
    ).first()
    if submit is None or not submit.attempts:
        return None
    due: datetime = submit.next_at
    if submit.state == State.DONE.value:
        return due
    kept = connection.execute(
        select(func.count()).where(ATTEMPT.c.delivery_id == submit.id)
    ).scalar_one()
    doubtful = connection.execute(
        select(ATTEMPT.c.id).where(
            ATTEMPT.c.delivery_id == submit.id,
            or_(
                ATTEMPT.c.outcome.in_(("accepted", "unsure", "found", "cannot_tell")),
                ATTEMPT.c.reason == "bug",
            ),
        )
    ).first()
    return due if doubtful is not None or kept < submit.attempts else None


def _owe(
    connection: Connection,
    erasure_id: str,
    request_id: str,
    lane: str,
    new_id: Callable[[], str],
    due: datetime,
    now: datetime,
) -> None:
    event_id, delivery_id = new_id(), new_id()
    connection.execute(
        insert(EVENT).values(
            id=event_id,
            request_id=request_id,
            origin="gateway",
            key=Kind.ERASE.value,
            kind=Kind.ERASE.value,
            at=now,
            received_at=now,
        )
    )
    lock_request(connection, request_id)
    owed = QueuedDelivery(delivery_id, request_id, event_id, Kind.ERASE, lane, now, due)
    enqueuing.enqueue(connection, [owed])
    connection.execute(
        update(TARGET)
        .where(TARGET.c.erasure_id == erasure_id, TARGET.c.request_id == request_id)
        .values(delivery_id=delivery_id)
    )


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
        select(TARGET.c.request_id, TARGET.c.acknowledged_at, TARGET.c.acknowledged_by)
        .where(mine, TARGET.c.delivery_id.is_not(None))
        .order_by(TARGET.c.request_id)
    ).all()
    told = connection.execute(select(ERASURE.c.told).where(ERASURE.c.id == erasure_id)).scalar_one()
    if commune in told.split() or any(row.acknowledged_at is None for row in rows):
        return
    data = {
        "erasure": erasure_id,
        "commune": commune,
        "requests": [row.request_id for row in rows],
        "by": sorted({row.acknowledged_by for row in rows}),
    }
    trail.append(connection, STREAM, "commune_acknowledged", data, now)
    connection.execute(
        update(ERASURE).where(ERASURE.c.id == erasure_id).values(told=f"{told} {commune}".strip())
    )
