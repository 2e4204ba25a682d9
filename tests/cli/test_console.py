"""`console`: accounts and tokens; and people's acts by commands, in the trail."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.cli.setting import load_catalogue
from gateway.store import trail
from gateway.store.console import STREAM
from gateway.store.engine import Database
from gateway.store.schema import upgrade
from tests.cli.conftest import MAPPINGS, Home


@pytest.fixture
def town(home: Home) -> Home:
    """A home with a console and a database."""
    home.replace("gateway.yaml", "portals:\n", "console: {}\nportals:\n")
    upgrade(_url(home))
    return home


def _url(home: Home) -> str:
    return load_catalogue(home.config, MAPPINGS).settings.database.get_secret_value()


def acts(home: Home) -> list[tuple[str, Any, Any]]:
    """Return what people did: the act, who, to what."""
    database = Database(_url(home))
    try:
        found = asyncio.run(database.read(trail.entries, STREAM))
    finally:
        database.close()
    return [
        (one.kind, one.data["by"], one.data.get("account") or one.data.get("target"))
        for one in found
    ]


def test_an_account_begins_with_a_link_and_ends_at_once(town: Home) -> None:
    made = town.run("console", "user", "add", "amelie", "--role", "operator", "--by", "Mme Ex")
    assert made.exit_code == 0, made.output
    assert "/console/ouverture?lien=" in made.stdout
    agent = ("console", "user", "add", "zoe", "--role", "agent", "--commune", "69029", "--by", "x")
    assert json.loads(town.run(*agent, "--json").stdout)["link"]
    assert town.run(*agent).exit_code == 1  # she is there
    assert town.run("console", "user", "disable", "zoe", "--by", "x").exit_code == 0
    listed = json.loads(town.run("console", "user", "list", "--json").stdout)
    assert [(one["name"], one["state"], one["communes"]) for one in listed] == [
        ("amelie", "waiting", []),
        ("zoe", "disabled", ["69029"]),
    ]
    assert acts(town) == [
        ("console.user_added", "Mme Ex", "amelie"),
        ("console.user_added", "x", "zoe"),
        ("console.user_disabled", "x", "zoe"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("user", "add", "Amélie", "--role", "operator"), 2),
        (("user", "add", "zoe", "--role", "agent"), 2),
        (("user", "add", "zoe", "--role", "operator", "--commune", "69029"), 2),
        (("user", "add", "zoe", "--role", "agent", "--commune", "Bron"), 2),
        (("user", "add", "zoe", "--role", "operator", "--by", "\n"), 2),
        (("user", "reset", "personne"), 1),
        (("token", "remove", "personne"), 1),
    ],
)
def test_what_is_wrong_is_said(town: Home, arguments: tuple[str, ...], code: int) -> None:
    found = town.run("console", *arguments)
    assert found.exit_code == code, found.output
    assert acts(town) == []


def test_a_token_is_shown_once(town: Home) -> None:
    made = town.run("console", "token", "add", "robot", "--role", "auditor", "--json", "--by", "x")
    secret = json.loads(made.stdout)["token"]
    assert secret.startswith("tdgc_")
    assert secret not in town.run("console", "token", "list", "--json").stdout
    assert town.run("console", "token", "remove", "robot", "--by", "x").exit_code == 0
    assert [kind for kind, _, _ in acts(town)] == ["console.token_added", "console.token_removed"]


def test_without_a_console_there_are_no_accounts(home: Home) -> None:
    upgrade(_url(home))
    found = home.run("console", "user", "add", "amelie", "--role", "operator")
    assert found.exit_code == 1
    assert "console: {}" in found.output


def test_pausing_a_commune_names_who_and_why(town: Home) -> None:
    done = town.run("commune", "pause", "69029", "--by", "M. Ex", "--because", "travaux")
    assert done.exit_code == 0, done.output
    assert acts(town) == [("commune.pause", "M. Ex", "69029")]
