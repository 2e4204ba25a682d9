"""Rendering: what each kind of rule makes, and what it says when it cannot."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue.mapping_files import load_mapping
from gateway.core.mapping import RequestMapping
from gateway.core.render import Rendered, Unmappable, render
from gateway.core.request import EventKind

ROOT = Path(__file__).parents[2]
HEAD = "mapping: 1\nteleservice: essai\nadapter: rest\nversion: 1\n"
SECRET = "Zoé Fictive-Exemple"


def made(rules: str, more: str = "") -> RequestMapping:
    body = "".join(f"  {line}\n" for line in rules.splitlines())
    return load_mapping(f"{HEAD}{more}submit:\n{body}", "essai.yaml")


def payload(rules: str, fields: dict[str, Any], more: str = "") -> dict[str, Any]:
    rendered = render(made(rules, more), {"id": "TDG-0", "fields": fields})
    assert isinstance(rendered, Rendered), rendered
    return rendered.payload


def codes(rules: str, fields: dict[str, Any], more: str = "") -> list[tuple[str, str]]:
    rendered = render(made(rules, more), {"id": "TDG-0", "fields": fields})
    assert isinstance(rendered, Unmappable), rendered
    assert SECRET not in rendered.summary()
    return [(fault.target, fault.code) for fault in rendered.faults]


def sample(name: str) -> dict[str, Any]:
    data = json.loads((ROOT / "tests/samples" / f"{name}.json").read_text("utf-8"))
    files = ["photo", "enfants_raw.1.carnet_vaccination", "enfants_raw.0.carnet_vaccination"]
    return {
        "id": "TDG-01JD3M7W2K9XQ4ZB",
        "number": data["display_id"],
        "channel": "web",
        "submitted_at": "2026-03-12T07:41:07Z",
        "event": {"key": "creation", "kind": "creation", "message": None},
        "user": {"name": data["user"]["name"], "email": data["user"]["email"], "uuid": None},
        "fields": data["fields"],
        "location": data["fields"]["localisation"],
        "attachments": [{"field": name, "filename": f"{name}.pdf"} for name in files],
    }


def shipped() -> dict[str, RequestMapping]:
    files = sorted((ROOT / "mappings").glob("*/*.yaml"))
    found = [load_mapping(f.read_text("utf-8"), str(f.relative_to(ROOT))) for f in files]
    return {mapping.key: mapping for mapping in found}


@pytest.mark.parametrize(
    ("rule", "value", "wanted"),
    [
        ("fields.x", "a", "a"),
        ("fields.x", False, False),
        ("fields.x", 0, 0),
        ("{constant: Bron}", None, "Bron"),
        ("{path: fields.x, default: rien}", "  ", "rien"),
        ("{path: fields.x, type: text}", True, "true"),
        ("{path: fields.x, type: text}", ["a", 1], "a, 1"),
        ("{path: fields.x, type: number}", "1,5", 1.5),
        ("{path: fields.x, type: integer}", "0012", 12),
        ("{path: fields.x, type: boolean}", "Non", False),
        ("{path: fields.x, max_length: 4, truncate: true}", "abcdefg", "abc…"),
        ("{path: fields.x, max_length: 4}", "abcd", "abcd"),
        (
            "{path: fields.x, strip_html: true}",
            "<p>L&#39;été</p><p>1 &lt; 2<br/>fin</p>",
            "L'été\n1 < 2\nfin",
        ),
        ("{path: fields.x, date: '%d/%m/%Y'}", "2026-03-11", "11/03/2026"),
        ("{path: fields.x, date: iso}", "2026-07-01T10:00:00Z", "2026-07-01T12:00:00+02:00"),
        (
            "{path: fields.x, date: iso, zone: UTC}",
            "2026-01-01T00:30:00+01:00",
            "2025-12-31T23:30:00+00:00",
        ),
        (
            "{path: fields.x, date: '%Y-%m-%dT%H:%M:%S%z'}",
            "2026-01-05T08:00:00",
            "2026-01-05T08:00:00+0100",
        ),
        ("{path: 'fields.x[?ok].n | [0]'}", [{"n": 1}, {"n": 2, "ok": True}], 2),
    ],
)
def test_a_rule_makes_its_value(rule: str, value: Any, wanted: Any) -> None:
    found = payload(f"t: {rule}", {"x": value})
    assert found == {"t": wanted}
    assert type(found["t"]) is type(wanted)


@pytest.mark.parametrize("value", [None, "", "   ", [], {}])
def test_an_empty_value_leaves_the_target_out(value: Any) -> None:
    assert payload("t: fields.x\nu: {constant: 1}", {"x": value}) == {"u": 1}


@pytest.mark.parametrize(
    ("rule", "value", "code"),
    [
        ("{path: fields.x, required: true}", " ", "required"),
        ("{path: fields.x, required: true, strip_html: true}", "<p> </p>", "required"),
        ("{path: fields.x, type: number}", SECRET, "type"),
        ("{path: fields.x, type: integer}", "1.5", "type"),
        ("{path: fields.x, type: integer}", True, "type"),
        ("{path: fields.x, type: text}", {"a": SECRET}, "type"),
        ("{path: fields.x, type: boolean}", SECRET, "type"),
        ("{path: fields.x, date: iso}", SECRET, "date"),
        ("{path: fields.x, date: iso, zone: America/New_York}", "0001-01-01T00:00:00Z", "date"),
        ("{path: fields.x, max_length: 3}", SECRET, "length"),
        ("{path: 'join(`\",\"`, fields.x)'}", SECRET, "expression"),
        ("{path: fields.y, when: 'length(fields.x) > `1`'}", 3, "expression"),
        ("{rows: fields.x, each: {n: n}}", SECRET, "rows"),
    ],
)
def test_what_cannot_be_made_is_said_without_the_value(rule: str, value: Any, code: str) -> None:
    assert codes(f"t: {rule}", {"x": value}) == [("t", code)]


def test_all_faults_are_told_with_place_and_source() -> None:
    mapping = made("a: {path: fields.x, required: true}\nb: {path: fields.y, type: number}")
    found = render(mapping, {"fields": {"y": SECRET}})
    assert isinstance(found, Unmappable)
    assert [(f.target, f.line) for f in found.faults] == [("a", 6), ("b", 7)]
    first, second = found.summary().splitlines()
    assert first.startswith("essai.yaml:6: Le champ « a »")
    assert "fields.x est vide" in first
    assert "fields.y" in second
    assert SECRET not in second


TABLES = "tables:\n  t: {entries: {depot: DS01, 'true': Oui, '3': trois}}\n"
TABLES_DEFAULT = "tables:\n  t: {entries: {depot: DS01}, default: AUTRE}\n"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("depot", "DS01"), (True, "Oui"), (3, "trois"), (["depot", 3], ["DS01", "trois"])],
)
def test_a_table_is_looked_up_by_text(value: Any, wanted: Any) -> None:
    assert payload("c: {path: fields.x, table: t}", {"x": value}, TABLES) == {"c": wanted}


@pytest.mark.parametrize("value", [SECRET, ["depot", SECRET], {"a": 1}])
def test_a_value_out_of_the_table_parks(value: Any) -> None:
    assert codes("c: {path: fields.x, table: t}", {"x": value}, TABLES) == [("c", "table")]


def test_a_table_default_answers_for_the_unknown() -> None:
    assert payload("c: {path: fields.x, table: t}", {"x": SECRET}, TABLES_DEFAULT) == {"c": "AUTRE"}


def test_join_skips_what_is_empty() -> None:
    rule = """t:
  join:
    - {path: fields.a}
    - fields.b
    - {path: fields.c, when: fields.on}
    - {join: [fields.d, {constant: e}], with: "-"}
  with: " | \""""
    assert payload(rule, {"a": "A", "b": "", "c": "C", "d": 4}) == {"t": "A | 4-e"}
    assert payload(rule, {"c": "C", "on": True}) == {"t": "C | e"}


