"""Turns rows into values; holds the statements that several modules share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Boolean, Connection, bindparam, select

from gateway.core.canary import PREFIX
from gateway.core.delivery import Kind, State
from gateway.core.status import Status
from gateway.store import statements
from gateway.store.dialect import Moment, moment
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import StoredRequest
from gateway.store.tables import DELIVERY, REQUEST

#: Requests of citizens: all but synthetic ones.
OF_CITIZENS = REQUEST.c.commune.not_like(f"{PREFIX}%")
REQUEST_COLUMNS = tuple(REQUEST.c[name] for name in StoredRequest.__slots__)
DELIVERY_COLUMNS = tuple(DELIVERY.c[name] for name in Delivery.__slots__)


#: Converts a value of a claim's row from the driver's form to that of the tables.
_CONVERT: tuple[tuple[int, Any], ...] = tuple(
    (n, convert)
    for n, column in enumerate((*DELIVERY_COLUMNS, *REQUEST_COLUMNS))
    if (convert := {Moment: moment, Boolean: bool}.get(type(column.type))) is not None
)


def from_driver(row: Sequence[Any]) -> list[Any]:
    """Convert a driver's row of DELIVERY_COLUMNS, REQUEST_COLUMNS and more."""
    values = list(row)
    for n, convert in _CONVERT:
        values[n] = convert(values[n])
    return values


def to_request(row: Sequence[Any]) -> StoredRequest:
    values = dict(zip(StoredRequest.__slots__, row, strict=False))
    values["status"] = Status(values["status"])
    return StoredRequest(**values)


def to_delivery(row: Sequence[Any]) -> Delivery:
    values = dict(zip(Delivery.__slots__, row, strict=False))
    values["kind"] = Kind(values["kind"])
    values["state"] = State(values["state"])
    return Delivery(**values)


_LOCK = statements.load("enqueue")["lock"]
# Built once: building a statement costs more than running one.
_BY_ID = select(*REQUEST_COLUMNS).where(REQUEST.c.id == bindparam("wanted"))
_BY_REF = select(*REQUEST_COLUMNS).where(
    REQUEST.c.portal == bindparam("of_portal"),
    REQUEST.c.teleservice == bindparam("of_teleservice"),
    REQUEST.c.ref == bindparam("of_ref"),
)


def request_by_id(connection: Connection, request_id: str) -> StoredRequest | None:
    row = connection.execute(_BY_ID, {"wanted": request_id}).first()
    return None if row is None else to_request(row)


def request_by_ref(
    connection: Connection, portal: str, teleservice: str, ref: str
) -> StoredRequest | None:
    row = connection.execute(
        _BY_REF, {"of_portal": portal, "of_teleservice": teleservice, "of_ref": ref}
    ).first()
    return None if row is None else to_request(row)


class LockedRequest(NamedTuple):
    """A request that this transaction has locked."""

    status: str
    erased: bool
    #: The key with which it is sealed.
    key_id: str | None


def lock_requests(connection: Connection, request_ids: Iterable[str]) -> dict[str, LockedRequest]:
    """Lock these requests until the transaction ends; return the known ones, by id.

    A request's next delivery depends on its others, so two transactions must not decide it at once.
    SQLite has one writer and needs no lock.
    """
    rows = _LOCK.rows(connection, ids=sorted(set(request_ids)))
    return {row[0]: LockedRequest(row[1], row[2] is not None, row[3]) for row in rows}


def lock_request(connection: Connection, request_id: str) -> bool:
    """Lock one request as `lock_requests` does. False when it is unknown or erased."""
    held = lock_requests(connection, [request_id])
    return request_id in held and not held[request_id].erased


def as_text(body: Mapping[str, Any]) -> str:
    """Make the JSON to store. Half a surrogate pair, which JSON allows, is escaped."""
    text = json.dumps(body, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(body)
    return text
