"""The migrations make what the tables say, on both databases, and once."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

from gateway.core.errors import GatewayError
from gateway.store import installation
from gateway.store.opening import open_database_engine
from gateway.store.postgres import BadAddress
from gateway.store.schema import (
    OLDEST,
    SchemaMismatch,
    _script,
    alembic_config,
    require,
    status,
    upgrade,
)
from gateway.store.tables import Request

METADATA = Request.metadata


@pytest.fixture
def migrated(url: str) -> Iterator[Engine]:
    engine = open_database_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def created(empty_url: str) -> Iterator[Engine]:
    """Return the schema that `tables` alone makes."""
    engine = open_database_engine(empty_url)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def test_the_tables_and_the_migrations_do_not_differ(migrated: Engine) -> None:
    with migrated.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, METADATA) == []


def _checks_and_indexes(connection: Connection) -> dict[str, Any]:
    """Return the CHECKs and the conditions of partial indexes, which Alembic does not compare."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        ).all()
        found: dict[str, Any] = {}
        for name, sql in rows:
            sql = re.sub(r"\s+", " ", sql).replace('"', "")
            if sql.startswith("CREATE TABLE"):
                # The order of the constraints says nothing.
                found[name] = sorted(re.split(r", (?=CONSTRAINT|FOREIGN|PRIMARY|UNIQUE)", sql[:-1]))
                found[name] = [part.strip(" )") for part in found[name]]
            else:
                found[name] = sql
    else:
        rows = connection.execute(
            text(
                "SELECT conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid)"
                " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
                " AND contype <> 'n'"
                " UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
            )
        ).all()
        found = {row[0]: row[1] for row in rows}
    return {k: v for k, v in found.items() if "alembic" not in k}


def test_checks_and_partial_indexes_are_those_of_the_tables(
    migrated: Engine, created: Engine
) -> None:
    with migrated.connect() as one, created.connect() as other:
        of_migrations, of_tables = _checks_and_indexes(one), _checks_and_indexes(other)
    assert of_migrations == of_tables
    text_of_all = str(of_migrations)
    for name in ("ck_delivery_lease", "ck_state", "ck_kind", "uq_delivery_one_sending"):
        assert name in text_of_all
    assert "WHERE" in str(of_migrations["ix_delivery_due"])


def test_upgrade_makes_what_is_missing_and_then_nothing(empty_url: str) -> None:
    before = status(empty_url)
    assert (before.current, before.fits) == (None, False)
    with pytest.raises(SchemaMismatch, match=r"no schema yet \(run `gru-gateway db upgrade`\)"):
        require(empty_url)
    upgrade(empty_url)
    after = status(empty_url)
    assert after.fits
    assert after.current == after.head == before.head
    require(empty_url)
    upgrade(empty_url)
    assert status(empty_url) == after


def test_status_does_not_make_a_database(tmp_path: Path) -> None:
    assert status(f"sqlite:///{tmp_path / 'none.db'}").current is None
    assert list(tmp_path.iterdir()) == []


def test_many_upgrades_at_once_are_one(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(upgrade, empty_url) for _ in range(4)]:
            done.result()
    assert status(empty_url).fits


def _newer(url: str, runs_from: str) -> None:
    engine = open_database_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        installation.note_oldest(connection, runs_from)
    engine.dispose()


def test_an_old_program_works_on_a_newer_schema_that_only_adds(url: str) -> None:
    """A replica that restarts while machines are exchanged, and the way back after an upgrade."""
    head = status(url).head
    _newer(url, head)
    found = status(url)
    assert (found.fits, found.known, found.current) == (True, False, "9999")
    require(url)
    upgrade(url)
    assert status(url) == found, "it is left as it is"
    engine = open_database_engine(url)
    with engine.begin() as connection:
        assert installation.oldest(connection) == head
    engine.dispose()


def test_since_the_oldest_revision_that_is_promised_migrations_only_add() -> None:
    # `get_bind` asks which database it is.
    adds = {"create_table", "create_index", "add_column", "execute", "f", "get_bind"}
    for revision in _script().walk_revisions():
        if revision.revision == OLDEST:
            return
        source = Path(revision.path).read_text("utf-8")
        assert set(re.findall(r"\bop\.(\w+)", source)) <= adds, revision.path
        # A trigger holds nothing.
        assert not re.search(r"\b(DROP(?! TRIGGER)|RENAME)\b", source), revision.path
        for column in re.findall(r"op\.add_column\((.*?)\n    \)", source, re.DOTALL):
            assert "nullable=True" in column or "server_default" in column, revision.path
    raise AssertionError(f"there is no revision {OLDEST}")


def test_a_newer_schema_is_refused_in_a_sentence(url: str) -> None:
    _newer(url, "9998")
    found = status(url)
    assert not found.fits
    assert not found.known
    for act in (upgrade, require):
        with pytest.raises(SchemaMismatch, match=r"\(9999\) is newer than this program \(\d{4}\)"):
            act(url)


def test_a_failed_upgrade_leaves_nothing_behind(empty_url: str) -> None:
    engine = open_database_engine(empty_url)
    with engine.begin() as connection:
        # In the way of the migration, half way through.
        connection.execute(text("CREATE TABLE delivery (n INTEGER)"))
    with pytest.raises(GatewayError) as caught:
        upgrade(empty_url)
    assert "delivery" not in str(caught.value.__cause__)
    assert inspect(engine).get_table_names() == ["delivery"]
    engine.dispose()


def test_an_address_that_cannot_be_used_is_told_without_its_password() -> None:
    for address in ("nonsense", "mysql://u:geheim@h/d", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(BadAddress) as caught:
            upgrade(address)
        assert "geheim" not in str(caught.value)


def test_sqlite_is_set_up_for_what_is_promised(tmp_path: Path) -> None:
    engine = open_database_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        wanted = {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "secure_delete": 1,
            "query_only": 0,
        }
        for pragma, value in wanted.items():
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()
    assert sqlite3.sqlite_version_info >= (3, 35), "RETURNING"


def test_what_became_due_during_the_upgrade_is_the_commune_s(empty_url: str) -> None:
    """A commune whose requests are here was connected before its connection was noted."""
    engine = open_database_engine(empty_url)
    insert = text(
        "INSERT INTO request (id, portal, commune, teleservice, ref, digest, gru, status,"
        " status_at, received_at, submitted_at)"
        " VALUES (:ref, 'toodego', :commune, 'form', :ref, '', 'outil', 'received', 0, :at, 0)"
    )
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0005")
        for ref, commune, at in (("1", "69029", 70), ("2", "69029", 50), ("3", "69266", 90)):
            connection.execute(insert, {"ref": ref, "commune": commune, "at": at})
    upgrade(empty_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT commune, since FROM connected")).all()
    engine.dispose()
    assert sorted(tuple(one) for one in found) == [("69029", 50), ("69266", 90)]
