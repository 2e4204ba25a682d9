"""Work on other people's data: on the event loop by turns while it is small, otherwise in a thread.

A thread cannot be stopped, so the caller bounds its input in bytes, values and depth, and every
pattern is linear. Work that takes too long is abandoned for its own request, while its thread runs
to the end of that input. No other process is needed: nothing here holds the interpreter lock for
long, and results need not be copied back.

The threads are separate from those of the database and of files, so that abandoned work never takes
these. Only a few pieces of work of one far end or sender run at once; its other pieces wait, and
other people's run.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from gateway.core.errors import Unavailable

log = structlog.get_logger()

#: A value of more bytes is worked on beside the loop, which goes on meanwhile.
SMALL: Final = 32 * 1024
#: Seconds that a piece of work may take, its wait for a thread among them: the portal itself gives
#: up after 28. The largest body takes two on a slow machine.
SECONDS = 20.0
#: Pieces of work that are at it at once, those that were given up among them.
THREADS: Final = 8
#: Those of one far end or one sender among them.
SHARE: Final = 2
#: Between two turns of the loop so many rows are worked on, and for so long, in seconds.
_ROWS: Final = 50
TURN: Final = 0.005

_T = TypeVar("_T")


class TookTooLong(Unavailable):
    """Work on other people's data was abandoned because it took too long."""

    def __init__(self) -> None:
        super().__init__("what was sent takes too long to read")


#: The owner of the present work; empty: nobody's, which has no bound of its own.
_WHOSE: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("whose", default="")


@contextmanager
def work_of(whose: str) -> Iterator[None]:
    """Count the work within the block as this far end's or this sender's."""
    before = _WHOSE.set(whose)
    try:
        yield
    finally:
        _WHOSE.reset(before)


class WorkerThreads:
    """The threads for such work. One `work_of` may use `share` of them.

    `given_up` counts the pieces that took too long; `lingering` counts those whose thread still
    runs.
    """

    def __init__(self, threads: int = THREADS, share: int = SHARE) -> None:
        self._threads = threads
        self._share = share
        self.begin()

    def begin(self) -> None:
        """Begin without any thread: the threads of a process do not survive a fork."""
        self._pool = ThreadPoolExecutor(self._threads, "beside")
        self._lock = threading.Lock()
        self._waiting: deque[_Piece] = deque()
        self._busy: Counter[str] = Counter()
        self.given_up = 0
        self.lingering = 0

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return the result of `work`. Raises TookTooLong."""
        piece = _Piece(partial(contextvars.copy_context().run, work), _WHOSE.get())
        with self._lock:
            self._waiting.append(piece)
            self._begin_next()
        patience = asyncio.timeout(SECONDS)
        try:
            async with patience:
                return await asyncio.wrap_future(piece.done)
        except TimeoutError:
            if not patience.expired():
                raise
            with self._lock:
                self.given_up += 1
                piece.lingers = piece.at_it
                self.lingering += piece.lingers
            log.warning("work.given_up", work=_place(work), begun=piece.lingers)
            raise TookTooLong from None
        finally:
            if piece.done.cancel():
                with self._lock:  # what it holds is not kept until its turn
                    if piece in self._waiting:
                        self._waiting.remove(piece)

    def _begin_next(self) -> None:
        """Give free threads to the pieces that may run, oldest first. The lock must be held."""
        for piece in tuple(self._waiting):
            if self._busy.total() >= self._threads:
                return
            if not piece.whose or self._busy[piece.whose] < self._share:
                self._waiting.remove(piece)
                self._busy[piece.whose] += 1
                self._pool.submit(self._run, piece)

    def _run(self, piece: _Piece) -> None:
        try:
            if piece.done.set_running_or_notify_cancel():
                piece.at_it = True
                piece.do()
        finally:
            with self._lock:
                piece.at_it = False
                self.lingering -= piece.lingers
                self._busy -= Counter([piece.whose])
                self._begin_next()


@dataclass(slots=True, eq=False)
class _Piece:
    """A piece of work. `at_it`: a thread runs it. `lingers`: the thread goes on although nobody
    waits."""

    work: Callable[[], Any]
    whose: str
    done: Future[Any] = field(default_factory=Future)
    at_it: bool = False
    lingers: bool = False

    def do(self) -> None:
        try:
            self.done.set_result(self.work())
        except BaseException as error:
            self.done.set_exception(error)


#: Those of this process.
threads: Final = WorkerThreads()
os.register_at_fork(after_in_child=threads.begin)


async def beside(size: int, work: Callable[[], _T]) -> _T:
    """Return the result of `work`. It runs in a thread if it handles more than `SMALL` bytes of
    other people's data.

    Raises TookTooLong when it takes longer than `SECONDS`.
    """
    return work() if size <= SMALL else await threads.run(work)


async def by_turns(rows: Sequence[_T]) -> AsyncIterator[_T]:
    """Yield the rows of other people's lists, and let other tasks of the loop run in between."""
    begun = time.monotonic()
    for n, row in enumerate(rows):
        if n % _ROWS == _ROWS - 1 or time.monotonic() - begun > TURN:
            await asyncio.sleep(0)
            begun = time.monotonic()
        yield row


def weight(value: Any) -> int:
    """Return the number of characters and values of a JSON value. Counting stops at the limit that
    `beside` needs."""
    size, waiting = 0, [value]
    while waiting and size <= SMALL:
        one = waiting.pop()
        size += len(one) if isinstance(one, str) else 8
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return size


def _place(work: Callable[..., Any]) -> str:
    """Return the source line of the work."""
    while isinstance(work, partial):
        work = work.func
    module, name = getattr(work, "__module__", ""), getattr(work, "__qualname__", "")
    return f"{module}.{name}"


__all__ = [
    "SECONDS",
    "SHARE",
    "SMALL",
    "THREADS",
    "TookTooLong",
    "beside",
    "by_turns",
    "threads",
    "weight",
    "work_of",
]
