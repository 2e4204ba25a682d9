"""Files of cases: what they may say, and every fault of them at its line."""

from __future__ import annotations

import pytest

from gateway.contracts.cases import read_cases
from gateway.core.errors import ConfigurationFault
from tests.contracts.small import FOLDER, KEY, bundle


def faults(files: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationFault) as raised:
        read_cases(files, KEY)
    return [str(fault) for fault in raised.value.faults]


def test_cases_are_read_in_order_and_examples_make_cases() -> None:
    cases = read_cases(bundle(), KEY)
    assert [case.title for case in cases][:3] == [
        "Un trou dans la chaussée",
        "Une bordure, un fichier d'un autre champ reste",
        "Une nature inconnue ou absente attend un agent",
    ]
    examples = [
        case.given.fields["nature_raw"] for case in cases if case.expect and case.expect.refused
    ]
    assert examples == ["autre", None]


def test_a_mapping_without_folder_has_no_case() -> None:
    assert read_cases({}, KEY) == ()


def test_every_fault_is_told_at_its_line() -> None:
    files = bundle(
        cases=(
            "expect: {calls: [{POST: /demandes, has: {nature: trottoir}}]}",
            "expect: {appels: []}",
        ),
        returns=("given: {status: ailleurs}", "given: {statut: ailleurs}"),
    )
    found = faults(files)
    assert any(
        f.startswith(f"{FOLDER}1-demandes.yaml:15:") and "`appels` is not known" in f for f in found
    )
    assert any(
        f.startswith(f"{FOLDER}2-retours.yaml:7:") and "did you mean `status`" in f for f in found
    )


@pytest.mark.parametrize(
    ("part", "old", "new", "line", "what"),
    [
        ("cases", "{nature: null}]", "{natur: null}]", 19, "nothing is given for <nature>"),
        (
            "cases",
            "{nature: null}]",
            "{nature: null, autre: 1}]",
            19,
            "`autre` of this row is not used",
        ),
        ("cases", "POST: /fichiers", "POST: /fichiers, GET: /x", 7, "a call has one method"),
        (
            "cases",
            "given: {fields: {nature_raw: bordure",
            "given: {formdata: absent.json, fields: {nature_raw: bordure",
            14,
            "there is no file absent.json",
        ),
        (
            "returns",
            "expect: nothing",
            "expect: {calls: []}",
            8,
            "what the GRU says goes to the portal",
        ),
        (
            "returns",
            "given: {message: entre nous}",
            "given: {event: document}",
            10,
            "`file` and `event: document` go together",
        ),
        (
            "returns",
            "given: {message: entre nous}",
            "given: {event: message, public: true}",
            10,
            "`public` and `after` go with what the GRU says",
        ),
        (
            "returns",
            "Un mot inconnu ne dit rien",
            "La GRU ouvre la demande",
            6,
            "the title stands at",
        ),
        ("returns", "case: 1", "case: 2", 1, "`case` does not take this value"),
        (
            "bench",
            "case: 1",
            "case: 1\ncases: [{title: non non, expect: nothing}]",
            2,
            "it holds no case",
        ),
    ],
)
def test_what_is_wrong_is_told_where(part: str, old: str, new: str, line: int, what: str) -> None:
    files = {"cases": "1-demandes.yaml", "returns": "2-retours.yaml", "bench": "bench.yaml"}
    told = faults(bundle(**{part: (old, new)}))
    assert any(f"{FOLDER}{files[part]}:{line}: " in one and what in one for one in told), told


def test_a_formdata_that_is_none_is_refused() -> None:
    files = bundle() | {"mappings/voirie/demande.json": "[1]"}
    assert "this is not a formdata" in faults(files)[0]


def test_html_in_a_case_is_no_placeholder() -> None:
    files = bundle(cases=("nature_raw: bordure,", 'nature_raw: bordure, description: "<p>x</p>",'))
    assert read_cases(files, KEY)[1].given.fields["description"] == "<p>x</p>"
