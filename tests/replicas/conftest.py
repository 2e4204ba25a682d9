"""A PostgreSQL that may be stopped and started, and an empty database on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.postgres import Server, server, skip_unless_installed


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    skip_unless_installed()
    with server() as running:
        yield running


@pytest.fixture
def dsn(postgres: Server) -> Iterator[str]:
    url = postgres.empty()
    yield url
    postgres.drop(url)
