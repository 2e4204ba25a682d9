"""A commune's code is compared with those of the Métropole and of France."""

from __future__ import annotations

import pytest

from gateway.catalogue.insee import COMMUNES, DATA, code_doubt, france
from gateway.core.ids import is_insee


def test_the_metropole_has_58_communes() -> None:
    assert len(COMMUNES) == 58
    assert len(set(COMMUNES.values())) == 58
    assert {code: france()[code] for code in COMMUNES} == {c: (n, "") for c, n in COMMUNES.items()}


def test_the_communes_of_france_are_known() -> None:
    whole = [code for code, (_, of) in france().items() if not of]
    assert 34_500 < len(whole) < 36_000
    assert all(of in france() and not france()[of][1] for _, of in france().values() if of)
    # The communities of the Pacific have codes with letters of none of ours.
    assert all(is_insee(code) for code in france())
    assert DATA.stat().st_size < 400_000


@pytest.mark.parametrize(
    ("code", "name", "what", "remedy"),
    [
        ("69092", "Bron", "69092 is Gleizé, not Bron", "Bron is 69029"),
        ("69266", "Bron", "69266 is Villeurbanne, not Bron", "Bron is 69029"),
        ("69266", "Service d'essai", "is Villeurbanne, not Service", "correct the code or"),
        ("69999", "Bron", "is no commune of France", "Bron is 69029"),
        ("96001", "Nulle part", "is no commune of France", "code officiel géographique"),
        ("75056", "Paris", "(Paris) is not in the Métropole", "unless it is meant"),
        ("69383", "Lyon 3e", "is an arrondissement (Lyon 3e Arrondissement) of Lyon", "69123"),
        ("69152", "Pierre-Bénite", "part of the commune Oullins-Pierre-Bénite", "write 69149"),
    ],
)
def test_an_odd_code_is_told(code: str, name: str, what: str, remedy: str) -> None:
    found = code_doubt(code, name)
    assert found is not None
    assert what in found.what()
    assert remedy in found.remedy()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("69029", "Bron"),
        ("69029", "Mairie de Bron"),
        ("69081", "ECULLY"),
        ("69194", "Saint Didier au Mont d'Or"),
        ("69149", "Oullins"),
    ],
)
def test_a_known_code_is_fine(code: str, name: str) -> None:
    assert code_doubt(code, name) is None
