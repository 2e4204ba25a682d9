"""Writes of the two hot paths, compiled once per database instead of at every call.

SQLAlchemy spends more time on building, hashing and looking up a small INSERT than the database
spends on running it. Types are still the tables' own: the compiled statement's converters are kept
and applied. What comes back is as the driver gives it, so RETURNING is for plain texts only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection, CursorResult, Dialect
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

Convert = Callable[[Any], Any]


class _Made(NamedTuple):
    sql: str
    #: Each parameter's name, its value where the statement fixes it, and its converter.
    parameters: tuple[tuple[str, Any, Convert | None], ...]
    positional: bool


class Prepared:
    """A statement with `bindparam`s, made by `build` (which is told the dialect's name)."""

    __slots__ = ("_build", "_made")

    def __init__(self, build: Callable[[str], Executable]) -> None:
        self._build = build
        self._made: dict[str, _Made] = {}

    def __call__(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        """Run it. Every parameter that has no value of its own must be given."""
        made = self._made.get(connection.dialect.name)
        if made is None:
            made = self._made[connection.dialect.name] = self._make(connection.dialect)
        if made.positional:
            row = tuple(
                [
                    _value(values.get(name, fixed), convert)
                    for name, fixed, convert in made.parameters
                ]
            )
            return connection.exec_driver_sql(made.sql, row)
        return connection.exec_driver_sql(
            made.sql,
            {
                name: _value(values.get(name, fixed), convert)
                for name, fixed, convert in made.parameters
            },
        )

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
