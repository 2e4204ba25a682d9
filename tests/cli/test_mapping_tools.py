"""`mapping test`, `coverage`, `explain`, `diff`, `new`, `upgrade`: a mapping's author at work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue.mapping_files import load_mapping
from gateway.cli.portal import FORM
from gateway.core.render import Rendered, render
from tests.cli.conftest import MAPPINGS, run
from tests.contracts.small import KEY, bundle
from tests.life import ROOT

SAMPLE = ROOT / "tests/samples/signalement-anomalie.json"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The small mapping and its cases on disk; the folder of its teleservice."""
    for name, text in bundle().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return tmp_path / "mappings" / "voirie"


def told(*arguments: str, folder: Path) -> Any:
    return json.loads(run("mapping", *arguments, "--mappings", str(folder), "--json").stdout)


def test_the_cases_beside_a_mapping_are_played(small: Path) -> None:
    done = run("mapping", "test", KEY, "--mappings", str(small.parent))
    assert done.exit_code == 0, done.output
    assert KEY in done.stdout
    case = small / "rest.cases" / "1-demandes.yaml"
    case.write_text(case.read_text("utf-8").replace("nature: trottoir", "nature: autre"), "utf-8")
    (small / "autre.yaml").write_text("mapping: 1\nextends: rest\nversion: 1\n", "utf-8")
    failed = run("mapping", "test", str(small / "rest.yaml"))
    assert failed.exit_code == 1
    assert "✗ Une bordure" in failed.stdout
    assert "voirie/autre" not in failed.stdout
    assert told("test", KEY, folder=small.parent)["ok"] is False


def test_cases_of_a_commune_alone_are_not_passed_over_in_silence(small: Path) -> None:
    bench = small / "rest.cases" / "bench.yaml"
    bench.write_text(f'{bench.read_text("utf-8")}\ncommune: "69029"\n', "utf-8")
    done = run("mapping", "test", KEY, "--mappings", str(small.parent), "--lang", "fr")
    assert done.exit_code == 1
    assert "aucun n'a été joué (--commune 69029)" in done.stdout


def test_a_mapping_is_linted_by_its_name(small: Path) -> None:
    assert run("mapping", "lint", KEY, "--mappings", str(small.parent)).exit_code == 0


def test_a_demand_is_not_taken_for_the_schema_of_a_form(small: Path) -> None:
    where = ("--mappings", str(small.parent), "--lang", "fr")
    done = run("mapping", "new", "voirie/neuf", "--adapter", "rest", "--form", str(SAMPLE), *where)
    assert done.exit_code == 3
    assert f"{SAMPLE}: ce n'est pas le schéma d'un formulaire (" in done.stderr
    assert not (small / "neuf.yaml").exists()


def test_what_no_case_touches_is_named_at_its_line(small: Path) -> None:
    whole = told("coverage", KEY, folder=small.parent)
    assert (whole["percent"], whole["uncovered"]) == (100, [])
    file = small / "rest.yaml"
    text = file.read_text("utf-8").replace("bordure: trottoir}", "bordure: trottoir, banc: b}")
    file.write_text(text.replace("attachments:", "  vide: fields.rien\nattachments:"), "utf-8")
    found = told("coverage", KEY, folder=small.parent)
    assert [(one["what"], one["name"]) for one in found["uncovered"]] == [
        ("entry", "natures.banc"),
        ("rule", "vide"),
    ]
    shown = run("mapping", "coverage", KEY, "--mappings", str(small.parent), "--lang", "fr")
    assert shown.exit_code == 1
    assert "aucun cas ne fait vide" in shown.stdout


def test_each_rule_is_told_in_words_also_where_it_is_inherited(small: Path) -> None:
    (small / "bron.yaml").write_text(
        "mapping: 1\nextends: rest\nversion: 1\nsubmit: {texte: {max_length: 9}}\n", "utf-8"
    )
    rows = {row["target"]: row for row in told("explain", "voirie/bron", folder=small.parent)}
    assert rows["texte"]["sources"] == ["fields.description"]
    assert rows["texte"]["options"] == "rich_text: text, max_length: 9"
    assert rows["texte"]["file"] == ""
    assert rows["nature"]["options"] == "required, table: natures"
    assert rows["nature"]["file"].endswith("rest.yaml")
    shown = run("mapping", "explain", "voirie/bron", "description", "--mappings", str(small.parent))
    assert "texte" in shown.stdout
    assert "nature" not in shown.stdout


def test_two_mappings_differ_in_what_they_say_and_in_what_leaves(small: Path) -> None:
    (small / "bron.yaml").write_text(
        "mapping: 1\nextends: rest\nversion: 1\ntables: {natures: {entries: {trou: N17}}}\n",
        "utf-8",
    )
    found = told("diff", KEY, "voirie/bron", folder=small.parent)
    said = {one["path"]: (one["before"], one["after"]) for one in found["files"]}
    assert said["tables.natures.entries.trou"] == ('"nid-de-poule"', '"N17"')
    assert {effect["field"] for effect in found["effects"]} == {"nature"}
    shown = run("mapping", "diff", KEY, "voirie/bron", "--mappings", str(small.parent)).stdout
    assert "before: nid-de-poule" in shown
    assert f"{small / 'bron.yaml'}:4: tables.natures.entries.trou:" in shown
    same = run("mapping", "diff", KEY, KEY, "--mappings", str(small.parent))
    assert "they say the same" in same.stdout


