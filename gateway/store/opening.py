"""Opens connections to SQLite and PostgreSQL with the house's settings."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from gateway.core.system_errors import system_error
from gateway.store import postgres
from gateway.store.postgres import BadAddress, ConnectionMonitor
from gateway.store.texts import say

READERS = 4
#: Two, so that one may wait for a lock. More would make smaller groups, and the same work in more
#: transactions costs more processor time.
POSTGRES_WRITERS = 2
#: Well below the 28 seconds that the portal waits for an answer.
LOCK_MS = 10_000
#: Compiled statements kept: several times as many as there are.
MOST_COMPILED = 2000


class CompiledStatements(dict[Any, Any]):
    """Statements that SQLAlchemy has compiled, for all engines of this process: these are set up
    alike, and a database's readers, its writers and the next database need not compile each anew.

    SQLAlchemy documents it as the execution option `compiled_cache`. Its keys begin with the
    engine's own dialect; here its name and its server's version stand for it. When full, it begins
    anew.
    """

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(_alike(key), default)

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        if len(self) >= MOST_COMPILED:
            self.clear()
        super().__setitem__(_alike(key), value)


def _alike(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *rest = key
    return (dialect.name, dialect.server_version_info, *rest)


_COMPILED = CompiledStatements()


def open_database_engine(
    url: str, *, reader: bool = False, watch: ConnectionMonitor | None = None
) -> Engine:
    """Open an engine with the house's settings for SQLite (WAL, FULL, IMMEDIATE) or PostgreSQL.
    `watch` monitors PostgreSQL's connections. Raises BadAddress for any other address."""
    kind = url.partition(":")[0].partition("+")[0]
    if kind in ("postgresql", "postgres"):
        postgres.parameters(url)  # an unusable address is told now
        made = watch.connect if watch else partial(postgres.open_connection, url)
        return _open_postgres(made).execution_options(compiled_cache=_COMPILED)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadAddress(say("address_form")) from None
    if parsed.get_backend_name() == "sqlite":
        made_here = _open_sqlite(parsed, reader=reader)
        return made_here.execution_options(compiled_cache=_COMPILED)
    raise BadAddress(say("database_kind", kind=parsed.get_backend_name()))


def _open_postgres(made: Callable[..., Any]) -> Engine:
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: made(lock_ms=LOCK_MS),
        pool_size=READERS + POSTGRES_WRITERS,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _open_sqlite(url: URL, *, reader: bool) -> Engine:
    path = url.database
    if not path or path == ":memory:":
        raise BadAddress(say("sqlite_file"))
    try:
        Path(path).parent.mkdir(0o700, parents=True, exist_ok=True)
    except OSError as error:
        place = str(Path(path).parent)
        why = system_error(error)
        raise BadAddress(say("folder_not_made", place=place, error=why)) from None
    engine = create_engine(
        url.set(drivername="sqlite+reading" if reader else "sqlite+writing"),
        poolclass=QueuePool,
        pool_size=READERS if reader else 1,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "do_connect")
    def _make(*_: Any) -> None:
        # SQLite would make it with the umask's mode, which its side files then have too.
        with contextlib.suppress(OSError):  # SQLite itself tells the fault
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the dialect's BEGIN is the only one
        _to_wal(connection)
        for pragma in (
            f"busy_timeout = {LOCK_MS}",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "temp_store = MEMORY",
            f"query_only = {'ON' if reader else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


class _Reading(SQLiteDialect_pysqlite):
    """SQLite with transactions begun as SQLAlchemy says, and not by the driver at the first change.

    A listener for `begin` would do it as well, but an engine with one asks for listeners some
    fifteen times a statement.
    """

    supports_statement_cache = True
    begin: ClassVar[str] = "BEGIN"

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.execute(self.begin)


class _Writing(_Reading):
    """Such that a writer waits for others before it reads."""

    supports_statement_cache = True
    begin = "BEGIN IMMEDIATE"


registry.register("sqlite.reading", __name__, _Reading.__name__)
registry.register("sqlite.writing", __name__, _Writing.__name__)


def _to_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite fails at once, despite its timeout, where two processes make a database
    together. A database in WAL is left as it is."""
    end = time.monotonic() + LOCK_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
