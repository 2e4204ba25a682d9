"""Weak contracts: what no case protects is named with its line."""

from __future__ import annotations

import pytest

from gateway.contracts.run import run, weakness_sentence
from tests.contracts.small import CASES_TEXT, KEY, MAPPING, bundle

PUBLIC = """\
given: {message: Bientôt., public: true}
    expect: {portal: {hook: retour, statut: null, message: Bientôt.}}"""


async def weak(**changes: tuple[str, str]) -> list[str]:
    report = await run(bundle(**changes))
    (contract,) = report.contracts
    assert contract.failures == ()
    assert report.passed()
    assert report.passed(strict=True) is not bool(contract.weaknesses)
    return [weakness_sentence(contract, one).what("fr") for one in contract.weaknesses]


async def test_a_rule_that_can_be_dropped_is_named() -> None:
    found = await weak(
        mapping=("attachments:", "  canal: channel\nattachments:"),
        cases=("fichiers: [f1]}", "fichiers: [f1], canal: web}"),
    )
    assert found == []
    start, end = CASES_TEXT.index("json:"), CASES_TEXT.index("      portal:")
    whole = CASES_TEXT[start:end]
    found = await weak(cases=(whole, "has: {nature: nid-de-poule, fichiers: [f1]}\n"))
    assert found == [
        f"{MAPPING}:8: submit : la règle « external_id » ligne 8 peut être retirée"
        " sans qu'aucun cas n'échoue",
        f"{MAPPING}:10: submit : la règle « texte » ligne 10 peut être retirée"
        " sans qu'aucun cas n'échoue",
        f"{MAPPING}:10: submit : la règle « texte » ligne 10 peut garder le HTML"
        " sans qu'aucun cas n'échoue",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"mapping": ("bordure: trottoir", "bordure: trottoir, banc: mobilier")},
            "« banc » ligne 6",
        ),
        (
            {"cases": ("[{nature: autre}, {nature: null}]", "[{nature: null}]")},
            "une valeur inconnue peut passer",
        ),
        (
            {"cases": ("[{nature: autre}, {nature: null}]", "[{nature: autre}]")},
            "n'être plus obligatoire",
        ),
        ({"cases": (", autre: {filename: autre.txt, text: autre}", "")}, "toutes peuvent partir"),
        (
            {"returns": ("status: ailleurs", "status: ouvert, after: [ouvert]")},
            "un état inconnu de la GRU",
        ),
        (
            {"returns": ("given: {message: entre nous}", "given: {status: autre part}")},
            "une note interne peut être montrée",
        ),
        (
            {
                "returns": (
                    PUBLIC,
                    "given: {status: autre part}\n    expect: nothing",
                )
            },
            "une note publique peut être cachée",
        ),
        (
            {"mapping": ("message: Pris en compte.}", "message: Pris en compte.}\n  ferme: done")},
            "état « ferme » ligne 14 peut être retiré",
        ),
    ],
)
async def test_each_kind_of_weakness_is_found(
    changes: dict[str, tuple[str, str]], words: str
) -> None:
    found = await weak(**changes)
    assert any(words in one for one in found), found


async def test_mutants_are_not_looked_for_when_not_asked() -> None:
    (contract,) = (await run(bundle(), weak=False)).contracts
    assert (contract.mapping, contract.mutants) == (KEY, 0)
