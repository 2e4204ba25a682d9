"""The register of personal data: from mappings alone, in columns, for a French spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime

import pytest

from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.mapping_files import load_mapping, load_mappings
from gateway.catalogue.release import file_digest
from gateway.catalogue.yaml_reader import load_yaml
from gateway.contracts.linting import doubts_of
from gateway.contracts.register import (
    COLUMNS,
    TO_TELL,
    as_csv,
    as_html,
    register_of_mappings,
)
from gateway.contracts.spreadsheet import plain_cell, sheet_row
from gateway.core.mapping import RequestMapping, source_paths
from gateway.core.purposes import unpurposed, unsent
from tests.life import ROOT

SHIPPED, _ = load_mappings(read_bundle(None, ROOT / "mappings"))
FILE = "mappings/essai/rest.yaml"
TEXT = """
mapping: 1
teleservice: essai
adapter: rest
version: 1
submit:
  ref: id
  name: {path: user.name, when: fields.accepte}
  free: fields.texte
  rows: {rows: fields.enfants_raw, each: {nom: nom, pai: {path: pai, type: boolean}}}
attachments: {fields: [photo]}
"""
TOLD = """
personal_data:
  purpose: Essayer
  basis: consent
  fields:
    user.*: {category: identity, purpose: Nommer l'usager}
    fields.texte: "=Lire"
    fields.enfants_raw: {category: family, purpose: Inscrire}
    fields.enfants_raw[].pai: {category: health, purpose: Accueillir, basis: legal_obligation}
    fields.photo: {category: document, purpose: Voir}
"""


def mapping(text: str) -> RequestMapping:
    return load_mapping(text, FILE)


@pytest.mark.parametrize("key", sorted(SHIPPED))
def test_the_shipped_mappings_tell_every_purpose(key: str) -> None:
    assert [one.path for one in unpurposed(SHIPPED[key])] == []
    assert [one.pattern for one in unsent(SHIPPED[key])] == []


def test_what_only_decides_is_not_sent_and_rows_are_read_by_their_path() -> None:
    paths = {one.path: one.target for one in source_paths(mapping(TEXT), sent=True)}
    assert paths == {
        "id": "ref",
        "user.name": "name",
        "fields.texte": "free",
        "fields.enfants_raw[].nom": "rows[].nom",
        "fields.enfants_raw[].pai": "rows[].pai",
        "fields.photo": "attachments",
    }


def test_lint_asks_for_each_purpose_at_its_line() -> None:
    asked = doubts_of(mapping(TEXT), load_yaml(TEXT, FILE))
    assert "no_purposes" in {one.said.word for one in asked}
    part = (
        TEXT
        + TOLD.replace("    fields.photo: {category: document, purpose: Voir}\n", "")
        + ("    fields.autre: Rien\n")
    )
    told = {one.said.word: one.line for one in doubts_of(mapping(part), load_yaml(part, FILE))}
    assert told["no_purpose"] == part[: part.index("attachments")].count("\n") + 1
    assert told["purpose_unsent"] == part[: part.index("fields.autre")].count("\n") + 1
    whole = {one.said.word for one in doubts_of(mapping(TEXT + TOLD), load_yaml(TEXT + TOLD, FILE))}
    assert not whole & {"no_purpose", "no_purposes", "purpose_unsent"}


def test_purposes_change_nothing_that_is_sent_and_so_no_digest() -> None:
    assert file_digest(FILE, TEXT) == file_digest(FILE, TEXT + TOLD)
    assert file_digest(FILE, TEXT) != file_digest(FILE, TEXT.replace("ref: id", "other: id"))


def test_the_csv_has_the_columns_and_no_formula() -> None:
    made = as_csv(register_of_mappings([mapping(TEXT + TOLD)]))
    assert made.startswith("\ufeff")
    assert "\r\n" in made
    rows = list(csv.DictReader(io.StringIO(made[1:], newline=""), delimiter=";"))
    assert list(rows[0]) == list(COLUMNS)
    by_data = {row["Donnée"]: row for row in rows}
    assert by_data["texte"]["Finalité de la donnée"] == "'=Lire"
    assert by_data["enfants_raw[].pai"]["Donnée sensible (art. 9)"] == "oui"
    assert "6.1.c" in by_data["enfants_raw[].pai"]["Base légale de la donnée"]
    assert by_data["enfants_raw[].nom"]["Finalité de la donnée"] == "Inscrire"
    assert by_data["user.name"]["Finalité du traitement"] == "Essayer"
    assert by_data["user.name"]["Origine"].startswith(f"{FILE}:")
    assert by_data["user.name"]["Conservation par la passerelle"].startswith("30 jours")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "|", "%", "\t=", "\r\n@", "＝"])
def test_no_cell_is_computed(start: str) -> None:
    assert plain_cell(f"{start}1+1")[0] == "'"


def test_a_row_is_one_line_however_hostile_its_cells() -> None:
    row = sheet_row(['a";=cmd|x', "deux\r\nlignes", None, 7, "=HYPERLINK(0)"])
    assert row == '"a"";=cmd|x";"deux lignes";"";"7";"\'=HYPERLINK(0)"\r\n'


def test_the_page_says_what_is_lacking_and_escapes_what_is_told() -> None:
    bare = register_of_mappings([mapping(TEXT)])
    assert bare[0].lacking
    assert TO_TELL in as_html(bare, datetime(2026, 3, 12, tzinfo=UTC))
    odd = TEXT + TOLD.replace("Nommer l'usager", "<script>x</script>")
    page = as_html(register_of_mappings([mapping(odd)]), datetime(2026, 3, 12, tzinfo=UTC))
    assert "<script>" not in page
    assert '<html lang="fr">' in page
    assert "<caption" in page
    assert 'scope="col"' in page
    assert "Registre des données personnelles</title>" in page.replace("\u00a0", " ")


@pytest.mark.parametrize(
    "page", ["register", "person_request", "decommission", "erasure", "violation"]
)
def test_tables_of_pages_that_people_read_become_lists_on_a_narrow_screen(page: str) -> None:
    """At 320 px a table of four columns would be wider than the page."""
    text = (ROOT / f"gateway/contracts/{page}.html.j2").read_text("utf-8")
    assert re.findall(r"<table(?! class=\"what\")", text) == []
