"""An empty database on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.postgres import Server


@pytest.fixture
def dsn(postgres: Server) -> Iterator[str]:
    url = postgres.empty()
    yield url
    postgres.drop(url)
