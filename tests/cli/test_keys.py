"""`keys`: listed, rotated while it works, checked; and backups with the keys apart."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.setting import load_settings
from gateway.flow import sealing
from gateway.store import condemned, renewals, requests, sealed
from gateway.store.engine import Database
from tests.cli.conftest import MAPPINGS, Home
from tests.sealing import master
from tests.store.acts import accept


@pytest.fixture
def kept(home: Home, template: Path) -> Path:
    """The home's database, empty."""
    data_dir = load_settings(home.config, MAPPINGS).settings.data_dir
    data_dir.mkdir(0o700)
    shutil.copyfile(template, data_dir / "gateway.db")
    return data_dir / "gateway.db"


@contextmanager
def opened(home: Home) -> Iterator[Database]:
    """The home's database as a daemon opens it."""
    settings = load_settings(home.config, MAPPINGS).settings
    database = Database(settings.database.get_secret_value(), sealing.open_sealer(settings))
    try:
        asyncio.run(sealing.bind(database, settings))
        yield database
    finally:
        database.close()


def give(home: Home, *masters: str) -> None:
    """Have gateway.yaml name a file of these master keys."""
    file = home.folder / "master"
    file.write_text("\n".join(master(name).secret.hex() for name in masters))
    if "sealing:" not in (home.config / "gateway.yaml").read_text():
        block = f"sealing: {{masters: [file:{file}]}}\ndata_dir:"
        home.replace("gateway.yaml", "data_dir:", block)


def files(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


def test_a_first_start_makes_a_master_key_and_tells_where(home: Home, kept: Path) -> None:
    assert home.run("keys", "list").stdout.startswith("there are no keys yet")
    assert not (kept.parent / "keys.db").exists(), "looking makes none"
    with opened(home) as database:
        asyncio.run(accept(database, ref="1"))
    made = kept.parent / "sealing.key"
    assert made.stat().st_mode & 0o777 == 0o600
    told = home.run("keys", "list")
    assert (told.exit_code, str(made) in told.stdout) == (0, True), told.output
    assert "wraps new keys" in told.stdout
    assert home.run("keys", "check").exit_code == 0
    assert made.read_text() not in told.output


def test_a_wrong_master_key_is_told_at_its_line_and_nothing_is_written(
    home: Home, kept: Path
) -> None:
    give(home, "one")
    with opened(home) as database:
        asyncio.run(accept(database, ref="1"))
    give(home, "other")
    before = files(kept.parent)
    for command in (["keys", "check"], ["request", "list"]):
        told = home.run(*command)
        assert told.exit_code == 3, told.output
        assert "gateway.yaml:" in told.stderr
        assert master("one").id in told.stderr
        assert "sealing.masters" in told.stderr
    started = home.spawn("serve")
    assert (started.returncode, master("one").id in started.stderr) == (3, True), started.stderr
    assert files(kept.parent) == before | {"gateway.lock": files(kept.parent)["gateway.lock"]}


@pytest.mark.parametrize("what", ["sesame-ouvre", "", "00" * 32])
def test_what_is_no_master_key_is_told_at_its_line_and_not_shown(home: Home, what: str) -> None:
    give(home, "one")
    (home.folder / "master").write_text(what)
    told = home.run("check", "--offline")
    assert told.exit_code == 3
    assert "gateway.yaml:" in told.stderr
    assert not what or what not in told.stderr


def test_a_lost_key_file_is_told_and_no_other_is_made(home: Home, kept: Path) -> None:
    with opened(home) as database:
        asyncio.run(accept(database, ref="1"))
    (kept.parent / "sealing.key").unlink()
    told = home.run("keys", "list")
    assert (told.exit_code, "sealing.key" in told.stderr) == (3, True), told.output
    (kept.parent / "keys.db").unlink()
    started = home.spawn("serve")
    assert (started.returncode, "keys.db" in started.stderr) == (3, True), started.stderr
    assert not (kept.parent / "sealing.key").exists()


def test_rotation_waits_for_the_daemons_and_then_needs_the_new_key_alone(
    home: Home, kept: Path
) -> None:
    give(home, "old")
    with opened(home) as database:
        first = asyncio.run(accept(database, ref="1"))
        give(home, "new", "old")
        known, now = [master("old").id], datetime.now(UTC)
        asyncio.run(database.write(renewals.record_answer, "d1", "", None, now, known))
        told = home.run("keys", "rotate")
        assert (told.exit_code, "secrets reload" in told.stderr) == (1, True), told.output
        known = [master("new").id, master("old").id]
        asyncio.run(database.write(renewals.record_answer, "d1", "", None, now, known))
        told = home.run("keys", "rotate", "--json")
        assert told.exit_code == 0, told.output
        assert json.loads(told.stdout)["master"] == master("new").id
    give(home, "new")
    with opened(home) as database:
        assert asyncio.run(database.read(requests.event_body, first.event_id or ""))
    assert home.run("keys", "check").exit_code == 0
    assert master("old").id not in home.run("keys", "list").stdout


def test_one_copy_of_the_keys_lies_beside_all_backups(home: Home, kept: Path) -> None:
    backups = home.folder / "backups"
    with opened(home) as database:
        gone = asyncio.run(accept(database, ref="1"))
        stays = asyncio.run(accept(database, ref="2"))
        assert gone.request is not None
        done = home.run("backup", str(backups / "monday"))
        assert done.exit_code == 0, done.output
        assert {one.name for one in (backups / "monday").iterdir()} == {"gateway.db"}
        asyncio.run(database.write(sealed.condemn, [gone.request.id]))
        assert asyncio.run(condemned.destroy(database)) == 1
        done = home.run("backup", str(backups / "tuesday"))
        assert done.exit_code == 0, done.output
    assert {one.name for one in backups.iterdir()} == {
        *("monday", "tuesday", "keys.db", "sealing.key")
    }
    shutil.rmtree(kept.parent)  # the machine is lost
    done = home.run("restore", str(backups / "monday"))
    assert done.exit_code == 0, done.output
    with opened(home) as database:
        assert asyncio.run(database.read(requests.first_body, gone.request.id)) is None
        assert asyncio.run(database.read(requests.event_body, stays.event_id or ""))
    assert home.run("keys", "check").exit_code == 1, "one key is gone for ever"


def test_another_gateway_s_keys_are_never_overwritten(home: Home, kept: Path) -> None:
    with opened(home) as database:
        asyncio.run(accept(database, ref="1"))
    assert home.run("backup", str(home.folder / "a" / "1")).exit_code == 0
    for name in ("keys.db", "sealing.key", "gateway.db"):
        (kept.parent / name).unlink()
    shutil.copyfile(home.folder / "a" / "1" / "gateway.db", kept)
    with opened_anew(home, kept) as database:
        asyncio.run(accept(database, ref="1"))
    done = home.run("backup", str(home.folder / "a" / "2"))
    assert (done.exit_code, "keys.db" in done.stderr) == (3, True), done.output


@contextmanager
def opened_anew(home: Home, kept: Path) -> Iterator[Database]:
    with sqlite3.connect(kept) as connection:
        connection.execute("DELETE FROM installation WHERE name = 'keys'")
    connection.close()
    with opened(home) as database:
        yield database
