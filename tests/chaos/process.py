"""One process of the gateway: the real engine, its lanes and its timers, killable between steps."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from gateway.catalogue.catalogue import Catalogue, Teleservice
from gateway.core.breaker import BreakerPolicy
from gateway.flow.engine import Engine, grus, open_engine
from gateway.flow.environment import Environment
from gateway.flow.lanes.leases import REAP_EVERY
from gateway.store import intake, nonces, ticks
from tests.chaos.loop import OWNER, Frozen, NumberedTask, VirtualLoop
from tests.chaos.store import Disk, InlineStore
from tests.chaos.town import BEGIN, Line, Town

POLL_EVERY, RECONCILE_EVERY, ERASE_EVERY = 240.0, 600.0, 45.0


class Process(Frozen):
    """Started at once. `alone` as for SQLite, otherwise a replica among others."""

    def __init__(
        self,
        number: int,
        loop: VirtualLoop,
        town: Town,
        disk: Disk,
        catalogue: Catalogue,
        dice: random.Random,
        note: Callable[..., None],
        *,
        alone: bool,
        skew: float,
        breaker: BreakerPolicy,
    ) -> None:
        super().__init__()
        self.number, self.loop, self.town, self.dice = number, loop, town, dice
        self.alone, self.skew = alone, skew
        self.dead = False
        self.engine: Engine | None = None
        self.store = InlineStore(disk, lambda *words: note(f"p{number}", *words))
        self.note = note
        self._catalogue, self._breaker = catalogue, breaker
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self)
        self.ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._work: list[asyncio.Task[Any]] = []
        self.main = self.start(self._main())
        self.main.add_done_callback(self._exits)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Have this process do something."""
        return self.loop.create_task(work, context=self._context)

    @property
    def takes_calls(self) -> bool:
        return self.engine is not None and not self.dead and not self._stop.is_set()

    def kill(self) -> None:
        """Kill it as SIGKILL does: nothing of it runs any more."""
        self.frozen = self.dead = self.store.dead = True

    def stop(self) -> None:
        """Stop it as SIGTERM does."""
        self._stop.set()

    async def bury(self) -> None:
        """End the tasks of a dead process, whose every act is void by now."""
        self.store.dead = True
        self.dead = True
        if self.engine is not None:
            self.engine.lanes.registry.stopping = True
        self.loop.thaw(self)
        mine = [
            task
            for task in asyncio.all_tasks(self.loop)
            if isinstance(task, NumberedTask) and task.owner is self
        ]
        for task in sorted(mine, key=lambda one: one.number):
            task.cancel()
        if mine:
            await asyncio.wait(mine, timeout=600)

    def _now(self) -> datetime:
        return self.town.now() + timedelta(seconds=self.skew + self.town.wrong)

    async def _sleep(self, seconds: float) -> None:
        # The reaper looks less often than it would, or most of a seed's steps were its own.
        stretched = seconds * (1 + 12 * self.dice.random()) if seconds == REAP_EVERY else seconds
        await asyncio.sleep(stretched)

    async def _main(self) -> None:
        def entropy() -> int:
            return self.dice.getrandbits(32)

        def new_id() -> str:
            return f"{self.dice.getrandbits(80):020x}"

        environment = Environment(
            now=self._now,
            monotonic=self.loop.time,
            sleep=self._sleep,
            chance=self.dice.random,
            entropy=entropy,
            new_id=new_id,
            crash=lambda point: None,
        )
        async with open_engine(
            self._catalogue,
            self.store,
            environment=environment,
            owner=f"process-{self.number}",
            alone=self.alone,
            transport=lambda lane: Line(self.town, lane, lambda: self.dead),
            breaker=self._breaker,
        ) as engine:
            self.engine = engine
            self.ready.set()
            self._work = [self.start(engine.lanes.run(engine.lane_names())), *self._timers(engine)]
            self._work[0].add_done_callback(self._exits)
            await self._stop.wait()
            for timer in self._work[1:]:
                timer.cancel()
            await engine.lanes.stop(self.dice.choice((0.0, 5.0, 60.0)))
            self._work[0].cancel()
            for task in self._work:
                with suppress(asyncio.CancelledError, Exception):
                    await task
        self.engine = None
        self.dead = True
        self.note(f"p{self.number}", "stopped")

    def _exits(self, task: asyncio.Task[Any]) -> None:
        """End the process where it cannot start, as `gateway.app` does."""
        if not task.cancelled() and task.exception() is not None:
            self.note(f"p{self.number}", "exited", type(task.exception()).__name__)
            self.kill()

    def _timers(self, engine: Engine) -> list[asyncio.Task[Any]]:
        """Run timers as `gateway.timers` does, whose scheduler reads the machine's clock."""

        async def forget() -> None:
            await engine.store.write(nonces.forget, engine.environment.now())

        jobs: list[tuple[str, float, Callable[[], Awaitable[Any]]]] = [
            ("forget", 3600.0, forget),
            ("erasures", ERASE_EVERY, engine.eraser.advance),
        ]
        for gru in grus(engine.catalogue):
            if engine.adapters[gru.lane_name].capabilities.statuses:
                poll = lambda gru=gru: engine.changes.poll(gru)  # noqa: E731
                jobs.append((f"poll {gru.lane_name}", POLL_EVERY, poll))
        for portal in engine.catalogue.portals.values():
            for one in portal.teleservices.values():
                reconcile = partial(self._reconcile, engine, portal.name, one)
                jobs.append((f"reconcile {one.slug}", RECONCILE_EVERY, reconcile))
        return [self.start(self._every(engine, *job)) for job in jobs]

    async def _reconcile(self, engine: Engine, portal: str, teleservice: Teleservice) -> None:
        # All communes were connected in peace, while the clocks were right.
        places = [(portal, insee, teleservice.slug) for insee in engine.catalogue.communes]
        await engine.store.write(intake.record_routes, places, BEGIN)
        await engine.reconciler.reconcile(portal, teleservice)

    async def _every(
        self, engine: Engine, name: str, seconds: float, job: Callable[[], Awaitable[Any]]
    ) -> None:
        while True:
            await asyncio.sleep(seconds * (0.9 + 0.2 * self.dice.random()))
            try:
                now = engine.environment.now()
                tick = int(now.timestamp() // seconds)
                if engine.alone or await engine.store.write(ticks.win, name, tick, now):
                    await job()
            except Exception as error:
                self.note(f"p{self.number}", "timer.failed", name, type(error).__name__)