@pytest.mark.parametrize(
    ("on", "there"),
    [(True, True), ("x", True), (0, True), (False, False), ([], False), ("", False), (None, False)],
)
def test_when_follows_jmespath_truth(on: Any, there: bool) -> None:
    rule = "t: {path: fields.x, when: fields.on, required: true}"
    assert ("t" in payload(f"{rule}\nu: id", {"x": 1, "on": on})) is there


ROWS = """kids:
  rows: fields.enfants
  each:
    name.first: {path: prenom, required: true}
    owner: {path: id, root: true}
    toys: {rows: jouets, each: {n: n}}"""


def test_rows_read_the_row_and_root_the_request() -> None:
    found = payload(ROWS, {"enfants": [{"prenom": "Lila", "jouets": [{"n": 1}, {"m": 2}]}]})
    assert found == {
        "kids": [{"name": {"first": "Lila"}, "owner": "TDG-0", "toys": [{"n": 1}]}],
    }
    assert codes(ROWS, {"enfants": [{"prenom": "Lila"}, {"id": "x"}]}) == [
        ("kids[1].name.first", "required")
    ]


def test_origins_name_line_and_sources() -> None:
    mapping = made(f"{ROWS}\nd: {{path: fields.z, default: 1}}")
    rendered = render(mapping, {"id": "TDG-0", "fields": {"enfants": [{"prenom": "Lila"}]}})
    assert isinstance(rendered, Rendered)
    origins = {o.target: (o.line, o.sources, o.defaulted) for o in rendered.origins}
    assert origins == {
        "kids[0].name.first": (9, ("fields.enfants[].prenom",), False),
        "kids[0].owner": (10, ("id",), False),
        "kids": (6, ("fields.enfants",), False),
        "d": (12, ("fields.z",), True),
    }


