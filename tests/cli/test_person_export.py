"""A person is given, by the command, what a search of the whole database in clear finds of them."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert
from sqlmodel import SQLModel

from gateway.cli.setting import load_settings
from gateway.contracts.person_page import page_head, page_part
from gateway.flow import sealing
from gateway.flow.person import HeldPerson
from gateway.store.engine import Database
from gateway.store.erasure_tables import ERASURE, SUSPECT
from gateway.store.person import HeldRequest
from gateway.store.tables import BLOB
from tests.builders import NOW
from tests.cli.conftest import MAPPINGS, Home
from tests.store.test_damaged import damage
from tests.store.test_person import ACCOUNT, MARK, PHOTO, marked, planted

BY = ("--by", "Ana Inventée", "--why", "demande 2026-12")
Keys = dict[tuple[str, tuple[Any, ...]], str]


def test_what_is_given_is_what_a_search_of_the_database_in_clear_finds(
    home: Home, template: Path, tmp_path: Path
) -> None:
    data_dir = load_settings(home.config, MAPPINGS).settings.data_dir
    data_dir.mkdir(0o700)
    shutil.copyfile(template, data_dir / "gateway.db")
    clear = Database(f"sqlite:///{data_dir / 'gateway.db'}")
    try:
        asyncio.run(_plant(clear))
        found = asyncio.run(clear.read(marked))
    finally:
        clear.close()
    assert {table for table, _ in found} == {
        *("request", "event", "attachment", "blob", "untold", "attempt", "suspect", "erasure"),
    }
    data = _export(home, tmp_path / "acces")
    given = _rows(data)
    assert found <= given.keys() | _blobs(data)
    for table, key in found:
        if table != "blob":
            assert MARK in given[table, key] or ACCOUNT in given[table, key], (table, key)
    (photo,) = (tmp_path / "acces" / "fichiers").iterdir()
    assert photo.read_bytes() == PHOTO
    page = (tmp_path / "acces" / "donnees.html").read_text("utf-8")
    for said in (f"chez {MARK}", f"Bonjour {MARK}", f"{MARK} encore", f"{MARK}.jpg", f"{MARK} ?"):
        assert said in page, said


async def _plant(store: Database) -> None:
    await planted(store)
    await store.write(_under_way)


def _under_way(connection: Connection) -> None:
    """Their account is said to be gone, and an erasure of it is held."""
    seen = {"first_unknown_at": NOW, "confirmed_at": NOW, "confirmations": 1}
    connection.execute(insert(SUSPECT).values(account=ACCOUNT, **seen))
    held = {"id": "ERA-1", "run": "RUN-1", "account": ACCOUNT, "mark": "0" * 64}
    held |= {"source": "deletions", "state": "held"}
    connection.execute(insert(ERASURE).values(found_at=NOW, **held))


def _export(home: Home, to: Path) -> dict[str, Any]:
    told = home.run("person", "export", "--account", ACCOUNT.upper(), "--to", str(to), *BY)
    assert told.exit_code == 0, told.output
    data: dict[str, Any] = json.loads((to / "donnees.json").read_text("utf-8"))
    return data


def test_a_file_that_does_not_open_is_named_and_the_rest_is_given(
    home: Home, template: Path, tmp_path: Path
) -> None:
    settings = load_settings(home.config, MAPPINGS).settings
    settings.data_dir.mkdir(0o700)
    shutil.copyfile(template, settings.data_dir / "gateway.db")
    database = Database(settings.database.get_secret_value(), sealing.open_sealer(settings))
    try:
        asyncio.run(sealing.bind(database, settings))
        asyncio.run(planted(database))
        asyncio.run(database.write(damage, BLOB.c.key))
    finally:
        database.close()
    to = tmp_path / "acces"
    told = home.run("person", "export", "--account", ACCOUNT, "--to", str(to), "--json", *BY)
    assert told.exit_code == 1, told.output
    (place,) = json.loads(told.stdout)["damaged"]
    assert place in told.stderr
    data = json.loads((to / "donnees.json").read_text("utf-8"))
    assert data["requests"][0]["damaged"] == [place]
    assert MARK in str(data["requests"][0]["event"])
    page = (to / "donnees.html").read_text("utf-8")
    assert f"Illisible dans la base (1) :</strong> {place}" in page
    assert [*(to / "fichiers").iterdir()] == []


def test_an_export_that_fails_halfway_leaves_nothing_of_the_person(
    home: Home, template: Path, tmp_path: Path
) -> None:
    settings = load_settings(home.config, MAPPINGS).settings
    settings.data_dir.mkdir(0o700)
    shutil.copyfile(template, settings.data_dir / "gateway.db")
    database = Database(settings.database.get_secret_value(), sealing.open_sealer(settings))
    try:
        asyncio.run(sealing.bind(database, settings))
        asyncio.run(planted(database))
    finally:
        database.close()
    to = tmp_path / "acces"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))  # as a disk that is full
    try:
        told = home.run("person", "export", "--account", ACCOUNT, "--to", str(to), *BY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert told.exit_code != 0
    assert not to.exists()


def _rows(data: dict[str, Any]) -> Keys:
    """Every row that is given, by table and key, with its text."""
    parts = [data["person"], *data["requests"]]
    found: Keys = {}
    for part in parts:
        for name, rows in part.items():
            table = SQLModel.metadata.tables.get(name)
            if table is None:
                continue
            for row in [rows] if isinstance(rows, dict) else rows:
                key = tuple(row[column.name] for column in table.primary_key)
                found[name, key] = json.dumps(row, ensure_ascii=False)
    return found


def _blobs(data: dict[str, Any]) -> set[tuple[str, tuple[Any, ...]]]:
    """The bytes of the files that are given, by their address."""
    rows = [row for one in data["requests"] for row in one["attachment"]]
    return {("blob", (row["address"], 0)) for row in rows}


def test_the_page_shows_what_a_citizen_wrote_and_runs_none_of_it() -> None:
    hostile = "</td><script>alert(1)</script><img src=x onerror=alert(1)>"
    request = dict.fromkeys(("id", "teleservice", "commune", "gru", "number", "ref"), hostile)
    request |= {"gru_reference": hostile, "status": hostile}
    event = {"origin": hostile, "kind": hostile, "at": NOW, "body": {hostile: [hostile, True]}}
    file = {"id": "a", "filename": hostile, "content_type": hostile, "size": 1}
    withheld = {"reason": hostile, "at": NOW, "body": {"message": hostile}}
    none: tuple[Any, ...] = ()
    told = HeldRequest(
        {**request, "submitted_at": NOW, "status_at": NOW},
        (event,),
        (file,),
        (withheld,),
        *(none, none, none, none, none),
    )
    page = page_part(told, {"a": "fichiers/0001"})
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") >= 10
    head = page_head(HeldPerson(hostile, ("TDG-1",)), (), NOW)
    assert "<script" not in head
