"""The store of the simulation: the real units on a real database, one transaction each.

Units run inline, as threads would not replay. As with the real one, a unit whose caller is
cancelled before it begins is not run, and one whose caller is cancelled after it is committed.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.core.errors import Unavailable
from gateway.store.driver_errors import nameable
from gateway.store.opening import open_database_engine
from gateway.store.schema import upgrade
from gateway.store.sealer import Sealer
from tests.store.postgres import server

T = TypeVar("T")


class Watch(NamedTuple):
    """An invariant of the tables that the database itself looks after.

    `says`: the word before the colon is the count that a breach adds to.
    """

    name: str
    before: str
    breach: str
    says: str

    def sqlite(self) -> str:
        return (
            f"CREATE TRIGGER {self.name} BEFORE {self.before} WHEN {self.breach}"
            f" BEGIN SELECT RAISE(ABORT, '{self.says}'); END"
        )

    def postgresql(self) -> str:
        # There, a trigger's own condition may not ask other tables.
        row = "OLD" if self.before.startswith("DELETE") else "NEW"
        return (
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF {self.breach} THEN RAISE EXCEPTION '{self.says}'; END IF; RETURN {row}; END $$;"
            f" CREATE TRIGGER {self.name} BEFORE {self.before} FOR EACH ROW"
            f" EXECUTE FUNCTION {self.name}()"
        )


WATCHES = (
    Watch("chaos_attempt_kept", "DELETE ON attempt", "TRUE", "lost: an attempt was deleted"),
    Watch(
        "chaos_attempt_fixed",
        "UPDATE OF id, delivery_id, n, action, started_at, ms, outcome, reason, state, next_at"
        " ON attempt",
        "TRUE",
        "lost: an attempt was changed",
    ),
    Watch(
        "chaos_attempt_words",
        "UPDATE OF detail ON attempt",
        "NEW.detail <> ''",
        "lost: an attempt was changed",
    ),
    Watch(
        "chaos_final",
        "UPDATE OF state ON delivery",
        "OLD.state IN ('done', 'discarded') AND NEW.state <> OLD.state",
        "twice: a final delivery was taken up again",
    ),
    Watch(
        "chaos_reason",
        "UPDATE OF state ON delivery",
        "NEW.state IN ('question', 'parked', 'dead') AND coalesce(NEW.reason, '') = ''",
        "lost: a person is to act, and nothing says why",
    ),
    Watch(
        "chaos_revived",
        "INSERT ON event",
        "NEW.body IS NOT NULL"
        " AND (SELECT erased_at FROM request WHERE id = NEW.request_id) IS NOT NULL",
        "revived: something is kept of an erased request",
    ),
    Watch(
        "chaos_revived_body",
        "UPDATE OF body ON event",
        "OLD.body IS NULL AND NEW.body IS NOT NULL",
        "revived: the body of an event came back",
    ),
)


def watching(dialect: str) -> list[str]:
    """The statements that set all watches."""
    return [watch.sqlite() if dialect == "sqlite" else watch.postgresql() for watch in WATCHES]


#: PostgreSQL's own clock, which the gateway goes by in places, is that of the simulation, too.
_CLOCK = """
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
AS 'SELECT current_setting(''chaos.now'')::timestamptz';
ALTER DATABASE {name} SET search_path = public, pg_catalog
"""


@contextmanager
def sqlite_template() -> Iterator[str]:
    """The address of a database of the present schema, to be copied for each seed."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        url = f"sqlite:///{folder}/template.db"
        upgrade(url)
        yield url


@contextmanager
def postgres_template() -> Iterator[str]:
    """The same on a PostgreSQL of its own. Raises NotInstalled."""
    # Its housekeeping comes at any time, and moves rows: a seed would not replay.
    with server(autovacuum="off") as running:
        yield running.fresh()


@contextmanager
def fresh(template: str, seed: int) -> Iterator[str]:
    """The address of a database like the template, with the watches on, for one seed."""
    if template.startswith("sqlite"):
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            path = Path(folder) / f"chaos-{seed}.db"
            shutil.copyfile(template.removeprefix("sqlite:///"), path)
            connection = sqlite3.connect(path, isolation_level=None)
            for statement in watching("sqlite"):
                connection.execute(statement)
            connection.close()
            yield f"sqlite:///{path}"
        return
    made = make_url(template)
    name = f"chaos_{os.getpid()}_{seed}"
    with psycopg.connect(
        made.set(database="postgres").render_as_string(), autocommit=True
    ) as owner:
        owner.execute(f"CREATE DATABASE {name} TEMPLATE {made.database}".encode())
        try:
            url = made.set(database=name).render_as_string()
            with psycopg.connect(url) as there:
                for statement in (*watching("postgresql"), _CLOCK.format(name=name)):
                    there.execute(statement.encode())
            yield url
        finally:
            owner.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@dataclass
