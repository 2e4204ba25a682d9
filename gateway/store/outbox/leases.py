"""Claims as others see them: what is under way, and what is taken from an owner who is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Connection,
    case,
    exists,
    false,
    literal,
    select,
    update,
)

from gateway.core.delivery import Kind, State
from gateway.store.conditions import OPEN, SENDING
from gateway.store.notices import notify
from gateway.store.reading import (
    DELIVERY,
    REQUEST,
)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A claim, as others see it."""

    id: str
    lane: str
    fence: int


def under_way(connection: Connection) -> list[UnderWay]:
    """What is being sent now, by whomever."""
    rows = connection.execute(
        select(DELIVERY.c.id, DELIVERY.c.lane, DELIVERY.c.fence).where(SENDING)
    )
    return [UnderWay(*row) for row in rows]


def reap(connection: Connection, silent: Mapping[str, int], now: datetime) -> list[str]:
    """Claims (delivery and fence) whose owner let the lease run out may have been sent: they
    become unsure. Returns the lanes hit."""
    return _reap(connection, {id_: (fence, now) for id_, fence in silent.items()}, now)


def reap_all(connection: Connection, now: datetime, busy: Callable[[str], float]) -> list[str]:
    """A lone process starts, and has claimed nothing yet: every claim is a dead one's.

    `busy` tells, per lane, how many seconds a far end may be at work on a call. The dead process
    may have made one the moment before, so none is asked about earlier than that from now; but no
    later than the end of its lease, when its owner has been dead for long. Returns the lanes.
    """
    rows = connection.execute(
        select(DELIVERY.c.id, DELIVERY.c.lane, DELIVERY.c.fence, DELIVERY.c.lease_until).where(
            SENDING
        )
    ).all()
    claims = {}
    for row in rows:
        idle = now + timedelta(seconds=busy(row.lane))
        claims[row.id] = (row.fence, max(now, min(row.lease_until or idle, idle)))
    return _reap(connection, claims, now)


def _reap(
    connection: Connection, claims: Mapping[str, tuple[int, datetime]], now: datetime
) -> list[str]:
    hit = set()
    for delivery_id, (fence, ask_at) in sorted(claims.items()):
        lane = connection.execute(
            update(DELIVERY)
            .where(DELIVERY.c.id == delivery_id, DELIVERY.c.fence == fence, SENDING)
            .values(
                state=State.UNSURE.value,
                # Of one that was being asked about, the sending was noted before.
                sent_at=case(
                    (DELIVERY.c.asking, DELIVERY.c.sent_at),
                    else_=literal(now, DELIVERY.c.sent_at.type),
                ),
                asking=False,
                lease_owner=None,
                lease_until=None,
                reason="owner_died",
                detail="the process that was sending it stopped before the answer",
                next_at=ask_at,
            )
            .returning(DELIVERY.c.lane)
        ).scalar()
        if lane is not None:
            hit.add(lane)
            drop_erased(connection, delivery_id, now)
    for lane in sorted(hit):
        notify(connection, lane)
    return sorted(hit)


def give_back(connection: Connection, delivery_id: str, fence: int, now: datetime) -> bool:
    """Give a claim back untried: it goes to where it came from. False when it is not ours."""
    back = case((DELIVERY.c.asking, State.UNSURE.value), else_=State.WAITING.value)
    ours = bool(
        connection.execute(
            update(DELIVERY)
            .where(DELIVERY.c.id == delivery_id, DELIVERY.c.fence == fence, SENDING)
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
        drop_erased(connection, delivery_id, now)
    return ours


def drop_erased(connection: Connection, delivery_id: str, now: datetime) -> None:
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
            OPEN,
            DELIVERY.c.state != State.SENDING.value,
            erased,
        )
        .values(
            state=State.DISCARDED.value, head=false(), reason="erased", detail="", settled_at=now
        )
    )
