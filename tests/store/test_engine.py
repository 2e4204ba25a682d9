"""Many units, one commit; nobody pays for another's fault; no value in an error."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, func, insert, select, text, update

from gateway.core.errors import GatewayError, Unavailable
from gateway.store import accepting, cursors, nonces, opening, ticks
from gateway.store.engine import Database
from gateway.store.opening import POSTGRES_WRITERS
from gateway.store.outbox import lanes
from gateway.store.rows import Reception
from gateway.store.tables import LANE, NONCE, REQUEST, TICK
from tests.builders import NOW, incoming
from tests.store.acts import accept
from tests.store.postgres import Server

SECRET = "zoe.fictive-exemple@exemple.invalid"


@asynccontextmanager
async def held(store: Database) -> AsyncIterator[None]:
    """All writers are busy meanwhile, so that what is written comes to wait in one queue."""
    writers = 1 if store.dialect == "sqlite" else POSTGRES_WRITERS
    busy, go = threading.Semaphore(0), threading.Event()

    def wait(_connection: Connection) -> None:
        busy.release()
        assert go.wait(60)

    waiting = []
    for _ in range(writers):
        # One by one: two of them in one transaction would wait for each other.
        waiting.append(asyncio.ensure_future(store.write(wait)))
        await asyncio.to_thread(busy.acquire)
    yield
    go.set()
    await asyncio.gather(*waiting)


def commits(store: Database) -> list[int]:
    counted = [0]

    @event.listens_for(store.engine, "commit")
    def _count(_connection: Connection) -> None:
        counted[0] += 1

    return counted


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(REQUEST)).scalar_one()


async def test_many_acceptances_share_a_commit(store: Database) -> None:
    counted = commits(store)
    async with held(store):
        taken = [
            asyncio.ensure_future(store.write(accepting.accept, incoming(ref=str(n))))
            for n in range(60)
        ]
        await asyncio.sleep(0)
    assert {(await t).reception for t in taken} == {Reception.NEW}
    writers = 1 if store.dialect == "sqlite" else POSTGRES_WRITERS
    # The ones that held the writers, and then one each at the most.
    assert counted[0] <= 2 * writers
    assert await store.read(count) == 60


async def test_a_unit_that_raises_does_not_hurt_its_group(store: Database) -> None:
    def bad(connection: Connection) -> None:
        nonces.spend(connection, "left behind", NOW)
        raise LookupError("mine")

    async with held(store):
        writes: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(
                store.write(bad) if n % 7 == 3 else store.write(accepting.accept, incoming())
            )
            for n in range(30)
        ]
        await asyncio.sleep(0)
    results = await asyncio.gather(*writes, return_exceptions=True)
    failed = [n for n, r in enumerate(results) if isinstance(r, BaseException)]
    assert failed == [3, 10, 17, 24]
    assert all(isinstance(results[n], LookupError) for n in failed)
    assert await store.read(count) == 26
    left = await store.read(lambda c: c.execute(select(NONCE.c.key)).all())
    assert left == []


async def test_a_write_that_nobody_waits_for_is_not_begun(store: Database) -> None:
    async with held(store):
        given_up = asyncio.ensure_future(store.write(accepting.accept, incoming()))
        wanted = asyncio.ensure_future(store.write(accepting.accept, incoming()))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
    await wanted
    assert await store.read(count) == 1


def _twice(connection: Connection) -> None:
    for _ in range(2):
        connection.execute(insert(NONCE).values(key=SECRET, expires_at=NOW))


def _naive(connection: Connection) -> None:
    connection.execute(insert(NONCE).values(key=SECRET, expires_at=datetime(2026, 1, 1)))


def _no_table(connection: Connection) -> None:
    connection.execute(text("SELECT :secret FROM nowhere"), {"secret": SECRET})


def _no_value(connection: Connection) -> None:
    connection.execute(insert(NONCE).values(key=SECRET))


def _no_parameter(connection: Connection) -> None:
    connection.execute(text("SELECT :secret, :other"), {"secret": SECRET})


@pytest.mark.parametrize("unit", [_twice, _naive, _no_table, _no_value, _no_parameter])
@pytest.mark.parametrize("way", ["write", "read"])
async def test_an_error_of_the_driver_shows_no_value(store: Database, unit: Any, way: str) -> None:
    with pytest.raises(GatewayError) as caught:
        await getattr(store, way)(unit)
    shown: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        shown += [repr(error), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    assert SECRET not in "".join(shown)


def _until_closed(store: Database) -> None:
    while not store.closed:
        time.sleep(0.01)


async def test_closing_finishes_what_was_queued_and_takes_no_more(url: str) -> None:
    store = Database(url)
    async with held(store):
        queued = [asyncio.ensure_future(accept(store)) for _ in range(5)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(asyncio.to_thread(store.close))
        await asyncio.to_thread(_until_closed, store)
        for act in (store.write, store.read):
            with pytest.raises(Unavailable, match="closed"):
                await act(count)
    await closing
    assert {(await q).reception for q in queued} == {Reception.NEW}
    store.close()
    again = Database(url)
    assert await again.read(count) == 5
    again.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("store-")]


async def test_a_locked_sqlite_is_unavailable_to_all_that_wait_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.store.schema import upgrade

    upgrade(f"sqlite:///{tmp_path / 'a.db'}")
    monkeypatch.setattr(opening, "LOCK_MS", 300)
    store = Database(f"sqlite:///{tmp_path / 'a.db'}")
    locker = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    results = await asyncio.gather(*(accept(store) for _ in range(30)), return_exceptions=True)
    assert {type(r) for r in results} == {Unavailable}
    # Two groups at the most, not thirty waits one after the other.
    assert time.monotonic() - started < 5
    assert await store.read(count) == 0, "reading goes on"
    locker.execute("ROLLBACK")
    locker.close()
    assert (await accept(store)).reception is Reception.NEW
    store.close()


async def test_a_broken_sqlite_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    store = Database(f"sqlite:///{tmp_path / 'a.db'}")
    for act in (store.write, store.read):
        with pytest.raises(Unavailable, match="damaged"):
            await act(count)
    store.close()


async def test_a_postgresql_that_goes_away_is_unavailable(postgres: Server) -> None:
    url = postgres.fresh()
    store = Database(url)
    assert await store.write(count) == 0
    postgres.drop(url, for_good=True)
    results = await asyncio.gather(*(accept(store) for _ in range(9)), return_exceptions=True)
    assert {type(r) for r in results} == {Unavailable}
    with pytest.raises(Unavailable):
        await store.read(count)
    store.close()


async def test_a_postgresql_that_comes_back_is_used_again(postgres: Server) -> None:
    url = postgres.fresh()
    store = Database(url)
    await accept(store)
    postgres.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'gru-gateway'"
    )
    assert (await accept(store)).reception is Reception.NEW
    assert await store.read(count) == 2
    store.close()
    postgres.drop(url)


async def test_a_locked_postgresql_is_unavailable(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LOCK_MS", 300)
    url = postgres.fresh()
    store = Database(url)
    with psycopg.connect(url) as locker:
        locker.execute("LOCK TABLE request")
        with pytest.raises(Unavailable, match="LockNotAvailable"):
            await accept(store)
        locker.rollback()
    assert (await accept(store)).reception is Reception.NEW
    store.close()
    postgres.drop(url)


async def test_of_two_that_wait_for_each_other_both_come_through(postgres: Server) -> None:
    url = postgres.fresh()
    stores = [Database(url) for _ in range(2)]
    await stores[0].write(lanes.pause, "a", False)
    await stores[0].write(lanes.pause, "b", False)
    both = threading.Barrier(2)
    runs = []

    def cross(connection: Connection, first: str, second: str) -> None:
        runs.append(first)
        if len(runs) > 2:  # once more they would cross where the machine is slow
            first, second = sorted((first, second))
        table = LANE
        connection.execute(update(table).where(table.c.name == first).values(trips=1))
        if len(runs) <= 2:
            both.wait(60)
        connection.execute(update(table).where(table.c.name == second).values(trips=1))

    await asyncio.gather(stores[0].write(cross, "a", "b"), stores[1].write(cross, "b", "a"))
    # The server may break the knot at both ends at once.
    assert len(runs) in (3, 4)
    for store in stores:
        store.close()
    postgres.drop(url)


async def test_one_tick_is_won_once(url: str) -> None:
    stores = [Database(url) for _ in range(3)]
    won = await asyncio.gather(
        *(s.write(ticks.win, "poll", 3_000_000_000, NOW) for s in stores for _ in range(4))
    )
    assert sorted(won) == [False] * 11 + [True]
    assert await stores[0].write(ticks.win, "poll", 3_000_000_001, NOW)
    assert await stores[0].write(ticks.win, "other", 3_000_000_000, NOW)
    # A day later the old ticks of the job are gone, those of others are not.
    assert await stores[0].write(ticks.win, "poll", 3_000_000_002, NOW + timedelta(days=2))
    left = await stores[0].read(lambda c: c.execute(select(TICK.c.job)).scalars().all())
    assert sorted(left) == ["other", "poll"]
    for store in stores:
        store.close()


async def test_ticks_of_a_clock_that_was_ahead_are_won_again(store: Database) -> None:
    """Set back by two hours, a replica would have lost each of its timers' runs for two hours."""
    tick = int(NOW.timestamp() // 60)
    hours = timedelta(hours=2)
    assert await store.write(ticks.win, "poll", tick + 120, NOW + hours)
    assert await store.write(ticks.win, "poll", tick, NOW)
    # What another replica's clock is ahead by, a little, is no such clock.
    assert not await store.write(ticks.win, "poll", tick, NOW - timedelta(seconds=1))
    assert await store.write(ticks.win, "poll", tick + 120, NOW + hours)


async def test_cursors_move_with_what_was_read(store: Database) -> None:
    assert await store.read(cursors.get, "gru") is None
    await store.write(cursors.move, "gru", "page-1", NOW)
    await store.write(cursors.move, "gru", "page-2", NOW, "timeout")
    later = NOW + timedelta(hours=1)
    await store.write(cursors.move, "portal", None, later)
    found = await store.read(cursors.get, "gru")
    assert found == cursors.CursorValue("gru", "page-2", NOW, "timeout")
    assert set(await store.read(cursors.get_all)) == {"gru", "portal"}

    def half(connection: Connection) -> None:
        cursors.move(connection, "gru", "page-3", later)
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(half)
    assert await store.read(cursors.get, "gru") == found


async def test_lanes_remember_breaker_and_pause_apart(store: Database) -> None:
    opened = lanes.LaneMemory("a", False, "open", "timeout", NOW, NOW + timedelta(seconds=15), 2)
    await store.write(lanes.remember, opened)
    await store.write(lanes.pause, "a", True)
    await store.write(lanes.pause, "b", True)
    found = await store.read(lanes.recall)
    assert found["a"] == lanes.LaneMemory(
        "a", True, "open", "timeout", NOW, NOW + timedelta(seconds=15), 2
    )
    assert found["b"] == lanes.LaneMemory("b", paused=True)
    await store.write(lanes.remember, lanes.LaneMemory("a"))
    assert (await store.read(lanes.recall))["a"] == lanes.LaneMemory("a", paused=True)


async def test_a_read_does_not_cost_a_connection_its_prepared_statements(
    postgres: Server,
) -> None:
    """psycopg forgets all of them when it sends a ROLLBACK, as each read once did."""
    url = postgres.fresh()
    store = Database(url)

    def prepared(connection: Connection) -> int:
        found: int = connection.execute(
            text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%tick%'")
        ).scalar_one()
        return found

    try:
        for n in range(10):
            await store.write(ticks.win, "poll", n, NOW)
            await store.read(cursors.get_all)
        assert await store.write(prepared) > 0
    finally:
        store.close()
        postgres.drop(url)
