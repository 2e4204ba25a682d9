"""The reports of a run: terminal, JSON, JUnit, and the one that a commune signs."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.cli.root import app
from tests.command import CliRunner, Result
from tests.contracts.small import MAPPING, bundle
from tests.contracts.test_run import COMMUNE, GATEWAY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, bundle())
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def call(*args: str) -> Result:
    return CliRunner().invoke(app, ["contract", *args])


def test_a_run_that_holds_ends_with_0_and_writes_what_is_asked(folder: Path) -> None:
    result = call("run", "--strict", "--html", "pv.html", "--junit", "junit.xml", "--by", "Ada")
    assert result.exit_code == 0, result.output
    assert "passed: 8 cases, 0 failed" in result.output
    page = (folder / "pv.html").read_text("utf-8")
    assert "Procès-verbal de recette" in page
    assert "Recette conforme" in page
    assert "Ada" in page
    assert "<code>texte</code> Un trou." in page, "what is sent, not titles alone"
    assert "<code>pièce jointe 1</code> trou.txt" in page
    assert "<code>appel</code> hook retour" in page
    assert "Pour la commune" in page
    assert "Pour la Métropole de Lyon" in page
    assert "https://" not in page
    assert "http://" not in page
    suite = ElementTree.parse(folder / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("8", "0")


def test_a_failure_ends_with_1_and_shows_everywhere(folder: Path) -> None:
    write(folder, bundle(mapping=("trou: nid-de-poule", "trou: autre-chose")))
    result = call("run", "--no-weak", "--html", "pv.html", "--junit", "junit.xml")
    assert result.exit_code == 1
    assert 'nature: expected "nid-de-poule", got "autre-chose"' in result.output
    french = call("run", "--no-weak", "--lang", "fr").output
    assert "nature : attendu « nid-de-poule », obtenu « autre-chose »" in french
    assert f"({MAPPING}:9)" in result.output
    page = (folder / "pv.html").read_text("utf-8").replace("\u00a0", " ")
    assert "Recette non conforme" in page
    assert "Il n'y a rien à signer" in page.replace("&#39;", "'")
    assert "Pour la commune" not in page
    assert "obtenu « autre-chose »" in page
    failure = ElementTree.parse(folder / "junit.xml").getroot().find(".//failure")
    assert failure is not None
    assert "autre-chose" in (failure.get("message") or "")
    document = json.loads(call("run", "--no-weak", "--json").stdout)
    assert document["ok"] is False
    assert [c["ok"] for c in document["contracts"][0]["cases"]].count(False) == 1
    (case,) = [c for c in document["contracts"][0]["cases"] if not c["ok"]]
    (difference,) = case["differences"]
    assert (difference["field"], difference["expected"]) == ("nature", '"nid-de-poule"')


def test_a_weak_contract_fails_only_when_strict(folder: Path) -> None:
    write(folder, bundle(cases=(", autre: {filename: autre.txt, text: autre}", "")))
    lenient, strict = call("run"), call("run", "--strict", "--junit", "junit.xml")
    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    assert "all may leave, also those not chosen, and no case fails" in lenient.output
    french = call("run", "--lang", "fr").output
    assert "toutes peuvent partir, même non choisies, sans qu'aucun cas n'échoue" in french
    assert call("report", "recette.html").exit_code == 0
    page = (folder / "recette.html").read_text("utf-8")
    assert "toutes peuvent partir" in page
    assert "may leave" not in page
    suite = ElementTree.parse(folder / "junit.xml").getroot()[0]
    assert suite.get("failures") == "1"


def test_a_contract_without_a_case_is_refused_by_name(folder: Path) -> None:
    for path in (folder / "mappings/voirie/rest.cases").iterdir():
        path.unlink()
    assert "la correspondance voirie/rest n'a aucun cas" in call("run", "--lang", "fr").output
    result = call("run")
    assert result.exit_code == 1
    assert "the mapping voirie/rest has no case" in result.output


def test_faults_of_cases_end_with_3_at_their_line(folder: Path) -> None:
    write(folder, bundle(returns=("given: {status: ailleurs}", "given: {statut: ailleurs}")))
    result = call("run")
    assert result.exit_code == 3
    assert "mappings/voirie/rest.cases/2-retours.yaml:7:" in result.output


def test_changed_runs_only_what_did_not_pass_yet(folder: Path) -> None:
    assert "voirie/rest  8" in call("run", "--changed", "--no-weak").output
    assert "unchanged since it passed: voirie/rest" in call("run", "--changed").output
    write(folder, bundle(mapping=("version: 3", "version: 4")))
    assert "voirie/rest  8" in call("run", "--changed", "--no-weak").output


def test_the_report_names_the_commune_and_reads_no_secret(folder: Path) -> None:
    write(folder, {"config/gateway.yaml": GATEWAY, "config/communes/bron.yaml": COMMUNE})
    result = call("report", "pv.html", "--commune", "69029")
    assert result.exit_code == 0, result.output
    page = (folder / "pv.html").read_text("utf-8")
    assert "Bron (69029)" in page
    assert "cas-de-recette" not in page


def test_unknown_targets_and_a_live_run_without_commune_are_refused(folder: Path) -> None:
    assert call("run", "--commune", "69029").exit_code == 3  # there is no configuration
    write(folder, {"config/gateway.yaml": GATEWAY, "config/communes/bron.yaml": COMMUNE})
    unknown = call("run", "--commune", "69266")
    assert (unknown.exit_code, "69029" in unknown.output) == (1, True)
    assert call("run", "--live", "test").exit_code == 2
