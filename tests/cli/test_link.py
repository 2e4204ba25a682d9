"""`link`: listed, exported, ended."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.setting import load_settings
from gateway.core.linking import AccountLink
from gateway.flow.links import LinkRegister
from gateway.store import linked
from gateway.store.engine import Database
from gateway.store.linked import StoredSession
from tests.cli.conftest import MAPPINGS, Home

NOW = datetime(2026, 11, 27, 20, tzinfo=UTC)
KEY = "cle-des-rattachements-qui-ne-change-jamais"
OPENID = """
glc:
  base_url: https://glc.exemple.invalid
  auth: {username: passerelle, password: env:GLC_PASSWORD}
  openid:
    issuer: https://glc.exemple.invalid/
    client_id: passerelle
    client_secret: env:OPENID_SECRET
    link_key: env:LINK_KEY
"""


@pytest.fixture
def linked_home(home: Home, template: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A configuration that links accounts, with one link of Bron."""
    file = home.config / "gateway.yaml"
    file.write_text(file.read_text() + OPENID)
    monkeypatch.setenv("GLC_PASSWORD", "x" * 20)
    monkeypatch.setenv("OPENID_SECRET", "x" * 40)
    monkeypatch.setenv("LINK_KEY", KEY)
    data_dir = load_settings(home.config, MAPPINGS).settings.data_dir
    data_dir.mkdir(0o700)
    shutil.copyfile(template, data_dir / "gateway.db")
    url = f"sqlite:///{data_dir / 'gateway.db'}"
    database = Database(url)
    try:
        asyncio.run(_link(database))
    finally:
        database.close()
    return home


async def _link(database: Database) -> None:
    register = LinkRegister(database, KEY.encode())
    session = StoredSession("m", "s", None, "a", "", NOW)
    await database.write(linked.open_session, session)
    link = AccountLink("69029", "identite", "=famille-1", NOW, "eidas1", {"given_name": "Zoé"})
    given = StoredSession("given", "s", None, "a", "", NOW)
    made = register.stored(link, "f" * 32, "demande")
    await database.write(linked.answer, "m", given, made, ())
    await register.confirm("69029", "identite", "demande")


def test_links_are_listed_exported_and_ended(linked_home: Home) -> None:
    run = linked_home.run
    listed = run("link", "list")
    assert "identite" in listed.stdout
    assert "famille-1" not in listed.stdout
    told: list[dict[str, Any]] = json.loads(run("link", "list", "--json").stdout)
    assert told[0]["commune"] == "69029"
    exported = json.loads(run("link", "export", "--commune", "69029").stdout)
    assert exported[0]["account"] == "=famille-1"
    assert exported[0]["claims"] == {"given_name": "Zoé"}
    sheet = run("link", "export", "--commune", "69029", "--format", "csv").stdout
    assert '"identite";"\'=famille-1";"eidas1";' in sheet
    assert run("link", "list", "--commune", "69266").stdout.strip() == "no linked account"
    end = ("link", "unlink", "--commune", "69029", "--by", "Ada", "--yes")
    assert run(*end).exit_code == 2
    assert run(*end, "--identity", "autre").exit_code == 1
    ended = run(*end, "--account", "=famille-1", "--json")
    assert json.loads(ended.stdout) == {"commune": "69029", "unlinked": 1}
    assert run("link", "list").stdout.strip() == "no linked account"


def test_without_a_provider_there_are_no_links(home: Home, template: Path) -> None:
    data_dir = load_settings(home.config, MAPPINGS).settings.data_dir
    data_dir.mkdir(0o700)
    shutil.copyfile(template, data_dir / "gateway.db")
    done = home.run("link", "list")
    assert done.exit_code == 1
    assert "glc.openid" in done.stderr