class Trouble:
    """The database's present behaviour: shares of units that fail, and the time of the others."""

    before: float = 0.0
    after: float = 0.0
    slow: float = 0.0
    seconds: float = 4.0


class Disk:
    """The database, shared by all processes of a seed."""

    def __init__(
        self,
        url: str,
        dice: random.Random,
        breach: Callable[[str, str], None],
        now: Callable[[], datetime],
    ) -> None:
        self.now = now
        self.writer, self.reader = open_database_engine(url), open_database_engine(url, reader=True)
        self.dialect = self.writer.dialect.name
        if self.dialect == "sqlite":
            for engine in (self.writer, self.reader):
                _no_fsync(engine)
        else:  # as the real store reads
            self.reader = self.reader.execution_options(isolation_level="AUTOCOMMIT")
        self.dice, self.breach = dice, breach
        self.trouble = Trouble()

    def write(self, unit: Callable[[Connection], T]) -> T:
        """Run a unit in a transaction, for which it is now."""
        with self.writer.begin() as connection:
            if self.dialect == "postgresql":
                now = self.now().isoformat()
                connection.exec_driver_sql("SELECT set_config('chaos.now', %s, true)", (now,))
            return unit(connection)

    def read(self, unit: Callable[[Connection], T]) -> T:
        with self.reader.connect() as connection:
            return unit(connection)

    def rows(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        """Return the rows of plain SQL, with a `?` for each value."""
        if self.dialect == "postgresql":
            statement = statement.replace("?", "%s")
        return self.read(lambda c: [tuple(row) for row in c.exec_driver_sql(statement, values)])

    def close(self) -> None:
        self.writer.dispose()
        self.reader.dispose()


def _no_fsync(engine: Engine) -> None:
    """The crash here is a process's death, which needs no fsync to survive."""

    @event.listens_for(engine, "connect")
    def _set(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA secure_delete = OFF")


class InlineStore:
    """One process's view of the disk. A dead process's store does nothing any more."""

    def __init__(self, disk: Disk, note: Callable[..., None]) -> None:
        self._disk, self._note = disk, note
        self.writable, self.trouble = True, ""
        self.sealer: Sealer | None = None
        self.dead = False

    async def write(self, unit: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        await self._wait()
        trouble, dice = self._disk.trouble, self._disk.dice
        if trouble.before and dice.random() < trouble.before:
            self._note("db.failed", unit.__name__)
            raise Unavailable("the database does not answer (simulated)")
        result = self._run(self._disk.write, unit, args, kwargs)
        self._note("db", unit.__name__, _told(result))
        if trouble.after and dice.random() < trouble.after:
            self._note("db.reply_lost", unit.__name__)
            raise Unavailable("the database does not answer (simulated, after the commit)")
        await self._wait()
        return result

    async def read(self, unit: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        await self._wait()
        trouble, dice = self._disk.trouble, self._disk.dice
        if trouble.before and dice.random() < trouble.before:
            self._note("db.unread", unit.__name__)
            raise Unavailable("the database does not answer (simulated)")
        result = self._run(self._disk.read, unit, args, kwargs)
        self._note("db", unit.__name__, "")
        return result

    async def clean(self) -> bool:
        await self._wait()
        return self._disk.dice.random() < 0.9

    async def _wait(self) -> None:
        dice, trouble = self._disk.dice, self._disk.trouble
        if trouble.slow and dice.random() < trouble.slow:
            await asyncio.sleep(dice.random() * trouble.seconds)
        else:
            await asyncio.sleep(dice.random() * 0.004)
        if self.dead:
            raise Unavailable("this process is dead")

    def _run(self, how: Callable[..., Any], unit: Any, args: Any, kwargs: Any) -> Any:
        try:
            return how(lambda connection: unit(connection, *args, **kwargs))
        except SQLAlchemyError as error:
            self._watched(error)
            raise nameable(error) from None
        except Exception as error:
            self._note("db.raised", unit.__name__, type(error).__name__)
            raise

    def _watched(self, error: SQLAlchemyError) -> None:
        if not isinstance(error, DBAPIError):
            return
        text = str(error.orig)
        kind, _, what = text.partition("\n")[0].partition(": ")
        if kind in ("lost", "twice", "revived"):
            self._disk.breach(kind, what)
        elif "delivery.request_id, delivery.lane" in text or "uq_delivery_one_sending" in text:
            self._disk.breach("twice", "two deliveries of a request are under way on a lane")


def _told(result: Any) -> str:
    """A short word on what a unit came to, for the trace."""
    if result is None or isinstance(result, bool | int | str):
        return str(result)
    if isinstance(result, list):
        return str(len(result))
    reception = getattr(result, "reception", None)
    return str(reception.value) if reception is not None else type(result).__name__
