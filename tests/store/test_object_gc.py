"""Places of the object store: reserved, taken, condemned, emptied."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import Connection, insert

from gateway.core.content import InMemory, ObjectContent
from gateway.core.errors import Unavailable
from gateway.store import blobs, object_gc, sealed
from gateway.store.blobs import StoredFile
from gateway.store.engine import Database
from gateway.store.erasure_tables import ERASURE
from gateway.store.object_gc import UNDER_WAY
from tests.builders import NOW, stored


async def test_a_place_is_reserved_then_taken(store: Database) -> None:
    assert not await store.read(object_gc.any_used)
    await store.write(object_gc.reserve, ["aa/1", "aa/2", "aa/3"], NOW)
    content = InMemory(b"A" * 600_000)
    address = await store.read(sealed.address, "DEM-1", content.sha256)
    key = await store.read(sealed.new_key)
    await store.write(blobs.store, ObjectContent(content, "aa/1", b"k" * 32), address, key)
    assert await store.read(blobs.find, address) == StoredFile(address, "aa/1", b"k" * 32)
    both = [content.sha256, "0" * 64]
    assert await store.read(blobs.stored_among, "DEM-1", both) == {content.sha256}
    assert await store.read(blobs.stored_among, "DEM-2", both) == frozenset()
    # The same bytes at another place, or in the database: one of them is enough.
    await store.write(blobs.store, ObjectContent(content, "aa/2"), address, key)
    await store.write(blobs.store, content, address, key)
    assert await store.write(object_gc.due, NOW, 10) == ["aa/2"]
    assert await store.write(object_gc.due, NOW + UNDER_WAY, 10) == ["aa/2", "aa/3"]
    await store.write(object_gc.emptied, ["aa/2", "aa/3"])
    assert await store.write(object_gc.due, NOW + UNDER_WAY, 10) == []
    assert await store.read(object_gc.any_used)
    # Another request of the same change keeps its own.
    await store.write(blobs.store, ObjectContent(content, "aa/1", b"k" * 32), "other", key)
    assert await stored(store, "other", content.size) == b"A" * 600_000


async def test_a_place_that_is_condemned_cannot_be_taken(store: Database) -> None:
    content = InMemory(b"B")
    await store.write(object_gc.reserve, ["bb/1"], NOW)
    await store.write(object_gc.condemn, ["bb/1"])
    with pytest.raises(Unavailable):
        await store.write(blobs.store, ObjectContent(content, "bb/1"), "b", None)
    assert await stored(store, "b", 1) is None
    assert await store.write(object_gc.due, NOW, 10) == ["bb/1"]


async def test_what_an_erasure_leaves_is_in_its_name(store: Database) -> None:
    content = InMemory(b"C")
    await store.write(object_gc.reserve, ["cc/1"], NOW)
    await store.write(blobs.store, ObjectContent(content, "cc/1"), "c", None)
    assert await store.write(blobs.drop_orphans, ["c"], "ERA-1") == 1
    assert await store.read(object_gc.unfinished, ["ERA-1", "ERA-2"]) == {"ERA-1"}
    assert await store.write(object_gc.due, NOW, 10) == ["cc/1"]
    assert await store.read(object_gc.unfinished, ["ERA-1"]) == {"ERA-1"}
    await store.write(object_gc.emptied, ["cc/1"])
    assert await store.read(object_gc.unfinished, ["ERA-1"]) == frozenset()


async def test_what_nobody_took_may_be_of_whom_is_erased(store: Database) -> None:
    def opened(connection: Connection, name: str, at: datetime) -> None:
        row = {"id": name, "run": "R", "mark": name, "source": "x", "state": "scrubbed"}
        row |= {"reason": "", "told": ""}
        counted = {"found_at": at, "opened_at": at, "requests": 0, "files": 0}
        connection.execute(insert(ERASURE).values(**row, **counted))

    await store.write(opened, "ERA-1", NOW - UNDER_WAY / 2)
    await store.write(opened, "ERA-2", NOW + UNDER_WAY / 2)
    both = ["ERA-1", "ERA-2"]
    await store.write(object_gc.reserve, ["dd/1"], NOW)
    assert await store.read(object_gc.unfinished, both) == {"ERA-2"}
    await store.write(object_gc.condemn, ["dd/1"])
    assert await store.read(object_gc.unfinished, both) == set(both)
    await store.write(object_gc.emptied, ["dd/1"])
    assert await store.read(object_gc.unfinished, both) == frozenset()


async def test_the_places_of_a_dead_process_are_not_waited_for(store: Database) -> None:
    await store.write(object_gc.reserve, ["ee/1"], NOW)
    await store.write(object_gc.reserve, ["ee/2"], NOW - UNDER_WAY)
    await store.write(object_gc.adopt_orphans, NOW + UNDER_WAY / 2)
    assert await store.write(object_gc.due, NOW, 10) == ["ee/2"]
    assert await store.read(object_gc.waiting, NOW) == 1
    assert await store.write(object_gc.due, NOW + UNDER_WAY / 2, 10) == ["ee/1", "ee/2"]
