"""The store of the simulation: the real units on a real SQLite file, one transaction each.

Units run inline, as threads would not replay. As with the real one, a unit whose caller is
cancelled before it begins is not run, and one whose caller is cancelled after it is committed.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.core.errors import Unavailable
from gateway.store.engine import nameable, open_engine

#: Invariants of the tables that SQLite itself watches. The name before the colon is the count
#: that a breach adds to.
_WATCHES = (
    """CREATE TRIGGER chaos_attempt_kept BEFORE DELETE ON attempt
       BEGIN SELECT RAISE(ABORT, 'lost: an attempt was deleted'); END""",
    """CREATE TRIGGER chaos_attempt_fixed BEFORE UPDATE OF
         id, delivery_id, n, action, started_at, ms, outcome, reason, state, next_at ON attempt
       BEGIN SELECT RAISE(ABORT, 'lost: an attempt was changed'); END""",
    """CREATE TRIGGER chaos_attempt_words BEFORE UPDATE OF detail ON attempt WHEN NEW.detail <> ''
       BEGIN SELECT RAISE(ABORT, 'lost: an attempt was changed'); END""",
    """CREATE TRIGGER chaos_final BEFORE UPDATE OF state ON delivery
       WHEN OLD.state IN ('done', 'discarded') AND NEW.state <> OLD.state
       BEGIN SELECT RAISE(ABORT, 'twice: a final delivery was taken up again'); END""",
    """CREATE TRIGGER chaos_reason BEFORE UPDATE OF state ON delivery
       WHEN NEW.state IN ('question', 'parked', 'dead') AND coalesce(NEW.reason, '') = ''
       BEGIN SELECT RAISE(ABORT, 'lost: a person is to act, and nothing says why'); END""",
    """CREATE TRIGGER chaos_revived BEFORE INSERT ON event
       WHEN NEW.body IS NOT NULL
         AND (SELECT erased_at FROM request WHERE id = NEW.request_id) IS NOT NULL
       BEGIN SELECT RAISE(ABORT, 'revived: something is kept of an erased request'); END""",
    """CREATE TRIGGER chaos_revived_body BEFORE UPDATE OF body ON event
       WHEN OLD.body IS NULL AND NEW.body IS NOT NULL
       BEGIN SELECT RAISE(ABORT, 'revived: the body of an event came back'); END""",
)


def prepare(path: Path, template: Path) -> None:
    """A new database with the watches on."""
    shutil.copyfile(template, path)
    with sqlite3.connect(path) as connection:
        for statement in _WATCHES:
            connection.execute(statement)
    connection.close()


@dataclass
class Trouble:
    """How the database behaves now: shares of units that fail, and how long the others take."""

    before: float = 0.0
    after: float = 0.0
    slow: float = 0.0
    seconds: float = 4.0


class Disk:
    """The database file, shared by all processes of a seed."""

    def __init__(self, path: Path, dice: random.Random, breach: Callable[[str, str], None]) -> None:
        url = f"sqlite:///{path}"
        self.writer, self.reader = open_engine(url), open_engine(url, reader=True)
        for engine in (self.writer, self.reader):
            _no_fsync(engine)
        self.dice, self.breach = dice, breach
        self.trouble = Trouble()
        self.raw = sqlite3.connect(path, isolation_level=None)

    def close(self) -> None:
        self.raw.close()
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
        self.keeps = True
        self.dead = False

    async def write(self, unit: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        await self._wait()
        trouble, dice = self._disk.trouble, self._disk.dice
        if trouble.before and dice.random() < trouble.before:
            self._note("db.failed", unit.__name__)
            raise Unavailable("the database does not answer (simulated)")
        result = self._run(self._disk.writer, unit, args, kwargs, write=True)
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
        return self._run(self._disk.reader, unit, args, kwargs, write=False)

    async def _wait(self) -> None:
        dice, trouble = self._disk.dice, self._disk.trouble
        if trouble.slow and dice.random() < trouble.slow:
            await asyncio.sleep(dice.random() * trouble.seconds)
        else:
            await asyncio.sleep(dice.random() * 0.004)
        if self.dead:
            raise Unavailable("this process is dead")

    def _run(self, engine: Engine, unit: Any, args: Any, kwargs: Any, *, write: bool) -> Any:
        try:
            if write:
                with engine.begin() as connection:
                    result = unit(connection, *args, **kwargs)
            else:
                with engine.connect() as connection:
                    result = unit(connection, *args, **kwargs)
        except SQLAlchemyError as error:
            self._watched(error)
            raise nameable(error) from None
        except Exception as error:
            self._note("db.raised", unit.__name__, type(error).__name__)
            raise
        self._note("db", unit.__name__, _told(result) if write else "")
        return result

    def _watched(self, error: SQLAlchemyError) -> None:
        if not isinstance(error, DBAPIError):
            return
        text = str(error.orig)
        kind, _, what = text.partition(": ")
        if kind in ("lost", "twice", "revived"):
            self._disk.breach(kind, what)
        elif "delivery.request_id, delivery.lane" in text:
            self._disk.breach("twice", "two deliveries of a request are under way on a lane")


def _told(result: Any) -> str:
    """A short word on what a unit came to, for the trace."""
    if result is None or isinstance(result, bool | int | str):
        return str(result)
    if isinstance(result, list):
        return str(len(result))
    reception = getattr(result, "reception", None)
    return str(reception.value) if reception is not None else type(result).__name__
