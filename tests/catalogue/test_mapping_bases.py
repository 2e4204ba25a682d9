"""A mapping that extends another changes, removes and keeps; each fault has its place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator

from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.mapping_bases import MOST_BASES, bases_of, extended, resolved
from gateway.catalogue.mapping_files import load_mappings, mapping_of
from gateway.catalogue.release import cases_of, files_of, routed
from gateway.catalogue.yaml_reader import load_yaml
from gateway.contracts.cases import read_cases
from gateway.contracts.leaving import rendered
from gateway.core.errors import ConfigurationFault
from gateway.core.mapping import Constant, FromPath, RequestMapping
from gateway.core.render import Unmappable, render
from gateway.core.status import Status

ROOT = Path(__file__).parents[2]
BASE, OWN = "mappings/essai/commune.yaml", "mappings/essai/bron.yaml"
BASE_TEXT = """\
mapping: 1
teleservice: essai
adapter: rest
version: 4
description: Pour toutes les communes.
tables:
  natures:
    entries: {trou: T1, bordure: B1}
    default: AUTRE
submit:
  id: {path: id, required: true}
  nature: {path: fields.nature, table: natures, required: true}
  voie: fields.voie
  canal: {constant: toodego}
  lieu: {lat: location.lat, lon: location.lon}
