"""The databases that cases are played in."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from gateway.store.engine import Database
from gateway.store.outbox.claiming import claim
from gateway.store.schema import empty, upgrade

T = TypeVar("T")


class CaseDatabase(Database):
    """It says when it was written to: nothing ends but by that, and by no claim."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.written = asyncio.Event()

    async def write(self, unit: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        try:
            return await super().write(unit, *args, **kwargs)
        finally:
            if unit is not claim:
                self.written.set()


class Databases:
    """Empty SQLite databases: one after the other may have the same, as to open one costs more than
    a case does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.db"
        self._count = itertools.count(1)
        self._open: list[CaseDatabase] = []
        self._idle: list[CaseDatabase] = []
        upgrade(f"sqlite:///{self._template}")
        # What the upgrade left in the journal belongs to the copies as well.
        database = Database(f"sqlite:///{self._template}")
        database.close()

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[CaseDatabase]:
        """Give an empty database for one case. Of one that cannot be emptied no other case is
        given."""
        database = self._idle.pop() if self._idle else self._new()
        yield database
        await database.write(empty)
        self._idle.append(database)

    def _new(self) -> CaseDatabase:
        path = self._folder / f"case-{next(self._count)}.db"
        shutil.copyfile(self._template, path)
        database = CaseDatabase(f"sqlite:///{path}")
        self._open.append(database)
        return database

    def close(self) -> None:
        for database in self._open:
            database.close()


@contextmanager
def databases() -> Iterator[Databases]:
    """Give a temporary folder of databases."""
    # Each commit waits for its disk: where there is a disk in memory, cases need no other.
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, gone afterwards
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with TemporaryDirectory(prefix="gru-gateway-cases-", dir=place) as folder:
        made = Databases(Path(folder))
        try:
            yield made
        finally:
            made.close()
