"""The erasure of one person, step by step; each step is one transaction and may be run again.

`stop` stops deliveries. `scrub` empties the tables once calls under way have settled, and enqueues
each commune's erasure. `Store.clean` clears SQLite's files; PostgreSQL's autovacuum removes dead
rows in its own time. `erasure_answers` closes the erasure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, case, delete, false, func, insert, or_, select, update

from gateway.core.delivery import Kind, State
from gateway.core.erasure import Phase
from gateway.core.lane_name import GruLane
from gateway.store import accounts, blobs, object_gc, sealed, trail, untold
from gateway.store.dialect import add, add_all
from gateway.store.erasure_tables import ERASURE, SUSPECT, TARGET, TOMBSTONE
from gateway.store.erasures import STREAM, target_ids
from gateway.store.outbox import enqueuing
from gateway.store.outbox.enqueuing import QueuedDelivery
from gateway.store.reading import lock_request
from gateway.store.tables import ATTACHMENT, ATTEMPT, DELIVERY, EVENT, HEARD, REQUEST, UNTOLD
from gateway.store.tombstones import lock_account

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
        .where(or_(REQUEST.c.account == account, REQUEST.c.id == account))
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
    ids = target_ids(erasure_id)
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


def reinstate(connection: Connection, known: Sequence[str], run: str, now: datetime) -> int:
    """Withdraw the erasures of accounts that turn out to exist, unless they are scrubbed; return
    how many. What was stopped goes on: its far end is asked first where it was called before."""
    withdrawn = 0
    for account in known:
        name = accounts.hashed(connection, account)
        row = connection.execute(
            select(ERASURE.c.id, ERASURE.c.mark)
            .where(ERASURE.c.account == name, ERASURE.c.state == Phase.OPEN.value)
            .with_for_update()
        ).first()
        if row is None:
            continue
        lock_account(connection, row.mark, shared=False)
        connection.execute(delete(TOMBSTONE).where(TOMBSTONE.c.mark == row.mark))
        ids = target_ids(row.id)
        connection.execute(update(REQUEST).where(REQUEST.c.id.in_(ids)).values(erased_at=None))
        mine = (DELIVERY.c.request_id.in_(ids), DELIVERY.c.state == State.DISCARDED.value)
        stopped = connection.execute(
            update(DELIVERY)
            .where(*mine, DELIVERY.c.reason == REASON)
            .values(
                state=case(
                    (DELIVERY.c.attempts > 0, State.UNSURE.value), else_=State.WAITING.value
                ),
                reason="erasure_withdrawn",
                settled_at=None,
                next_at=now,
            )
            .returning(DELIVERY.c.request_id, DELIVERY.c.lane)
        ).all()
        places = sorted({(one.request_id, one.lane) for one in stopped})
        enqueuing.promote(connection, places)
        connection.execute(delete(TARGET).where(TARGET.c.erasure_id == row.id))
        accounts.forget_in_erasures(connection, ERASURE.c.id == row.id)
        connection.execute(
            update(ERASURE)
            .where(ERASURE.c.id == row.id)
            .values(state=Phase.WITHDRAWN.value, account=None, closed_at=now, mark="")
        )
        withdrawn += 1
        trail.append(connection, STREAM, "withdrawn", {"run": run, "erasure": row.id}, now)
    return withdrawn


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
    ids = target_ids(erasure_id)
    # Once this is committed, no copy of what follows can be read, wherever it lies.
    theirs = select(TARGET.c.request_id).where(TARGET.c.erasure_id == erasure_id)
    sealed.condemn(connection, connection.execute(theirs).scalars().all())
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
        due = reached(connection, row.request_id)
        if due is not None:
            lane = str(GruLane(row.commune, row.gru))
            _owe(connection, erasure_id, row.request_id, lane, new_id, max(due, now), now)
            lanes.add(lane)
    account = _account(connection, erasure_id)
    person = accounts.of_erasure(connection, erasure_id)
    if destroy_links is not None and person is not None:
        destroy_links(connection, person)
    accounts.forget_in_erasures(connection, ERASURE.c.id == erasure_id)
    if person is not None and person != account:
        # In a copy of before nobody can open the account any more: it is known by its hash.
        add(connection, TOMBSTONE, mark=account, made_at=now)
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
            traceparent=None,
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


def _account(connection: Connection, erasure_id: str) -> str | None:
    """Lock the person of an open erasure until the transaction ends; return the account, or the
    single request's id."""
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


def reached(connection: Connection, request_id: str) -> datetime | None:
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
    mine = (TARGET.c.erasure_id == erasure_id) & (TARGET.c.request_id == request_id)
    owed_before = connection.execute(
        select(DELIVERY.c.id).where(
            DELIVERY.c.request_id == request_id, DELIVERY.c.kind == Kind.ERASE.value
        )
    ).scalar()
    if owed_before is not None:  # of another erasure, or of one before the database was put back
        connection.execute(update(TARGET).where(mine).values(delivery_id=owed_before))
        return
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
    connection.execute(update(TARGET).where(mine).values(delivery_id=delivery_id))