def test_payloads_share_nothing_with_the_mapping() -> None:
    mapping = made("t: {constant: {a: [1]}}")
    first = render(mapping, {})
    assert isinstance(first, Rendered)
    first.payload["t"]["a"].append(2)
    second = render(mapping, {})
    assert isinstance(second, Rendered)
    assert second.payload == {"t": {"a": [1]}}


def files(choice: str, names: list[str], kind: EventKind = EventKind.CREATION) -> Any:
    mapping = made("t: {constant: 1}", f"attachments: {choice}\n")
    rendered = render(mapping, {"attachments": [{"field": n} for n in names]}, kind)
    if isinstance(rendered, Unmappable):
        return [fault.code for fault in rendered.faults]
    return [file["field"] for file in rendered.attachments]


def test_attachments_are_those_named() -> None:
    names = ["b.0.f", "secret", "photo", "b.12.f", "b.x.f"]
    assert files("{fields: [photo, 'b[*].f']}", names) == ["photo", "b.0.f", "b.12.f"]
    assert files("all", names) == names
    assert files("none", names) == []
    assert files("{fields: ['b[*].f'], max: 1}", names) == ["attachments"]
    assert files("{fields: ['b[*].f'], max: 1, beyond: leave}", names) == ["b.0.f"]
    assert files("all", names, EventKind.MESSAGE) == []
    assert files("{fields: ['b[*].f'], max: 1}", names, EventKind.DOCUMENT) == ["b.0.f", "b.12.f"]


def test_amend_has_its_own_rules() -> None:
    mapping = made("t: {constant: 1}", "amend: {message: {body: event.message}}\n")
    told = render(mapping, {"event": {"message": "Bonjour"}}, EventKind.MESSAGE)
    assert isinstance(told, Rendered)
    assert told.payload == {"body": "Bonjour"}
    other = render(mapping, {}, EventKind.CANCELLATION)
    assert isinstance(other, Rendered)
    assert other.payload == {}


