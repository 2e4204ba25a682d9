"""Starts that are refused: one clear answer, an exit code, and nothing touched."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from gateway.demo.files import Addresses, write_configuration, write_secrets
from gateway.store import schema
from gateway.store.opening import open_database_engine
from tests.acceptance.town import MAPPINGS, open_town
from tests.files import edit
from tests.life import ROOT, run

CONFIGURATION, FAR_END = 3, 4


def serve(config: Path) -> subprocess.CompletedProcess[str]:
    """Start it and wait for its end."""
    return run("serve", "--dev", "--config", str(config), "--mappings", str(MAPPINGS))


def at_first(url: str, revision: str) -> None:
    """A database as an older program left it."""
    engine = open_database_engine(url)
    with engine.begin() as connection:
        command.upgrade(schema.alembic_config(connection), revision)
    engine.dispose()


async def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await town.gateway.start()
        first = town.gateway.life.pid
        second = await asyncio.to_thread(serve, town.gateway.config)
        assert second.returncode == CONFIGURATION
        assert second.stdout == ""
        (line,) = second.stderr.splitlines()
        assert line.startswith(f"error: another gateway (process {first}) works on {tmp_path}")
        assert await town.gateway.readiness() == 200


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1:9", "no PostgreSQL answers at 127.0.0.1, port 9"),
        ("nowhere.invalid", "server is not known: nowhere.invalid"),
    ],
)
async def test_a_wrong_database_address_is_told_without_its_password(
    tmp_path: Path, host: str, why: str
) -> None:
    address = f"postgresql://gateway:sesame@{host}/gateway"
    async with open_town(tmp_path, database=address) as town:
        await town.gateway.start(until_ready=False)
        assert await town.gateway.dies() in (CONFIGURATION, FAR_END)
        assert why in town.gateway.said
        assert "sesame" not in town.gateway.said
        assert "Traceback" not in town.gateway.said


async def test_a_database_that_comes_late_is_waited_for_by_starting_again(tmp_path: Path) -> None:
    """systemd and Docker start it so; the configuration need not change."""
    file = tmp_path / "later"
    file.write_text("in the way", "utf-8")
    async with open_town(tmp_path, database=f"sqlite:///{file}/gateway.db") as town:
        await town.gateway.start(until_ready=False)
        assert await town.gateway.dies() != 0
        file.unlink()
        await town.gateway.start()
        assert "database.new" in town.gateway.said, "who meant another one is to see it"
        town.send(1, 1)
        await town.settle()


async def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await town.gateway.start()
        await town.gateway.kill()
        path = tmp_path / "var" / "gateway.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
            database.execute("UPDATE installation SET value = '9998' WHERE name = 'runs_from'")
            database.commit()
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.read_bytes()
        await town.gateway.start(until_ready=False)
        assert await town.gateway.dies() == CONFIGURATION
        assert "(9999) is newer than this program" in town.gateway.said
        assert path.read_bytes() == before


async def test_an_older_schema_is_brought_up_with_what_is_in_it(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        path = tmp_path / "var" / "gateway.db"
        path.parent.mkdir()
        first = "0001"
        at_first(f"sqlite:///{path}", first)
        with closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
            assert found == first
            database.execute("INSERT INTO cursor (name, value, updated_at) VALUES ('old', 'x', 1)")
            database.commit()
        await town.gateway.start()
        town.send(1, 1)
        await town.settle()
        with closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
            assert found > first
            kept = database.execute("SELECT value FROM cursor WHERE name = 'old'").fetchall()
            assert kept == [("x",)]
        assert "database.new" not in town.gateway.said


async def test_it_serves_and_ends_as_an_operator_starts_and_stops_it(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve", "--dev"),
            *("--config", str(town.gateway.config), "--mappings", str(MAPPINGS)),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            town.send(1, 1)
            await town.settle()
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in errors


def test_every_fault_of_the_configuration_is_told(tmp_path: Path) -> None:
    write_secrets(tmp_path)
    dead = "http://127.0.0.1:9"
    config = write_configuration(tmp_path, Addresses(dead, dead, dead, 8701))
    settings, bron = config / "gateway.yaml", config / "communes" / "69029-bron.yaml"
    edit(settings, "shutdown_grace", "shutdown_grave")
    edit(bron, "adapter: open311", "adapter: open312")
    edit(bron, "signalement-anomalie/open311}", "signalement-anomalie/open399}")
    told = serve(config)
    assert told.returncode == CONFIGURATION
    assert told.stdout == ""
    *faults, count = told.stderr.splitlines()
    assert count == "3 faults"
    for path, named in ((settings, "shutdown_grave"), (bron, "open312"), (bron, "open399")):
        number = 1 + [named in line for line in path.read_text("utf-8").splitlines()].index(True)
        (fault,) = (line for line in faults if line.startswith(f"{path}:{number}:"))
        assert named in fault
    assert not (tmp_path / "var").exists()
