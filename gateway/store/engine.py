"""The one way to run SQL: `await store.write(unit)` and `await store.read(unit)`.

A unit is a plain function whose first argument is a connection. It may do nothing but SQL, since it
may be run again after a rollback. Writers run all waiting units as one transaction: many accepted
requests, one fsync. When a unit raises, its group is rolled back and each unit is run in a
transaction of its own, so no unit pays for another's fault. When the database fails (no connection,
lock or commit), the whole group fails at once, and nobody waits out one timeout after another.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from gateway.core.errors import Unavailable
from gateway.store import postgres, residue
from gateway.store.driver_errors import nameable
from gateway.store.opening import POSTGRES_WRITERS, READERS, open_database_engine
from gateway.store.postgres import ConnectionMonitor
from gateway.store.texts import say

if TYPE_CHECKING:
    from gateway.store.sealer import Sealer

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

GROUP = 64
#: The execution option under which a connection knows the Sealer of its database.
SEALER: Final = "sealer"
#: PostgreSQL undoes one of two transactions that wait for each other; it is tried again.
UNDONE = frozenset({"40001", "40P01"})
TRIES = 3


class Store(Protocol):
    """The database as the rooms above see it. `writable`: no write failed because of the database
    since somebody who wrote to it set this: a transaction that changes nothing proves nothing.
    `trouble`: a word for what ails its connections, or empty. `sealer` None: all is in clear."""

    writable: bool
    sealer: Sealer | None

    @property
    def trouble(self) -> str: ...

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    async def clean(self) -> bool:
        """Remove what was deleted from the files of the database and of its keys. Return False when
        it is to be tried again. PostgreSQL does this by itself."""
        ...


class Batch(Generic[Item, T]):
    """A unit that handles many items with fewer statements than one by one.

    `many` takes items and returns their results in order, each as if it were alone. With one item
    it is a unit like any other; the writers gather waiting items.
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
    #: Runs on the driver's own connection, between two transactions.
    alone: bool = False
    result: Any = None
    error: BaseException | None = None


class _Failed(Exception):
    """A transaction failed. `everybody`: because of the database, not of a unit."""

    def __init__(self, cause: BaseException, *, everybody: bool) -> None:
        super().__init__()
        self.cause = cause
        self.everybody = everybody


class Database:
    """A Store over threads: one writer for SQLite, a few for PostgreSQL, and a pool of readers.

    Without a `sealer` everything in it is in clear, and what is sealed cannot be read. The sealer
    is closed with it.
    """

    def __init__(self, url: str, sealer: Sealer | None = None) -> None:
        self.watch = ConnectionMonitor(url) if url.startswith("postgres") else None
        self.sealer = sealer
        opened = open_database_engine(url, watch=self.watch)
        self.engine = opened.execution_options(**{SEALER: sealer})
        self.dialect = self.engine.dialect.name
        self.writable = True
        #: Runs first on each new connection of a writer.
        self.first: Callable[[Connection], None] | None = None
        sqlite = self.dialect == "sqlite"
        # Without a transaction: at the end of one that only read, the driver would roll back and
        # forget the connection's prepared statements.
        self._read_engine = (
            open_database_engine(url, reader=True).execution_options(**{SEALER: sealer})
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
        """Run a unit; when this returns it is on disk. Raises Unavailable when that fails."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        await self._queued(_Job(unit, args, kwargs, done.get_loop(), done))
        return done.result()

    async def alone(self, unit: Callable[..., T], *args: Any) -> T:
        """Run a unit on the driver's connection outside a transaction, while nobody else in this
        process writes to SQLite. Raises Unavailable."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        await self._queued(_Job(unit, args, {}, done.get_loop(), done, alone=True))
        return done.result()

    async def clean(self) -> bool:
        """Do as Store says."""
        if self.sealer is not None:
            try:
                await asyncio.to_thread(self.sealer.keys.clean)
            except Unavailable:
                return False
        return self.dialect != "sqlite" or await residue.clean(self)

    async def _queued(self, job: _Job) -> None:
        with self._waiting():
            with self._gate:  # not after the writers' stop, where nobody would take it
                if self.closed:
                    raise Unavailable(say("closed"))
                self._jobs.put(job)
            await job.done

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit that only reads. Raises Unavailable when the database does not answer."""

        def run() -> T:
            try:
                self._hangs()
                with self._read_engine.connect() as connection:
                    return unit(connection, *args, **kwargs)
            except SQLAlchemyError as error:
                failure = nameable(error)
            raise failure  # outside the handler: the driver's error must not travel with it

        if self.closed:
            raise Unavailable(say("closed"))
        with self._waiting():
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    @property
    def trouble(self) -> str:
        """Name what ails the connections: see `gateway.store.postgres.ConnectionMonitor`."""
        return "" if self.watch is None else self.watch.trouble

    def _hangs(self) -> None:
        """Raises Unavailable while the server hangs: a new call would wait in vain."""
        if self.trouble == "hanging":
            raise Unavailable(say("hangs"))

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._hangs()
        with nullcontext() if self.watch is None else self.watch.waiting():
            yield

    def close(self) -> None:
        """Finish queued units, stop the threads, close the connections."""
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
        if self.sealer is not None:
            self.sealer.close()

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
            # Units whose callers have gone are not begun.
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
            _finish([job])

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
        _finish(group)

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
                _finish([job])

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
                # A commit without an answer may have been done: its units are not run again.
                everybody = True
            known["looked"] = True
        except BaseException as error:
            if isinstance(nameable(error), Unavailable):
                self.writable = False
            state = getattr(getattr(error, "orig", None), "sqlstate", None)
            if state == postgres.READ_ONLY and self.watch is not None:
                self.watch.drop()
            raise _Failed(error, everybody=everybody) from None
        return results


def _run(connection: Connection, group: list[_Job]) -> list[Any]:
    """Return the jobs' results in order; jobs of one batch run together."""
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
    _finish(jobs)


def _finish(jobs: list[_Job]) -> None:
    """Hand results over, to each waiting event loop all of its own at once."""
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
