"""The budget of all calls of the process: calls under way, and open connections.

A call waits for its turn before it begins, however long: that is nobody's failure, and counts for
no timeout. Turns go commune by commune, and within a commune caller by caller, so that much to send
gives no more turns than little.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

#: Descriptors for the database, the log, incoming files and the callers' own connections.
RESERVED = 64
#: The bound on the largest machine.
MOST_CALLS = 1024
MOST_SOCKETS = 16 * 1024
MOST_FILES = 64 * 1024

#: The task has a turn, which is good for all its calls.
_HAS_TURN: ContextVar[bool] = ContextVar("has_turn", default=False)


@dataclass(frozen=True, slots=True)
class CallSource:
    """The source of a call: its commune, its far end, and a name."""

    commune: str
    far_end: str
    name: str | int


class Turns:
    """At most `most` calls under way at once; to a far end at most its number in `bounds`."""

    def __init__(self, most: int, bounds: Mapping[str, int] | None = None) -> None:
        self.most = most
        self.bounds = dict(bounds or {})
        self.under_way = 0
        self._at: Counter[str] = Counter()
        #: The waiting callers by far end (those without a bound are one), then by commune.
        self._queues: OrderedDict[str | None, _Queue] = OrderedDict()
        #: Turns given to callers that waited, and not collected yet.
        self._given: Counter[CallSource] = Counter()

    @property
    def waiting(self) -> int:
        """Return how many callers wait."""
        return sum(len(callers) for queue in self._queues.values() for callers in queue.values())

    def acquire(self, caller: CallSource, wanted: int, wake: Callable[[], None]) -> int:
        """Take free turns, up to `wanted`; return how many. With fewer, `wake` is called at the
        caller's turn, which `collect` then takes."""
        taken = 0
        # With room nobody waits who could go: room is given away as it comes.
        while taken < wanted and self._room(self._key(caller)):
            self._begin(caller)
            taken += 1
        if taken < wanted:
            queue = self._queues.setdefault(self._key(caller), OrderedDict())
            queue.setdefault(caller.commune, OrderedDict()).setdefault(caller, wake)
        return taken

    def collect(self, caller: CallSource) -> int:
        """Collect the turns that the caller was woken for."""
        return self._given.pop(caller, 0)

    def stop_waiting(self, caller: CallSource) -> None:
        """Take a caller out of the queue, and give back a turn that it has no use for."""
        queue = self._queues.get(self._key(caller), OrderedDict())
        callers = queue.get(caller.commune, OrderedDict())
        if callers.pop(caller, None) is not None and not callers:
            del queue[caller.commune]

    def give_back(self, caller: CallSource, turns: int = 1) -> None:
        """Give back turns that are over, or were not needed."""
        self.under_way -= turns
        self._at[caller.far_end] -= turns
        self._go_on()

    async def wait(self, caller: CallSource) -> None:
        """Wait for the caller's turn, which `give_back` ends."""
        came = asyncio.Event()
        if self.acquire(caller, 1, came.set):
            return
        try:
            await came.wait()
        except asyncio.CancelledError:
            self.stop_waiting(caller)
            if self.collect(caller):
                self.give_back(caller)
            raise
        self.collect(caller)

    def _key(self, caller: CallSource) -> str | None:
        return caller.far_end if caller.far_end in self.bounds else None

    def _room(self, key: str | None) -> bool:
        if self.under_way >= self.most:
            return False
        return key is None or self._at[key] < self.bounds[key]

    def _begin(self, caller: CallSource) -> None:
        self.under_way += 1
        self._at[caller.far_end] += 1

    def _go_on(self) -> None:
        """Give free turns to those who wait: each commune one before any has a second."""
        while True:
            key = next((k for k, queue in self._queues.items() if queue and self._room(k)), _NOBODY)
            if key is _NOBODY:
                return
            self._queues.move_to_end(key)
            queue = self._queues[key]
            commune, callers = next(iter(queue.items()))
            caller, wake = callers.popitem(last=False)
            if callers:
                queue.move_to_end(commune)
            else:
                del queue[commune]
            self._begin(caller)
            self._given[caller] += 1
            wake()


#: Callers of a commune in their order, each with its wake-up.
_Queue = OrderedDict[str, OrderedDict[CallSource, Callable[[], None]]]
_NOBODY: Any = object()


class Sockets:
    """At most `most` open connections: idle ones are closed, the longest unused first.

    A caller with a call under way keeps its connections. There are fewer calls than connections, so
    some are always idle.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0
        #: The connections that each holder may have open, the longest unused first; and how to
        #: close them.
        self._holders: OrderedDict[int, _Holder] = OrderedDict()

    async def using(self, holder: int, calls: int, close: Callable[[], Awaitable[None]]) -> None:
        """Note that a holder is about to have so many calls under way."""
        known = self._holders.pop(holder, None) or _Holder(close)
        self._holders[holder] = known
        known.calls = calls
        if calls > known.open:
            self.open += calls - known.open
            known.open = calls
        while self.open > self.most:
            idle = next((one for one, how in self._holders.items() if how.calls == 0), None)
            if idle is None:
                return
            await self.close(idle)

    def used(self, holder: int, calls: int) -> None:
        """Note that a call of a holder is over; so many are under way."""
        known = self._holders.get(holder)
        if known is not None:
            known.calls = calls

    async def close(self, holder: int) -> None:
        """Close a holder's connections."""
        known = self._holders.pop(holder, None)
        if known is not None:
            self.open -= known.open
            await known.close()


@dataclass(slots=True)
class _Holder:
    close: Callable[[], Awaitable[None]]
    open: int = 0
    calls: int = 0


@dataclass(slots=True)
class CallBudget:
    """The turns and connections that the calls of one process share."""

    turns: Turns
    sockets: Sockets


def budget(bounds: Mapping[str, int] | None = None, files: int | None = None) -> CallBudget:
    """Return the budget within `files` descriptors; by default those that the process may open.

    Half of them are for our connections, and a quarter of these may be in use at once: each far end
    keeps some open.
    """
    if files is None:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        files = MOST_FILES
    sockets = min(MOST_SOCKETS, max(16, (files - RESERVED) // 2))
    return CallBudget(Turns(min(MOST_CALLS, sockets // 4), bounds), Sockets(sockets))


def raise_file_limit() -> int:
    """Raise the number of descriptors as far as the system allows; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


@contextmanager
def with_turn() -> Iterator[None]:
    """Let all calls in the block go: they have a turn already."""
    token = _HAS_TURN.set(True)
    try:
        yield
    finally:
        _HAS_TURN.reset(token)


def has_turn() -> bool:
    return _HAS_TURN.get()
