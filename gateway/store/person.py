"""All that is held about a person: the account's requests, and every row about each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, select

from gateway.core.account import normal_account
from gateway.core.sealing import NotOpened
from gateway.store import accounts, requests, sealed, trail, untold
from gateway.store.erasure_tables import ERASURE, SUSPECT, TARGET
from gateway.store.tables import (
    ATTACHMENT,
    ATTEMPT,
    DELIVERY,
    EVENT,
    HEARD,
    PASSED_OVER,
    REQUEST,
    UNTOLD,
)

#: The trail of what was told to and asked by people about their rights.
STREAM = "rights"
Rows = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class HeldRequest:
    """All rows about one request, by table, each as its columns. The bodies of `event` and `untold`
    are values; the bytes of `attachment` are read apart."""

    request: Mapping[str, Any]
    event: Rows
    attachment: Rows
    untold: Rows
    heard: Rows
    delivery: Rows
    attempt: Rows
    passed_over: Rows
    erasure_target: Rows
    #: Values that do not open, as `table.column id`: they were altered, and are empty here.
    damaged: tuple[str, ...] = ()


def requests_of(connection: Connection, account: str) -> list[str]:
    """Return the ids of an account's requests, oldest first. `account` may be written any way."""
    mine = REQUEST.c.account == accounts.hashed(connection, normal_account(account))
    rows = connection.execute(select(REQUEST.c.id).where(mine).order_by(REQUEST.c.received_at))
    return list(rows.scalars())


def account_of(connection: Connection, request_id: str) -> str | None:
    """Return the account of a request; None where it has none, or is unknown."""
    return accounts.of_requests(connection, [request_id]).get(request_id)


def rows_of_account(connection: Connection, account: str) -> dict[str, Rows]:
    """Return the rows that name the account itself, but those of its requests, by table."""
    known = normal_account(account)
    mine = accounts.hashed(connection, known)
    found = {
        "suspect": _rows(connection, SUSPECT, SUSPECT.c.account == mine),
        "erasure": _rows(connection, ERASURE, ERASURE.c.account == mine),
    }
    return {name: tuple(_named(row, known) for row in rows) for name, rows in found.items()}


def _named(row: Mapping[str, Any], account: str | None) -> Mapping[str, Any]:
    """Return a row with the account itself."""
    return {name: value for name, value in row.items() if name != "sealed_account"} | {
        "account": account
    }


def held(connection: Connection, request_id: str) -> HeldRequest | None:
    """Return all that the tables have about a request; None for an unknown one."""
    found = _rows(connection, REQUEST, REQUEST.c.id == request_id)
    if not found:
        return None
    damaged: list[str] = []
    request = _named(found[0], account_of(connection, request_id))
    if request["account"] is None and found[0]["sealed_account"] is not None:
        damaged.append(f"request.account {request_id}")
    deliveries = _rows(connection, DELIVERY, DELIVERY.c.request_id == request_id)
    tried = ATTEMPT.c.delivery_id.in_([one["id"] for one in deliveries])
    looked = (PASSED_OVER.c[name] == request[name] for name in ("portal", "teleservice", "ref"))
    return HeldRequest(
        request,
        tuple(
            {**one, "body": _opened(damaged, "event.body", one, requests.event_body, connection)}
            for one in _rows(connection, EVENT, EVENT.c.request_id == request_id)
        ),
        _files(connection, request_id, damaged),
        tuple(
            {**one, "body": _opened(damaged, "untold.body", one, untold.body, connection)}
            for one in _rows(connection, UNTOLD, UNTOLD.c.request_id == request_id)
        ),
        _rows(connection, HEARD, HEARD.c.request_id == request_id),
        deliveries,
        tuple(
            {**one, "answer": _answer(connection, request_id, one, damaged)}
            for one in _rows(connection, ATTEMPT, tried)
        ),
        _rows(connection, PASSED_OVER, *looked),
        _rows(connection, TARGET, TARGET.c.request_id == request_id),
        tuple(damaged),
    )


def _opened(
    damaged: list[str],
    place: str,
    row: Mapping[str, Any],
    read: Callable[[Connection, str], Any],
    connection: Connection,
) -> Any:
    """Return what is read of a row; None, and note it, where it does not open."""
    try:
        return read(connection, row["id"])
    except (NotOpened, ValueError):
        damaged.append(f"{place} {row['id']}")
        return None


def _files(connection: Connection, request_id: str, damaged: list[str]) -> Rows:
    names = [column.name for column in sealed.ATTACHMENT_COLUMNS]

    def read(row: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            file = sealed.read_attachment(connection, [row[name] for name in names])
        except (NotOpened, ValueError):
            damaged.append(f"attachment.filename {row['id']}")
            return {**row, "filename": "", "sha256": ""}
        return {**row, "filename": file.filename, "sha256": file.sha256}

    rows = _rows(connection, ATTACHMENT, ATTACHMENT.c.request_id == request_id)
    return tuple(read(row) for row in rows)


def _answer(
    connection: Connection, request_id: str, row: Mapping[str, Any], damaged: list[str]
) -> str | None:
    place = sealed.attempt_answer(row["delivery_id"], row["started_at"], request_id)
    try:
        return sealed.unseal(connection, place, row["answer"])
    except NotOpened:
        damaged.append(f"attempt.answer {row['id']}")
        return None


def record_export(
    connection: Connection, ids: Sequence[str], by: str, why: str, now: datetime
) -> None:
    """Record in the trail that somebody is given all that is held about a person."""
    data = {"by": by, "why": why, "requests": list(ids)}
    trail.append(connection, STREAM, "exported", data, now)


def _rows(connection: Connection, table: Table, *where: ColumnElement[bool]) -> Rows:
    rows = connection.execute(select(table).where(*where).order_by(*table.primary_key))
    return tuple(dict(row._mapping) for row in rows)
