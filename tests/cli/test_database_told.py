"""A database that cannot be had is told in one sentence: which, why, and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.core.messages import Message
from gateway.store.postgres import NoConnection, open_connection
from gateway.store.schema import SchemaMismatch, status, upgrade
from tests.cli.conftest import Home
from tests.core.test_messages import ENGLISH, FRENCH, prose
from tests.store.postgres import Server


def test_a_data_folder_that_cannot_be_made_is_told(home: Home) -> None:
    (home.folder / "taken").write_text("a file", "utf-8")
    home.replace("gateway.yaml", "data_dir: ", f"data_dir: {home.folder}/taken/of #")
    for command in ("db upgrade", "db status", "request list", "release list"):
        told = home.run(*command.split())
        assert told.exit_code == 3, command
        assert "Traceback" not in told.output
        assert str(home.folder) in told.stderr, command
    told = home.run("db", "upgrade")
    assert (
        "cannot be made: a file stands where a folder is due (give this account the right"
        in told.stderr
    )
    dit = home.run("db", "upgrade", "--lang", "fr")
    assert "ne peut être créé" in dit.stderr
    assert not prose(dit.stderr.replace(str(home.folder), "")) & ENGLISH


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    file.write_bytes(b"no database at all, but long enough for one" * 400)
    with pytest.raises(Unavailable) as found:
        status(f"sqlite:///{file}")
    assert str(file) in found.value.said.what("fr")
    assert "restore" in found.value.said.remedy("fr")


def test_a_database_of_others_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "theirs.db"
    with sqlite3.connect(file) as theirs:
        theirs.execute("CREATE TABLE facture (n INTEGER)")
    with pytest.raises(SchemaMismatch, match=r"tables that are not ours \(facture\)"):
        upgrade(f"sqlite:///{file}")
    with sqlite3.connect(file) as theirs:
        assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("facture",)]


def _refused(address: str) -> Message:
    with pytest.raises(NoConnection) as found:
        open_connection(address, connect_timeout=5)
    assert "sesame" not in str(found.value)
    return found.value.said


def test_why_there_is_no_connection_is_told_apart(postgres: Server) -> None:
    place = f"host={postgres.folder}"
    said = {
        "pg_unknown_name": _refused("postgresql://a:sesame@nowhere.invalid/x"),
        "pg_refused": _refused("postgresql://a:sesame@127.0.0.1:9/x"),
        "pg_no_database": _refused(f"postgresql://gateway:sesame@/nothing?{place}"),
        "pg_no_role": _refused(f"postgresql://nobody_here:sesame@/postgres?{place}"),
    }
    assert {one.word: one for one in said.values()} == said
    assert "nowhere.invalid" in said["pg_unknown_name"].what()
    assert "127.0.0.1, port 9" in said["pg_refused"].what()
    assert said["pg_no_database"].remedy("fr").startswith("createdb nothing")
    for one in said.values():
        assert one.remedy()
        assert not prose(one.told("fr")) & ENGLISH
        assert not prose(one.told("en")) & FRENCH
