"""SQL by name: the statements of `sql/*.sql`, for what runs often or is hard to build.

In a file, each statement follows a line `-- name: NAME` and a comment that says its purpose;
brackets after the name hold the only database that it is for. Parameters are written `:name`.
Moments go in as datetimes, and come back as whole numbers (`dialect.moment`). Both databases read
the same text, except for:

- `{among:ids}`, a test for one of the texts in the list `ids`; `{each:ids}`, these texts as rows
  of `listed(value)`: one statement, however many there are;
- `FOR UPDATE` and the like, which SQLite, having one writer, neither knows nor needs.

`{due}` and others are the conditions of `gateway.store.conditions`; `{request}` and others are the
columns of such a value, from `COLUMNS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

import orjson
from sqlalchemy import Connection, CursorResult

from gateway.store import conditions
from gateway.store.dialect import micros
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import StoredRequest

COLUMNS: Final = {
    "request": (StoredRequest, "request"),
    "delivery": (Delivery, "delivery"),
}
_HEAD = re.compile(r"^-- name: (\w+)(?: \((\w+)\))?\n((?:--.*\n)*)", re.MULTILINE)
_LOCK = re.compile(r"^\s*FOR (NO KEY )?UPDATE.*\n", re.MULTILINE)
_PARAMETER = re.compile(r"(?<!:):(\w+)")
_LISTS = {
    "sqlite": {
        "among": r"IN (SELECT value FROM json_each(:\1) AS listed)",
        "each": r"json_each(:\1) AS listed",
    },
    "postgresql": {
        "among": r"= ANY (:\1::text[])",
        "each": r"unnest(:\1::text[]) AS listed (value)",
    },
}


@dataclass(frozen=True, slots=True)
class _Written:
    """A statement as one driver takes it: its text, and the names of its parameters in order."""

    sql: str
    names: tuple[str, ...]
    #: A list is passed as one JSON text.
    json: bool

    def given(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values as the driver takes them. One expression: it runs for every row."""
        return tuple(
            [
                micros(value)
                if type(value) is datetime
                else orjson.dumps(value).decode()
                if self.json and type(value) is list
                else value
                for value in map(values.__getitem__, self.names)
            ]
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """A named statement, written for each database."""

    name: str
    purpose: str
    written: Mapping[str, _Written]

    def run(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        """Run it. Raises KeyError for a database that it is not for."""
        written = self.written[connection.dialect.name]
        return connection.exec_driver_sql(written.sql, written.given(values))

    def rows(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Run it; return the rows as the driver gives them."""
        return list(map(tuple, self.run(connection, **values).fetchall()))

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of `rows`, in order, without waiting in between."""
        if rows:
            written = self.written[connection.dialect.name]
            connection.exec_driver_sql(written.sql, [written.given(row) for row in rows])


def load(name: str) -> dict[str, Statement]:
    """Load the statements of `sql/NAME.sql` by their names."""
    text = (files("gateway.store") / "sql" / f"{name}.sql").read_text("utf-8")
    _, *parts = _HEAD.split(text)
    found = {}
    for name, only, purpose, sql in zip(*[iter(parts)] * 4, strict=True):
        said = " ".join(line.removeprefix("--").strip() for line in purpose.splitlines())
        found[name] = Statement(
            name, said, {one: _written(sql, one) for one in _LISTS if only in (None, one)}
        )
    return found


def _written(sql: str, dialect: str) -> _Written:
    for word, form in _LISTS[dialect].items():
        sql = re.sub(rf"{{{word}:(\w+)}}", form, sql)
    sql = re.sub(r"{(\w+)}", lambda found: _known(found[1]), sql)
    names = tuple(_PARAMETER.findall(sql))
    if dialect == "sqlite":
        sql = _PARAMETER.sub("?", _LOCK.sub("", sql))
    else:  # psycopg takes each percent sign for the beginning of a parameter
        sql = _PARAMETER.sub("%s", sql.replace("%", "%%"))
    return _Written(sql.strip(), names, json=dialect == "sqlite")


def _known(word: str) -> str:
    if word in COLUMNS:
        value, table = COLUMNS[word]
        return ", ".join(f"{table}.{field.name}" for field in fields(value))
    condition: str = getattr(conditions, word.upper()).text
    return condition
