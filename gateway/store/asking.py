"""Chooses the requests that a GRU is asked about, in turn: open ones, and recently ended ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, literal, select, update

from gateway.core.status import FINAL
from gateway.store import untold
from gateway.store.conditions import ASKABLE
from gateway.store.dialect import among
from gateway.store.reading import REQUEST_COLUMNS, to_request
from gateway.store.rows import StoredRequest, WithheldPart
from gateway.store.tables import REQUEST

_OVER = [status.value for status in sorted(FINAL)]
#: A person is told after so many polls in a row without an answer about a request.
UNSEEN = 3

_MOMENT = REQUEST.c.ask_at.type


@dataclass(frozen=True, slots=True)
class AskedNumbers:
    """The requests that a poll asked about, by our references: see `gateway.sdk.Changes`. Ended
    requests are asked about every `pace` until `follow` (None: never) after their end."""

    asked: Sequence[str]
    seen: Collection[str] | None
    gone: Collection[str]
    pace: timedelta
    follow: timedelta | None


def tracked(
    connection: Connection, commune: str, gru: str, limit: int, now: datetime
) -> list[StoredRequest]:
    """List the requests to ask this GRU about now, those not asked about for longest first. They
    are open or ended recently: a commune may reopen what it had closed."""
    rows = connection.execute(
        select(*REQUEST_COLUMNS)
        .where(ASKABLE, REQUEST.c.commune == commune, REQUEST.c.gru == gru)
        .where(REQUEST.c.ask_at <= now)
        .order_by(REQUEST.c.ask_at)
        .limit(limit)
    )
    return [to_request(row) for row in rows]


def oldest_open(connection: Connection, commune: str, gru: str) -> datetime | None:
    """Return when the oldest open request of this GRU was sent, known there or not. Reconcile may
    have received it long after that."""
    found = connection.execute(
        select(func.min(REQUEST.c.received_at), func.min(REQUEST.c.submitted_at)).where(
            REQUEST.c.gru == gru,
            REQUEST.c.commune == commune,
            REQUEST.c.erased_at.is_(None),
            REQUEST.c.status.not_in(_OVER),
        )
    ).one()
    return min((at for at in found if at is not None), default=None)


def record_asked(
    connection: Connection,
    commune: str,
    gru: str,
    asked: AskedNumbers,
    now: datetime,
    new_id: Callable[[], str],
) -> None:
    """Put the requests asked about at the end of the queue, and count those without an answer."""
    # Locked in order, without those that others hold: nobody waits. These are asked about again.
    rows = connection.execute(
        select(*REQUEST_COLUMNS, REQUEST.c.unseen)
        .where(
            REQUEST.c.commune == commune,
            REQUEST.c.gru == gru,
            REQUEST.c.erased_at.is_(None),
            among(connection, REQUEST.c.id, set(asked.asked)),
        )
        .order_by(REQUEST.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    ).all()
    if not rows:
        return
    missed = frozenset(asked.gone)
    if asked.seen is not None:
        missed |= frozenset(asked.asked) - frozenset(asked.seen)
    over = REQUEST.c.status.in_(_OVER)
    later: Any = None
    if asked.follow is not None:
        later = case(
            (
                REQUEST.c.status_at > now + asked.pace - asked.follow,
                literal(now + asked.pace, _MOMENT),
            ),
            else_=None,
        )
    ids = [row.id for row in rows]
    connection.execute(
        update(REQUEST)
        .where(among(connection, REQUEST.c.id, ids))
        .values(ask_at=case((over, later), else_=literal(now, _MOMENT)))
    )
    found = [row.id for row in rows if row.unseen and row.id not in missed]
    if asked.seen is not None and found:
        connection.execute(
            update(REQUEST).where(among(connection, REQUEST.c.id, found)).values(unseen=None)
        )
        for request_id in found:
            untold.remove(connection, request_id, [untold.GONE])
    for row in rows:
        if row.id not in missed:
            continue
        request = to_request(row)
        if request.status in FINAL:
            # It was put away there, as ended ones are.
            values: dict[str, object] = {"ask_at": None, "unseen": None}
        else:
            count = (row.unseen or 0) + 1
            values = {"unseen": count}
            if count >= UNSEEN:
                withheld = WithheldPart(untold.GONE, "not_told_of", person=True)
                untold.record(connection, request, withheld, "", now, now, new_id())
        connection.execute(update(REQUEST).where(REQUEST.c.id == row.id).values(**values))
