"""What GRUs tell of requests: kept once, in order of arrival, with the reports it causes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, text, update

from gateway.core.status import Status
from gateway.store import settling
from gateway.store.lanes import move_cursor
from gateway.store.reading import EVENT, REQUEST, REQUEST_COLUMNS, hold, kept, request_by_id
from gateway.store.rows import Kept, News, Report

#: Repeats the condition of `ix_request_open`.
_OPEN = text("gru_reference IS NOT NULL AND status NOT IN ('done', 'refused', 'cancelled')")


def tracked(connection: Connection, commune: str, gru: str, limit: int) -> list[Kept]:
    """Requests of this GRU that are still open there, longest unchanged first."""
    rows = connection.execute(
        select(*REQUEST_COLUMNS)
        .where(
            REQUEST.c.gru == gru,
            REQUEST.c.commune == commune,
            REQUEST.c.erased_at.is_(None),
            _OPEN,
        )
        .order_by(REQUEST.c.status_at)
        .limit(limit)
    )
    return [kept(row) for row in rows]


def oldest_open(connection: Connection, commune: str, gru: str) -> datetime | None:
    """When the oldest request of this GRU that is not over was received, known there or not."""
    over = [status.value for status in (Status.DONE, Status.REFUSED, Status.CANCELLED)]
    found: datetime | None = connection.execute(
        select(func.min(REQUEST.c.received_at)).where(
            REQUEST.c.gru == gru,
            REQUEST.c.commune == commune,
            REQUEST.c.erased_at.is_(None),
            REQUEST.c.status.not_in(over),
        )
    ).scalar()
    return found


def take(
    connection: Connection,
    commune: str,
    gru: str,
    news: Sequence[News],
    reports_for: Callable[[Kept, News], tuple[Report, ...]],
    now: datetime,
    *,
    cursor: tuple[str, str | None, str | None] | None = None,
) -> list[str]:
    """Keep each change once and queue what `reports_for` (pure) makes of it.

    `cursor` is (name, value, failure): it moves in this same transaction. Changes of requests that
    are not ours, or erased, are passed over. Returns the lanes of the reports queued.
    """
    lanes: list[str] = []
    for item in news:
        found = _find(connection, commune, gru, item)
        if found is None or not hold(connection, found.id):
            continue
        request = request_by_id(connection, found.id) or found  # as it stands now that it is held
        if _known(connection, request.id, item.key):
            continue
        reports = reports_for(request, item)
        if not reports:
            _note(connection, request.id, item, now)
        for report in reports:
            if settling.tell(connection, report, now):
                lanes.append(report.lane)
        _move(connection, request, item, reports, now)
    if cursor is not None:
        move_cursor(connection, cursor[0], cursor[1], now, cursor[2])
    return lanes


def fresh(connection: Connection, commune: str, gru: str, news: Sequence[News]) -> list[News]:
    """Of these changes, those that `take` would not pass over now."""
    kept: list[News] = []
    for item in news:
        found = _find(connection, commune, gru, item)
        if found is None or found.erased_at is not None:
            continue
        if not _known(connection, found.id, item.key):
            kept.append(item)
    return kept


def _find(connection: Connection, commune: str, gru: str, item: News) -> Kept | None:
    statement = select(*REQUEST_COLUMNS).where(REQUEST.c.gru == gru, REQUEST.c.commune == commune)
    if item.reference is not None:
        statement = statement.where(REQUEST.c.id == item.reference)
    else:
        statement = statement.where(REQUEST.c.gru_reference == item.gru_reference)
    row = connection.execute(statement).first()
    return None if row is None else kept(row)


def _known(connection: Connection, request_id: str, key: str) -> bool:
    statement = select(EVENT.c.id).where(
        EVENT.c.request_id == request_id, EVENT.c.origin == "gru", EVENT.c.key == key
    )
    return connection.execute(statement).first() is not None


def _note(connection: Connection, request_id: str, item: News, now: datetime) -> None:
    """Remember a change that is no news, so that its repeats are not judged again."""
    connection.execute(
        insert(EVENT).values(
            id=item.ids[0][0],
            request_id=request_id,
            origin="gru",
            key=item.key,
            kind="unreported",
            at=item.at,
            received_at=now,
        )
    )


def _move(
    connection: Connection, request: Kept, item: News, reports: tuple[Report, ...], now: datetime
) -> None:
    status = next((r.status for r in reports if r.status is not None), None)
    values: dict[str, object] = {}
    if status is not None:
        values |= {"status": status.value, "status_at": now}
    newer = request.changed_at is None or item.at > request.changed_at
    if item.status is not None and item.dated and newer:
        values["changed_at"] = item.at
    if request.gru_reference is None and item.gru_reference is not None:
        values["gru_reference"] = item.gru_reference
    if values:
        connection.execute(update(REQUEST).where(REQUEST.c.id == request.id).values(**values))
