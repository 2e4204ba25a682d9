"""The doubts of `mapping lint`: alone, against the form's schema, the GRU's words, old files."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.catalogue.mapping_bases import merged
from gateway.catalogue.mapping_files import load_mapping
from gateway.catalogue.mapping_upgrade import STEPS, lifted, old_spellings, upgraded
from gateway.catalogue.yaml_reader import load_yaml
from gateway.contracts.linting import doubts_of, spelling_doubts
from gateway.core.mapping import FromPath
from gateway.core.messages import Language

FILE = "mappings/essai/rest.yaml"
TEXT = """\
mapping: 1
teleservice: essai
adapter: rest
version: 1
tables:
  natures:
    entries: {trou: T, puits: P}
submit:
  id: {path: id, required: true}
  nature: {path: fields.nature_raw, table: natures}
  enfants: {rows: fields.enfants_raw, each: {nom: nom, age: age}}
  source: {constant: toodego, default: x}
  etage: {path: fields.etage, default: RDC, required: true}
amend: {message: {a: event.message}, change: {a: fields.nature}, cancellation: {a: id}}
statuses: {ouvert: accepted, clos: done}
portal: {hook: retour_commune}
personal_data:
  purpose: Essayer
  fields:
    "fields.nature*": {category: request, purpose: Trier}
    fields.enfants_raw: {category: identity, purpose: Inscrire}
    fields.etage: Trouver
"""
SCHEMA: dict[str, Any] = {
    "fields": [
        {"varname": "nature", "label": "Nature", "type": "item", "items": ["trou", "bordure"]},
        {
            "varname": "enfants",
            "label": "Enfants",
            "type": "block:enfants",
            "schema": {"fields": [{"varname": "nom", "label": "Nom", "type": "string"}]},
        },
        {"varname": "etage", "label": "Étage", "type": "string"},
    ],
    "workflow": {"actions": {}, "fields": [{"varname": "retours_traites"}]},
}


def told(text: str = TEXT, language: Language = "en", **known: Any) -> list[str]:
    found = doubts_of(load_mapping(text, FILE), merged(text, FILE), **known)
    return [fault.placed(language).removeprefix(FILE + ":") for fault in found]


def test_what_never_comes_to_bear_is_told_at_its_column() -> None:
    assert told() == [
        "12:3: `source` is a constant, its `default` is never used (remove it)",
        "13:3: `etage` has a `default`, so that `required` never stops it (keep one of the two)",
    ]
    assert any("est une constante" in line for line in told(language="fr"))


def test_the_form_is_held_against_each_path_and_each_table() -> None:
    found = "\n".join(told(schema=SCHEMA))
    assert "7:3: " not in found
    assert "the form can send by `nature` what the table `natures` has not: bordure" in found
    assert "the table `natures` has what `nature` of the form never sends: puits" in found
    assert "11:3: the form, `enfants.age`" in found
    assert "the form, `retour_commune`" in found
    well = TEXT.replace("puits: P", "bordure: P").replace(", age: age", "")
    assert not [
        line
        for line in told(well, schema=SCHEMA)
        if "the form" in line and "hook" not in line and "retour" not in line
    ]
    open_table = TEXT.replace("puits: P}", "puits: P}\n    default: AUTRE")
    assert not [line for line in told(open_table, schema=SCHEMA) if "has not" in line]


def test_the_words_that_a_gru_can_say_are_known() -> None:
    (line,) = [one for one in told(words=frozenset({"OUVERT", "clos", "rouvert"})) if "say" in one]
    assert line.startswith("15:1: the GRU can say what `statuses` does not know: rouvert")


# --- old spellings ----------------------------------------------------------------------------

OLD = """\
mapping: 1
teleservice: essai
adapter: rest
version: 1
submit:
  a: {path: fields.a, strip_html: true}  # riche
  b:
    path: fields.b
    # coupé
    max_length: 3
    truncate: true
  c: {truncate: false, path: fields.c, max_length: 3}
  d: {join: [{path: id, strip_html: true}], with: ","}
  truncate: fields.e
amend:
  message: {a: {path: event.message, strip_html: false}}
"""
NEW = """\
mapping: 1
teleservice: essai
adapter: rest
version: 1
submit:
  a: {path: fields.a, rich_text: text}  # riche
  b:
    path: fields.b
    # coupé
    max_length: 3
    too_long: cut
  c: {path: fields.c, max_length: 3}
  d: {join: [{path: id, rich_text: text}], with: ","}
  truncate: fields.e
amend:
  message: {a: {path: event.message}}
"""


def test_an_old_file_is_lifted_as_it_is_read_and_written_anew_on_demand() -> None:
    assert upgraded(OLD, FILE) == NEW
    assert upgraded(NEW, FILE) == NEW
    old, new = load_mapping(OLD, FILE), load_mapping(NEW, FILE)
    assert old.submit == new.submit
    assert old.amend == new.amend
    assert isinstance(new.submit[-1].source, FromPath)  # a target may be called so
    assert lifted(load_yaml(OLD, FILE)).value == load_yaml(NEW, FILE).value
    assert lifted(load_yaml(NEW, FILE)).value == load_yaml(NEW, FILE).value


def test_each_old_spelling_is_told_at_its_place_with_what_stands_for_it() -> None:
    found = [
        fault.placed().removeprefix(f"{FILE}:") for fault in spelling_doubts(load_yaml(OLD, FILE))
    ]
    assert "6:23: `strip_html` is an old spelling of `rich_text: text`" in found[0]
    assert len(found) == 5
    assert not spelling_doubts(load_yaml(NEW, FILE))
    assert {one.step.option for one in old_spellings(load_yaml(OLD, FILE))} == {
        step.option for step in STEPS
    }


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.option)
def test_each_step_says_why(step: Any) -> None:
    assert step.why
    assert all(now is None or len(now) == 2 for now in step.now.values())
