"""SQLite's files hold nothing of deleted rows, whatever moved between pages before."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gateway.store import residue
from gateway.store.engine import Database


@pytest.fixture(params=["plain", "auto_vacuum"])
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, template: Path
) -> AsyncIterator[Database]:
    path = tmp_path / "gateway.db"
    shutil.copyfile(template, path)
    if request.param == "auto_vacuum":
        with contextlib.closing(sqlite3.connect(path)) as made:
            made.executescript("PRAGMA auto_vacuum = FULL; VACUUM")
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.close()


def mark(n: int) -> str:
    return f"<MARQUE-{n:05}>"


def churn(connection: Connection) -> list[int]:
    """Rows that come, grow and go until pages hold copies of what moved; who is gone."""
    dice = random.Random(5)
    run = connection.exec_driver_sql
    run("CREATE TABLE made (id TEXT PRIMARY KEY, account TEXT, body TEXT)")
    run("CREATE INDEX made_account ON made (account)")
    ids = [f"{dice.getrandbits(80):020x}" for _ in range(600)]
    for n, one in enumerate(ids):
        body = "x" * dice.randint(10, 900) + mark(n)
        run("INSERT INTO made VALUES (?, ?, ?)", (one, f"{dice.random()}{mark(n)}", body))
        if n % 3 == 0:
            grown = (ids[dice.randrange(n + 1)],)
            run("UPDATE made SET body = hex(randomblob(150)) || body WHERE id = ?", grown)
    gone = dice.sample(range(len(ids)), 240)
    for n in gone:
        run("DELETE FROM made WHERE id = ?", (ids[n],))
    return gone


def left(database: Database, gone: list[int]) -> list[int]:
    """Return the people whose bytes are anywhere in the files."""
    path = Path(database.engine.url.database or "")
    held = b"".join(p.read_bytes() for p in path.parent.glob(f"{path.name}*"))
    return [n for n in gone if mark(n).encode() in held]


def whole(database: Database) -> bool:
    with contextlib.closing(sqlite3.connect(database.engine.url.database or "")) as look:
        (said,) = look.execute("PRAGMA integrity_check").fetchone()
        (count,) = look.execute("SELECT count(*) FROM made WHERE body LIKE '%<MARQUE%'").fetchone()
    return (said, count) == ("ok", 360)


async def test_nothing_is_left_and_all_else_is(database: Database) -> None:
    gone = await database.write(churn)
    await database.alone(lambda raw: raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    assert left(database, gone), "secure_delete alone would do"
    assert await database.clean()
    assert left(database, gone) == []
    assert whole(database)
    # Nobody keeps an old copy of a page, and writes it back with a change.
    await database.write(
        lambda c: c.exec_driver_sql("UPDATE made SET account = account || 'x', body = body || 'x'")
    )
    await database.alone(lambda raw: raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    assert left(database, gone) == []
    assert whole(database)


async def test_what_another_process_has_read_does_not_come_back(database: Database) -> None:
    gone = await database.write(churn)
    with contextlib.closing(sqlite3.connect(database.engine.url.database or "")) as other:
        other.execute("PRAGMA cache_size = -100000")
        other.execute("SELECT sum(length(body)), sum(length(account)) FROM made").fetchone()
        assert await database.clean()
        with other:
            other.execute("UPDATE made SET body = upper(body)")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert left(database, gone) == []
    assert whole(database)


async def test_writers_go_on_meanwhile(database: Database) -> None:
    gone = await database.write(churn)
    over = False

    async def write() -> int:
        n = 0
        while not over:
            n += 1
            await database.write(
                lambda c: c.exec_driver_sql("UPDATE made SET body = body || 'y' WHERE rowid = 7")
            )
        return n

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(write())
        assert await database.clean()
        over = True
    assert writing.result() > 1
    assert await database.clean()
    assert left(database, gone) == []
    assert whole(database)


async def test_a_reader_in_the_way_is_waited_for_some_times_and_nothing_is_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cost the whole file each time once."""
    monkeypatch.setattr(residue, "PAUSE", 0.001)
    looked = counted(monkeypatch, "_with_residue")
    gone = await database.write(churn)
    with contextlib.closing(sqlite3.connect(database.engine.url.database or "")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM made").fetchone()
        await database.write(lambda c: c.exec_driver_sql("DELETE FROM tick"))
        assert not await database.clean()
        assert looked == []
    assert await database.clean()
    assert left(database, gone) == []


async def test_what_was_done_is_not_done_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residue, "HOLD", 16)
    gone = await database.write(churn)
    wiped = counted(monkeypatch, "_wipe", fails_at=40)
    with pytest.raises(OSError, match="disk"):
        await database.clean()
    assert await database.clean()
    assert not set(wiped[:40]) & set(wiped[40:]) - set(wiped[32:40])
    assert left(database, gone) == []
    wiped.clear()
    assert await database.clean()
    assert wiped == []


def counted(monkeypatch: pytest.MonkeyPatch, name: str, fails_at: int = 0) -> list[object]:
    real: Callable[..., object] = getattr(residue, name)
    calls: list[object] = []

    def noted(*given: object) -> object:
        calls.append(given[1])
        if len(calls) == fails_at:
            raise OSError("the disk")
        return real(*given)

    monkeypatch.setattr(residue, name, noted)
    return calls
