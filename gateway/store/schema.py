"""The schema's revisions: upgrades a database, and tells whether it fits this program."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

import gateway.store.announcement_tables  # part of the metadata, as the next ones
import gateway.store.availability_tables
import gateway.store.console_tables
import gateway.store.decommission_tables
import gateway.store.erasure_tables
import gateway.store.incident_tables
import gateway.store.linked_tables
import gateway.store.release_tables  # noqa: F401
from gateway.core.errors import GatewayError
from gateway.core.messages import Message
from gateway.store import installation, keys
from gateway.store.dialect import is_postgresql
from gateway.store.driver_errors import nameable
from gateway.store.opening import open_database_engine
from gateway.store.texts import say

_MIGRATIONS = Path(__file__).with_name("migrations")

#: The oldest revision whose program can use this schema: since then, migrations have only added. It
#: moves on when something is dropped or renamed, or written in another way.
OLDEST = "0031"

#: The PostgreSQL advisory lock of an upgrade ("TDG" and a one).
_LOCK = 0x54444701
#: The time that a second process waits for the first one's upgrade.
_PATIENCE = "60s"


class SchemaMismatch(GatewayError):
    """The database's schema does not fit this program."""


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """The revision of a database (None: no schema yet), and the one that this program wants."""

    current: str | None
    head: str
    #: False when the revision is unknown here: a newer program made it.
    known: bool = True
    #: The newer program says that this one can use the schema: it was only added to.
    runs: bool = False

    @property
    def fits(self) -> bool:
        return self.current == self.head or self.runs

    @property
    def said(self) -> Message:
        """Tell an operator the fault and the remedy."""
        if self.runs:
            return say("schema_newer_runs", current=self.current or "", ours=self.head)
        if self.fits:
            return say("schema_fits", ours=self.head)
        if self.current is None:
            return say("schema_none")
        word = "schema_older" if self.known else "schema_newer"
        return say(word, current=self.current, ours=self.head)


def upgrade(url: str) -> None:
    """Upgrade the database to this program's schema, in one transaction.

    A newer schema that this program can use stays as it is. A second process waits for the first.
    Raises SchemaMismatch for a newer one that it cannot use, and for a database that holds others'
    tables; BadAddress; Unavailable.
    """
    engine = open_database_engine(url)
    try:
        # With SQLite this takes the write lock first.
        with engine.begin() as connection:
            if is_postgresql(connection):
                connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            found = _status(connection)
            if not found.known and not found.fits:
                raise SchemaMismatch(found.said)
            if found.current is None and (foreign := _foreign(connection)):
                raise SchemaMismatch(say("foreign", tables=foreign))
            if not found.fits:
                command.upgrade(alembic_config(connection), "head")
            if found.known:
                installation.note_oldest(connection, OLDEST)
    except SQLAlchemyError as error:
        failure = nameable(error, engine.url.database)
    else:
        return
    finally:
        engine.dispose()
    raise failure


def status(url: str) -> SchemaStatus:
    """Return the database's revision. Changes nothing, and waits for no writer. Raises BadAddress
    and Unavailable."""
    engine = open_database_engine(url, reader=True)
    path = engine.url.database
    try:
        if engine.dialect.name == "sqlite" and path and not Path(path).exists():
            return SchemaStatus(None, _head(_script()))
        with engine.connect() as connection:
            return _status(connection)
    except SQLAlchemyError as error:
        failure = nameable(error, engine.url.database)
    finally:
        engine.dispose()
    raise failure


def require(url: str) -> None:
    """Raises SchemaMismatch, with a sentence for an operator, unless the schema fits."""
    found = status(url)
    if not found.fits:
        raise SchemaMismatch(found.said)


def empty(connection: Connection) -> None:
    """Delete every row of a SQLite database that only we use, and keep its tables."""
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    for (table,) in connection.exec_driver_sql(_with_rows()).all():
        connection.execute(SQLModel.metadata.tables[table].delete())


@cache
def _with_rows() -> str:
    """Return a statement that gives the names of the tables with rows: most are empty."""
    return " UNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})"  # noqa: S608 - our own tables' names
        for name in SQLModel.metadata.tables
    )


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config(attributes={} if connection is None else {"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_config())


def _head(script: ScriptDirectory) -> str:
    head = script.get_current_head()
    if head is None:
        raise GatewayError(say("no_migrations"))
    return head


def _foreign(connection: Connection) -> tuple[str, ...]:
    """Return some of the tables of a database that is not ours."""
    ours = {*SQLModel.metadata.tables, keys.TABLE.name}
    return tuple(sorted(set(inspect(connection).get_table_names()) - ours)[:3])


def _status(connection: Connection) -> SchemaStatus:
    script = _script()
    current = MigrationContext.configure(connection).get_current_revision()
    revisions = {revision.revision for revision in script.walk_revisions()}
    head = _head(script)
    if current is None or current in revisions:
        return SchemaStatus(current, head)
    runs = installation.oldest(connection) in revisions
    return SchemaStatus(current, head, known=False, runs=runs)
