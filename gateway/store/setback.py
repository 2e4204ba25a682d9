"""What was written by a clock that has been set back since: those times would all be waited for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, case, exists, literal, or_, select, text, update

from gateway.core.delivery import State
from gateway.store.prepared import among
from gateway.store.reading import ATTEMPT, DELIVERY

#: Repeats the condition of `ix_delivery_due`.
_DUE = text("head AND state IN ('waiting', 'unsure')")


def latest(connection: Connection) -> datetime | None:
    """When the last attempt began, by the clock of its time; None when there was none."""
    found: datetime | None = connection.execute(
        select(ATTEMPT.c.started_at).order_by(ATTEMPT.c.id.desc()).limit(1)
    ).scalar()
    return found


def rewind(connection: Connection, lanes: Sequence[str], now: datetime, ask_at: datetime) -> int:
    """Have lanes go on with what a clock ahead of `now` has set down; how much that is.

    What only waits is due now. What is unsure is asked about at `ask_at` at the latest, and no
    earlier: the far end may still be at work on it.
    """
    tried = exists().where(ATTEMPT.c.delivery_id == DELIVERY.c.id, ATTEMPT.c.started_at > now)
    moment = DELIVERY.c.next_at.type
    at = case(
        (DELIVERY.c.state == State.WAITING.value, literal(now, moment)),
        else_=literal(ask_at, moment),
    )
    statement = (
        update(DELIVERY)
        .where(
            among(DELIVERY.c.lane, "lanes", connection.dialect.name),
            _DUE,
            DELIVERY.c.next_at > at,
            # A call that was under way when the clock was set forward began by the right one.
            or_(DELIVERY.c.created_at > now, DELIVERY.c.sent_at > now, tried),
        )
        .values(
            next_at=at,
            sent_at=case(
                (DELIVERY.c.sent_at > now, literal(now, moment)), else_=DELIVERY.c.sent_at
            ),
        )
    )
    return connection.execute(statement, {"lanes": list(lanes)}).rowcount


def rewind_behind(connection: Connection, now: datetime) -> int:
    """The same for what waits behind others, and is due when these are through; how much that is.

    No index leads to it: the whole table is read, once each time that the clock is set back.
    """
    return connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.state == State.WAITING.value, ~DELIVERY.c.head, DELIVERY.c.next_at > now)
        .values(next_at=now)
    ).rowcount
