"""`incident`: listed, shown, and acted upon, in both languages."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.setting import load_settings
from gateway.core.incident import IncidentRules, Party, Symptom, SymptomWord, observe
from gateway.store import incident_looks
from gateway.store.engine import Database
from tests.cli.conftest import MAPPINGS, Home

GRU = Symptom("gru:69029:voirie", SymptomWord.GRU_AWAY, frozenset({"69029"}), Party.COMMUNE)
PORTAL = Symptom("portal:toodego", SymptomWord.PORTAL_AWAY, frozenset({"69029"}), Party.PORTAL)
ATTACK = Symptom("forged_webhooks", SymptomWord.FORGED_WEBHOOKS)
Open = Callable[..., None]


@pytest.fixture
def opened(home: Home, template: Path) -> Open:
    """Return a function that opens incidents INC-1, INC-2..., each an hour ago."""
    data_dir = load_settings(home.config, MAPPINGS).settings.data_dir
    data_dir.mkdir(0o700)
    shutil.copyfile(template, data_dir / "gateway.db")

    def make(*symptoms: Symptom) -> None:
        database = Database(f"sqlite:///{data_dir / 'gateway.db'}")
        names = iter(range(1, 10))
        now = datetime.now(UTC) - timedelta(hours=1)

        async def look() -> None:
            for later in (timedelta(), timedelta(minutes=6)):
                await database.write(
                    incident_looks.observe,
                    observe(symptoms, IncidentRules()),
                    IncidentRules(),
                    lambda: f"INC-{next(names)}",
                    now + later,
                )

        try:
            asyncio.run(look())
        finally:
            database.close()

    return make


def told(home: Home, *words: str) -> Any:
    done = home.run("incident", *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_one_that_wants_a_person_is_listed_with_the_time_left(home: Home, opened: Open) -> None:
    assert home.run("incident", "list").stdout.startswith("no incident wants a person")
    opened(GRU)
    english = home.run("incident", "list").stdout
    assert "the GRU does not answer" in english
    assert "majeur" in english
    french = home.run("--lang", "fr", "incident", "list").stdout
    assert "la GRU ne répond pas" in french
    assert "GRAVITÉ" in french
    (one,) = told(home, "list")
    assert 22 * 3600 < one["left_seconds"] <= 24 * 3600
    assert (one["kept"], one["communes"], one["state"]) == (True, ["69029"], "open")
    assert told(home, "list", "--commune", "69266") == []


def test_acts_are_done_and_shown_with_who_did_them(home: Home, opened: Open) -> None:
    opened(GRU)
    by = ("--by", "Ana  Rossi")
    assert told(home, "ack", "INC-1", *by)["acked_by"] == "Ana Rossi"
    assert told(home, "assign", "INC-1", "--to", "Bob", *by)["assigned_to"] == "Bob"
    graver = told(home, "severity", "INC-1", "--set", "mineur", "--because", "essai", *by)
    assert (graver["severity"], graver["deadline"], graver["left_seconds"]) == (
        "mineur",
        None,
        None,
    )
    told(home, "severity", "INC-1", "--set", "majeur", "--because", "erreur", *by)
    paused = told(home, "pause", "INC-1", "--commune", "69029", "--because", "relance", *by)
    assert paused["deadline"] is None
    listed = home.run("incident", "list").stdout
    assert "stands still: 69029 must act (relance; Ana Rossi)" in listed
    assert told(home, "resume", "INC-1", *by)["deadline"]
    closed = told(home, "close", "INC-1", "--because", "relancée", "--cause", "network", *by)
    assert (closed["state"], closed["party"]) == ("closed", "network")
    shown = told(home, "show", "INC-1")
    assert [entry["kind"] for entry in shown["trail"]] == [
        "opened",
        "acknowledged",
        "assigned",
        "severity",
        "severity",
        "paused",
        "resumed",
        "closed",
    ]
    assert shown["problems"] == []
    page = home.run("--lang", "fr", "incident", "show", "INC-1").stdout
    assert "le réseau" in page
    assert "Ana Rossi" in page
    assert "resolved" in home.run("incident", "show", "INC-1").stdout, "the commune is told"


def test_a_bloquant_is_closed_with_a_post_mortem(home: Home, opened: Open, tmp_path: Path) -> None:
    opened(PORTAL)
    close = ("incident", "close", "INC-1", "--because", "x", "--by", "Ana")
    refused = home.run(*close)
    assert (refused.exit_code, "post-mortem" in refused.stderr) == (1, True)
    file = tmp_path / "retour.txt"
    for content, code in ((b"", 2), (b"\xff", 2), (b"x" * 20_001, 2), ("Panne à 8 h.".encode(), 0)):
        file.write_bytes(content)
        done = home.run(*close, "--post-mortem", str(file))
        assert done.exit_code == code, content[:3]
    assert "Panne à 8 h." in home.run("incident", "show", "INC-1").stdout
    gone = home.run(*close, "--post-mortem", str(tmp_path / "absent"))
    assert (gone.exit_code, "Traceback" in gone.output) == (2, False)


def test_an_attack_has_its_notice_and_is_closed_once_notified(home: Home, opened: Open) -> None:
    opened(ATTACK, GRU)
    attack = next(one["id"] for one in told(home, "list") if one["kind"] == "securite")
    other = next(one["id"] for one in told(home, "list") if one["kind"] == "service")
    text = home.run("incident", "notice", attack).stdout
    assert "une rafale de webhooks sans preuve" in text
    assert f"incident notified {attack}" in text
    assert home.run("incident", "notice", other).exit_code == 1
    by = ("--by", "Ana")
    assert home.run("incident", "close", attack, "--because", "x", *by).exit_code == 1
    assert told(home, "notified", attack, "--to", "RSSI", *by)["kept"] is True
    assert told(home, "close", attack, "--because", "x", *by)["state"] == "closed"


IMPOSSIBLE = [
    (("show", "INC-9"), 1),
    (("ack", "INC-1", "--by", "  "), 2),
    (("assign", "INC-1", "--to", " ", "--by", "Ana"), 2),
    (("close", "INC-1", "--because", " ", "--by", "Ana"), 2),
    (("close", "INC-1", "--because", "x" * 501, "--by", "Ana"), 2),
    (("severity", "INC-1", "--set", "grave", "--because", "x", "--by", "Ana"), 2),
    (("severity", "INC-1", "--set", "majeur", "--because", "x", "--by", "Ana"), 1),
    (("resume", "INC-1", "--by", "Ana"), 1),
    (("pause", "INC-1", "--commune", "69266", "--because", "x", "--by", "Ana"), 1),
    (("notified", "INC-1", "--to", "x", "--by", "Ana"), 1),
]


def test_what_cannot_be_done_is_told(home: Home, opened: Open) -> None:
    opened(GRU)
    for words, code in IMPOSSIBLE:
        for lang in ("en", "fr"):
            done = home.run("--lang", lang, "incident", *words)
            assert (done.exit_code, bool(done.stderr), done.stdout) == (code, True, ""), words
