"""Work on what others wrote: by turns on the event loop while it is small, else beside it.

A thread cannot be ended, so its input is bounded by whoever gives it: in bytes, values and depth,
and every pattern is linear. Work that takes too long all the same is given up for its own request,
while its thread goes on to the end of that input. No process of its own is needed for this: nothing
here keeps the interpreter for long at a time, and what was read need not be copied back.

The threads are apart from those of the database and of files, so that nothing that is given up
takes these. Of one far end's or one sender's work a few pieces are at it at once: the rest of
theirs waits, and the others' goes on.
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
    """Work on what somebody else wrote was given up: it took longer than it may."""

    def __init__(self) -> None:
        super().__init__("what was sent takes too long to read")


#: Whose work it is that is done now; empty: nobody's, which has no bound of its own.
_WHOSE: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("whose", default="")


@contextmanager
def work_of(whose: str) -> Iterator[None]:
    """Count what is worked on within the block as this far end's or this sender's."""
    before = _WHOSE.set(whose)
    try:
        yield
    finally:
        _WHOSE.reset(before)


class WorkerThreads:
    """The threads for such work, `share` of them for one `work_of`. `given_up` pieces took too
    long, and the threads of `lingering` of them have not come to their end."""

    def __init__(self, threads: int = THREADS, share: int = SHARE) -> None:
        self._threads = threads
        self._share = share
        self.begin()

    def begin(self) -> None:
        """Without any thread: those of a process do not outlive its fork."""
        self._pool = ThreadPoolExecutor(self._threads, "beside")
        self._lock = threading.Lock()
        self._waiting: deque[_Piece] = deque()
        self._busy: Counter[str] = Counter()
        self.given_up = 0
        self.lingering = 0

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what `work` gives. Raises TookTooLong."""
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
        """Give a thread to whatever may have one, the first come first. With the lock held."""
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
    """A piece of work: has a thread begun it, and goes on with it though it was given up?"""

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
    """Return what `work` gives; it runs in a thread when it has more than `SMALL` bytes of somebody
    else's.

    Raises TookTooLong when it takes longer than `SECONDS`.
    """
    return work() if size <= SMALL else await threads.run(work)


async def by_turns(rows: Sequence[_T]) -> AsyncIterator[_T]:
    """Yield the rows of a list that somebody else made, while others on the loop have their
    turns."""
    begun = time.monotonic()
    for n, row in enumerate(rows):
        if n % _ROWS == _ROWS - 1 or time.monotonic() - begun > TURN:
            await asyncio.sleep(0)
            begun = time.monotonic()
        yield row


def weight(value: Any) -> int:
    """Characters and values of what JSON holds, counted no further than `beside` asks for."""
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
    """Return where the work is written."""
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
