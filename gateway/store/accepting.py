"""Stores what the portal brings: a request or a later event, with its deliveries. `accept` is one
unit: behind a 2xx, all of it is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.core.account import normal_account
from gateway.core.ids import displaced_ref
from gateway.core.request import EventKind, ServiceRequest
from gateway.core.sighting import Sighting, same_event
from gateway.core.status import Status
from gateway.store import accounts, nonces, resealing, retention, sealed, statements, tombstones
from gateway.store.outbox import enqueuing
from gateway.store.outbox.enqueuing import QueuedDelivery
from gateway.store.reading import as_text, lock_request, request_by_id, request_by_ref
from gateway.store.rows import (
    Acceptance,
    Incoming,
    Reception,
    StoredRequest,
)
from gateway.store.tables import ATTACHMENT, EVENT, REQUEST

_SQL = statements.load("accept")
_REQUEST, _EVENT = _SQL["insert_request"], _SQL["insert_event"]


def accept(connection: Connection, incoming: Incoming) -> Acceptance:
    """Store an event of the portal once.

    A creation that is here already is SAME with the same content, CONFLICT with other. A later
    event needs its request (UNKNOWN), and is SAME when it was seen before (`same_event`). REPLAYED:
    the nonce was used before; nothing was stored. ERASED: its person was erased.
    """
    if not nonces.spend(connection, incoming.nonce, incoming.nonce_until):
        return Acceptance(Reception.REPLAYED)
    request = incoming.request
    if tombstones.was_erased(connection, incoming.marks, incoming.mark):
        known = request_by_ref(connection, request.portal, request.teleservice, request.ref)
        return Acceptance(Reception.ERASED, known)
    creation = request.event.kind is EventKind.CREATION
    key_id = sealed.new_key(connection) if creation else None
    if creation and _insert_request(connection, incoming, key_id):
        _insert_event(connection, incoming, request.id, key_id, made=True)
        return Acceptance(Reception.NEW, _made(incoming), incoming.event_id)
    sealed.return_key(connection, key_id)
    known = _alone_with(connection, request)
    if known is None and creation and incoming.spare_id not in ("", request.id):
        spare = replace(request, id=incoming.spare_id)
        return accept(connection, replace(incoming, request=spare, nonce=None))
    if known is None:
        return Acceptance(Reception.UNKNOWN)
    if known.erased_at is not None:
        return Acceptance(Reception.ERASED, known)
    earlier = _sightings(connection, known.id, request.event.kind)
    if creation:
        (first,) = earlier
        same = first.content == incoming.digest
        return Acceptance(Reception.SAME if same else Reception.CONFLICT, known, first.id)
    new = Sighting(incoming.digest, incoming.received_at, incoming.entry_at, incoming.told_key)
    one = same_event(earlier, new)
    if one is not None:
        _recognise(connection, one, new)
        return Acceptance(Reception.SAME, known, one.id)
    key_id = resealing.request_key(connection, known.id)
    _insert_event(connection, _named(connection, incoming, known.id), known.id, key_id, made=False)
    return Acceptance(Reception.NEW, known, incoming.event_id)


def _sightings(connection: Connection, request_id: str, kind: EventKind) -> list[Sighting]:
    rows = connection.execute(
        select(
            EVENT.c.digest,
            EVENT.c.received_at,
            EVENT.c.entry_at,
            EVENT.c.told_key,
            EVENT.c.key,
            EVENT.c.id,
        ).where(
            EVENT.c.request_id == request_id, EVENT.c.origin == "portal", EVENT.c.kind == kind.value
        )
    )
    return [Sighting(*row) for row in rows]


def _recognise(connection: Connection, one: Sighting, new: Sighting) -> None:
    """Store what the new sighting tells beyond the first: the key, or the instant."""
    learnt: dict[str, Any] = {}
    if one.at is None and new.at is not None:
        learnt["entry_at"] = new.at
    if one.key is None and new.key is not None:
        learnt["told_key"] = new.key
    if learnt:
        connection.execute(update(EVENT).where(EVENT.c.id == one.id).values(learnt))


def _named(connection: Connection, incoming: Incoming, request_id: str) -> Incoming:
    """Return the event under a key that no other event of the request has."""
    event = incoming.request.event
    taken = connection.execute(
        select(EVENT.c.id).where(
            EVENT.c.request_id == request_id, EVENT.c.origin == "portal", EVENT.c.key == event.key
        )
    ).first()
    if taken is None:
        return incoming
    event = replace(event, key=f"{event.key}~{incoming.event_id[-12:]}")
    return replace(incoming, request=replace(incoming.request, event=event))


def erased(
    connection: Connection, request: ServiceRequest, marks: Sequence[str], mark: str | None
) -> bool:
    """Would `accept` answer ERASED? Asked before its files are put."""
    if tombstones.was_erased(connection, marks, mark):
        return True
    known = request_by_ref(connection, request.portal, request.teleservice, request.ref)
    return known is not None and known.erased_at is not None


def _alone_with(connection: Connection, request: ServiceRequest) -> StoredRequest | None:
    """Lock the request that the portal means, and return it."""
    known = request_by_ref(connection, request.portal, request.teleservice, request.ref)
    if known is None:
        return None
    lock_request(connection, known.id)
    return request_by_id(connection, known.id)


def _insert_request(connection: Connection, incoming: Incoming, key_id: str | None) -> bool:
    """Return False when the portal's reference, or our own, is taken. Waits for a transaction that
    is about to take it."""
    request = incoming.request
    account = _account(request)
    done = _REQUEST.run(
        connection,
        id=request.id,
        portal=request.portal,
        commune=request.commune,
        teleservice=request.teleservice,
        ref=request.ref,
        uuid=request.uuid,
        number=request.number,
        api_url=request.api_url,
        account=None if account is None else accounts.hashed(connection, account),
        sealed_account=(
            None if account is None else accounts.seal(connection, key_id, request.id, account)
        ),
        key_id=key_id,
        digest=incoming.digest,
        gru=incoming.gru,
        vouched=incoming.vouched,
        status=Status.RECEIVED.value,
        status_at=incoming.received_at,
        received_at=incoming.received_at,
        submitted_at=request.submitted_at,
        ask_at=incoming.received_at,
        traceparent=incoming.traceparent,
    )
    return done.rowcount == 1


def _account(request: ServiceRequest) -> str | None:
    account = request.user.uuid if request.user else None
    return None if account is None else normal_account(account)


def _made(incoming: Incoming) -> StoredRequest:
    request = incoming.request
    return StoredRequest(
        id=request.id,
        portal=request.portal,
        commune=request.commune,
        teleservice=request.teleservice,
        ref=request.ref,
        number=request.number,
        api_url=request.api_url,
        gru=incoming.gru,
        status=Status.RECEIVED,
        status_at=incoming.received_at,
        changed_at=None,
        gru_reference=None,
        gru_link=None,
        received_at=incoming.received_at,
        submitted_at=request.submitted_at,
        erased_at=None,
        vouched=incoming.vouched,
        traceparent=incoming.traceparent,
    )


def vouch(connection: Connection, request_id: str) -> None:
    """Note that the portal confirms the request's commune."""
    connection.execute(update(REQUEST).where(REQUEST.c.id == request_id).values(vouched=True))


