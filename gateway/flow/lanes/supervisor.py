"""Supervises lanes: follows replicas, people's orders and clock steps, and finds missed work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from gateway.flow.environment import Environment
from gateway.flow.lanes.clock import STEP, ClockStepDetector
from gateway.flow.lanes.ownership import BEAT
from gateway.flow.lanes.registry import LaneRegistry
from gateway.flow.lanes.state import SAFETY_POLL
from gateway.store.engine import Store
from gateway.store.outbox import backlog, clock

log = structlog.get_logger()

#: Seconds, at most, until an order of a person or replica about a lane is read.
RECALL = 3.0


@dataclass(eq=False, slots=True)
class LaneSupervisor:
    """Looks over a process's lanes each second. `wake` names lanes where something may be due."""

    store: Store
    environment: Environment
    registry: LaneRegistry
    steps: ClockStepDetector
    wake: Callable[..., None]
    #: Called when the machine's clock was set.
    on_clock_step: Callable[[], None] = lambda: None
    _set_back: bool = field(default=False, init=False)
    _missed: bool = field(default=False, init=False)
    _shared_anew: bool = field(default=False, init=False)

    def wake_all(self) -> None:
        """Look at all lanes now; the next look reads the database as well."""
        self._missed = True
        for lane in self.registry.every():
            lane.event.set()

    async def begin(self) -> None:
        """Read what a start needs. Raises Unavailable."""
        await self.registry.reread()
        latest = await self.store.read(clock.latest_act)
        self._set_back = latest is not None and latest > self.environment.now() + STEP

    async def run(self) -> None:
        """Look until cancelled."""
        turn = 0
        while True:
            try:
                await self._check(turn)
            except Exception as error:
                log.error("lanes.watch_failed", error=type(error).__name__)
            turn += 1
            await self.environment.sleep(BEAT)

    async def refresh(self) -> None:
        """Recall what another process changed."""
        try:
            await self.registry.recall()
        except Exception as error:
            log.error("lanes.recall_failed", error=type(error).__name__)

    async def _check(self, turn: int) -> None:
        """Look over all lanes once: their owners, what is remembered, missed work."""
        await self._follow_clock()
        await self._follow_replicas()
        if turn % int(RECALL / BEAT) == 0:
            await self.registry.recall()
        if self._shared_anew:
            # Times set by a dead owner's clock, or by ours before it was set back, are ours to
            # correct now. Before that, their owner may be right.
            await self._rewind_owned()
            self._shared_anew = False
            self._missed = True
        if self._missed or (turn and turn % int(SAFETY_POLL / BEAT) == 0):
            self._missed = False
            self.wake(*await self.store.read(backlog.lanes_with_work))

    async def _follow_replicas(self) -> None:
        """Announce this process, and share the lanes with the living."""
        if self.registry.ownership.alone:
            return
        before = (self.registry.ownership.members, self.registry.ownership.live)
        members, at = await self.registry.ownership.announce()
        if before != (members, True):
            await self.registry.recall()  # before the new lanes become ours
        self.registry.ownership.adopt(members, at)
        live = self.registry.ownership.live
        if before != (members, live):
            self._shared_anew = True
            log.info("lanes.shared", replicas=len(members), working=live)

    async def _follow_clock(self) -> None:
        """Check whether the clock was set, now or while no process ran."""
        step = self.steps.detect()
        if step:
            log.warning("clock.set", by=round(step.total_seconds()))
            self.on_clock_step()
            self._set_back = self._set_back or step < timedelta()
            self.wake_all()
        if self._set_back:
            await self._rewind()
            self._set_back = False

    async def _rewind(self) -> None:
        """Correct what is due by a clock that was ahead of this one."""
        now = self.environment.now()
        await self.store.write(clock.rewind, now)
        await self._rewind_owned()
        for lane in self.registry.every():
            lane.lift(now)
        await self.registry.recall()
        self.wake_all()

    async def _rewind_owned(self) -> None:
        now = self.environment.now()
        leases: dict[float, list[str]] = {}
        for name in await self.store.read(backlog.lanes_with_work):
            if self.registry.ownership.owns(name):
                leases.setdefault(self.registry.policy(name).lease, []).append(name)
        for lease, names in leases.items():
            ask_at = now + timedelta(seconds=lease)
            await self.store.write(clock.rewind_lanes, names, now, ask_at)
