"""The trail: entries are only ever added, and whoever gets around that is found out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.store import trail, trail_pages
from gateway.store.engine import Database
from gateway.store.opening import open_database_engine
from gateway.store.trail_pages import TrailFilter

NOW = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)


async def _three(store: Database) -> None:
    for n in range(3):
        data = {"rang": n, "texte": "accordé « tel quel »", "vide": None, "liste": [1, "b"]}
        await store.write(trail.append, "release", "signed", data, NOW + timedelta(seconds=n))


async def test_entries_come_back_as_they_were_written_and_are_chained(store: Database) -> None:
    await _three(store)
    found = await store.read(trail.entries, "release")
    assert [entry.n for entry in found] == [1, 2, 3]
    assert found[0].previous == trail.START
    assert [entry.previous for entry in found[1:]] == [entry.hash for entry in found[:2]]
    assert found[1].data == {
        "rang": 1,
        "texte": "accordé « tel quel »",
        "vide": None,
        "liste": [1, "b"],
    }
    assert found[1].at == NOW + timedelta(seconds=1)
    assert await store.read(trail.verify, "release") == []


async def test_streams_do_not_mix(store: Database) -> None:
    await _three(store)
    await store.write(trail.append, "erasure", "found", {"count": 1}, NOW)
    assert await store.read(trail.last_entry, "release") == 3
    assert await store.read(trail.last_entry, "erasure") == 1
    assert await store.read(trail.last_entry, "none") == 0
    (entry,) = await store.read(trail.entries, "erasure")
    assert (entry.n, entry.previous) == (1, trail.START)
    assert await store.read(trail.verify, "erasure") == []


async def test_pages_of_several_streams_are_found_by_who_where_and_when(store: Database) -> None:
    told: list[tuple[str, dict[str, Any]]] = [
        ("release", {"by": "Ana", "commune": "69029"}),
        ("people", {"by": "Ana_%", "communes": ["69029", "69266"]}),
        ("people", {"by": "Béa", "commune": "69266", "because": "à côté de 69029"}),
    ]
    for n, (stream, data) in enumerate(told):
        await store.write(trail.append, stream, "kind", data, NOW + timedelta(hours=n))

    async def page(*streams: str, limit: int = 10, skip: int = 0, **wanted: Any) -> list[str]:
        sought = TrailFilter(streams, **wanted)
        found = await store.read(trail_pages.last_entries, sought, limit, skip)
        return [entry.data["by"] for entry in found]

    both = ("release", "people")
    assert await page(*both) == ["Béa", "Ana_%", "Ana"]
    assert await page(*both, limit=1, skip=1) == ["Ana_%"]
    assert await page("people", naming=["69029"]) == ["Ana_%"]
    assert await page(*both, by="Ana_%") == ["Ana_%"]
    assert await page(*both, by="Bé") == ["Béa"]
    hour = timedelta(hours=1)
    assert await page(*both, since=NOW + hour, until=NOW + 2 * hour) == ["Ana_%"]


async def test_many_writers_make_one_chain(url: str) -> None:
    stores = [Database(url) for _ in range(3)]
    try:
        await asyncio.gather(
            *(
                s.write(trail.append, "release", "k", {"i": i}, NOW)
                for s in stores
                for i in range(8)
            )
        )
        found = await stores[0].read(trail.entries, "release")
        assert [entry.n for entry in found] == list(range(1, 25))
        assert await stores[0].read(trail.verify, "release") == []
    finally:
        for one in stores:
            one.close()


async def test_a_transaction_that_fails_leaves_no_entry(store: Database) -> None:
    def fail(connection: Connection) -> None:
        trail.append(connection, "release", "k", {}, NOW)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.write(fail)
    assert await store.read(trail.last_entry, "release") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trail SET kind = 'other' WHERE n = 2",
        "DELETE FROM trail WHERE n = 2",
        "DELETE FROM trail",
        "UPDATE release SET content = '{}'",
        "DELETE FROM release",
    ],
)
async def test_the_database_refuses_to_alter_or_remove(
    store: Database, url: str, statement: str
) -> None:
    await _three(store)
    row = "INSERT INTO release (digest, commune, content, kept_at) VALUES ('d', '69029', '[]', 0)"
    await store.write(lambda connection: connection.execute(text(row)).rowcount)
    engine = open_database_engine(url)
    try:
        with pytest.raises(SQLAlchemyError) as caught, engine.begin() as connection:
            connection.execute(text(statement))
        assert "is append-only" in str(caught.value.__cause__)
    finally:
        engine.dispose()
    assert await store.read(trail.last_entry, "release") == 3


async def test_postgresql_refuses_to_empty_the_table_too(
    store: Database, url: str, dialect: str
) -> None:
    if dialect != "postgresql":
        pytest.skip("SQLite has no TRUNCATE")
    await _three(store)
    engine = open_database_engine(url)
    try:
        with pytest.raises(SQLAlchemyError), engine.begin() as connection:
            connection.execute(text("TRUNCATE trail"))
    finally:
        engine.dispose()


async def test_the_beginning_goes_once_it_is_old_and_the_rest_stays_chained(
    store: Database, url: str
) -> None:
    await _three(store)
    other = await store.write(trail.append, "rights", "exported", {}, NOW)
    day = timedelta(days=1)
    assert await store.write(trail.cut, "release", NOW, NOW, 10) == 0
    assert await store.read(trail.old, "release", NOW + day) == 3
    assert await store.write(trail.cut, "release", NOW + day, NOW + day, 2) == 2
    assert [one.n for one in await store.read(trail.entries, "release")] == [3]
    assert await store.read(trail.verify, "release") == []
    engine = open_database_engine(url)
    try:
        for gone in ("stream = 'release'", "stream = 'rights'"):
            with pytest.raises(SQLAlchemyError) as caught, engine.begin() as connection:
                connection.execute(text(f"DELETE FROM trail WHERE {gone}"))
            assert "is append-only" in str(caught.value.__cause__)
    finally:
        engine.dispose()
    assert await store.write(trail.cut, "release", NOW + day, NOW + day, 2) == 1
    assert await store.read(trail.last_entry, "release") == 3, "its numbers go on"
    newer = await store.write(trail.append, "release", "kept", {}, NOW + 2 * day)
    assert newer.n == 4
    assert await store.read(trail.verify, "release") == []
    # One that was made while the clock was behind holds nothing up, one ahead does.
    await store.write(trail.append, "release", "kept", {}, NOW)
    assert await store.read(trail.old, "release", NOW + day) == 0
    assert await store.read(trail.entries, "rights") == [other]
    without_triggers(url, "DELETE FROM trail WHERE n = 4")
    (problem,) = await store.read(trail.verify, "release")
    assert str(problem) == "trail release:5: entry 4 before it is missing"


def without_triggers(url: str, *statements: str) -> None:
    """A person with access to the database may do these."""
    engine = open_database_engine(url)
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            for table in ("trail", "release"):
                for verb in ("update", "delete"):
                    connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{verb}"))
        else:
            for table in ("trail", "release"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE trail SET kind = 'applied' WHERE n = 2", "trail release:2: it was altered"),
        ("UPDATE trail SET at = at + 1 WHERE n = 2", "trail release:2: it was altered"),
        ("UPDATE trail SET data = '{}' WHERE n = 3", "trail release:3: it was altered"),
        ("UPDATE trail SET data = 'no JSON' WHERE n = 3", "trail release:3: it was altered"),
        ("DELETE FROM trail WHERE n = 2", "trail release:3: entry 2 before it is missing"),
        ("DELETE FROM trail WHERE n = 1", "trail release:2: entry 1 before it is missing"),
        (
            "UPDATE trail SET hash = 'f' WHERE n = 1",
            "trail release:1: it was altered.*trail release:2: it does not follow",
        ),
    ],
)
async def test_what_was_altered_all_the_same_is_named(
    store: Database, url: str, statement: str, said: str
) -> None:
    await _three(store)
    without_triggers(url, statement)
    problems = await store.read(trail.verify, "release")
    assert problems
    assert_matches("; ".join(map(str, problems)), said)
    await store.read(trail.entries, "release")  # and it can still be looked at


async def test_a_forged_entry_in_the_middle_breaks_what_follows(store: Database, url: str) -> None:
    await _three(store)
    real = await store.read(trail.entries, "release")
    forge: Callable[..., str] = trail.seal_of
    seal = forge("release", 2, NOW, "signed", "{}", real[0].hash)
    micros = (NOW - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    without_triggers(
        url, f"UPDATE trail SET data = '{{}}', at = {micros}, hash = '{seal}' WHERE n = 2"
    )
    (problem,) = await store.read(trail.verify, "release")
    assert str(problem) == "trail release:3: it does not follow the entry before it"


def assert_matches(text: str, pattern: str) -> None:
    assert re.search(pattern, text), text
