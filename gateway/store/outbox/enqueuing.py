"""Enqueue deliveries, each behind what its request owes already on the same lane."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    select,
    update,
)

from gateway.core.content import Content
from gateway.core.delivery import FINAL, Kind, State
from gateway.core.request import Attachment
from gateway.store import blobs
from gateway.store.conditions import OPEN
from gateway.store.notices import notify
from gateway.store.prepared import Prepared
from gateway.store.reading import (
    ATTACHMENT,
    DELIVERY,
    hold,
)

_OWED = select(
    func.max(DELIVERY.c.seq),
    func.sum(
        case((DELIVERY.c.state.in_(literal_column(f"'{s.value}'") for s in FINAL), 0), else_=1)
    ),
).where(DELIVERY.c.request_id == bindparam("of"), DELIVERY.c.lane == bindparam("on"))


OWE = Prepared(
    lambda dialect: (
        insert(DELIVERY)
        .inline()
        .values(
            id=bindparam("id"),
            request_id=bindparam("request_id"),
            event_id=bindparam("event_id"),
            attachment_id=bindparam("attachment_id"),
            kind=bindparam("kind"),
            lane=bindparam("lane"),
            seq=bindparam("seq"),
            state=bindparam("state"),
            head=bindparam("head"),
            asking=False,
            next_at=bindparam("due"),
            failures=0,
            attempts=0,
            reason="",
            detail="",
            fence=0,
            created_at=bindparam("now"),
        )
    )
)


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
    behind: int | None = None,
    held: bool = False,
    asks: bool = False,
) -> None:
    """Owe one thing, behind all that this request already owes on this lane.

    `held`: this transaction holds the request already. `asks`: the far end is asked first.
    `behind`: how much that is, from who has made the request in this very transaction; then the
    database is not asked.
    """
    last, still_open = behind, behind
    if behind is None:
        if not held:
            hold(connection, request_id)
        last, still_open = connection.execute(_OWED, {"of": request_id, "on": lane}).one()
    OWE(
        connection,
        id=delivery_id,
        request_id=request_id,
        event_id=event_id,
        attachment_id=attachment_id,
        kind=kind.value,
        lane=lane,
        seq=1 if last is None else last + 1,
        state=begin(asks),
        head=not still_open,
        now=now,
        due=now,
    )
    notify(connection, lane)


def begin(asks: bool) -> str:
    """The state in which a delivery begins. Unsure of what was never sent: it is asked about, and
    sent where the far end has it not or cannot tell."""
    return (State.UNSURE if asks else State.WAITING).value


def attach(
    connection: Connection,
    request_id: str,
    event_id: str,
    n: int,
    attachment: Attachment,
    content: Content,
) -> str:
    """Keep the n-th file of an event; its attachment id."""
    blobs.keep(connection, content)
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


_FOLLOWING = (
    select(DELIVERY.c.id)
    .where(DELIVERY.c.request_id == bindparam("of"), DELIVERY.c.lane == bindparam("on"), OPEN)
    .order_by(DELIVERY.c.seq)
    .limit(1)
    .scalar_subquery()
)


PROMOTE = Prepared(
    lambda dialect: update(DELIVERY).where(DELIVERY.c.id == _FOLLOWING).values(head=True)
)


def promote(connection: Connection, request_id: str, lane: str) -> None:
    """Let the request's next open delivery on this lane go, if it is not already at the head."""
    PROMOTE(connection, of=request_id, on=lane)
