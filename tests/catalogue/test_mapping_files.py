"""Mapping files: every fault at its line with a remedy; the shipped files and their schema."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.catalogue import registry
from gateway.catalogue.config_faults import validate
from gateway.catalogue.explain import preview
from gateway.catalogue.mapping_files import lint, load_mapping
from gateway.catalogue.mapping_model import MappingFile
from gateway.catalogue.yaml_reader import load_yaml
from gateway.contracts.case_model import CasesFile
from gateway.core.errors import ConfigurationFault
from gateway.core.mapping import RequestMapping, source_paths
from gateway.core.render import Unmappable
from gateway.core.request import EventKind

ROOT = Path(__file__).parents[2]
ADAPTERS = registry.survey().adapters
HEAD = "mapping: 1\nteleservice: essai\nadapter: rest\nversion: 1\n"


def faults(text: str, file: str = "essai.yaml") -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigurationFault) as caught:
        load_mapping(text, file)
    assert all(fault.file == file for fault in caught.value.faults)
    return [(fault.line, fault.what, fault.remedy) for fault in caught.value.faults]


RULE_FAULTS = [
    ("t: {path: fields.x, tabel: c}", "`tabel` is not known", "did you mean `table`?"),
    ("t: {path: 'fields..x'}", "not a JMESPath expression, at character 8", "quotes"),
    ("t: fields.a-b", "not a JMESPath expression, at character 9", 'fields."a-b"'),
    ("t: field.x", "no `field` at its first level", "did you mean `fields`?"),
    ("t: {path: id, when: filds.x}", "no `filds` at its first level", "did you mean `fields`?"),
    ("t: {path: id, constant: x}", "cannot stand together: path, constant", "keep one"),
    ("t: {path: id, table: categorie}", "no table `categorie`", "did you mean `categories`?"),
    ("t: {join: []}", "too few entries (at least 1)", ""),
    ("t: {path: id, with: ','}", "`with` does not go with path", "remove"),
    ("t: {join: [id, {rows: fields.x, each: {a: b}}]}", "rows cannot be joined", ""),
    ("t: {rows: fields.x}", "rows need `each`", "add `each:`"),
    ("t: {rows: fields.x, each: {a: b}, type: text}", "`type` does not go with rows", ""),
    ("t: {path: id, type: texte}", "does not take this value", "did you mean `text`?"),
    ("t: {path: id, date: '%B'}", "`%B` is not allowed", "strftime with"),
    ("t: {path: id, date: jour}", "no date format", "`iso`"),
    ("t: {path: id, date: iso, zone: Europe/Pari}", "no such time zone", "Europe/Paris"),
    ("t: {path: id, zone: Europe/Paris}", "`zone` is of no use without `date`", "remove"),
    ("t: {path: id, truncate: true}", "`too_long` is of no use without `max_length`", "add"),
    ("t: {path: id, max_length: 0}", "must be at least 1", ""),
    ("t: {constant: null}", "`constant` cannot be empty", "leave the target out"),
    ("t: {path: null}", "`path` cannot be empty", "leave the target out"),
    ("t: 12", "a rule is a path, or has one of", ""),
    ("t: {}", "`t` has no rule", "write one"),
    ("a..b: id", "`a..b` is no target name", "dots"),
    ("'a[0]': id", "`a[0]` is no target name", "dots"),
    ("a: id\n  a.b: id", "`a.b` is in the way of one on line 8", "keep one"),
    ("a.b: id\n  a: {b: id}", "`a.b` is already made on line 8", "keep one"),
    ("t: {rows: fields.x, each: {a: {b: {pth: x}}}}", "not a JMESPath", ""),
]


@pytest.mark.parametrize(("rule", "what", "remedy"), RULE_FAULTS)
def test_a_bad_rule_is_named_at_its_line(rule: str, what: str, remedy: str) -> None:
    tables = "tables: {categories: {entries: {a: b}}}\nnotes: {}\n"
    if "pth" in rule:  # an unknown kind is read as nested targets, so its line must still be right
        rule = rule.replace("pth: x", "pth: 'x y'")
    found = faults(f"{HEAD}{tables}submit:\n  {rule}\n")
    assert len(found) == 1
    assert found[0][0] == 8 + rule.count("\n")
    assert what in found[0][1]
    assert remedy in found[0][2]


@pytest.mark.parametrize(
    ("part", "what", "remedy"),
    [
        ("statuses: {open: accpted}", "not a canonical status", "did you mean `accepted`?"),
        ("statuses: {open: {status: fini}}", "not a canonical status", "known here: accepted"),
        ("statuses: {open: done, Open: done}", "`Open` is already on line 7", "keep one"),
        ("statuses: {open: {status: ignore, message: x}}", "has no message", "remove"),
        ("statuses: {open: 3}", "must have keys", ""),
        ("attachments: tout", "`attachments` does not take this value", "all, none"),
        ("attachments: {fields: ['a[0]']}", "is not written as it must be", ""),
        ("attachments: {fields: [a], maks: 3}", "`maks` is not known", "did you mean `max`?"),
        ("amend: {mesage: {a: id}}", "does not take this value", "did you mean `message`?"),
        ("portal: {triggers: {done: {}}}", "either `hook` or `jump`", "keep one"),
        ("portal: {words: {fini: x}}", "not a canonical status", "known here"),
        ("notes: {public: toujours}", "does not take this value", "known here"),
        ("unknown_status: drop", "does not take this value", "known here"),
        ("teleservices: x", "`teleservices` is not known", "did you mean `teleservice`?"),
    ],
)
def test_a_bad_section_is_named_at_its_line(part: str, what: str, remedy: str) -> None:
    found = faults(f"{HEAD}submit:\n  t: id\n{part}\n")
    assert [line for line, *_ in found] == [7]
    assert what in found[0][1]
    assert remedy in found[0][2]


def test_all_faults_come_at_once() -> None:
    text = "mapping: 2\nteleservice: Essai\nversion: zéro\n"
    text += "submit:\n  a: 'x y'\n  b: {path: id, x: 1}\n"
    assert [line for line, *_ in faults(text)] == [1, 1, 2, 3, 5, 6]


def test_a_missing_key_is_said() -> None:
    assert (1, "`adapter` is missing at the top level", "add `adapter:`") in faults("mapping: 1\n")


@pytest.mark.parametrize("text", ["", "- a", "texte"])
def test_a_file_of_another_shape_is_one_fault(text: str) -> None:
    assert len(faults(text)) == 1


def test_the_folder_is_the_teleservice() -> None:
    found = faults(f"{HEAD}submit: {{t: id}}\n", "mappings/autre/rest.yaml")
    assert found == [
        (
            2,
            "the file lies in `autre`, and says teleservice `essai`",
            "move the file or mend the line",
        )
    ]


def test_lint_warns() -> None:
    text = (
        f"{HEAD}tables: {{t: {{entries: {{a: b}}}}}}\nsubmit: {{t: number}}\n"
        "statuses: {open: accepted}\nunknown_status: ignore\nnotes: {public: always}\n"
        "portal: {words: {planned: x}}\n"
    )
    found = [f"{f.line} {f.what}" for f in lint(load_mapping(text, "essai.yaml"))]
    for part in (
        "5 the table `t` is not used",
        "no rule sends our reference",
        "no status of the GRU ends",
        "dropped in silence",
        "every note",
        "the portal is never called",
        "trigger for `planned`",
        "no rule for message, change, cancellation",
    ):
        assert any(part in line for line in found), part
    assert len(found) == 8


def shipped() -> dict[str, RequestMapping]:
    files = sorted((ROOT / "mappings").glob("*/*.yaml"))
    found = [load_mapping(f.read_text("utf-8"), str(f.relative_to(ROOT))) for f in files]
    return {mapping.key: mapping for mapping in found}


def test_shipped_mappings_are_clean() -> None:
    found = shipped()
    assert set(found) >= {
        "signalement-anomalie/open311",
        "signalement-anomalie/rest",
        "inscription-scolaire/rest",
    }
    for mapping in found.values():
        told = lint(mapping, referenced=ADAPTERS[mapping.adapter].sends_reference)
        assert [str(fault) for fault in told] == []


@pytest.mark.parametrize("name", ["signalement-anomalie", "inscription-scolaire"])
def test_shipped_mappings_read_fields_that_the_form_has(name: str) -> None:
    fields = json.loads((ROOT / "tests/samples" / f"{name}.json").read_text("utf-8"))["fields"]
    for mapping in shipped().values():
        if mapping.teleservice != name:
            continue
        for source in source_paths(mapping):
            if source.path.startswith("fields."):
                value = fields
                for step in source.path.replace("[]", ".0").split(".")[1:]:
                    if isinstance(value, list):
                        value = value[int(step)]
                    else:
                        assert step in value, f"{mapping.file}:{source.line}: {source.path}"
                        value = value[step]


def test_an_event_may_be_left_to_the_adapter_s_options() -> None:
    text = f"{HEAD}submit: {{t: number}}\n"
    mapping = load_mapping(text + "amend: {message: {}, change: {}, cancellation: {}}\n", "m.yaml")
    assert mapping.rules(EventKind.MESSAGE) == ()
    told = [fault.what for fault in lint(mapping)]
    assert "no rule sends our reference" in told
    assert not any("`amend`" in what for what in told)
    assert "no rule sends our reference" not in [f.what for f in lint(mapping, referenced=True)]


def test_amendable_kinds_are_those_of_the_file() -> None:
    schema = MappingFile.model_json_schema()["properties"]["amend"]
    assert set(schema["propertyNames"]["enum"]) == set(EventKind) - {EventKind.CREATION}


def test_preview_shows_value_source_and_line() -> None:
    text = (
        f"{HEAD}tables: {{t: {{entries: {{a: A}}}}}}\nsubmit:\n"
        "  c: {path: fields.c, table: t}\n  d: {path: fields.d, default: x}\n"
        "  k: {rows: fields.k, each: {n: n}}\nattachments: all\n"
    )
    mapping = load_mapping(text, "essai.yaml")
    document = {
        "fields": {"c": "a", "k": [{}, {"n": 2}]},
        "attachments": [{"field": "p", "filename": "f"}],
    }
    rows = preview(mapping, document)
    assert not isinstance(rows, Unmappable)
    assert [(r.target, r.value, r.source, r.line) for r in rows] == [
        ("c", "A", "fields.c (table t)", 7),
        ("d", "x", "default (empty: fields.d)", 8),
        ("k[0].n", 2, "fields.k[].n", 9),
        ("attachments[0]", "f", "p", 10),
    ]
    assert isinstance(preview(mapping, {"fields": {"c": "z"}}), Unmappable)


def test_yaml_means_what_it_says() -> None:
    located = load_yaml(
        "a: on\nb: 01234\nc: [1, 2.5, '3', 2026-01-01, null, true, no]\n69029: é\n"
        "base: &b {x: 1, y: 2}\nd:\n  <<: *b\n  y: 3\n",
        "f.yaml",
    )
    assert located.value == {
        "a": "on",
        "b": "01234",
        "c": [1, 2.5, "3", "2026-01-01", None, True, "no"],
        "69029": "é",
        "base": {"x": 1, "y": 2},
        "d": {"y": 3, "x": 1},
    }
    assert located.line(("d", "y")) == 8
    assert located.line(("d", "z", 3)) == 6
    assert located.at(("d",)).line(("y",)) == 8
    assert load_yaml("", "f").value is None


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: 1\na: 2", 3, "`a` is already set on line 1"),
        ("a:\n  - !!python/object:x 1", 2, "is not allowed"),
        ("a: 1\nb: [", 2, "not YAML"),
        ("a: 1\n\tb: 1", 2, "a tab indents this line"),
        ("a:\n  b: 1\n\tc: 2\n", 3, "a tab indents this line"),
        ("a:\n\tb: 1\n\tc: 2\n", 2, "a tab indents this line"),
        ("a: 1\nb: \x01", 2, "not YAML"),
        ("a: 1\n---\nb: 2", 2, "more than one document"),
        ("a: &x [*x]", 1, "contains itself"),
        ("a: *nope", 1, "not YAML"),
        ("? [a]\n: 1", 1, "a key must be plain text"),
        ("a: 1\nb:\n  <<: 3", 3, "`<<` merges keys"),
        ("[" * 5000, 1, "not YAML"),
        (BOMB, 1, "too many values"),
    ],
)  # fmt: skip
def test_bad_yaml_is_a_fault_at_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        load_yaml(text, "f.yaml")
    assert [f.line for f in caught.value.faults] == [line] or "too many" in what
    assert what in str(caught.value)


GUIDES = ("docs/fr/mappings.md", "docs/mappings.md")


@pytest.mark.parametrize("page", GUIDES)
def test_the_examples_of_the_guide_load(page: str) -> None:
    guide = (ROOT / page).read_text("utf-8")
    every = re.findall(r"```yaml\n(.*?)```", guide, flags=re.DOTALL)
    blocks = [block for block in every if "extends:" not in block and "case: 1" not in block]
    shared = ROOT / "mappings/signalement-anomalie/open311.yaml"
    base, file = str(shared), str(shared.with_name("guide.yaml"))
    for block in every:
        if "extends:" in block:
            load_mapping(block, file, ((base, shared.read_text("utf-8")),))
        elif "case: 1" in block:
            validate(CasesFile, load_yaml(block, "guide.yaml"))
    rules = re.findall(r"\| `(\{path: .*?\})` \|", guide)
    text = "".join(blocks).replace("tables:\n", "tables:\n  niveaux: {entries: {a: b}}\n")
    text += "submit:\n" + "".join(f"  r{i}: {rule}\n" for i, rule in enumerate(rules))
    mapping = load_mapping(text, "mappings/signalement-anomalie/guide.yaml")
    assert len(mapping.submit) == len(rules) >= 16
    assert mapping.portal.hook == "retour_commune"


@pytest.mark.parametrize("page", GUIDES)
def test_the_guide_has_each_key_and_word_of_the_language(page: str) -> None:
    guide = (ROOT / page).read_text("utf-8")
    schema = json.loads((ROOT / "mappings/mapping.schema.json").read_text("utf-8"))
    words: set[str] = set()

    def look(part: object) -> None:
        if isinstance(part, dict):
            words.update(part.get("properties", {}))
            words.update(one for one in part.get("enum", ()) if isinstance(one, str))
            for key, inner in part.items():
                if key != "propertyNames":
                    look(inner)
        elif isinstance(part, list):
            for inner in part:
                look(inner)

    look(schema)
    missing = sorted(word for word in words if not re.search(rf"\b{re.escape(word)}\b", guide))
    assert missing == []
    assert len(words) > 60


def test_what_two_looks_find_is_told_at_once() -> None:
    """Seen: a word that is not known hid a table that is not there."""
    text = (
        "mapping: 1\nteleservice: essai\nadapter: dummy\nversion: 1\nnote: {x: y}\n"
        "tables: {a: {entries: {}}}\n"
        "submit:\n  t: {path: fields.a, table: a}\n  u: {path: fields.b, table: b}\n"
    )
    with pytest.raises(ConfigurationFault) as caught:
        load_mapping(text, "mappings/essai/z.yaml")
    told = [(fault.line, fault.said.word) for fault in caught.value.faults]
    assert told == [(5, "not_known"), (6, "too_few"), (9, "no_table")]