def test_old_spellings_are_written_anew_and_the_rest_stays(small: Path) -> None:
    file = small / "rest.yaml"
    before = file.read_text("utf-8")
    assert "strip_html" in before
    looked = run("mapping", "upgrade", "--check", str(file))
    assert (looked.exit_code, file.read_text("utf-8")) == (1, before)
    assert f"{file}:10: strip_html -> rich_text: text" in looked.stdout
    assert run("mapping", "upgrade", str(file)).exit_code == 0
    assert file.read_text("utf-8") == before.replace("strip_html: true", "rich_text: text")
    assert run("mapping", "upgrade", "--check", str(file)).exit_code == 0


def _schema() -> dict[str, Any]:
    recorded = json.loads((ROOT / "tests/recorded/data/04-schema.json").read_text("utf-8"))
    found: dict[str, Any] = recorded["exchanges"][0]["answer"]["body"]
    return found


@pytest.mark.parametrize("adapter", ["rest", "open311"])
def test_a_first_file_comes_from_the_forms_schema(tmp_path: Path, adapter: str) -> None:
    folder = tmp_path / "signalement-anomalie"
    folder.mkdir()
    (folder / "schema.json").write_text(json.dumps(_schema()), "utf-8")
    file = folder / f"{adapter}.yaml"
    done = run("mapping", "new", str(file), "--adapter", adapter)
    assert done.exit_code == 0, done.output
    assert run("mapping", "lint", str(file)).exit_code == 0
    assert not [line for line in done.output.splitlines() if "the form has no" in line]
    names = {rule.name for rule in load_mapping(file.read_text("utf-8"), str(file)).submit}
    assert names > (
        {"service_code", "lat", "long"} if adapter == "open311" else {"external_id", "gravite"}
    )
    again = run("mapping", "new", str(file), "--adapter", adapter)
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)


def test_a_first_file_comes_from_two_examples(tmp_path: Path) -> None:
    wanted = {
        "subject": "Propreté - dépôt sauvage",
        "ref": "37-1042",
        "when": "11/03/2026",
        "contact": {"tel": "+33199000000", "ok": True},
        "geo": {"X": 848662, "Y": 6516668},
        "addr": "12 Rue de l’Invention",
        "qty": 1.5,
        "type": "INC",
        "tags": ["encombrants", "gravats"],
    }
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps(wanted), "utf-8")
    file = tmp_path / "signalement-anomalie" / "rest.yaml"
    examples = ("--formdata", str(SAMPLE), "--payload", str(payload))
    done = run("mapping", "new", str(file), "--adapter", "rest", *examples)
    assert done.exit_code == 0, done.output
    mapping = load_mapping(file.read_text("utf-8"), str(file))
    sample = json.loads(SAMPLE.read_text("utf-8"))
    document = {
        "id": "TDG-1",
        "number": "37-1042",
        "fields": sample["fields"],
        "location": sample["fields"]["localisation"],
    }
    rendered = render(mapping, document)
    assert isinstance(rendered, Rendered)
    assert rendered.payload == wanted
    assert file.read_text("utf-8").count("à vérifier") == 1


@pytest.mark.parametrize(
    ("actions", "hooked"),
    [
        ({"hook:1": "retour_commune", "hook:2": "document_commune"}, True),
        ({"hook:1": "retour_commune"}, False),
        (None, True),
    ],
)
def test_new_names_the_action_for_documents_where_the_workflow_has_it(
    tmp_path: Path, actions: dict[str, str] | None, hooked: bool
) -> None:
    fields = [{"varname": "description", "label": "Description", "type": "text"}]
    workflow = {} if actions is None else {"workflow": {"actions": actions}}
    file = tmp_path / "essai" / "rest.yaml"
    file.parent.mkdir()
    saved = json.dumps({"fields": fields, **workflow})
    file.with_name(FORM).write_text(saved, "utf-8")
    done = run("mapping", "new", str(file), "--adapter", "rest")
    assert done.exit_code == 0, done.output
    mapping = load_mapping(file.read_text("utf-8"), str(file))
    assert mapping.portal.document_hook == ("document_commune" if hooked else None)
    assert ("n'a pas d'action document_commune" in file.read_text("utf-8")) is not hooked
    text = file.read_text("utf-8").replace("fields.description", "fields.descripton")
    file.write_text(text.replace("hook: retour_commune", "hook: retour_comune"), "utf-8")
    linted = run("mapping", "lint", str(file), "--lang", "fr").output
    assert "il a « description »" in linted
    assert ("il a « retour_commune »" in linted) is (actions is not None)


def test_new_says_what_is_missing(tmp_path: Path) -> None:
    file = str(tmp_path / "essai" / "rest.yaml")
    lacking = run("mapping", "new", file, "--adapter", "rest")
    assert lacking.exit_code != 0
    assert "gru-gateway portal form" in lacking.output
    unknown = run("mapping", "new", file, "--adapter", "rst")
    assert (unknown.exit_code, "there is no adapter rst" in unknown.stderr) == (1, True)


def test_the_shipped_mappings_are_covered_by_their_cases() -> None:
    for file in sorted(MAPPINGS.glob("*/*.yaml")):
        done = run("mapping", "coverage", str(file))
        assert done.exit_code == 0, done.output
