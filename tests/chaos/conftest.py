"""What the simulation needs of pytest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.town import template as make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the present schema."""
    return make_template(tmp_path_factory.mktemp("chaos"))