def test_the_open311_mapping_renders_its_sample() -> None:
    rendered = render(shipped()["signalement-anomalie/open311"], sample("signalement-anomalie"))
    assert isinstance(rendered, Rendered)
    assert rendered.payload == {
        "service_code": "DS01",
        "lat": 45.7334,
        "long": 4.9118,
        "address_string": "12 Rue de l’Invention, 69500 Bron",
        "description": "Un canapé et des gravats sur le trottoir, devant le n°12.\n"
        "Ça gêne le passage des poussettes.\nDevant le portail",
        "email": "zoe.fictive@exemple.invalid",
        "last_name": "Zoé Fictive-Exemple",
        "phone": "0199000000",
        "attributes": {
            "toodego_ref": "TDG-01JD3M7W2K9XQ4ZB",
            "toodego_numero": "37-1042",
            "date_constat": "2026-03-11",
            "complements": ["encombrants", "gravats"],
            "volume_m3": "1.5",
        },
    }
    assert [file["field"] for file in rendered.attachments] == ["photo"]


def test_contact_stays_home_without_consent() -> None:
    document = sample("signalement-anomalie")
    document["fields"]["accepte_contact"] = False
    for name in ("open311", "rest"):
        rendered = render(shipped()[f"signalement-anomalie/{name}"], document)
        assert isinstance(rendered, Rendered)
        text = json.dumps(rendered.payload, ensure_ascii=False)
        assert not any(word in text for word in ("Zoé", "zoe.fictive", "0199000000"))


def test_the_school_mapping_renders_its_sample() -> None:
    rendered = render(shipped()["inscription-scolaire/rest"], sample("inscription-scolaire"))
    assert isinstance(rendered, Rendered)
    children = rendered.payload["children"]
    assert [(c["first_name"], c["grade"], c["sex"]) for c in children] == [
        ("Lila", "CP", "female"),
        ("Noé", "PS", "male"),
    ]
    assert rendered.payload["second_guardian"]["name"] == "Amélie D'ESSAI"
    assert rendered.payload["description"] == "Fratrie : merci de privilégier des écoles proches."
    assert len(rendered.attachments) == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)
NAMES = sorted(
    {key for n in ("signalement-anomalie", "inscription-scolaire") for key in sample(n)["fields"]}
)
rows = st.lists(st.dictionaries(st.sampled_from(["nom", "niveau_raw", "sexe_raw"]), json_values))
documents = json_values | st.fixed_dictionaries(
    {},
    optional={
        "id": json_values,
        "submitted_at": json_values,
        "event": json_values,
        "user": json_values | st.fixed_dictionaries({"name": json_values, "email": json_values}),
        "location": json_values | st.fixed_dictionaries({"lat": json_values, "lon": json_values}),
        "fields": st.dictionaries(st.sampled_from(NAMES), json_values | rows),
        "attachments": json_values | st.lists(st.fixed_dictionaries({"field": json_values})),
    },
)
EVERY_KIND = """a: {path: fields.precisions, type: integer}
b: {path: fields.precisions, type: number}
c: {path: fields.precisions, type: boolean}
d: {path: fields.precisions, date: iso, zone: America/New_York}
e: {path: fields.precisions, strip_html: true, type: text, max_length: 2, truncate: true}
f: {path: 'sort_by(fields.enfants_raw, &nom)[0] || to_number(fields.precisions)'}
g: {path: 'sum(fields.precisions)', table: t}
h: {rows: '@', each: {x: '@', y: {rows: '*', each: {z: '[0]'}}}}"""


@settings(max_examples=150, deadline=None)
@given(documents, st.sampled_from(EventKind))
def test_rendering_never_raises(document: Any, kind: EventKind) -> None:
    for mapping in (*shipped_once(), made_once()):
        rendered = render(mapping, document, kind)
        if isinstance(rendered, Unmappable):
            assert rendered.faults
            assert rendered.summary()


@cache
def shipped_once() -> tuple[RequestMapping, ...]:
    return tuple(shipped().values())


@cache
def made_once() -> RequestMapping:
    return made(EVERY_KIND, TABLES)


@pytest.mark.parametrize(
    "text", ["<" * 200_000, "<!--" * 50_000, " " * 200_000 + "<", "&" * 100_000]
)
def test_hostile_rich_text_takes_no_time(text: str) -> None:
    start = time.process_time()
    payload("t: {path: fields.x, strip_html: true}", {"x": text})
    assert time.process_time() - start < 2
