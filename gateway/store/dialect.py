"""The few differences between SQLite and PostgreSQL, and the column of a moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Table,
    Text,
    any_,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, stored as whole microseconds since 1970 UTC: both databases order and
    compare these alike. Refuses a naive one."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return moment(value)


def micros(value: datetime) -> int:
    """Convert to microseconds since 1970 UTC. Raises ValueError for a naive time."""
    if value.tzinfo is None:
        raise ValueError("a naive datetime cannot be stored")
    return (value - EPOCH) // _MICROSECOND


def moment(value: int | None) -> datetime | None:
    """Convert microseconds since 1970 to an aware UTC time."""
    return None if value is None else EPOCH + timedelta(microseconds=value)


def moment_column(*, nullable: bool = False) -> Any:
    """Make the column of a Moment."""
    return Column(Moment, nullable=nullable)


def is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Make an INSERT that may say ON CONFLICT."""
    return postgresql.insert(table) if is_postgresql(connection) else sqlite.insert(table)


# To make a statement takes longer than to run it: those that run often are made once.


@cache
def _adding(dialect: str, table: Table) -> Executable:
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    (first, *_) = table.primary_key
    # By RETURNING: the row count of an INSERT is not reliable.
    return made.on_conflict_do_nothing().returning(first)


@cache
def _replacing(
    dialect: str, table: Table, key: tuple[str, ...], names: tuple[str, ...]
) -> Executable:
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    changed = {name: made.excluded[name] for name in names if name not in key}
    return made.on_conflict_do_update(index_elements=key, set_=changed)


def add(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row. Return False, and change nothing, when its key is there."""
    return connection.execute(_adding(connection.dialect.name, table), values).first() is not None


def add_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those rows whose key is new."""
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def upsert(
    connection: Connection,
    table: Table,
    *key: str,
    changed: Mapping[str, Any] | None = None,
    **values: Any,
) -> None:
    """Insert a row, or write `changed` into the one with this key: by default all values but the
    key."""
    if changed is None:
        statement = _replacing(connection.dialect.name, table, key, tuple(values))
        connection.execute(statement, values)
        return
    connection.execute(
        insert(connection, table)
        .values(**values)
        .on_conflict_do_update(index_elements=key, set_=changed)
    )


def among(
    connection: Connection, column: Column[Any], texts: Collection[str]
) -> ColumnElement[bool]:
    """Is the column's text one of these? One statement, however many they are."""
    if is_postgresql(connection):
        return column == any_(literal(list(texts), ARRAY(Text)))
    listed = func.json_each(orjson.dumps(list(texts)).decode()).table_valued("value", name="listed")
    return column.in_(select(listed.c.value))
