"""Deliveries: enqueue, claim, settle, reap, and what a person may do to them.

The literal conditions on `state` and `head` repeat those of the partial indexes: with bound
parameters the planner could not use them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence, Set
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, case, exists, false, func, insert, select, text, update

from gateway.core.delivery import FINAL, MOVES, Kind, State
from gateway.core.errors import Conflict, NotFound
from gateway.core.request import Attachment
from gateway.core.status import Status
from gateway.store import blobs
from gateway.store.notices import notify
from gateway.store.reading import (
    ATTACHMENT,
    ATTEMPT,
    DELIVERY,
    DELIVERY_COLUMNS,
    EVENT,
    REQUEST,
    REQUEST_COLUMNS,
    as_text,
    delivery,
    hold,
    kept,
)
from gateway.store.rows import Claimed, Delivery, Report, Settled, Tried

_DUE = text("head AND state IN ('waiting', 'unsure')")
_SENDING = text("state = 'sending'")
_OPEN = text("state NOT IN ('done', 'discarded')")
_PERSON = text("state IN ('question', 'parked', 'dead')")


def enqueue(
    connection: Connection,
    delivery_id: str,
    *,
    request_id: str,
    event_id: str,
    kind: Kind,
    lane: str,
    now: datetime,
    attachment_id: str | None = None,
) -> None:
    """Owe one thing, behind all that this request already owes on this lane."""
    hold(connection, request_id)
    last, still_open = connection.execute(
        select(
            func.max(DELIVERY.c.seq),
            func.sum(case((DELIVERY.c.state.in_([s.value for s in FINAL]), 0), else_=1)),
        ).where(DELIVERY.c.request_id == request_id, DELIVERY.c.lane == lane)
    ).one()
    connection.execute(
        insert(DELIVERY).values(
            id=delivery_id,
            request_id=request_id,
            event_id=event_id,
            attachment_id=attachment_id,
            kind=kind.value,
            lane=lane,
            seq=1 if last is None else last + 1,
            state=State.WAITING.value,
            head=not still_open,
            next_at=now,
            created_at=now,
        )
    )
    notify(connection, lane)


class Favour(StrEnum):
    """Whom a claim serves first."""

    FRESH = "fresh"
    BACKLOG = "backlog"


#: What came due within this time is fresh: a citizen has just sent it.
FRESH_FOR = timedelta(seconds=60)


def claim(
    connection: Connection,
    lane: str,
    limit: int,
    *,
    owner: str,
    now: datetime,
    lease: float,
    favour: Favour = Favour.BACKLOG,
) -> list[Claimed]:
    """Take up to `limit` due deliveries of a lane for `lease` seconds. What comes back is ours.

    Oldest first, or with `favour` FRESH first those that came due of late, then the oldest.

    The UPDATE repeats the state test, so two replicas never hold the same one; `fence` grows at
    each claim, so that an owner that comes back late cannot settle.
    """
    ids: list[str] = []
    if favour is Favour.FRESH:
        ids = _due_ids(connection, lane, limit, now, after=now - FRESH_FOR)
    if len(ids) < limit:
        oldest = _due_ids(connection, lane, limit, now)
        ids += [i for i in oldest if i not in ids][: limit - len(ids)]
    if not ids:
        return []
    taken = connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.id.in_(ids), _DUE)
        .values(
            state=State.SENDING.value,
            asking=DELIVERY.c.state == State.UNSURE.value,
            lease_owner=owner,
            lease_until=now + timedelta(seconds=lease),
            fence=DELIVERY.c.fence + 1,
            attempts=DELIVERY.c.attempts + 1,
        )
        .returning(DELIVERY.c.id)
    )
    claimed = [row.id for row in taken]
    rows = connection.execute(
        select(
            *DELIVERY_COLUMNS,
            *REQUEST_COLUMNS,
            EVENT.c.key,
            EVENT.c.kind.label("event_kind"),
            EVENT.c.body,
        )
        .join(REQUEST, REQUEST.c.id == DELIVERY.c.request_id)
        .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
        .where(DELIVERY.c.id.in_(claimed))
        .order_by(DELIVERY.c.next_at, DELIVERY.c.id)
    ).all()
    width = len(DELIVERY_COLUMNS)
    result = []
    for row in rows:
        mine = delivery(row[:width])
        key, event_kind, body = row[width + len(REQUEST_COLUMNS) :]
        result.append(
            Claimed(
                mine,
                kept(row[width:]),
                key,
                event_kind,
                json.loads(body) if body else {},
                _attachments(connection, mine),
            )
        )
    return result


def _due_ids(
    connection: Connection, lane: str, limit: int, now: datetime, after: datetime | None = None
) -> list[str]:
    chosen = (
        select(DELIVERY.c.id)
        .where(DELIVERY.c.lane == lane, _DUE, DELIVERY.c.next_at <= now)
        .order_by(DELIVERY.c.next_at)
        .limit(limit)
    )
    if after is not None:
        chosen = chosen.where(DELIVERY.c.next_at > after)
    if connection.dialect.name == "postgresql":
        chosen = chosen.with_for_update(skip_locked=True)
    return [row.id for row in connection.execute(chosen)]


def _attachments(connection: Connection, of: Delivery) -> tuple[Attachment, ...]:
    if of.kind is Kind.ERASE:
        return ()
    statement = select(*(ATTACHMENT.c[name] for name in Attachment.__slots__)).where(
        ATTACHMENT.c.event_id == of.event_id
    )
    if of.attachment_id is not None:
        statement = statement.where(ATTACHMENT.c.id == of.attachment_id)
    rows = connection.execute(statement.order_by(ATTACHMENT.c.id))
    return tuple(Attachment(*row) for row in rows)


def settle(connection: Connection, settled: Settled) -> bool:
    """Write what an attempt came to, and what follows from it, at once.

    False when the claim is no longer ours: the attempt is kept as `late`, and nothing else moves.
    """
    settlement, now = settled.settlement, settled.now
    final = settlement.state in FINAL
    alive = hold(connection, settled.request_id)
    kind = connection.execute(
        update(DELIVERY)
        .where(
            DELIVERY.c.id == settled.delivery_id,
            DELIVERY.c.fence == settled.fence,
            _SENDING,
        )
        .values(
            state=settlement.state.value,
            head=not final,
            asking=False,
            lease_owner=None,
            lease_until=None,
            reason=settlement.reason,
            detail=settlement.detail,
            failures=settlement.failures,
            next_at=settlement.next_at or now,
            settled_at=now if final else None,
        )
        .returning(DELIVERY.c.kind)
    ).scalar()
    _record(connection, settled.delivery_id, settled.tried, settled, late=kind is None)
    if kind is None:
        return False
    if not alive:
        _drop_erased(connection, settled.delivery_id, now)
    if final:
        _promote(connection, settled.request_id, settled.lane)
    mine = REQUEST.c.id == settled.request_id
    overtaken = False
    if settlement.reference is not None and kind == Kind.SUBMIT.value:
        # What an amend or an erasure is called over there is not the request's name.
        receipt = {"gru_reference": settlement.reference, "gru_link": settlement.link}
        connection.execute(update(REQUEST).where(mine).values(**receipt))
    if settled.status is not None:
        if settled.status is Status.TRANSMITTED:
            # The GRU may have told more of it already, before its answer was in.
            mine = and_(mine, REQUEST.c.status == Status.RECEIVED.value)
        status = {"status": settled.status.value, "status_at": now}
        moved = connection.execute(update(REQUEST).where(mine).values(**status)).rowcount
        overtaken = settled.status is Status.TRANSMITTED and not moved
    for report in settled.reports:
        # The citizen who has read "accepted" is not told "transmitted" after it.
        if not (overtaken and report.status is Status.TRANSMITTED):
            tell(connection, report, now)
    return True


def tell(connection: Connection, report: Report, now: datetime) -> bool:
    """Keep something to tell the portal and owe its report, once.

    False when it is a repeat, or when the request is erased: nothing of it is kept again.
    """
    if not hold(connection, report.request_id):
        return False
    repeat = connection.execute(
        select(EVENT.c.id).where(
            EVENT.c.request_id == report.request_id,
            EVENT.c.origin == report.origin,
            EVENT.c.key == report.key,
        )
    ).first()
    if repeat is not None:
        return False
    connection.execute(
        insert(EVENT).values(
            id=report.event_id,
            request_id=report.request_id,
            origin=report.origin,
            key=report.key,
            kind="status" if report.status else "note",
            status=report.status.value if report.status else None,
            at=report.at,
            received_at=now,
            body=as_text(report.body),
        )
    )
    for n, (attachment, content) in enumerate(report.documents):
        attach(connection, report.request_id, report.event_id, n, attachment, content)
    enqueue(
        connection,
        report.delivery_id,
        request_id=report.request_id,
        event_id=report.event_id,
        kind=Kind.REPORT,
        lane=report.lane,
        now=now,
    )
    return True


def attach(
    connection: Connection,
    request_id: str,
    event_id: str,
    n: int,
    attachment: Attachment,
    content: bytes,
) -> str:
    """Keep the n-th file of an event; its attachment id."""
    blobs.keep(connection, attachment.sha256, content)
    attachment_id = f"{event_id}-{n:03}"
    connection.execute(
        insert(ATTACHMENT).values(
            id=attachment_id,
            request_id=request_id,
            event_id=event_id,
            field=attachment.field,
            filename=attachment.filename,
            content_type=attachment.content_type,
            size=attachment.size,
            sha256=attachment.sha256,
        )
    )
    return attachment_id


def reap(
    connection: Connection, now: datetime, *, alone: Callable[[str], float] | None = None
) -> list[str]:
    """Deliveries whose owner let the lease run out may have been sent: they become unsure.

    `alone`: this process is the only one and has just started, so every claim is a dead one's.
    It tells, per lane, how many seconds before the end of its lease a claim may be asked about:
    the far end may still be at work on what the dead process sent. Returns the lanes hit.
    """
    dead = _SENDING if alone is not None else and_(_SENDING, DELIVERY.c.lease_until < now)
    rows = connection.execute(
        select(DELIVERY.c.id, DELIVERY.c.lane, DELIVERY.c.fence, DELIVERY.c.lease_until).where(dead)
    ).all()
    for row in rows:
        early = timedelta(seconds=alone(row.lane)) if alone is not None else timedelta()
        connection.execute(
            update(DELIVERY)
            .where(DELIVERY.c.id == row.id, DELIVERY.c.fence == row.fence, _SENDING)
            .values(
                state=State.UNSURE.value,
                asking=False,
                lease_owner=None,
                lease_until=None,
                reason="owner_died",
                detail="the process that was sending it stopped before the answer",
                next_at=max(now, row.lease_until - early),
            )
        )
        _drop_erased(connection, row.id, now)
    return sorted({row.lane for row in rows})


def hurry(connection: Connection, lane: str, now: datetime) -> int:
    """The far end is back: what failed while it was away need not wait out its delay.

    What is unsure does: it is asked about when the far end must be through with it, no earlier.
    """
    return connection.execute(
        update(DELIVERY)
        .where(
            DELIVERY.c.lane == lane,
            _DUE,
            DELIVERY.c.state == State.WAITING.value,
            DELIVERY.c.next_at > now,
            DELIVERY.c.failures > 0,
        )
        .values(next_at=now)
    ).rowcount


def lanes_with_work(connection: Connection) -> list[str]:
    """Lanes that owe anything claimable."""
    return [row.lane for row in connection.execute(select(DELIVERY.c.lane).where(_DUE).distinct())]


def release(connection: Connection, delivery_id: str, fence: int, now: datetime) -> bool:
    """Give a claim back untried: it goes to where it came from. False when it is not ours."""
    back = case((DELIVERY.c.asking, State.UNSURE.value), else_=State.WAITING.value)
    ours = bool(
        connection.execute(
            update(DELIVERY)
            .where(DELIVERY.c.id == delivery_id, DELIVERY.c.fence == fence, _SENDING)
            .values(
                state=back,
                asking=False,
                lease_owner=None,
                lease_until=None,
                attempts=DELIVERY.c.attempts - 1,
                next_at=now,
            )
        ).rowcount
    )
    if ours:
        _drop_erased(connection, delivery_id, now)
    return ours


def _drop_erased(connection: Connection, delivery_id: str, now: datetime) -> None:
    """What was under way as its person was being erased goes no further, unless it went through.

    `next_at` stays: it tells from when on the far end must be through with what it was sent.
    """
    # EXISTS, as SQLite would read all requests for an IN.
    erased = exists().where(REQUEST.c.id == DELIVERY.c.request_id, REQUEST.c.erased_at.is_not(None))
    connection.execute(
        update(DELIVERY)
        .where(
            DELIVERY.c.id == delivery_id,
            DELIVERY.c.kind != Kind.ERASE.value,
            _OPEN,
            DELIVERY.c.state != State.SENDING.value,
            erased,
        )
        .values(
            state=State.DISCARDED.value, head=false(), reason="erased", detail="", settled_at=now
        )
    )


def owned_elsewhere(connection: Connection, owner: str) -> int:
    """How many claims other owners hold."""
    return connection.execute(
        select(func.count()).where(_SENDING, DELIVERY.c.lease_owner != owner)
    ).scalar_one()


def next_due(connection: Connection, lane: str) -> datetime | None:
    """When the lane's first claimable delivery is due; None when there is none."""
    due: datetime | None = connection.execute(
        select(DELIVERY.c.next_at)
        .where(DELIVERY.c.lane == lane, _DUE)
        .order_by(DELIVERY.c.next_at)
        .limit(1)
    ).scalar()
    return due


