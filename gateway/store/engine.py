"""The one way to run SQL: `await store.write(unit)` and `await store.read(unit)`.

A unit is a plain function whose first argument is a connection. It talks to the database and to
nothing else, so it may be run again after a rollback. Writers take units from a queue and run all
that wait as one transaction: many accepted requests, one fsync. When a unit of a group raises, the
group is rolled back and each of its units is run in a transaction of its own, so no unit ever pays
for another's fault. When the database itself fails (no connection, no lock, no commit), all of the
group learn it at once: nobody waits out the same timeout again for each unit.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection
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
from gateway.store import postgres, residue
from gateway.store.opening import POSTGRES_WRITERS, READERS, open_database_engine
from gateway.store.postgres import ConnectionMonitor

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

GROUP = 64
#: Of two PostgreSQL transactions that wait for each other one is undone, and is tried again.
UNDONE = frozenset({"40001", "40P01"})
TRIES = 3


class Store(Protocol):
    """The database as the rooms above see it. `keeps`: the last write did not fail for it.

    `trouble`: in a word, what ails its connections; empty when nothing does.
    """

    keeps: bool

    @property
    def trouble(self) -> str: ...

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    async def clean(self) -> bool:
        """Leave nothing of what was deleted in the database's files; False: to be tried again.

        PostgreSQL does it in its own time.
        """
        ...


class Batch(Generic[Item, T]):
    """A unit that does many at once, with fewer statements than one by one.

    `many` takes items and gives their results in the same order, each as if it were alone. Called
    with one item it is a unit like any other; the writers gather the items that wait together.
    """

    def __init__(self, many: Callable[[Connection, Sequence[Item]], Sequence[T]]) -> None:
        self.many = many
        self.__name__ = many.__name__

    def __call__(self, connection: Connection, item: Item) -> T:
        (result,) = self.many(connection, [item])
        return result


@dataclass(slots=True, eq=False)
class _Job:
    unit: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]
    #: Between two transactions, on the driver's own connection.
    alone: bool = False
    result: Any = None
    error: BaseException | None = None


class _Failed(Exception):
    """A transaction came to nothing. `everybody`: the database failed, not a unit."""

    def __init__(self, cause: BaseException, *, everybody: bool) -> None:
        super().__init__()
        self.cause = cause
        self.everybody = everybody


class Database:
    """A Store over threads: one writer for SQLite, a few for PostgreSQL, and a pool of readers."""

    def __init__(self, url: str) -> None:
        self.watch = ConnectionMonitor(url) if url.startswith("postgres") else None
        self.engine = open_database_engine(url, watch=self.watch)
        self.dialect = self.engine.dialect.name
        self.keeps = True
        #: Run once on each new connection that is written over, before anything else.
        self.first: Callable[[Connection], None] | None = None
        sqlite = self.dialect == "sqlite"
        # Without a transaction: at the end of one that only read, the driver would roll back, and
        # forget every statement that its connection has prepared.
        self._read_engine = (
            open_database_engine(url, reader=True)
            if sqlite
            else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.closed = False
        self._gate = threading.Lock()
        self._writers = [
            threading.Thread(target=self._write_loop, name=f"store-write-{n}", daemon=True)
            for n in range(1 if sqlite else POSTGRES_WRITERS)
        ]
        for thread in self._writers:
            thread.start()

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit; when this returns it is on disk. Raises Unavailable when it cannot be."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        await self._queued(_Job(unit, args, kwargs, done.get_loop(), done))
        return done.result()

    async def alone(self, unit: Callable[..., T], *args: Any) -> T:
        """Run a unit on the driver's connection, outside of any transaction, while nobody else in
        this process writes to SQLite. Raises Unavailable."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        await self._queued(_Job(unit, args, {}, done.get_loop(), done, alone=True))
        return done.result()

    async def clean(self) -> bool:
        """See Store."""
        return self.dialect != "sqlite" or await residue.clean(self)

    async def _queued(self, job: _Job) -> None:
        with self._waiting():
            with self._gate:  # never behind the writers' stop, where nobody would take it
                if self.closed:
                    raise Unavailable("the database is closed")
                self._jobs.put(job)
            await job.done

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit that writes nothing. Raises Unavailable when the database does not answer."""

        def run() -> T:
            try:
                self._hangs()
                with self._read_engine.connect() as connection:
                    return unit(connection, *args, **kwargs)
            except SQLAlchemyError as error:
                failure = nameable(error)
            raise failure  # out of the handler: the driver's error must not travel with it

        if self.closed:
            raise Unavailable("the database is closed")
        with self._waiting():
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    @property
    def trouble(self) -> str:
        """Tell what ails the connections: see `gateway.store.postgres.ConnectionMonitor`."""
        return "" if self.watch is None else self.watch.trouble

    def _hangs(self) -> None:
        """Raises Unavailable while nobody is answered: what begins now would wait for nothing."""
        if self.trouble == "hanging":
            raise Unavailable("the database hangs")

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._hangs()
        with nullcontext() if self.watch is None else self.watch.waiting():
            yield

    def close(self) -> None:
        """Finish what is queued, stop the threads, close the connections."""
        with self._gate:
            if self.closed:
                return
            self.closed = True
            for _ in self._writers:
                self._jobs.put(None)
        for thread in self._writers:
            thread.join()
        self._readers.shutdown()
        if self.watch is not None:
            self.watch.close()
        self.engine.dispose()
        self._read_engine.dispose()

    def _write_loop(self) -> None:
        job: _Job | None
        held: _Job | None = None
        while True:
            job, held = held or self._jobs.get(), None
            if job is None:
                return
            if job.alone:
                self._run_alone(job)
                continue
            group = [job]
            while len(group) < GROUP:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._jobs.put(None)
                    break
                if more.alone:
                    held = more
                    break
                group.append(more)
            # What nobody waits for any more is not begun.
            wanted = [job for job in group if not job.done.cancelled()]
            if wanted:
                self._run_group(wanted)

    def _run_alone(self, job: _Job) -> None:
        try:
            with contextlib.closing(self.engine.raw_connection()) as connection:
                job.result = job.unit(connection.driver_connection, *job.args)
        except BaseException as error:
            _fail([job], error)
        else:
            _tell([job])

    def _run_group(self, group: list[_Job]) -> None:
        try:
            results = self._transaction(group)
        except _Failed as failed:
            if failed.everybody or len(group) == 1:
                _fail(group, failed.cause)
            else:
                self._run_each(group)
            return
        for job, result in zip(group, results, strict=True):
            job.result = result
        _tell(group)

    def _run_each(self, group: list[_Job]) -> None:
        for n, job in enumerate(group):
            try:
                (job.result,) = self._transaction([job])
            except _Failed as failed:
                if failed.everybody:
                    _fail(group[n:], failed.cause)
                    return
                _fail([job], failed.cause)
            else:
                _tell([job])

    def _transaction(self, group: list[_Job]) -> list[Any]:
        tries = 1
        while True:
            try:
                return self._once(group)
            except _Failed as failed:
                state = getattr(getattr(failed.cause, "orig", None), "sqlstate", None)
                if len(group) > 1 or state not in UNDONE or tries == TRIES:
                    raise
            tries += 1

    def _once(self, group: list[_Job]) -> list[Any]:
        everybody = True
        try:
            self._hangs()
            with self.engine.begin() as connection:
                known = connection.info
                if self.first is not None and "looked" not in known:
                    self.first(connection)
                everybody = False
                results = _run(connection, group)
                # A commit whose answer is lost may have been done: its units are not run again.
                everybody = True
            known["looked"] = True
            self.keeps = True
        except BaseException as error:
            if isinstance(nameable(error), Unavailable):
                self.keeps = False
            state = getattr(getattr(error, "orig", None), "sqlstate", None)
            if state == postgres.READ_ONLY and self.watch is not None:
                self.watch.drop()
            raise _Failed(error, everybody=everybody) from None
        return results


def _run(connection: Connection, group: list[_Job]) -> list[Any]:
    """Return the jobs' results, in their order; what a batch can do together is done together."""
    if len(group) == 1:
        (job,) = group
        return [job.unit(connection, *job.args, **job.kwargs)]
    results: list[Any] = [None] * len(group)
    together: dict[Batch[Any, Any], list[int]] = {}
    for n, job in enumerate(group):
        if isinstance(job.unit, Batch):
            together.setdefault(job.unit, []).append(n)
        else:
            results[n] = job.unit(connection, *job.args, **job.kwargs)
    for batch, places in together.items():
        found = batch.many(connection, [group[n].args[0] for n in places])
        for n, result in zip(places, found, strict=True):
            results[n] = result
    return results


