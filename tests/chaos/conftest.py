"""The simulation's options of pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.store import postgres_template, sqlite_template
from tests.store.postgres import skip_unless_installed


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """The address of an empty SQLite database of the present schema."""
    with sqlite_template() as url:
        yield url


@pytest.fixture(scope="session")
def on_postgresql() -> Iterator[str]:
    """The address of an empty PostgreSQL database of the present schema."""
    skip_unless_installed()
    with postgres_template() as url:
        yield url
