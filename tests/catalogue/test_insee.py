"""A commune's code is held against those of the Métropole."""

from __future__ import annotations

import pytest

from gateway.catalogue.insee import ARRONDISSEMENTS, COMMUNES, doubt
from gateway.core.ids import is_insee


def test_the_metropole_has_58_communes() -> None:
    assert len(COMMUNES) == 58
    assert len(set(COMMUNES.values())) == 58
    assert all(is_insee(code) for code in {*COMMUNES, *ARRONDISSEMENTS})


@pytest.mark.parametrize(
    ("code", "name", "what", "remedy"),
    [
        ("69092", "Bron", "69092 is no commune of the Métropole", "Bron is 69029"),
        ("69266", "Bron", "69266 is Villeurbanne, not Bron", "Bron is 69029"),
        ("75056", "Paris", "is no commune of the Métropole", "code officiel géographique"),
        ("69383", "Lyon 3e", "is an arrondissement of Lyon", "write 69123"),
    ],
)
def test_an_odd_code_is_told(code: str, name: str, what: str, remedy: str) -> None:
    found = doubt(code, name)
    assert found is not None
    assert what in found[0]
    assert remedy in found[1]


@pytest.mark.parametrize(("code", "name"), [("69029", "Bron"), ("69029", "Mairie de Bron")])
def test_a_known_code_is_fine(code: str, name: str) -> None:
    assert doubt(code, name) is None