def next_reap(connection: Connection) -> datetime | None:
    """When the first lease runs out."""
    due: datetime | None = connection.execute(
        select(func.min(DELIVERY.c.lease_until)).where(_SENDING)
    ).scalar()
    return due


def get(connection: Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute(select(*DELIVERY_COLUMNS).where(DELIVERY.c.id == delivery_id)).first()
    return None if row is None else delivery(row)


def listing(
    connection: Connection,
    *,
    states: Sequence[State] | None = None,
    commune: str | None = None,
    request_id: str | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """Deliveries, oldest first; by default those that wait for a person."""
    statement = select(*DELIVERY_COLUMNS).order_by(DELIVERY.c.created_at).limit(limit)
    if request_id is not None:
        statement = statement.where(DELIVERY.c.request_id == request_id)
    if states is None:
        statement = statement.where(_PERSON)
    else:
        statement = statement.where(DELIVERY.c.state.in_([s.value for s in states]))
    if commune is not None:
        statement = statement.join(REQUEST, REQUEST.c.id == DELIVERY.c.request_id).where(
            REQUEST.c.commune == commune
        )
    return [delivery(row) for row in connection.execute(statement)]


def replay(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    """Send a parked or dead delivery again, with its clock started anew."""
    return _by_hand(
        connection,
        delivery_id,
        {State.PARKED, State.DEAD},
        State.WAITING,
        "replayed",
        now,
        created_at=now,
        failures=0,
    )


def resolve(connection: Connection, delivery_id: str, there: bool, now: datetime) -> Delivery:
    """A person's answer to "does the far end have it?": yes ends it, no sends it again."""
    state = State.DONE if there else State.WAITING
    reason = "person_said_yes" if there else "person_said_no"
    return _by_hand(connection, delivery_id, {State.QUESTION}, state, reason, now)


def discard(
    connection: Connection, delivery_id: str, now: datetime, *, because: str = ""
) -> Delivery:
    """Owe it no more: what waited behind it goes on. `because` is kept as its detail."""
    states = {s for s, to in MOVES.items() if State.DISCARDED in to} - {State.SENDING}
    return _by_hand(
        connection, delivery_id, states, State.DISCARDED, "discarded", now, detail=because
    )


def _by_hand(
    connection: Connection,
    delivery_id: str,
    from_states: Set[State],
    to: State,
    reason: str,
    now: datetime,
    **values: Any,
) -> Delivery:
    final = to in FINAL
    owner = connection.execute(
        select(DELIVERY.c.request_id).where(DELIVERY.c.id == delivery_id)
    ).scalar()
    if owner is not None:
        hold(connection, owner)
    row = connection.execute(
        update(DELIVERY)
        .where(
            DELIVERY.c.id == delivery_id,
            DELIVERY.c.state.in_([s.value for s in from_states]),
        )
        .values(
            state=to.value,
            reason=reason,
            next_at=now,
            head=false() if final else DELIVERY.c.head,
            settled_at=now if final else None,
            **{"detail": "", **values},
        )
        .returning(*DELIVERY_COLUMNS)
    ).first()
    if row is None:
        now_is = get(connection, delivery_id)
        if now_is is None:
            raise NotFound(f"no delivery {delivery_id}")
        allowed = " or ".join(sorted(s.value for s in from_states))
        raise Conflict(f"delivery {delivery_id} is {now_is.state.value}; it must be {allowed}")
    moved = delivery(row)
    notify(connection, moved.lane)
    if final:
        _promote(connection, moved.request_id, moved.lane)
    return moved


def _promote(connection: Connection, request_id: str, lane: str) -> None:
    """Let the request's next open delivery on this lane go, if it is not already at the head."""
    following = (
        select(DELIVERY.c.id)
        .where(DELIVERY.c.request_id == request_id, DELIVERY.c.lane == lane, _OPEN)
        .order_by(DELIVERY.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(update(DELIVERY).where(DELIVERY.c.id == following).values(head=True))


def _record(
    connection: Connection, delivery_id: str, tried: Tried, settled: Settled, *, late: bool
) -> None:
    settlement = settled.settlement
    attempts = select(DELIVERY.c.attempts).where(DELIVERY.c.id == delivery_id).scalar_subquery()
    connection.execute(
        insert(ATTEMPT).values(
            delivery_id=delivery_id,
            n=attempts,
            action=tried.action,
            started_at=tried.started_at,
            ms=tried.ms,
            outcome=tried.outcome,
            reason=settlement.reason,
            detail=settlement.detail,
            state="late" if late else settlement.state.value,
            next_at=None if late else settlement.next_at,
        )
    )


def blockers(connection: Connection, request_id: str, lane: str, seq: int) -> list[Delivery]:
    """What this request still owes on this lane before `seq`, first things first."""
    rows = connection.execute(
        select(*DELIVERY_COLUMNS)
        .where(
            DELIVERY.c.request_id == request_id,
            DELIVERY.c.lane == lane,
            DELIVERY.c.seq < seq,
            _OPEN,
        )
        .order_by(DELIVERY.c.seq)
    )
    return [delivery(row) for row in rows]


def waiting_by_lane(connection: Connection) -> dict[str, tuple[int, int, datetime]]:
    """Per lane: how much is open, how much of it needs a person, and since when the oldest."""
    person = DELIVERY.c.state.in_([State.QUESTION.value, State.PARKED.value, State.DEAD.value])
    rows = connection.execute(
        select(
            DELIVERY.c.lane,
            func.count(),
            func.sum(case((person, 1), else_=0)),
            func.min(DELIVERY.c.created_at),
        )
        .where(_OPEN)
        .group_by(DELIVERY.c.lane)
    )
    return {lane: (n, people, oldest) for lane, n, people, oldest in rows}
