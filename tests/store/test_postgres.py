"""A PostgreSQL that hangs, refuses or takes no writes is told, and used again when it is back."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, text

from gateway.core.delivery import State
from gateway.core.errors import Unavailable
from gateway.store import accepting, notices
from gateway.store import postgres as under_test
from gateway.store.engine import Database
from gateway.store.notices import Notices
from gateway.store.opening import open_database_engine
from gateway.store.outbox import lanes, leases, mailbox, operator
from gateway.store.postgres import (
    BadAddress,
    PoolerFound,
    open_connection,
    parameters,
    require_sessions,
)
from gateway.store.rows import Reception
from gateway.store.schema import status
from gateway.store.tables import REQUEST
from tests.builders import GRU_LANE, NOW, incoming
from tests.store.acts import accept, claim_one, settle
from tests.store.postgres import Server, frozen

HOSTS = {"host": "a,b", "port": "5432,5433", "dbname": "d"}


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u:p%40@a:5432,b:5433/d", {**HOSTS, "user": "u", "password": "p@"}),
        ("postgresql://u@/d?host=a&host=b&port=5432,5433", {**HOSTS, "user": "u"}),
        ("postgresql://u@/d?host=a:5432&host=b:5433", {**HOSTS, "user": "u"}),
        ("postgresql://u@/d?host=a,b&port=5432,5433", {**HOSTS, "user": "u"}),
        ("postgresql+psycopg://a,b/d", {"host": "a,b", "port": ",", "dbname": "d"}),
        ("postgres://[::1]:6000/d", {"host": "::1", "port": "6000", "dbname": "d"}),
        ("postgresql://u@/d?host=/run/pg", {"host": "/run/pg", "user": "u", "dbname": "d"}),
        (
            "postgresql://a,b/d?target_session_attrs=any",
            {"host": "a,b", "port": ",", "dbname": "d", "target_session_attrs": "any"},
        ),
    ],
)
def test_every_form_of_address_that_libpq_takes(url: str, found: dict[str, str]) -> None:
    assert parameters(url) == found


@pytest.mark.parametrize("url", ["postgresql://u:geheim@a:5432/d?nosuch=1", "postgresql:geheim"])
def test_an_address_that_libpq_does_not_take_is_refused_in_a_sentence(url: str) -> None:
    for act in (open_database_engine, Database, status):
        with pytest.raises(BadAddress) as caught:
            act(url)
        assert "geheim" not in str(caught.value)


@pytest.fixture
def url(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("SLOW", "AGAIN", "_TICK"):
        monkeypatch.setattr(under_test, name, 0.1)
    monkeypatch.setattr(under_test, "PATIENCE", 2.0)
    made = postgres.fresh()
    yield made
    postgres.drop(made)


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(REQUEST)).scalar_one()


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while True:
        if true():
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_who_waits_for_a_server_that_hangs_is_told_and_nothing_is_kept_twice(
    postgres: Server, url: str
) -> None:
    store = Database(url)
    pushed = [incoming(ref=str(n)) for n in range(4)]
    assert (await store.write(accepting.accept, pushed[0])).reception is Reception.NEW
    with frozen(postgres):
        told = await asyncio.gather(
            *(store.write(accepting.accept, one) for one in pushed),
            store.read(count),
            return_exceptions=True,
        )
        assert {type(one) for one in told} == {Unavailable}
        await until(lambda: store.trouble == "hanging")
        # From now on nobody waits at all.
        with pytest.raises(Unavailable, match="hangs"):
            await store.write(accepting.accept, pushed[1])
        with pytest.raises(Unavailable, match="hangs"):
            await store.read(count)
    await until(lambda: store.trouble == "")
    for one in pushed:
        await store.write(accepting.accept, one)
    assert await store.read(count) == len(pushed)
    store.close()


async def test_a_server_that_refuses_connections_is_told_until_it_takes_them(
    postgres: Server, url: str
) -> None:
    heard = threading.Event()
    store = Database(url)
    await accept(store)
    name = parameters(url)["dbname"]
    postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    listening = Notices(url, lambda lane: heard.set())
    begun, busy = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        begun.set()
        assert busy.wait(60)

    held = asyncio.ensure_future(store.write(hold))
    assert await asyncio.to_thread(begun.wait, 60)
    with pytest.raises(Unavailable):
        await accept(store)  # by the other writer, which has no connection
    await until(lambda: store.trouble == "refused")
    busy.set()
    await held
    assert (await accept(store)).reception is Reception.NEW, "what is open goes on"
    assert not heard.is_set()
    postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await until(lambda: store.trouble == "")
    assert await asyncio.to_thread(heard.wait, 60), "LISTEN comes back"
    listening.close()
    store.close()


async def test_a_session_that_became_read_only_is_dropped_at_its_first_answer(url: str) -> None:
    store = Database(url)

    def read_only(connection: Connection) -> None:
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))

    await store.write(read_only)
    with pytest.raises(Unavailable):
        await accept(store)
    assert (await accept(store)).reception is Reception.NEW
    store.close()


async def test_of_several_hosts_the_one_that_is_there_is_used_for_notices_too(
    postgres: Server, url: str
) -> None:
    several = url.replace("host=", f"host={postgres.folder}/nowhere,")
    heard: list[str | None] = []
    listening = Notices(several, heard.append)
    store = Database(several)
    await until(lambda: heard == [None])
    await accept(store)
    await until(lambda: len(heard) > 1)
    listening.close()
    store.close()
    require_sessions(several)


async def test_each_act_that_makes_work_is_heard_at_once(url: str) -> None:
    """Without it a replica would find the work at its next look, half a minute later."""
    store = Database(url)
    with closing(open_connection(url, autocommit=True)) as connection:
        connection.execute(f"LISTEN {notices.CHANNEL}")

        def heard() -> str:
            (notice,) = connection.notifies(timeout=60, stop_after=1)
            return notice.payload

        await accept(store)
        assert heard() == GRU_LANE
        one = await claim_one(store)
        await settle(store, one, State.QUESTION)
        await store.write(operator.resolve, one.delivery.id, False, NOW)
        assert heard() == GRU_LANE
        await settle(store, await claim_one(store), State.PARKED)
        await store.write(operator.replay, one.delivery.id, NOW)
        assert heard() == GRU_LANE
        again = await claim_one(store)
        await store.write(leases.reap, {one.delivery.id: again.delivery.fence}, NOW)
        assert heard() == GRU_LANE
        theirs = await claim_one(store, owner=leases.MAILBOX)
        over = [(one.delivery.id, theirs.delivery.fence)]
        await store.write(mailbox.end_claims, over, NOW)
        assert heard() == GRU_LANE
        await store.write(operator.discard, one.delivery.id, NOW)
        assert heard() == GRU_LANE
        for paused in (True, False):
            await store.write(lanes.pause, GRU_LANE, paused)
            assert heard() == notices.MEMORY
        await store.write(lanes.lift, GRU_LANE, NOW)
        assert heard() == notices.MEMORY
    store.close()


async def test_a_listener_finds_out_that_nobody_is_there_any_more(
    postgres: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_WAIT", 0.05)
    monkeypatch.setattr(notices, "_SILENCE", 0.1)
    heard: list[str | None] = []
    listening = Notices(url, heard.append)
    await until(lambda: heard == [None])
    with frozen(postgres):
        await until(lambda: not listening.connected)
    await until(lambda: len(heard) == 2)
    listening.close()


async def test_a_primary_that_waits_for_a_lost_standby_is_one_that_hangs(
    postgres: Server, url: str
) -> None:
    store = Database(url)
    pushed = incoming(ref="1")
    await accept(store)
    postgres.run("ALTER SYSTEM SET synchronous_standby_names = 'lost'")
    postgres.run("SELECT pg_reload_conf()")
    try:
        # The server takes its new setting in its own time.
        told: Exception | None = None
        while told is None:
            try:
                await store.write(accepting.accept, pushed)
            except Unavailable as error:
                told = error
        await until(lambda: store.trouble == "hanging")
    finally:
        postgres.run("ALTER SYSTEM RESET synchronous_standby_names")
        postgres.run("SELECT pg_reload_conf()")
    await until(lambda: store.trouble == "")
    assert (await store.write(accepting.accept, pushed)).reception is Reception.SAME
    store.close()


@contextmanager
def pgbouncer(postgres: Server, mode: str) -> Iterator[str]:
    """The address of a pooler before the server."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = Path(tempfile.mkdtemp(prefix="tdg-pgb-"))
    place.chmod(0o755)
    (place / "users").write_text('"gateway" ""\n')
    (place / "ini").write_text(
        f"[databases]\n* = host={postgres.folder}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = trust\nauth_file = {place}/users\n"
        f"pool_mode = {mode}\nunix_socket_dir =\n"
    )
    user = "nobody" if os.geteuid() == 0 else None
    running = subprocess.Popen(
        [program, str(place / "ini")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=user,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()
        shutil.rmtree(place)


async def test_a_pooler_in_session_mode_is_used_as_the_server_itself(
    postgres: Server, url: str
) -> None:
    with pgbouncer(postgres, "session") as address:
        pooled = f"postgresql://gateway@{address}/{parameters(url)['dbname']}"
        require_sessions(pooled)
        heard: list[str | None] = []
        listening = Notices(pooled, heard.append)
        store = Database(pooled)
        await until(lambda: heard == [None])
        await accept(store)
        await until(lambda: len(heard) > 1)
        listening.close()
        store.close()


def test_a_pooler_in_transaction_mode_is_refused_in_a_sentence(postgres: Server, url: str) -> None:
    with pgbouncer(postgres, "transaction") as address:
        pooled = f"postgresql://gateway@{address}/{parameters(url)['dbname']}"
        with pytest.raises(PoolerFound, match="pool_mode = session"):
            require_sessions(pooled)
