"""The lanes of a process as a whole: starts, wakes, changes and stops them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from gateway.core.errors import Unavailable
from gateway.core.lane_policy import LanePolicy
from gateway.flow.deliver import Deliverer
from gateway.flow.environment import Environment
from gateway.flow.lanes.attempt import Attempts
from gateway.flow.lanes.clock import ClockStepDetector
from gateway.flow.lanes.leases import LeaseReaper
from gateway.flow.lanes.loop import LaneLoop, ended
from gateway.flow.lanes.ownership import Ownership
from gateway.flow.lanes.registry import LaneRegistry
from gateway.flow.lanes.state import SETTLE_GRACE, Lane
from gateway.flow.lanes.supervisor import LaneSupervisor
from gateway.store.engine import Store
from gateway.store.outbox import backlog
from gateway.store.outbox.lanes import LaneMemory
from gateway.wire.budget import CallSource, Turns

log = structlog.get_logger()


class Lanes:
    """Runs every lane until stopped. One per process.

    `owner` is this process's name among its replicas; `alone`: it has none. `policy` gives a lane's
    bounds by its name, `caller` the source of its calls.
    """

    def __init__(
        self,
        store: Store,
        deliverer: Deliverer,
        environment: Environment,
        *,
        owner: str,
        policy: Callable[[str], LanePolicy],
        turns: Turns,
        caller: Callable[[str], CallSource],
        alone: bool = True,
    ) -> None:
        self._store = store
        self._environment = environment
        self.policy = policy
        self.owner = owner
        self._ownership = Ownership(store, environment, owner, alone=alone)
        self.registry = registry = LaneRegistry(store, environment, self._ownership, policy)
        steps, wake = ClockStepDetector(environment), self.wake
        self._reaper = LeaseReaper(store, environment, policy, wake)
        self.supervisor = LaneSupervisor(store, environment, registry, steps, wake)
        self.attempts = Attempts(store, deliverer, environment, registry, steps, wake)
        self._loop = LaneLoop(store, environment, registry, self.attempts, turns, caller)
        #: Set when something may be due on a lane, by its name: for who waits to fetch.
        self.bells: dict[str, set[asyncio.Event]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._keepers: list[asyncio.Task[None]] = []

    def wake(self, *names: str) -> None:
        """Look at these lanes now: something may be due. Lanes of other replicas are skipped."""
        for name in names:
            for bell in self.bells.get(name, ()):
                bell.set()
            lane = self.registry.get(name)
            if lane is None:
                if not self._ownership.owns(name):
                    continue
                lane = self.registry.make(name)
                self._start(lane)
            lane.event.set()

    def wake_all(self) -> None:
        """Look at all lanes now: a notice may have been missed."""
        self.supervisor.wake_all()

    def refresh(self) -> None:
        """Recall what another process changed of lanes."""
        if self._tasks is not None and not self.registry.stopping:
            self._tasks.create_task(self.supervisor.refresh(), name="lanes.refresh")

    def waits_for_its_far_end(self, name: str) -> bool:
        """Is its breaker open, as far as this process knows?"""
        return self.registry.remembered(name).breaker == "open"

    def views(self) -> list[Lane]:
        """List the lanes of this process, for health and metrics."""
        return self.registry.every()

    def lane(self, name: str) -> Lane | None:
        """Return a lane that has had something to do; None for another."""
        return self.registry.get(name)

    def view(self, name: str, known: Mapping[str, LaneMemory]) -> Lane:
        """Return a lane's state, whoever works on it, to be shown. `known` is what the database
        remembers of lanes: all that there is of others' lanes."""
        lane = self.registry.get(name)
        if lane is None or not self._ownership.owns(name):
            return self.registry.make(name, known.get(name) or LaneMemory(name))
        return lane

    async def run(self, names: Iterable[str] = ()) -> None:
        """Work until `stop`. `names` are looked at from the start, others when they have work."""
        left = await self._begin()
        async with asyncio.TaskGroup() as self._tasks:
            for keeper in (self._reaper.run(), self.supervisor.run()):
                self._keepers.append(self._tasks.create_task(keeper, name="lanes.keeper"))
            for lane in self.registry.every():  # those woken by what came in before this
                lane.recall(self.registry.remembered(lane.name))
                self._start(lane)
            self.wake(*dict.fromkeys([*names, *left]))
            if self.registry.stopping:
                _cancel(self._keepers)

    async def stop(self, grace: float) -> None:
        """Claim nothing more, wait `grace` seconds for calls under way, then cancel them."""
        self.registry.stopping = True
        _cancel(self._keepers)
        for lane in self.registry.every():
            lane.event.set()
        for bell in {bell for bells in self.bells.values() for bell in bells}:
            bell.set()
        await ended(self._loop.calls, grace)
        try:
            async with asyncio.timeout(SETTLE_GRACE):
                await self._ownership.leave()
        except Exception as error:
            log.error("lanes.leave_failed", error=type(error).__name__)

    async def change(self, names: Iterable[str], grace: float, change: Callable[[], None]) -> None:
        """Call `change` while no call of these lanes is under way, then let them go on.

        Their calls are cut after `grace` seconds. Other lanes go on. Raises what `change` raises;
        the lanes go on all the same.
        """
        names = list(names)
        closed: dict[str, Lane] = {}
        # Repeated, since a push may wake another of them meanwhile.
        while found := [
            lane for n in names if n not in closed and (lane := self.registry.get(n)) is not None
        ]:
            closed |= {lane.name: lane for lane in found}
            for lane in found:
                lane.close()
            await ended({task for lane in found for task in lane.tasks}, grace)
            for lane in found:
                self._loop.give_up_turns(lane)
        try:
            change()
        finally:
            for name, lane in closed.items():
                self._start(self.registry.make(name, lane.memory()))

    async def _begin(self) -> list[str]:
        """Read what a start needs, however long the database is away. Return lanes with work."""
        while not self.registry.stopping:
            try:
                self._ownership.adopt(*await self._ownership.announce())
                if self._ownership.alone:
                    # Before the first claim: later, ours could not be told from a dead process's.
                    await self._reaper.inherit()
                await self.supervisor.begin()
                return await self._store.read(backlog.lanes_with_work)
            except Unavailable as error:
                log.error("lanes.start_failed", error=error.text)
            await self._environment.sleep(1.0)
        return []

    def _start(self, lane: Lane) -> None:
        """Register the lane under its name, and run its loop (`run` does if it has not begun)."""
        self.registry.add(lane)
        if self._tasks is not None and not self.registry.stopping:
            work = self._loop.run(lane)
            lane.loop = self._tasks.create_task(work, name=f"lane {lane.name}")


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