def _fail(jobs: list[_Job], error: BaseException) -> None:
    for job in jobs:
        job.error = nameable(error)
    _tell(jobs)


def _tell(jobs: list[_Job]) -> None:
    """Hand results over: to each event loop that waits, all of its own at once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, its in by_loop.items():
        with contextlib.suppress(RuntimeError):  # a loop that was closed meanwhile waits no more
            loop.call_soon_threadsafe(_hand_over, its)


def _hand_over(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.done.done():
            continue
        if job.error is None:
            job.done.set_result(job.result)
        else:
            job.done.set_exception(job.error)


#: What SQLite's words mean, by the beginning of their names, for who reads "does not answer".
_SQLITE = {
    "SQLITE_BUSY": "another process writes to it: try again",
    "SQLITE_FULL": "its disk is full",
    "SQLITE_READONLY": "this account may not write to it",
    "SQLITE_CANTOPEN": "this account may not open it, or it is not there",
    "SQLITE_IOERR": "its disk cannot be read or written",
}


def nameable(error: BaseException) -> BaseException:
    """Driver errors as the house's own, without the statement's values (personal data)."""
    if isinstance(error, DBAPIError):
        orig = type(error.orig).__name__
        passing = isinstance(error, OperationalError | InterfaceError | InternalError)
        # SQLite's bare class says that the file is damaged, or is none of its own.
        if type(error) is DatabaseError and isinstance(error.orig, sqlite3.DatabaseError):
            damaged = "the database's file is damaged, or is no database"
            return Unavailable(f"{damaged}: gru-gateway restore puts a backup back")
        if passing or error.connection_invalidated or type(error) is DatabaseError:
            name = getattr(error.orig, "sqlite_errorname", "")
            meant = (said for word, said in _SQLITE.items() if name.startswith(word))
            return Unavailable(f"the database does not answer ({next(meant, orig)})")
        # The statement is ours, and tells enough.
        statement = (error.statement or "").split("(")[0].strip()[:80]
        return GatewayError(f"{orig} in: {statement}")
    if isinstance(error, PoolTimeout):
        return Unavailable("the database does not answer (all connections are busy)")
    if isinstance(error, StatementError):
        return GatewayError(f"a value that cannot be stored ({type(error.orig).__name__})")
    if isinstance(error, SQLAlchemyError):
        return GatewayError(f"a statement that cannot be run ({type(error).__name__})")
    return error