statuses:
  ouvert: accepted
  clos: {status: done, message: C'est fait.}
portal: {hook: retour, triggers: {done: {jump: fin}}}
"""
OWN_HEAD = "mapping: 1\nextends: commune\nversion: 1\n"


def made(own: str) -> RequestMapping:
    return mapping_of({BASE: BASE_TEXT, OWN: OWN_HEAD + own}, OWN)


def faults(files: dict[str, str], file: str = OWN) -> list[str]:
    with pytest.raises(ConfigurationFault) as raised:
        mapping_of(files, file)
    return [str(fault) for fault in raised.value.faults]


def test_a_key_is_changed_and_the_rest_inherited() -> None:
    found = made("tables: {natures: {entries: {trou: 17}}}\n")
    assert (found.key, found.teleservice, found.adapter) == ("essai/bron", "essai", "rest")
    assert (found.version, found.description, found.bases) == (1, "", (BASE,))
    assert found.tables["natures"].entries == {"trou": 17, "bordure": "B1"}
    assert found.tables["natures"].default == "AUTRE"
    assert [rule.name for rule in found.submit][:3] == ["id", "nature", "voie"]
    assert found.statuses["clos"].message == "C'est fait."


def test_null_removes_what_is_inherited() -> None:
    found = made(
        "tables: {natures: {default: null}}\n"
        "submit: {canal: null, nature: {required: null}, lieu: {lat: null}}\n"
        "statuses: {clos: null}\nportal: {triggers: null}\n"
    )
    assert found.tables["natures"].default is None
    assert [rule.name for rule in found.submit] == ["id", "nature", "voie", "lieu.lon"]
    assert not found.submit[1].required
    assert set(found.statuses) == {"ouvert"}
    assert not found.portal.triggers
    assert found.portal.hook == "retour"


def test_a_rule_with_a_source_of_its_own_replaces_and_one_without_changes_options() -> None:
    found = made("submit: {nature: {constant: 99}, voie: {default: inconnue}, canal: channel}\n")
    _, nature, voie, canal, *_ = found.submit
    assert (nature.source, nature.table, nature.required) == (Constant(99), None, False)
    assert isinstance(voie.source, FromPath)
    assert (voie.source.expression.text, voie.default) == ("fields.voie", "inconnue")
    assert isinstance(canal.source, FromPath)


def test_each_part_knows_the_file_in_which_it_stands() -> None:
    found = made("submit: {voie: {required: true}}\nstatuses: {ouvert: planned}\n")
    places = {rule.name: found.place(rule) for rule in found.submit}
    assert places["voie"] == f"{OWN}:4"
    assert places["nature"] == f"{BASE}:12"
    assert found.place(found.tables["natures"]) == f"{BASE}:7"
    assert found.place(found.statuses["ouvert"]) == f"{OWN}:5"
    assert found.statuses["ouvert"].status is Status.PLANNED
    refused = render(found, {"id": "TDG-1", "fields": {}})
    assert isinstance(refused, Unmappable)
    assert [line.split(": ")[0] for line in refused.summary().splitlines()] == [
        f"{BASE}:12",
        f"{OWN}:4",
    ]


def test_a_fault_names_the_file_in_which_the_key_stands() -> None:
    told = faults(
        {
            BASE: BASE_TEXT.replace("fields.voie", "field.voie"),
            OWN: OWN_HEAD + "submit:\n  canal: {constant: x, tabel: y}\n",
        }
    )
    assert any(one.startswith(f"{BASE}:13: ") for one in told)
    assert any(one.startswith(f"{OWN}:5: ") and "did you mean `table`" in one for one in told)


@pytest.mark.parametrize(
    ("own", "what"),
    [
        ("submit: {vois: null}\n", "did you mean `voie`"),
        ("tables: {natures: {entries: {puits: null}}}\n", "null removes a key that is inherited"),
        ("notes: null\n", "`notes`: null removes"),
    ],
)
def test_null_that_removes_nothing_is_told(own: str, what: str) -> None:
    told = faults({BASE: BASE_TEXT, OWN: OWN_HEAD + own})
    assert what in told[0]
    assert told[0].startswith(f"{OWN}:4: ")


def test_what_cannot_be_extended_is_told_at_its_line() -> None:
    own = OWN_HEAD
    assert faults({OWN: own})[0].startswith(
        f"{OWN}:2: there is no mapping `commune` in this folder"
    )
    assert "extends itself" in faults({BASE: own.replace("commune", "bron"), OWN: own})[0]
    assert "extends itself" in faults({OWN: own.replace("commune", "bron")})[0]
    assert "there is no mapping" in faults({OWN: own.replace("commune", "../commune")})[0]
    deep = {f"mappings/essai/m{n}.yaml": own.replace("commune", f"m{n + 1}") for n in range(9)}
    deep["mappings/essai/m9.yaml"] = BASE_TEXT
    assert f"more than {MOST_BASES}" in faults(deep, "mappings/essai/m0.yaml")[0]
    assert mapping_of(deep, "mappings/essai/m4.yaml").submit


def test_one_that_is_broken_breaks_those_that_extend_it_and_no_other() -> None:
    other = BASE.replace("commune", "autre")
    text = BASE_TEXT.replace("status: done", "status: don")
    files = {BASE: text, OWN: OWN_HEAD, other: BASE_TEXT}
    found, broken = load_mappings(files)
    assert set(found) == {"essai/autre"}
    assert set(broken) == {"essai/commune", "essai/bron"}
    assert {fault for faults in broken.values() for fault in faults} == set(broken["essai/bron"])


def test_a_mapping_without_version_or_format_does_not_inherit_them() -> None:
    told = faults({BASE: BASE_TEXT, OWN: "extends: commune\n"})
    assert [one.partition(": ")[2].split(" ")[0] for one in told] == ["`mapping`", "`version`"]


# --- releases and cases -----------------------------------------------------------------------

BRON = "mappings/signalement-anomalie/open311-bron.yaml"
BENCH = "mappings/signalement-anomalie/open311-bron.cases/bench.yaml"
OWN_CASES = "mappings/signalement-anomalie/open311-bron.cases/1-bron.yaml"
SHARED = "mappings/signalement-anomalie/open311.yaml"


@pytest.fixture(scope="module")
def town() -> dict[str, str]:
    """A commune with its own service codes: what it writes is all of it."""
    codes = "{depot-sauvage: 17, voirie: 18}"
    return {
        **read_bundle(None, ROOT / "mappings"),
        BRON: f"mapping: 1\nextends: open311\nversion: 1\n"
        f"tables: {{categories: {{entries: {codes}}}}}\n",
        BENCH: 'case: 1\nwords: {depot_sauvage: "17", voirie: "18"}\n',
    }


def test_everything_that_took_part_is_in_the_release(town: dict[str, str]) -> None:
    files = files_of(town, BRON)
    folder = "mappings/signalement-anomalie/"
    assert {BRON, SHARED, BENCH, f"{folder}formulaire.json"} <= set(files)
    assert {f"{folder}open311.cases/{n}" for n in ("bench.yaml", "1-demandes.yaml")} <= set(files)
    assert routed(files) == (BRON,)
    assert extended(files) == {SHARED}
    assert set(rendered(files)) == {"signalement-anomalie/open311-bron"}
    assert bases_of(files, BRON) == ((SHARED, town[SHARED]),)
    assert not [name for name in files if name.startswith(f"{folder}rest")]


def test_the_cases_are_inherited_with_words_of_ones_own(town: dict[str, str]) -> None:
    shared = read_cases(town, "signalement-anomalie/open311")
    own = read_cases(town, "signalement-anomalie/open311-bron")
    assert len(own) == len(shared)
    leaves = rendered(files_of(town, BRON))["signalement-anomalie/open311-bron"]
    first = own[0]
    assert leaves[first.title]["service_code"] == "17"
    assert first.expect is not None
    assert first.expect.calls is not None
    assert first.expect.calls[0].multipart is not None
    assert first.expect.calls[0].multipart["service_code"] == "17"
    titles = [case.title for case in own]
    assert "La catégorie « voirie » du formulaire part au service « 18 »" in titles
    assert "La catégorie « eclairage » du formulaire part au service « EC01 »" in titles


def test_a_case_of_ones_own_stands_for_the_inherited_one_and_null_removes_it(
    town: dict[str, str],
) -> None:
    key = "signalement-anomalie/open311-bron"
    before = [case.title for case in read_cases(town, key)]
    first, second, *_ = before
    cases: list[dict[str, object]] = [
        {"title": first, "expect": {"refused": {}}},
        {"title": second, "expect": None},
    ]
    files = town | {OWN_CASES: json.dumps({"case": 1, "cases": cases})}
    found = read_cases(files, key)
    assert sorted(case.title for case in found) == sorted({*before} - {second})
    assert [case.file for case in found if case.title == first] == [OWN_CASES]
    cases[1]["title"] = "Un cas que personne n'a"
    with pytest.raises(ConfigurationFault, match="none has this title"):
        read_cases(town | {OWN_CASES: json.dumps({"case": 1, "cases": cases})}, key)


def test_the_bench_may_be_the_communes_own_settings(town: dict[str, str]) -> None:
    files = town | {BENCH: 'case: 1\ncommune: "69029"\n'}
    own = read_cases(files, "signalement-anomalie/open311-bron")
    assert {case.commune for case in own} == {"69029"}
    assert {case.bench.options for case in own if case.bench.options is None} == {None}
    assert own[0].bench.answers


def test_options_of_the_bench_are_changed_key_by_key(town: dict[str, str]) -> None:
    files = town | {BENCH: "case: 1\noptions: {media: url, updates: null}\n"}
    options = read_cases(files, "signalement-anomalie/open311-bron")[0].bench.options
    assert options is not None
    assert options["media"] == "url"
    assert "updates" not in options
    assert options["endpoint"].endswith("/open311/v2")


def test_only_what_is_said_counts_in_the_digest(town: dict[str, str]) -> None:
    assert cases_of(town, "signalement-anomalie/open311-bron").keys() >= {BENCH}
    plain = dataclasses.replace(mapping_of(town, SHARED), key="")
    commented = mapping_of({**town, SHARED: town[SHARED] + "# vu\n"}, SHARED)
    assert dataclasses.replace(commented, key="").submit == plain.submit


def test_the_schema_takes_one_that_extends_and_one_that_does_not() -> None:
    schema = json.loads((ROOT / "mappings/mapping.schema.json").read_text("utf-8"))
    validator = Draft202012Validator(schema)
    own = OWN_HEAD + "submit: {canal: null}\ntables: {natures: {entries: {trou: null}}}\n"
    for text in (BASE_TEXT, own, OWN_HEAD + "statuses: null\n"):
        assert not list(validator.iter_errors(load_yaml(text, "x").value))
    typo = BASE_TEXT.replace("nature, table", "nature, tabel")
    for text in (
        typo,
        OWN_HEAD.replace("extends: commune\n", ""),
        OWN_HEAD.replace("version: 1\n", ""),
    ):
        assert list(validator.iter_errors(load_yaml(text, "x").value))
    files = {BASE: BASE_TEXT, OWN: own.replace("submit: {canal: null}\n", "")}
    assert resolved(files, OWN).place(("submit", "voie")) == (BASE, 13, 3)
