"""The databases in which cases are played."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from gateway.store.engine import Database
from gateway.store.outbox.claiming import claim
from gateway.store.schema import empty, upgrade

T = TypeVar("T")


class CaseDatabase(Database):
    """A database that signals each write but a claim: nothing ends without one."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.written = asyncio.Event()

    async def write(self, unit: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        try:
            return await super().write(unit, *args, **kwargs)
        finally:
            if unit is not claim:
                self.written.set()


@cache
def _template() -> bytes:
    """Return an empty database of the present schema, made once in a process."""
    with TemporaryDirectory(prefix="gru-gateway-template-", dir=_memory()) as folder:
        path = Path(folder) / "template.db"
        upgrade(f"sqlite:///{path}")
        # The copies need what the upgrade left in the journal.
        database = Database(f"sqlite:///{path}")
        database.close()
        return path.read_bytes()


class Databases:
    """Empty SQLite databases. Cases share one in turn, since opening one costs more than a case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = itertools.count(1)
        self._open: list[CaseDatabase] = []
        self._idle: list[CaseDatabase] = []

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[CaseDatabase]:
        """Give an empty database for one case. One that cannot be emptied is not given again."""
        database = self._idle.pop() if self._idle else self._new()
        yield database
        await database.write(empty)
        self._idle.append(database)

    def _new(self) -> CaseDatabase:
        path = self._folder / f"case-{next(self._count)}.db"
        path.write_bytes(_template())
        database = CaseDatabase(f"sqlite:///{path}")
        self._open.append(database)
        return database

    def close(self) -> None:
        for database in self._open:
            database.close()


@contextmanager
def databases() -> Iterator[Databases]:
    """Make a temporary folder of databases."""
    with TemporaryDirectory(prefix="gru-gateway-cases-", dir=_memory()) as folder:
        made = Databases(Path(folder))
        try:
            yield made
        finally:
            made.close()


def _memory() -> Path | None:
    """Each commit waits for the disk: a disk in memory is enough for cases."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, gone afterwards
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else None
