"""Five communes with signed, passed and active releases: made once, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts import five
from tests.contracts.five import Home

KEY = "cle-fictive-des-cinq"


@pytest.fixture(scope="session")
def _all_released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIVE_KEY", KEY)
        made = five.build(tmp_path_factory.mktemp("five"))
        made.release_all()
        yield made


@pytest.fixture
def released(_all_released: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Five communes with active releases."""
    monkeypatch.setenv("FIVE_KEY", KEY)
    return five.copied(_all_released, tmp_path / "five")
