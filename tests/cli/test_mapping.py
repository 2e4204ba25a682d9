"""`mapping lint` and `mapping preview`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import MAPPINGS, Home, run
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
    assert f"{file}:{line}:3: " in told.stdout
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
    assert json.loads(run(*by_file, "--json").stdout)["fields"][0]["value"] == "DS01"


def test_preview_shows_the_call_of_the_adapter_with_secrets_masked() -> None:
    sample = str(SAMPLES / "signalement-anomalie.json")
    arguments = ("mapping", "preview", "signalement-anomalie/open311", sample)
    (call,) = json.loads(run(*arguments, "--mappings", SHIPPED, "--json").stdout)["calls"]
    assert (call["method"], call["host"]) == ("POST", "gru.exemple.invalid")
    assert call["path"] == "/open311/v2/requests.xml"
    assert call["headers"]["content-type"] == "multipart/form-data"
    assert call["body"]["service_code"] == "DS01"
    assert call["body"]["api_key"] == "{secret}"
    assert [file["filename"] for file in call["files"]] == ["depot_été_2026.png"]
    shown = run(*arguments, "--mappings", SHIPPED).stdout
    assert "POST gru.exemple.invalid/open311/v2/requests.xml" in shown
    assert "api_key = {secret}" in shown


@pytest.mark.parametrize(
    ("event", "call", "field"),
    [
        ("message", "POST gru.exemple.invalid/api/tickets/4711/comments", "Un message"),
        ("document", "POST gru.exemple.invalid/api/uploads?filename=piece-1.txt", "file: "),
        ("change", "POST gru.exemple.invalid/api/tickets/4711/comments", "(modifié)"),
        ("cancellation", "PATCH gru.exemple.invalid/api/tickets/4711", "status = cancelled"),
    ],
)
def test_preview_invents_what_comes_after_the_creation(event: str, call: str, field: str) -> None:
    sample = str(SAMPLES / "signalement-anomalie.json")
    asked = ("mapping", "preview", "signalement-anomalie/rest", sample, "--event", event)
    shown = run(*asked, "--mappings", SHIPPED).stdout
    assert call in shown
    assert field in shown
    assert "x-api-key: {secret}" in shown


def test_preview_is_of_the_communes_own_gru_where_one_is_named(home: Home) -> None:
    sample = str(SAMPLES / "signalement-anomalie.json")
    asked = ("mapping", "preview", "signalement-anomalie/open311", sample, "--commune", "69029")
    told = json.loads(home.run(*asked, "--json").stdout)
    assert {call["host"] for call in told["calls"]} == {"127.0.0.1:9"}
    assert not [call for call in told["calls"] if "cle" in json.dumps(call["headers"])]
    wrong = home.run(*asked[:-1], "69999")
    assert (wrong.exit_code, "has no route by the mapping" in wrong.stderr) == (1, True)
    bare = ("--mappings", SHIPPED, "--config", str(home.folder / "none"))
    assert run(*asked, *bare).exit_code != 0


def test_preview_without_a_bench_says_so(tmp_path: Path) -> None:
    file = tmp_path / "signalement-anomalie" / "seul.yaml"
    file.parent.mkdir()
    shipped = MAPPINGS / "signalement-anomalie" / "open311.yaml"
    file.write_text(shipped.read_text("utf-8"), "utf-8")
    told = run("mapping", "preview", str(file), str(SAMPLES / "signalement-anomalie.json"))
    assert told.exit_code == 0
    assert "no bench says what the GRU is" in told.stdout
    own = file.with_name("bron.yaml")
    own.write_text("mapping: 1\nextends: seul\nversion: 1\nsubmit: {lat: {type: null}, x: idd}\n")
    linted = run("mapping", "lint", str(own))
    assert linted.exit_code == 1
    assert f"{own}:4:29: " in linted.stdout


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


@pytest.mark.parametrize(
    ("content", "place", "english", "french"),
    [
        (b'{"a":\n 1', ":2", "it is not JSON", "ce n'est pas du JSON"),
        (b"\xff\xfe", "", "it is not text in UTF-8", "ce n'est pas du texte en UTF-8"),
        (b"[1]", "", "a push of it would be refused (not_an_object)", "son envoi serait refusé"),
        (b'{"fields": {}}', "", "a push of it would be refused", "son envoi serait refusé"),
        (b"[" * 100_000, "", "a push of it would be refused", "son envoi serait refusé"),
        (None, "", "there is no such file", "ce fichier n'existe pas"),
    ],
)
def test_a_formdata_that_is_none_is_told_at_its_file_in_one_language(
    tmp_path: Path, content: bytes | None, place: str, english: str, french: str
) -> None:
    file = tmp_path / "form.json"
    if content is not None:
        file.write_bytes(content)
    asked = ("mapping", "preview", "signalement-anomalie/open311", str(file))
    for language, said, head in (("en", english, "error:"), ("fr", french, "erreur :")):
        done = run("--lang", language, *asked, "--mappings", SHIPPED)
        assert done.exit_code == 1
        assert done.stderr.startswith(f"{head} {file}{place}: {said}"), done.stderr


def test_a_folder_given_for_a_mapping_is_told_as_one(tmp_path: Path) -> None:
    done = run("--lang", "fr", "mapping", "lint", str(tmp_path))
    assert (done.exit_code, f"{tmp_path}: c'est un dossier (nommer" in done.stdout) == (1, True)


@pytest.mark.parametrize("option", ["--config", "--mappings"])
def test_a_file_given_for_a_folder_is_told_as_one(home: Home, option: str) -> None:
    file = home.config / "gateway.yaml"
    done = run("check", *home.where, option, str(file))
    told = f"is a file, not the folder of it (name its folder: {option} DIR)"
    assert (done.exit_code, told in done.stdout + done.stderr) == (3, True)


def test_where_there_is_no_mapping_at_all_its_file_is_asked_for(home: Home) -> None:
    empty = home.folder / "none"
    empty.mkdir()
    done = run("check", "--config", str(home.config), "--mappings", str(empty))
    said = "there is no mapping signalement-anomalie/open311 (write mappings/signalement-anomalie/"
    assert (done.exit_code, said in done.stdout + done.stderr) == (3, True)


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
