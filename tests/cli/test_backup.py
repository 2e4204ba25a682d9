"""A backup of a database at work, and what is so once it is put back."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from gateway.app import only_process
from gateway.cli.setting import load_settings
from gateway.core.delivery import State
from gateway.core.errors import Unavailable
from gateway.flow.erased_accounts import KEY_FILE
from gateway.flow.erasure_ledger import LEDGER_FILE, ErasureLedger
from gateway.store import backup as copies
from gateway.store import installation
from gateway.store.engine import Database
from gateway.store.erasure_tables import TOMBSTONE
from gateway.store.schema import upgrade
from gateway.store.tables import DELIVERY, REQUEST
from tests.cli.conftest import MAPPINGS, Home
from tests.sealing import master
from tests.store.acts import accept, claim_one, settle


@pytest.fixture
def kept(home: Home, template: Path) -> Path:
    """The home's database, empty."""
    data_dir = load_settings(home.config, MAPPINGS).settings.data_dir
    data_dir.mkdir(0o700)
    shutil.copyfile(template, data_dir / "gateway.db")
    return data_dir / "gateway.db"


def _refs(path: Path) -> set[str]:
    database = Database(f"sqlite:///{path}")
    try:
        with database.engine.begin() as connection:
            return set(connection.execute(select(REQUEST.c.ref)).scalars())
    finally:
        database.close()


def test_nothing_acknowledged_is_missing_from_a_copy_made_at_work(home: Home, kept: Path) -> None:
    (kept.parent / KEY_FILE).write_text("0123456789abcdef")
    acknowledged: list[str] = []
    some, stop = threading.Event(), threading.Event()

    async def work() -> None:
        database = Database(f"sqlite:///{kept}")
        try:
            while not stop.is_set():
                await accept(database, ref=f"r{len(acknowledged)}")
                acknowledged.append(f"r{len(acknowledged)}")
                if len(acknowledged) >= 20:
                    some.set()
        finally:
            database.close()

    worker = threading.Thread(target=lambda: asyncio.run(work()))
    worker.start()
    try:
        assert some.wait(60)
        before = set(acknowledged)
        done = home.run("backup", str(home.folder / "copy"))
    finally:
        stop.set()
        worker.join()
    assert done.exit_code == 0, done.output
    copy = home.folder / "copy"
    assert {one.name for one in copy.iterdir()} == {"gateway.db", KEY_FILE}
    assert {stat.S_IMODE(one.stat().st_mode) for one in copy.iterdir()} == {0o600}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700

    refused = home.run("restore", str(copy))
    assert (refused.exit_code, "--replace" in refused.stderr) == (1, True)
    done = home.run("restore", str(copy), "--replace")
    assert done.exit_code == 0, done.output
    assert before <= _refs(kept) <= set(acknowledged)
    (aside,) = kept.parent.glob("replaced-*")
    assert _refs(aside / "gateway.db") == set(acknowledged)
    assert (kept.parent / KEY_FILE).read_text() == "0123456789abcdef"


async def _three(database: Database) -> None:
    """One is done, one under way, and one waits."""
    for n in range(3):
        await accept(database, ref=f"r{n}")
    await settle(database, await claim_one(database), State.DONE, reference="T-1")
    await claim_one(database)


def test_what_waits_in_it_is_asked_about_before_it_is_sent(home: Home, kept: Path) -> None:
    database = Database(f"sqlite:///{kept}")
    try:
        asyncio.run(_three(database))
    finally:
        database.close()
    assert home.run("backup", str(home.folder / "copy")).exit_code == 0
    kept.unlink()
    done = home.run("restore", str(home.folder / "copy"))
    assert (done.exit_code, "2 deliveries" in done.stdout) == (0, True), done.output
    database = Database(f"sqlite:///{kept}")
    try:
        with database.engine.begin() as connection:
            found = connection.execute(select(DELIVERY.c.state, DELIVERY.c.reason)).all()
        assert sorted(row.state for row in found) == ["done", "unsure", "unsure"]
        assert {row.reason for row in found if row.state == "unsure"} == {"restored"}
        claimed = asyncio.run(claim_one(database, now=datetime.now(UTC)))
        assert claimed.delivery.asking
    finally:
        database.close()