def displace(connection: Connection, request_id: str) -> None:
    """Detach a request from a formdata that is another commune's by the portal's word. What its GRU
    received stays there; the request has no address at the portal any more."""
    lock_request(connection, request_id)
    known = request_by_id(connection, request_id)
    if known is None or known.vouched:
        return
    ref = displaced_ref(known.ref, known.commune)
    if request_by_ref(connection, known.portal, known.teleservice, ref) is not None:
        ref = displaced_ref(known.ref, known.id)  # a former reference must not block the number
    connection.execute(
        update(REQUEST).where(REQUEST.c.id == request_id).values(ref=ref, api_url=None)
    )


def _insert_event(
    connection: Connection,
    incoming: Incoming,
    request_id: str,
    key_id: str | None,
    *,
    made: bool,
) -> None:
    """Insert an event. `made`: its request is new in this transaction, and has no delivery yet."""
    request = incoming.request
    document = request.document()
    document["id"] = request_id
    _EVENT.run(
        connection,
        id=incoming.event_id,
        request_id=request_id,
        key=request.event.key,
        kind=request.event.kind.value,
        digest=incoming.digest,
        received_at=incoming.received_at,
        told_key=incoming.told_key,
        entry_at=incoming.entry_at,
        body=sealed.seal(
            connection,
            key_id,
            sealed.event_body(incoming.event_id, request_id),
            as_text(document),
        ),
    )
    if not made:
        retention.revive(connection, [request_id])
    earlier = frozenset[str]() if made else _files(connection, request_id)
    ids = [
        enqueuing.attach(
            connection, request_id, key_id, incoming.event_id, n, file, incoming.blobs[file.sha256]
        )
        for n, file in enumerate(request.attachments)
    ]
    owed = _owed(connection, incoming, request_id, ids, earlier)
    enqueuing.enqueue(connection, owed, new=made)


def _owed(
    connection: Connection,
    incoming: Incoming,
    request_id: str,
    ids: Sequence[str],
    earlier: frozenset[str],
) -> list[QueuedDelivery]:
    """Return what is owed for an event, but for files that an earlier one brought."""
    request = incoming.request
    owed = []
    for planned in incoming.deliveries:
        if planned.attachment is not None:
            file = request.attachments[planned.attachment]
            here = sealed.address(connection, request_id, file.sha256)
            if not earlier.isdisjoint({here, file.sha256}) and not file.field.startswith("extra."):
                continue
        owed.append(
            QueuedDelivery(
                id=planned.id,
                request_id=request_id,
                event_id=incoming.event_id,
                kind=planned.kind,
                lane=planned.lane,
                made_at=incoming.received_at,
                due=incoming.received_at,
                attachment_id=None if planned.attachment is None else ids[planned.attachment],
                asks=planned.asks,
                fed=planned.fed,
            )
        )
    return owed


def _files(connection: Connection, request_id: str) -> frozenset[str]:
    """Return the addresses of the files that earlier events brought: a later event brings the whole
    formdata again. Files sent with the event itself (`extra`) count as new."""
    here = connection.execute(
        select(ATTACHMENT.c.address).where(ATTACHMENT.c.request_id == request_id)
    ).scalars()
    return frozenset(here) | retention.own_files(connection, request_id)
