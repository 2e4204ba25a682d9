"""A person is given all that a search of the database finds of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select, update
from sqlmodel import SQLModel

from gateway.core.content import InMemory
from gateway.core.delivery import State
from gateway.core.request import EventKind, Person
from gateway.core.status import Status
from gateway.store import accepting, exposure, person, trail, untold
from gateway.store.engine import Store
from gateway.store.outbox.rows import NewReport
from gateway.store.reading import request_by_id
from gateway.store.rows import WithheldPart
from gateway.store.tables import ATTEMPT, REQUEST
from tests.builders import (
    CITIZEN,
    COMMUNE,
    NOW,
    PORTAL_LANE,
    file_of,
    incoming,
    new_id,
    service_request,
)
from tests.store.acts import claim_one, settle

MARK = "ZZMARQUEUR"
ACCOUNT = "0123456789abcdef0123456789abcdef"
SOMEBODY = Person(f"{MARK} Fictive", f"{MARK}@exemple.invalid", ACCOUNT)
PHOTO = f"{MARK} une photo".encode()


def marked(connection: Connection) -> set[tuple[str, tuple[Any, ...]]]:
    """Search the whole database in clear: table and key of each row that bears the marker."""
    found = set()
    for table in SQLModel.metadata.sorted_tables:
        for found_row in connection.execute(select(table)).mappings():
            row = {str(name): value for name, value in found_row.items()}
            if MARK in _text(row) or ACCOUNT in _text(row):
                found.add((table.name, _key(table.name, row)))
    return found


def _text(row: Mapping[str, Any]) -> str:
    values = (
        v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in row.values()
    )
    return "\n".join(values)


def _key(table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[c.name] for c in SQLModel.metadata.tables[table].primary_key)


async def planted(store: Store) -> str:
    """A request whose person's marker is wherever a request's data may be; its id."""
    file = dataclasses.replace(file_of(PHOTO), filename=f"{MARK}.jpg")
    first = service_request(
        ref="7", user=SOMEBODY, fields={"description": f"chez {MARK}"}, attachments=(file,)
    )
    brought = dataclasses.replace(incoming(first), blobs={file.sha256: InMemory(PHOTO)})
    taken = await store.write(accepting.accept, brought)
    assert taken.request is not None
    report = NewReport(
        event_id=new_id("evt"),
        delivery_id=new_id("dlv"),
        request_id=taken.request.id,
        lane=PORTAL_LANE,
        origin="gru",
        key="note-1",
        at=NOW,
        body={"status": "accepted", "message": f"Bonjour {MARK}"},
        status=Status.ACCEPTED,
    )
    await settle(store, await claim_one(store), State.DONE, reference="GRU-7", reports=(report,))
    answer = update(ATTEMPT).values(answer=f"HTTP 200 {MARK}", detail=f"{MARK}")
    await store.write(lambda c: c.execute(answer))
    later = service_request(
        ref="7", kind=EventKind.MESSAGE, message=f"{MARK} encore", user=SOMEBODY
    )
    await store.write(accepting.accept, incoming(later))
    known = await store.read(request_by_id, taken.request.id)
    assert known is not None
    part = WithheldPart("note:1", "unknown_status", {"message": f"{MARK} ?"}, person=True)
    await store.write(untold.record, known, part, "rules", NOW, NOW, new_id("unt"))
    # Somebody else, of whom nothing is given.
    await store.write(accepting.accept, incoming(service_request(ref="8", user=CITIZEN)))
    return taken.request.id


async def test_what_is_given_is_what_a_search_of_the_database_finds(
    store_in_clear: Store,
) -> None:
    store = store_in_clear
    request_id = await planted(store)
    found = await store.read(marked)
    assert {table for table, _ in found} == {
        *("request", "event", "attachment", "blob", "untold", "attempt"),
    }
    assert await store.read(person.requests_of, ACCOUNT.upper()) == [request_id]
    held = await store.read(person.held, request_id)
    assert held is not None
    given: set[tuple[str, tuple[Any, ...]]] = {("request", (held.request["id"],))}
    for table in ("event", "attachment", "untold", "attempt"):
        rows = getattr(held, table)
        given |= {(table, _key(table, row)) for row in rows}
        marks = sum(MARK in _text(row) for row in rows)
        assert marks == sum(one == table for one, _ in found), table
    given |= {("blob", (row["address"], 0)) for row in held.attachment}
    assert found <= given
    assert {row["request_id"] for row in held.event} == {request_id}


async def test_what_is_sealed_is_given_opened(store: Store) -> None:
    request_id = await planted(store)
    held = await store.read(person.held, request_id)
    assert held is not None
    for table, marks in (("event", 3), ("attachment", 1), ("untold", 1), ("attempt", 1)):
        assert sum(MARK in _text(row) for row in getattr(held, table)) == marks, table
    assert [row["sha256"] for row in held.attachment] == [file_of(PHOTO).sha256]


async def test_an_export_is_in_the_trail_with_who_and_why(store: Store) -> None:
    await store.write(person.record_export, ["TDG-1"], "Zoé Fictive", "demande 12", NOW)
    (entry,) = await store.read(trail.entries, person.STREAM)
    assert (entry.kind, entry.data) == (
        "exported",
        {"by": "Zoé Fictive", "why": "demande 12", "requests": ["TDG-1"]},
    )


async def test_a_violation_counts_what_lay_here_in_that_time(store: Store) -> None:
    await planted(store)
    hour, day = timedelta(hours=1), timedelta(days=1)
    nobody = service_request(ref="9", user=None, now=NOW + 2 * day)
    await store.write(accepting.accept, incoming(nobody, now=NOW + 2 * day))
    (route,) = await store.read(exposure.routes, NOW - hour, NOW + hour, None)
    assert (route.commune, route.requests, route.accounts, route.alone) == (COMMUNE, 2, 2, 0)
    assert route.files == 1
    assert await store.read(exposure.people, NOW - hour, NOW + 3 * day, None) == 3
    assert await store.read(exposure.people, NOW - hour, NOW + 3 * day, "69266") == 0
    # What went before the time began was not there in it.
    gone = update(REQUEST).where(REQUEST.c.ref == "8").values(purged_at=NOW + hour)
    await store.write(lambda c: c.execute(gone))
    assert await store.read(exposure.people, NOW + day, NOW + 3 * day, None) == 2
    listed: list[Any] = []
    after = None
    while page := await store.read(exposure.references, NOW - hour, NOW + 3 * day, None, after, 1):
        listed += page
        after = (page[-1][3], page[-1][0])
    assert len(listed) == 3
    assert MARK not in str(listed) + str(route)
