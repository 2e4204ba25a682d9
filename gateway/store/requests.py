"""Reads requests: one by its names, a list, all that happened to one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from gateway.core.request import EventKind
from gateway.core.sealing import NotOpened
from gateway.store import sealed, untold
from gateway.store.outbox.rows import Delivery
from gateway.store.reading import (
    DELIVERY_COLUMNS,
    OF_CITIZENS,
    REQUEST_COLUMNS,
    request_by_id,
    request_by_ref,
    to_delivery,
    to_request,
)
from gateway.store.rows import (
    Attempt,
    EventSummary,
    StoredAnswer,
    StoredRequest,
    Trace,
)
from gateway.store.tables import (
    ATTEMPT,
    DELIVERY,
    EVENT,
    REQUEST,
)

_DELIVERIES = (
    select(*DELIVERY_COLUMNS)
    .where(DELIVERY.c.request_id == bindparam("wanted"))
    .order_by(DELIVERY.c.created_at, DELIVERY.c.lane, DELIVERY.c.seq)
)


def last_fields(
    connection: Connection, portal: str, teleservice: str, ref: str
) -> Mapping[str, Any] | None:
    """Return the form's values as they last came; None when none are here."""
    rows = connection.execute(
        select(EVENT.c.id, EVENT.c.request_id, EVENT.c.body)
        .join(REQUEST, REQUEST.c.id == EVENT.c.request_id)
        .where(
            REQUEST.c.portal == portal,
            REQUEST.c.teleservice == teleservice,
            REQUEST.c.ref == ref,
            EVENT.c.origin == "portal",
            EVENT.c.kind.in_([EventKind.CREATION.value, EventKind.CHANGE.value]),
            EVENT.c.body.is_not(None),
        )
        .order_by(EVENT.c.received_at.desc(), EVENT.c.id.desc())
    )
    for row in rows:
        fields = (sealed.read_event_body(connection, *row) or {}).get("fields")
        if fields:
            return dict(fields)
    return None


def find(connection: Connection, portal: str, teleservice: str, ref: str) -> StoredRequest | None:
    """Return a request by the portal's formdata id or by ours."""
    found = request_by_ref(connection, portal, teleservice, ref)
    if found is None:
        found = request_by_id(connection, ref)
        if found is not None and (found.portal, found.teleservice) != (portal, teleservice):
            return None
    return found


def listing(
    connection: Connection,
    *,
    commune: str | None = None,
    teleservice: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[StoredRequest]:
    """List requests, the latest first; synthetic ones where their commune is named."""
    statement = select(*REQUEST_COLUMNS).order_by(REQUEST.c.received_at.desc()).limit(limit)
    if not commune:
        statement = statement.where(OF_CITIZENS)
    if commune:
        statement = statement.where(REQUEST.c.commune == commune)
    if teleservice:
        statement = statement.where(REQUEST.c.teleservice == teleservice)
    if status:
        statement = statement.where(REQUEST.c.status == status)
    if since:
        statement = statement.where(REQUEST.c.received_at >= since)
    return [to_request(row) for row in connection.execute(statement)]


def search(
    connection: Connection, text: str, communes: Collection[str] | None = None
) -> list[StoredRequest]:
    """Find requests by our id, the portal's id or number, or the GRU's reference; with `communes`
    theirs alone."""
    statement = (
        select(*REQUEST_COLUMNS)
        .where(
            (REQUEST.c.id == text)
            | (REQUEST.c.ref == text)
            | (REQUEST.c.number == text)
            | (REQUEST.c.gru_reference == text)
        )
        .order_by(REQUEST.c.received_at.desc())
        .limit(20)
    )
    if communes is not None:
        statement = statement.where(REQUEST.c.commune.in_(sorted(communes)))
    return [to_request(row) for row in connection.execute(statement)]


def deliveries(connection: Connection, request_id: str) -> list[Delivery]:
    """List the deliveries of a request, oldest first."""
    rows = connection.execute(_DELIVERIES, {"wanted": request_id})
    return [to_delivery(row) for row in rows]


def trace(connection: Connection, request_id: str) -> Trace | None:
    """Return all that happened to a request, oldest first; None for an unknown one."""
    request = request_by_id(connection, request_id)
    if request is None:
        return None
    events = connection.execute(
        select(*(EVENT.c[name] for name in EventSummary.__slots__))
        .where(EVENT.c.request_id == request_id)
        .order_by(EVENT.c.received_at, EVENT.c.id)
    )
    attempts: dict[str, list[Attempt]] = {}
    rows = connection.execute(
        select(ATTEMPT.c.delivery_id, *(ATTEMPT.c[name] for name in Attempt.__slots__))
        .join(DELIVERY, DELIVERY.c.id == ATTEMPT.c.delivery_id)
        .where(DELIVERY.c.request_id == request_id)
        .order_by(ATTEMPT.c.id)
    )
    for row in rows:
        attempts.setdefault(row[0], []).append(Attempt(*row[1:]))
    return Trace(
        request,
        tuple(EventSummary(*row) for row in events),
        tuple(deliveries(connection, request_id)),
        {key: tuple(value) for key, value in attempts.items()},
        untold.of_request(connection, request_id),
    )


def event_body(connection: Connection, event_id: str) -> Mapping[str, Any] | None:
    """Return the content of an event; None once erased."""
    found = select(EVENT.c.id, EVENT.c.request_id, EVENT.c.body).where(EVENT.c.id == event_id)
    row = connection.execute(found).first()
    return None if row is None else sealed.read_event_body(connection, *row)


def first_event(connection: Connection, request_id: str) -> str | None:
    """Return the id of the creation event."""
    found: str | None = connection.execute(
        select(EVENT.c.id).where(
            EVENT.c.request_id == request_id, EVENT.c.kind == EventKind.CREATION.value
        )
    ).scalar()
    return found


def first_body(connection: Connection, request_id: str) -> Mapping[str, Any] | None:
    """Return the content of the creation; None once erased."""
    event = first_event(connection, request_id)
    return None if event is None else event_body(connection, event)


def answers(connection: Connection, request_id: str) -> list[StoredAnswer]:
    """Return far ends' answers to the last attempts of each delivery, oldest first. Though masked,
    they may tell of the person: show them on demand alone."""
    rows = connection.execute(
        select(*(ATTEMPT.c[name] for name in StoredAnswer.__slots__))
        .join(DELIVERY, DELIVERY.c.id == ATTEMPT.c.delivery_id)
        .where(DELIVERY.c.request_id == request_id, ATTEMPT.c.answer.is_not(None))
        .order_by(ATTEMPT.c.id)
    )
    found = [StoredAnswer(*row) for row in rows]
    for n, one in enumerate(found):
        place = sealed.attempt_answer(one.delivery_id, one.started_at, request_id)
        try:
            text = sealed.unseal(connection, place, one.answer)
        except NotOpened as error:
            text = str(error)
        found[n] = replace(one, answer=text or "")
    return found


def counts(connection: Connection) -> dict[str, int]:
    """Count requests by canonical status, but for synthetic ones."""
    counted = select(REQUEST.c.status, func.count()).where(OF_CITIZENS)
    rows = connection.execute(counted.group_by(REQUEST.c.status))
    return {row[0]: row[1] for row in rows}
