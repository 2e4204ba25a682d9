"""An event loop under virtual time that knows whose step it runs.

Time jumps to the next timer when nothing is ready. What is ready runs in an order drawn from the
seed. Each handle belongs to a `Process` by its context, or to the world when it has none: the
handles of a frozen process are set aside, so that a killed process stops between two of its steps
without any `finally` being run, as by SIGKILL, and a paused one goes on later, as by SIGCONT.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import events
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any


class Frozen:
    """A part of a loop that can be stopped: `aside` keeps its handles while `frozen`."""

    def __init__(self) -> None:
        self.frozen = False
        self.aside: list[events.Handle] = []


OWNER: ContextVar[Frozen | None] = ContextVar("owner", default=None)


class Deadlock(Exception):
    """Nothing is ready, and no timer will ever change that."""


class NumberedTask(asyncio.Task[Any]):
    """A task with a number, since an order by memory address would not replay, and its owner."""

    number = 0
    owner: Frozen | None = None


class VirtualLoop(asyncio.SelectorEventLoop):
    """`before_step(owner)` is asked before each step of a process; it may freeze it."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice
        self._virtual = 0.0
        self._tasks_made = 0
        self.before_step: Callable[[Frozen], None] = lambda owner: None
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return self._virtual

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Any,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        task = NumberedTask(coro, loop=loop, context=context)
        self._tasks_made += 1
        task.number = self._tasks_made
        task.owner = OWNER.get() if context is None else context.get(OWNER)
        return task

    def thaw(self, owner: Frozen) -> None:
        """Let a frozen process go on."""
        owner.frozen = False
        self._ready.extend(owner.aside)  # type: ignore[attr-defined]
        owner.aside.clear()

    def _run_once(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        ready = self._ready  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
        if not ready:
            if not timers:
                raise Deadlock
            self._virtual = max(self._virtual, timers[0]._when)
        while timers and timers[0]._when <= self._virtual + 1e-9:
            handle = heapq.heappop(timers)
            handle._scheduled = False
            ready.append(handle)
        # One by one: threads add to it meanwhile.
        taken = [ready.popleft() for _ in range(len(ready))]
        batch = [handle for handle in taken if not handle._cancelled]
        if len(batch) > 1:
            batch.sort(key=_number)
            self._dice.shuffle(batch)
        for handle in batch:
            if handle._cancelled:
                continue
            owner = handle._context.get(OWNER)
            if owner is not None:
                if not owner.frozen:
                    self.before_step(owner)
                if owner.frozen:
                    owner.aside.append(handle)
                    continue
            handle._run()


def _number(handle: Any) -> int:
    return getattr(getattr(handle._callback, "__self__", None), "number", 0)