def _erase(connection: Connection, mark: str) -> None:
    connection.execute(insert(TOMBSTONE).values(mark=mark, made_at=datetime.now(UTC)))
    if installation.erasure_key(connection) is None:
        installation.note_erasure_key(connection, "k1")


def _write(kept: Path, mark: str) -> None:
    database = Database(f"sqlite:///{kept}")
    try:
        asyncio.run(database.write(_erase, mark))
    finally:
        database.close()


def _ledger(folder: Path, key: str | None = "k1") -> ErasureLedger:
    return ErasureLedger(folder / LEDGER_FILE, lambda: key)


def test_whoever_knows_of_an_erasure_it_is_remembered_after_a_restore(
    home: Home, kept: Path
) -> None:
    """The database that is put aside, this machine's ledger, and the one beside the backup."""
    at, a, b, c, d = datetime.now(UTC), *(letter * 64 for letter in "abcd")
    copy = home.folder / "copy"
    _ledger(kept.parent).add({a: at})
    _write(kept, b)
    assert home.run("backup", str(copy)).exit_code == 0
    assert set(_ledger(copy).read()) == {a}
    _ledger(copy).add({c: at})
    _write(kept, d)  # erased since the backup
    before = kept.read_bytes()
    # Of another key: refused, and nothing is changed, nor left half done.
    _ledger(home.folder, "k2").add({"e" * 64: at})
    theirs = (copy / LEDGER_FILE).read_bytes()
    shutil.copyfile(home.folder / LEDGER_FILE, copy / LEDGER_FILE)
    done = home.run("restore", str(copy), "--replace")
    assert (done.exit_code, "another key" in done.stderr) == (3, True), done.output
    assert kept.read_bytes() == before
    assert set(_ledger(kept.parent).read()) == {a}
    assert not [*kept.parent.glob(".*partial"), *kept.parent.glob("replaced-*")]
    (copy / LEDGER_FILE).write_bytes(theirs)
    for n in range(2):  # and the same once more
        done = home.run("restore", str(copy), "--replace", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["remembered"] == 4
        assert set(_ledger(kept.parent).read()) == {a, b, c, d}, n
    # The machine is lost: what the backup knows is left.
    shutil.rmtree(kept.parent)
    kept.parent.mkdir(0o700)
    assert home.run("restore", str(copy)).exit_code == 0
    assert set(_ledger(kept.parent, None).read()) == {a, c}


def test_what_is_refused(home: Home, kept: Path) -> None:
    folder = home.folder / "copy"
    assert home.run("backup", str(folder)).exit_code == 0
    assert home.run("backup", str(folder)).exit_code == 1  # each has its own
    with only_process(kept.parent):
        done = home.run("restore", str(folder), "--replace")
    assert (done.exit_code, "works on" in done.stderr) == (3, True)

    whole = (folder / "gateway.db").read_bytes()
    (folder / "gateway.db").write_bytes(whole[: len(whole) // 2])
    done = home.run("restore", str(folder), "--replace")
    assert done.exit_code == 3, done.output
    assert kept.is_file()
    assert not list(kept.parent.glob("replaced-*"))

    block = "database: env:DATABASE\nsealing: {masters: [env:MASTER_KEY]}\ndata_dir:"
    home.replace("gateway.yaml", "data_dir:", block)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASTER_KEY", master().secret.hex())
        patch.setenv("DATABASE", "postgresql://user:secret@host/name")
        done = home.run("backup", str(home.folder / "other"))
    assert (done.exit_code, "pg_dump" in done.stderr) == (3, True)
    assert "secret" not in done.output


def test_a_copy_that_is_no_database_of_ours_is_refused(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE a (b)").connection.close()
    with pytest.raises(copies.BadBackup, match="no database of the gateway"):
        copies.check(tmp_path / "other.db")


def test_a_damaged_database_is_told_with_what_to_do(tmp_path: Path) -> None:
    """Not only as one that does not answer: no waiting mends it."""
    (tmp_path / "gateway.db").write_bytes(bytes(64 * 1024))
    with pytest.raises(Unavailable, match=r"damaged.*gru-gateway restore"):
        upgrade(f"sqlite:///{tmp_path}/gateway.db")
