"""Keys of requests that have none, and the sealing of what was stored before there were any.

A request has a key, and then all of it is sealed; or it has none, and is of before. It gets a key
with the next thing that is stored about it, or from `seal_some`, whichever comes first.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Table, func, select, update

from gateway.core.request import Attachment
from gateway.core.sealing import Place
from gateway.store import blobs, cursors, installation, sealed
from gateway.store.reading import lock_requests
from gateway.store.tables import ATTACHMENT, ATTEMPT, DELIVERY, EVENT, REQUEST, UNTOLD

#: Holds the last request of before that is sealed.
CURSOR = "sealing"


def request_key(connection: Connection, request_id: str, known: str | None = None) -> str | None:
    """Return the key of a request that this transaction has locked; `known` is what its row says.
    One without a key gets it, and is sealed as a whole. None where all is in clear."""
    if known is not None or sealed.sealer_of(connection) is None:
        return known
    mine = REQUEST.c.id == request_id
    found: str | None = connection.execute(select(REQUEST.c.key_id).where(mine)).scalar()
    if found is not None:
        return found
    key_id = sealed.new_key(connection)
    connection.execute(update(REQUEST).where(mine).values(key_id=key_id))
    _seal_texts(connection, request_id, key_id)
    _seal_files(connection, request_id, key_id)
    return key_id


def seal_some(connection: Connection, limit: int, now: datetime) -> int:
    """Seal up to `limit` requests of before; return how many. 0: all are sealed."""
    if sealed.sealer_of(connection) is None or installation.is_sealed(connection):
        return 0
    cursor = cursors.get(connection, CURSOR)
    after = "" if cursor is None else cursor.value or ""
    waiting = (
        select(REQUEST.c.id)
        .where(REQUEST.c.id > after, REQUEST.c.key_id.is_(None), REQUEST.c.erased_at.is_(None))
        .order_by(REQUEST.c.id)
        .limit(limit)
    )
    ids = list(connection.execute(waiting).scalars())
    for request_id, request in lock_requests(connection, ids).items():
        if not request.erased:
            request_key(connection, request_id, request.key_id)
    if ids:
        cursors.move(connection, CURSOR, ids[-1], now)
    else:
        _seal_early(connection)
        cursors.forget(connection, CURSOR)
        installation.note_sealed(connection)
    return len(ids)


def keys_after(connection: Connection, after: str, limit: int) -> list[tuple[str, str]]:
    """Return requests after one, in the order of their ids, each with the id of its key."""
    rows = connection.execute(
        select(REQUEST.c.id, REQUEST.c.key_id)
        .where(REQUEST.c.id > after, REQUEST.c.key_id.is_not(None))
        .order_by(REQUEST.c.id)
        .limit(limit)
    )
    return [(row.id, row.key_id) for row in rows]


def count_in_clear(connection: Connection) -> int:
    """Count the requests of before that are not sealed yet."""
    if sealed.sealer_of(connection) is None or installation.is_sealed(connection):
        return 0
    body = select(EVENT.c.id).where(EVENT.c.request_id == REQUEST.c.id, EVENT.c.body.is_not(None))
    clear = select(func.count()).where(REQUEST.c.key_id.is_(None), body.exists())
    return connection.execute(clear).scalar_one()


def _seal_texts(connection: Connection, request_id: str, key_id: str | None) -> None:
    def write(table: Table, column: str, row_id: object, place: Place, text: str) -> None:
        if not sealed.is_sealed(text):
            value = {column: sealed.seal(connection, key_id, place, text)}
            connection.execute(update(table).where(table.c.id == row_id).values(value))

    events = select(EVENT.c.id, EVENT.c.body).where(
        EVENT.c.request_id == request_id, EVENT.c.body.is_not(None)
    )
    for event_id, body in connection.execute(events).all():
        write(EVENT, "body", event_id, sealed.event_body(event_id, request_id), body)
    changes = select(UNTOLD.c.id, UNTOLD.c.name, UNTOLD.c.body).where(
        UNTOLD.c.request_id == request_id, UNTOLD.c.body.is_not(None)
    )
    for untold_id, name, body in connection.execute(changes).all():
        write(UNTOLD, "body", untold_id, sealed.untold_body(name, request_id), body)
    answers = (
        select(ATTEMPT.c.id, ATTEMPT.c.delivery_id, ATTEMPT.c.started_at, ATTEMPT.c.answer)
        .join(DELIVERY, DELIVERY.c.id == ATTEMPT.c.delivery_id)
        .where(DELIVERY.c.request_id == request_id, ATTEMPT.c.answer.is_not(None))
    )
    for attempt_id, delivery_id, at, answer in connection.execute(answers).all():
        place = sealed.attempt_answer(delivery_id, at, request_id)
        write(ATTEMPT, "answer", attempt_id, place, answer)


def _seal_files(connection: Connection, request_id: str, key_id: str | None) -> None:
    for row in connection.execute(
        select(*sealed.ATTACHMENT_COLUMNS).where(ATTACHMENT.c.request_id == request_id)
    ).all():
        if sealed.is_sealed(row.filename):
            continue
        file = Attachment(row.field, row.filename, row.content_type, row.size, row.address)
        address = sealed.address(connection, request_id, file.sha256)
        # What lies in the object store stays as it was put there.
        if not blobs.seal_copy(connection, file.sha256, address, file.size, key_id):
            address = file.sha256
        connection.execute(
            update(ATTACHMENT)
            .where(ATTACHMENT.c.id == row.id)
            .values(
                filename=sealed.seal_name(connection, key_id, row.id, request_id, file),
                address=address,
            )
        )
        if address != file.sha256:
            blobs.drop_orphans(connection, [file.sha256])


def _seal_early(connection: Connection) -> None:
    early = UNTOLD.c.request_id.is_(None), UNTOLD.c.body.is_not(None)
    for row in connection.execute(select(UNTOLD.c.id, UNTOLD.c.body).where(*early)).all():
        if not sealed.is_sealed(row.body):
            body = sealed.seal(
                connection, sealed.new_key(connection), sealed.untold_body(row.id, ""), row.body
            )
            connection.execute(update(UNTOLD).where(UNTOLD.c.id == row.id).values(body=body))
