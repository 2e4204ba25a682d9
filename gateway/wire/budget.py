"""The budget that all calls of the process share: calls under way, and connections open.

A call waits for its turn before anything of it begins, for as long as it takes: that is no failure
of anybody, and counts for no timeout. Turns go around: commune by commune, and within a commune
caller by caller, so that one with much to send has no more of them than one with little.
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

#: Descriptors left to the database, the log, files that come in and the callers' own connections.
RESERVED = 64
#: The most that is used of the largest machine.
MOST_CALLS = 1024
MOST_SOCKETS = 16 * 1024
MOST_FILES = 64 * 1024

#: The task has a turn, which is good for whatever it calls.
_HAS_TURN: ContextVar[bool] = ContextVar("has_turn", default=False)


@dataclass(frozen=True, slots=True)
class CallSource:
    """The source of a call, which asks for a turn: the commune that it is for, the far end, and a
    name."""

    commune: str
    far_end: str
    name: str | int


class Turns:
    """`most` calls under way at once, and of those to a far end as many as `bounds` says."""

    def __init__(self, most: int, bounds: Mapping[str, int] | None = None) -> None:
        self.most = most
        self.bounds = dict(bounds or {})
        self.under_way = 0
        self._at: Counter[str] = Counter()
        #: Who waits: by far end (all that have no bound of their own are one), then by commune.
        self._queues: OrderedDict[str | None, _Queue] = OrderedDict()
        #: Given to callers that waited, and not collected yet.
        self._given: Counter[CallSource] = Counter()

    @property
    def waiting(self) -> int:
        """Return how many callers wait."""
        return sum(len(callers) for queue in self._queues.values() for callers in queue.values())

    def acquire(self, caller: CallSource, wanted: int, wake: Callable[[], None]) -> int:
        """As many turns as there are at once, up to `wanted`. With fewer, `wake` is called when it
        is the caller's turn, which is then to be had by `collect`."""
        taken = 0
        # With room, nobody waits who could go: whoever could was let go when it came to be.
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
        """Give a turn back that the caller has no use for after all."""
        queue = self._queues.get(self._key(caller), OrderedDict())
        callers = queue.get(caller.commune, OrderedDict())
        if callers.pop(caller, None) is not None and not callers:
            del queue[caller.commune]

    def give_back(self, caller: CallSource, turns: int = 1) -> None:
        """So many turns are over, or were not needed."""
        self.under_way -= turns
        self._at[caller.far_end] -= turns
        self._go_on()

    async def wait(self, caller: CallSource) -> None:
        """Until it is the caller's turn, which `give_back` ends."""
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
        """Give what is free to who waits, each commune one turn before any has a second."""
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


#: Callers by commune, each with how it is woken, in the order in which they go.
_Queue = OrderedDict[str, OrderedDict[CallSource, Callable[[], None]]]
_NOBODY: Any = object()


class Sockets:
    """At most `most` connections are open: of those kept idle, the longest unused are closed.

    Who has a call under way keeps what is open. There are fewer calls than connections, so that
    there is always something to close.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0
        #: The connections that each holder may have open, the longest unused first; how it closes
        #: all of it.
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
        """Close what a holder has open."""
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
    """Return the share that this process may use of `files` descriptors, by default those it may
    have open.

    Half of them are for connections of ours, and a quarter of these may be in use at once: each far
    end keeps some open for the next call.
    """
    if files is None:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        files = MOST_FILES
    sockets = min(MOST_SOCKETS, max(16, (files - RESERVED) // 2))
    return CallBudget(Turns(min(MOST_CALLS, sockets // 4), bounds), Sockets(sockets))


def raise_file_limit() -> int:
    """Have as many descriptors as may be had without asking anybody; how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


@contextmanager
def with_turn() -> Iterator[None]:
    """Let what is called within the block go without asking: it has its turn already."""
    token = _HAS_TURN.set(True)
    try:
        yield
    finally:
        _HAS_TURN.reset(token)


def has_turn() -> bool:
    return _HAS_TURN.get()
