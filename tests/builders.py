"""Invented requests and incoming events, one keyword away from the one a test needs."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from gateway.core.content import Content, InMemory
from gateway.core.decommission import DecommissionStep
from gateway.core.delivery import Kind
from gateway.core.ids import request_id
from gateway.core.lane_name import GruLane, PortalLane
from gateway.core.request import Attachment, Event, EventKind, Person, ServiceRequest
from gateway.store import blobs, sealed
from gateway.store.decommissions import Decommission
from gateway.store.engine import Store
from gateway.store.outbox import claiming
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import NewDelivery
from gateway.store.rows import Incoming

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PORTAL = "toodego-test"
COMMUNE = "69029"
TELESERVICE = "signalement-anomalie"
GRU = "mairie"
GRU_LANE = str(GruLane(COMMUNE, GRU))
PORTAL_LANE = str(PortalLane(PORTAL, COMMUNE))
CITIZEN = Person("Zoé Fictive-Exemple", "zoe@exemple.invalid", "0" * 31 + "1")

_numbers = itertools.count(1)


def new_id(prefix: str = "id") -> str:
    """An id unlike any other of this run, later ones sorting later."""
    return f"{prefix}-{next(_numbers):08}"


def file_of(content: bytes, field: str = "photo", filename: str = "photo.jpg") -> Attachment:
    """The reference of a file with these bytes."""
    digest = hashlib.sha256(content).hexdigest()
    return Attachment(field, filename, "image/jpeg", len(content), digest)


def service_request(
    *,
    ref: str | None = None,
    kind: EventKind = EventKind.CREATION,
    key: str | None = None,
    message: str | None = None,
    now: datetime = NOW,
    **changes: Any,
) -> ServiceRequest:
    """One event of a request. Without `ref` it is a new request; `changes` are its attributes."""
    number = next(_numbers)
    ref = ref or str(number)
    if key is None:
        key = "creation" if kind is EventKind.CREATION else f"{kind.value}-{number}"
    values: dict[str, Any] = {
        "id": request_id(now, number),
        "portal": PORTAL,
        "commune": COMMUNE,
        "teleservice": TELESERVICE,
        "ref": ref,
        "event": Event(key, kind, message),
        "submitted_at": now,
        "number": f"12-{ref}",
        "api_url": f"https://portail.exemple.invalid/api/forms/{TELESERVICE}/{ref}/",
        "user": CITIZEN,
        "fields": {"description": "Un lampadaire éteint", "adresse": "1 rue Inventée"},
        "location": (45.76, 4.85),
    }
    return ServiceRequest(**(values | changes))


def incoming(
    request: ServiceRequest | None = None,
    *,
    files: Mapping[str, bytes] | None = None,
    deliveries: tuple[NewDelivery, ...] | None = None,
    lane: str = GRU_LANE,
    digest: str | None = None,
    gru: str = GRU,
    now: datetime = NOW,
    nonce: str | None = None,
    nonce_until: datetime | None = None,
    entry_at: datetime | None = None,
    **changes: Any,
) -> Incoming:
    """A verified event, ready for `requests.accept`: it owes one submit, or one amend.

    `files`: field -> bytes. `digest` is of the fields unless given. The workflow calls it by its
    key, unless the history brought it (`entry_at`). Other keywords go to `service_request`.
    """
    contents: dict[str, Content] = {}
    if files:
        attachments = tuple(file_of(content, field) for field, content in files.items())
        contents = {one.sha256: one for one in map(InMemory, files.values())}
        changes["attachments"] = attachments
    request = request or service_request(now=now, **changes)
    if deliveries is None:
        kind = Kind.SUBMIT if request.event.kind is EventKind.CREATION else Kind.AMEND
        deliveries = (NewDelivery(new_id("dlv"), kind, lane),)
    if digest is None:
        digest = hashlib.sha256(repr(sorted(request.fields.items())).encode()).hexdigest()
    return Incoming(
        request=request,
        event_id=new_id("evt"),
        digest=digest,
        gru=gru,
        received_at=now,
        deliveries=deliveries,
        blobs=contents,
        told_key=None if entry_at else request.event.key,
        entry_at=entry_at,
        nonce=nonce,
        nonce_until=nonce_until,
    )


def take(
    connection: Connection, lane: str, limit: int, *, owner: str, now: datetime, lease: float
) -> list[Claimed]:
    """A claim, as a unit."""
    return claiming.claim(connection, claiming.ClaimRequest(lane, limit, owner, now, lease)).claims


async def stored(store: Store, address: str, size: int) -> bytes | None:
    """A file's bytes as the store gives them, piece by piece; None where there are none."""
    file = await store.read(blobs.find, address)
    if file is None:
        return None
    assert file.place is None, "it lies in an object store"
    pieces: list[bytes] = []
    while (piece := await store.read(blobs.piece, file, len(pieces), size)) is not None:
        pieces.append(piece)
    return b"".join(pieces)


async def stored_of(store: Store, request_id: str, sha256: str, size: int) -> bytes | None:
    """The same of a request's file with this hash."""
    return await stored(store, await store.read(sealed.address, request_id, sha256), size)


def leaving(**changes: Any) -> Decommission:
    """The order that Bron leaves at once."""
    values: dict[str, Any] = {
        "id": "DEC-1",
        "commune": "69029",
        "name": "Bron",
        "portal": "toodego",
        "step": DecommissionStep.ANNOUNCED,
        "by": "A. Agent",
        "because": "Fin de la convention",
        "announced_at": NOW,
        "stop_at": NOW,
        "drain": 90,
        "tell": 3600,
    }
    return Decommission(**(values | changes))
