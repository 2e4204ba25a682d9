"""Runs each test that takes `store` or `url` on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.engine import Database
from tests.sealing import in_memory
from tests.store.postgres import Server


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    running: Server = request.getfixturevalue("postgres")
    url = running.empty()
    yield url
    running.drop(url)


@pytest.fixture
def url(
    dialect: str, request: pytest.FixtureRequest, tmp_path: Path, template: Path
) -> Iterator[str]:
    """The address of a database with all tables, empty."""
    if dialect == "sqlite":
        address = f"sqlite:///{tmp_path / 'gateway.db'}"
        shutil.copyfile(template, tmp_path / "gateway.db")
        yield address
        return
    running: Server = request.getfixturevalue("postgres")
    address = running.fresh()
    yield address
    running.drop(address)


@pytest.fixture
def store_in_clear(url: str) -> Iterator[Database]:
    """For who searches the database itself."""
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def store(url: str) -> Iterator[Database]:
    database = Database(url, in_memory())
    yield database
    database.close()
