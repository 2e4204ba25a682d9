"""Errors of the databases' drivers, as errors of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.core.errors import GatewayError, Unavailable
from gateway.store.postgres import NoConnection
from gateway.store.texts import say

#: SQLite's error names by their beginning, in the words of "does not answer".
_SQLITE = {
    "SQLITE_BUSY": "busy",
    "SQLITE_FULL": "full",
    "SQLITE_READONLY": "read_only",
    "SQLITE_CANTOPEN": "not_opened",
    "SQLITE_IOERR": "disk",
}


def nameable(error: BaseException, place: str | None = None) -> BaseException:
    """Turn a driver's error into one of ours without the statement's values (personal data).
    `place`: the database's file, if it has one."""
    if isinstance(error, DBAPIError):
        orig = type(error.orig).__name__
        passing = isinstance(error, OperationalError | InterfaceError | InternalError)
        # SQLite raises its bare class for a file that is damaged or no database.
        if type(error) is DatabaseError and isinstance(error.orig, sqlite3.DatabaseError):
            return Unavailable(say("damaged", place=place or ""))
        if isinstance(error.orig, NoConnection):
            return Unavailable(error.orig.said)
        if passing or error.connection_invalidated or type(error) is DatabaseError:
            name = getattr(error.orig, "sqlite_errorname", "")
            meant = (say(word) for start, word in _SQLITE.items() if name.startswith(start))
            return Unavailable(say("unanswered", why=next(meant, orig)))
        # The beginning of our own statement tells enough.
        statement = (error.statement or "").split("(")[0].strip()[:80]
        return GatewayError(f"{orig} in: {statement}")
    if isinstance(error, PoolTimeout):
        return Unavailable(say("unanswered", why=say("all_busy")))
    if isinstance(error, StatementError):
        return GatewayError(f"a value that cannot be stored ({type(error.orig).__name__})")
    if isinstance(error, SQLAlchemyError):
        return GatewayError(f"a statement that cannot be run ({type(error).__name__})")
    return error


@contextmanager
def errors_named() -> Iterator[None]:
    """Within the block, a driver's error is raised as one of ours."""
    try:
        yield
    except SQLAlchemyError as error:
        failure = nameable(error)
    else:
        return
    raise failure
