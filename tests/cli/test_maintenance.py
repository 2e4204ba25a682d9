"""`maintenance`: announced, listed, shown, called off and read, in both languages."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.setting import load_settings
from tests.cli.conftest import MAPPINGS, Home

SOON = datetime.now(UTC) + timedelta(days=1)
LATER = datetime.now(UTC) + timedelta(days=40)


@pytest.fixture(autouse=True)
def _database(home: Home, template: Path) -> None:
    data_dir = load_settings(home.config, MAPPINGS).settings.data_dir
    data_dir.mkdir(0o700)
    shutil.copyfile(template, data_dir / "gateway.db")


def done(home: Home, *words: str) -> Any:
    result = home.run("maintenance", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def add(home: Home, *words: str, at: datetime = LATER, by: str = "Ana Fictive") -> Any:
    ends = at + timedelta(hours=2)
    return done(
        home, "add", "Mise à jour", "--from", at.isoformat(), "--to", ends.isoformat(), "--by", by,
        *words,
    )  # fmt: skip


def test_one_is_made_shown_read_and_called_off(home: Home) -> None:
    one = add(home, "--text", "Ligne 1\n\n Ligne   2")
    assert (one["kind"], one["state"], one["body"]) == (
        "maintenance",
        "planned",
        "Ligne 1\n\nLigne 2",
    )
    assert [c["commune"] for c in one["communes"]] == ["69029", "69266"]
    read = done(home, "read", one["id"], "--commune", "69029", "--by", "Bob Fictif")
    assert [c["in_time"] for c in read["communes"]] == [True, False]
    shown = home.run("--lang", "fr", "maintenance", "show", one["id"]).stdout
    assert "Bob Fictif" in shown
    assert "oui" in shown
    (listed,) = done(home, "list", "--commune", "69266")
    assert listed["id"] == one["id"]
    assert "Mise à jour" in home.run("maintenance", "list").stdout
    by = ("--because", "reportée", "--by", "Ana Fictive")
    assert done(home, "cancel", one["id"], *by)["state"] == "cancelled"
    again = home.run("maintenance", "cancel", one["id"], *by)
    assert again.exit_code == 1
    assert "Ana Fictive" in again.output
    assert done(home, "list") == []
    assert len(done(home, "list", "--all")) == 1


def test_one_that_comes_too_late_is_made_and_says_what_it_means(home: Home) -> None:
    words = ("add", "Urgent", "--from", SOON.isoformat(), "--by", "Ana Fictive")
    ends = ("--to", (SOON + timedelta(hours=1)).isoformat(), "--commune", "69029")
    told = home.run("--lang", "fr", "maintenance", *words, *ends)
    assert told.exit_code == 0
    assert "trop tard" in told.stdout
    assert "indisponibilité" in told.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "demain"), "--from"),
        (("--from", "2020-01-01"), "past"),
        (("--from", LATER.isoformat(), "--to", SOON.isoformat()), "--to"),
        (("--from", (LATER + timedelta(days=400)).isoformat()), "year"),
        (("--from", LATER.isoformat(), "--text", "x" * 4001), "4000"),
    ],
)
def test_what_is_wrong_is_told(home: Home, words: tuple[str, ...], told: str) -> None:
    refused = home.run("maintenance", "add", "Titre", "--by", "Ana Fictive", *words)
    assert refused.exit_code == 2
    assert told in refused.output
    assert home.run("maintenance", "list").stdout.startswith("nothing is announced")


def test_a_commune_that_is_not_connected_is_named(home: Home) -> None:
    refused = home.run(
        "maintenance",
        "add",
        "Titre",
        "--by",
        "A",
        "--from",
        LATER.isoformat(),
        "--commune",
        "69999",
    )
    assert refused.exit_code == 1
    assert "69999" in refused.output
    assert home.run("maintenance", "show", "ANN-9").exit_code == 1
