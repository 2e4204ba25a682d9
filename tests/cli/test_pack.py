"""`pack`: a commune begins from one; `check --answers`: its paths by recorded answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gateway.catalogue.bundle import read_bundle
from gateway.contracts.run import run as run_contracts
from tests.adapters import packs
from tests.cli.conftest import Home, run


def test_packs_are_listed_with_what_was_tried() -> None:
    listed = json.loads(run("pack", "list", "--json").stdout)
    assert [one["name"] for one in listed] == list(packs.NAMES)
    told = run("pack", "list", "--lang", "fr").stdout
    assert "sur un vrai serveur" in told
    assert "d'après la documentation publique" in told
    assert "# Redmine" in run("pack", "show", "redmine").stdout
    unknown = run("pack", "show", "remine")
    assert unknown.exit_code != 0
    assert "redmine" in unknown.stderr


def begun(home: Home, tmp_path: Path, name: str = "redmine") -> list[str]:
    mappings = tmp_path / "correspondances"
    (home.config / "communes" / "69266-villeurbanne.yaml").unlink()
    where = ["--config", str(home.config), "--mappings", str(mappings)]
    asked = ["--commune", "69266", "--name", "Villeurbanne : l'été"]
    told = run("pack", "copy", name, *asked, *where)
    assert told.exit_code == 0, told.output
    again = run("pack", "copy", name, *asked, *where)
    assert again.exit_code == 1
    assert "69266.yaml" in again.stderr, "nothing is written over"
    (home.config / "communes" / "69029-bron.yaml").unlink()
    return where


def test_a_commune_begins_from_a_pack(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = begun(home, tmp_path)
    monkeypatch.setenv("BRON_CLE", "cle-de-la-commune")
    monkeypatch.setenv("REDMINE_CLE", "cle-de-redmine")
    told = run("check", "--offline", *where)
    assert told.exit_code == 0, told.output
    bundle = read_bundle(home.config, tmp_path / "correspondances")
    assert "name: 'Villeurbanne : l''été'" in bundle["config/communes/69266.yaml"]
    report = asyncio.run(run_contracts(bundle, commune="69266", weak=False))
    assert report.contracts[0].results, "its cases are the commune's"
    odd = run("pack", "copy", "rt", "--commune", "6926", "--name", "X", *where)
    assert odd.exit_code == 2


def test_paths_are_tried_on_recorded_answers(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = begun(home, tmp_path)
    monkeypatch.setenv("BRON_CLE", "cle-de-la-commune")
    monkeypatch.setenv("REDMINE_CLE", "cle-de-redmine")
    answers = packs.PACKS / "redmine" / "recorded.json"
    check = ["check", *where, "--commune", "69266", "--answers"]
    assert run(*check, str(answers)).exit_code == 0
    file = home.config / "communes" / "69266.yaml"
    whole = file.read_text("utf-8")
    file.write_text(whole.replace("message: notes", "message: note"), "utf-8")
    blind = run(*check, str(answers), "--lang", "fr")
    assert blind.exit_code == 4
    assert "statuses.item.notes.message: note ne trouve rien" in blind.stderr
    file.write_text(whole.replace("list: issues", "list: demandes"), "utf-8")
    assert "demandes is no list" in run(*check, str(answers)).stderr
    file.write_text(whole, "utf-8")
    one = tmp_path / "releve.json"
    one.write_text('{"issues": []}', "utf-8")
    assert run(*check, str(one)).exit_code == 4, "an empty answer proves nothing"
    partial = json.loads(answers.read_text("utf-8"))[1:]
    one.write_text(json.dumps(partial), "utf-8")
    assert "GET /users/current.json" in run(*check, str(one)).stderr
    for broken in (
        "{",
        '[{"path": "/x", "status": 20}]',
        '[{"path": "/x", "status": 200, "y": 1}]',
    ):
        one.write_text(broken, "utf-8")
        told = run(*check, str(one))
        assert (told.exit_code, "releve.json" in told.stderr) == (3, True)
