"""Writes of the two hot paths, compiled once per database instead of at every call.

SQLAlchemy spends more time on building, hashing, looking up and wrapping a small INSERT than the
database spends on running it. Types are still the tables' own: the compiled statement's converters
are kept and applied. What comes back is as the driver gives it: a moment is a whole number there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    TableValuedAlias,
    Text,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import TypeDecorator

Convert = Callable[[Any], Any]


class _Made(NamedTuple):
    sql: str
    #: Each parameter's name, its value where the statement fixes it, and its converter.
    parameters: tuple[tuple[str, Any, Convert | None], ...]
    positional: bool

    def bound(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver wants them."""
        if self.positional:
            return tuple(
                [
                    _value(values.get(name, fixed), convert)
                    for name, fixed, convert in self.parameters
                ]
            )
        return {
            name: _value(values.get(name, fixed), convert)
            for name, fixed, convert in self.parameters
        }


class _Listed(TypeDecorator[Any]):
    """Texts as one JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps(value).decode()


def among(column: Column[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """Is the column's text one of the list that is given as `name`? However many, one statement."""
    if dialect == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(Text)))
    return column.in_(select(listed(name, dialect).c.value))


def listed(name: str, dialect: str) -> TableValuedAlias:
    """The texts of the list that is given as `name`, as a table with the column `value`."""
    texts = (
        func.unnest(bindparam(name, type_=ARRAY(Text)))
        if dialect == "postgresql"
        else func.json_each(bindparam(name, type_=_Listed))
    )
    return (
        texts.table_valued("value", name="listed").render_derived()
        if dialect == "postgresql"
        else texts.table_valued("value", name="listed")
    )


class Prepared:
    """A statement with `bindparam`s, made by `build` (which is told the dialect's name).

    Only within a transaction that has begun, as every unit that writes has.
    """

    __slots__ = ("_build", "_made")

    def __init__(self, build: Callable[[str], Executable]) -> None:
        self._build = build
        self._made: dict[str, _Made] = {}

    def __call__(self, connection: Connection, **values: Any) -> Any:
        """Run it; the driver's cursor. A parameter without a value of its own must be given."""
        made = self._for(connection)
        return run(connection, "execute", made.sql, made.bound(values))

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of `rows`, in their order, without waiting in between."""
        if rows:
            made = self._for(connection)
            run(connection, "executemany", made.sql, [made.bound(row) for row in rows])

    def _for(self, connection: Connection) -> _Made:
        made = self._made.get(connection.dialect.name)
        if made is None:
            made = self._made[connection.dialect.name] = self._make(connection.dialect)
        return made

    def _make(self, dialect: Dialect) -> _Made:
        statement = self._build(dialect.name)
        if not isinstance(statement, ClauseElement):
            raise TypeError("a statement that can be compiled is needed")
        compiled = statement.compile(dialect=dialect)
        processors: dict[str, Any] = dict(getattr(compiled, "_bind_processors", {}))
        order = getattr(compiled, "positiontup", None)
        names = order if order is not None else list(compiled.params)
        return _Made(
            str(compiled),
            tuple((name, compiled.params.get(name), processors.get(name)) for name in names),
            order is not None,
        )


def _value(value: Any, convert: Convert | None) -> Any:
    return value if convert is None else convert(value)


def run(connection: Connection, how: str, sql: str, values: Any) -> Any:
    """The driver's `execute` or `executemany`, its errors as SQLAlchemy's; the cursor."""
    cursor = connection.connection.cursor()
    dialect = connection.dialect
    base = dialect.loaded_dbapi.Error
    many = how == "executemany"
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, cursor, sql, values, None, many)
    try:
        getattr(cursor, how)(sql, values)
    except base as error:
        gone = dialect.is_disconnect(error, connection.connection, cursor)
        told = DBAPIError.instance(
            sql, None, error, base, hide_parameters=True, connection_invalidated=gone
        )
        if gone:
            connection.invalidate(error)
        raise told from None
    return cursor
