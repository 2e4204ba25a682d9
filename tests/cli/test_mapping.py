"""`mapping lint` and `mapping preview`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import MAPPINGS, run
from tests.life import ROOT

SAMPLES = ROOT / "tests" / "samples"
SHIPPED = str(MAPPINGS)


def test_the_shipped_mappings_are_without_fault() -> None:
    told = run("mapping", "lint", "--mappings", SHIPPED, "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["ok"] is True


def test_lint_tells_all_faults_with_their_lines(tmp_path: Path) -> None:
    folder = tmp_path / "signalement-anomalie"
    folder.mkdir()
    text = (MAPPINGS / "signalement-anomalie" / "rest.yaml").read_text("utf-8")
    file = folder / "rest.yaml"
    file.write_text(text.replace("path: id,", "path: idd,").replace("max: 5", "max: many"))
    told = run("mapping", "lint", str(file))
    assert told.exit_code == 1
    line = next(n for n, t in enumerate(file.read_text().splitlines(), 1) if "max: many" in t)
    assert f"{file}:{line}: " in told.stdout
    assert json.loads(run("mapping", "lint", str(file), "--json").stdout)["ok"] is False


def test_lint_without_any_file_is_1(tmp_path: Path) -> None:
    assert run("mapping", "lint", "--mappings", str(tmp_path)).exit_code == 1


def test_lint_tells_of_a_file_that_is_not_there_beside_the_faults_of_others(tmp_path: Path) -> None:
    gone, bad, latin = (tmp_path / name for name in ("none.yaml", "bad.yaml", "latin.yaml"))
    bad.write_text("mapping: 1\n", "utf-8")
    latin.write_bytes(b"# \xe9\n")
    told = run("mapping", "lint", *map(str, (gone, bad, latin)))
    assert told.exit_code == 1
    assert f"{gone}: there is no such file (write its path" in told.stdout
    assert f"{latin}: it is not text in UTF-8 (save it as UTF-8)" in told.stdout
    assert f"{bad}:1:" in told.stdout
    dit = run("mapping", "lint", str(gone), "--lang", "fr").stdout
    assert f"{gone}: ce fichier n'existe pas (écrire son chemin" in dit


def test_preview_shows_value_source_and_line() -> None:
    sample = str(SAMPLES / "signalement-anomalie.json")
    arguments = ("mapping", "preview", "signalement-anomalie/open311", sample)
    told = run(*arguments, "--mappings", SHIPPED, "--json")
    assert told.exit_code == 0
    rows = {row["target"]: row for row in json.loads(told.stdout)["fields"]}
    assert rows["service_code"]["value"] == "DS01"
    assert rows["service_code"]["source"].startswith("fields.categorie_raw")
    assert rows["service_code"]["line"] > 0
    assert "DS01" in run(*arguments, "--mappings", SHIPPED).stdout
    by_file = ("mapping", "preview", str(MAPPINGS / "signalement-anomalie/open311.yaml"), sample)
    assert run(*by_file, "--json").stdout.count("DS01") == 1


def test_preview_of_what_does_not_fit_is_1_and_names_each_field() -> None:
    sample = str(SAMPLES / "signalement-anomalie.json")
    arguments = ("mapping", "preview", "inscription-scolaire/rest", sample, "--mappings", SHIPPED)
    told = run(*arguments)
    assert told.exit_code == 1
    assert "rest.yaml:" in told.stderr
    assert "« children »" in told.stderr
    as_json = run(*arguments, "--json")
    assert as_json.exit_code == 1
    assert {f["target"] for f in json.loads(as_json.stdout)["faults"]} >= {"children"}


def test_preview_of_what_cannot_be_read_is_1(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for arguments in (
        ("signalement-anomalie/open311", str(broken)),
        ("signalement-anomalie/open311", str(tmp_path / "none.json")),
        ("signalement-anomalie/none", str(SAMPLES / "signalement-anomalie.json")),
    ):
        told = run("mapping", "preview", *arguments, "--mappings", SHIPPED)
        assert told.exit_code == 1
        assert told.stderr.startswith("error: ")
