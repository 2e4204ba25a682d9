"""What befalls lanes from outside: other replicas come and go, people stop a lane or let it go,
the machine's clock is set, and what nothing woke a lane for is found all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from gateway.core.lane_policy import LanePolicy
from gateway.flow.environment import Environment
from gateway.flow.lanes.clock import STEP, ClockStepDetector
from gateway.flow.lanes.ownership import BEAT, Ownership
from gateway.flow.lanes.state import Lane
from gateway.store.engine import Store
from gateway.store.outbox import backlog, clock
from gateway.store.outbox import lanes as memory

log = structlog.get_logger()

#: What nothing woke a lane for is found this often, in seconds.
SAFETY_POLL = 30.0
#: What a person or another replica changed of a lane is taken this often, in seconds, at least.
RECALL = 3.0


class LaneSupervisor:
    """Looks over the lanes of a process, each second. `lanes` are its own, and may grow."""

    def __init__(
        self,
        store: Store,
        environment: Environment,
        policy: Callable[[str], LanePolicy],
        ownership: Ownership,
        lanes: Mapping[str, Lane],
        *,
        wake: Callable[..., None],
    ) -> None:
        self._store = store
        self._environment = environment
        self._policy = policy
        self._ownership = ownership
        self._lanes = lanes
        self._wake = wake
        self._steps = ClockStepDetector(environment)
        self._set_back = False
        self._missed = False
        self._shared_anew = False
        self._memory: dict[str, memory.LaneMemory] = {}
        #: Held by whoever changes what is remembered of a lane, or takes it up.
        self.recalling = asyncio.Lock()
        #: The machine's clock was set.
        self.on_step: Callable[[], None] = lambda: None

    def known(self, name: str) -> memory.LaneMemory:
        """What is remembered of a lane, as of the last look."""
        return self._memory.get(name) or memory.LaneMemory(name)

    def wake_all(self) -> None:
        """Something may be due anywhere: the next look asks the database as well."""
        self._missed = True
        for lane in self._lanes.values():
            lane.event.set()

    def patience(self, noted: float | None, seconds: float) -> float:
        """What was to happen within `seconds` was noted at `noted` by the steady clock (None: by
        another process). How long to wait, so that it has, even if the machine's clock was set
        since; 0 when its word is good."""
        since = self._steps.since()
        if noted is not None and noted >= since:
            return 0.0
        return max(0.0, since + seconds - self._environment.monotonic())

    async def begin(self) -> None:
        """Read what a start needs. Raises Unavailable."""
        self._memory = await self._store.read(memory.recall)
        latest = await self._store.read(clock.latest_attempt)
        self._set_back = latest is not None and latest > self._environment.now() + STEP

    async def run(self) -> None:
        """Until it is cancelled."""
        turn = 0
        while True:
            try:
                await self._look(turn)
            except Exception as error:
                log.error("lanes.watch_failed", error=type(error).__name__)
            turn += 1
            await self._environment.sleep(BEAT)

    async def _look(self, turn: int) -> None:
        """One look over all lanes: whose they are, what is remembered, what was overlooked."""
        await self._follow_clock()
        if not self._ownership.alone:
            before = (self._ownership.members, self._ownership.live)
            members, at = await self._ownership.ask()
            if before != (members, True):
                await self._recall()  # while lanes that will be ours are not so yet
            self._ownership.take(members, at)
            if before != (members, self._ownership.live):
                self._shared_anew = True
                log.info("lanes.shared", replicas=len(members), working=self._ownership.live)
        if turn % int(RECALL / BEAT) == 0:
            await self._recall()
        if self._shared_anew:
            # What a dead one's clock set down, or ours before it was set back, is ours to judge
            # from now on. Until it is, its owner may be right.
            await self._rewind_ours()
            self._shared_anew = False
            self._missed = True
        if self._missed or (turn and turn % int(SAFETY_POLL / BEAT) == 0):
            self._missed = False
            self._wake(*await self._store.read(backlog.lanes_with_work))

    async def _follow_clock(self) -> None:
        """The clock may be set while we run, or may have been while we did not."""
        step = self._steps.look()
        if step:
            log.warning("clock.set", by=round(step.total_seconds()))
            self.on_step()
            self._set_back = self._set_back or step < timedelta()
            self.wake_all()
        if self._set_back:
            await self._rewind()
            self._set_back = False

    async def _rewind(self) -> None:
        """What is due by a clock that was ahead must not be waited for until this one is there."""
        now = self._environment.now()
        await self._store.write(clock.rewind, now)
        await self._rewind_ours()
        for lane in self._lanes.values():
            lane.lift(now)
        await self._recall()
        self.wake_all()

    async def _rewind_ours(self) -> None:
        now = self._environment.now()
        leases: dict[float, list[str]] = {}
        for name in await self._store.read(backlog.lanes_with_work):
            if self._ownership.mine(name):
                leases.setdefault(self._policy(name).lease, []).append(name)
        for lease, names in leases.items():
            ask_at = now + timedelta(seconds=lease)
            await self._store.write(clock.rewind_lanes, names, now, ask_at)

    async def refresh(self) -> None:
        """Something that is remembered was changed by another process."""
        try:
            await self._recall()
        except Exception as error:
            log.error("lanes.recall_failed", error=type(error).__name__)

    async def _recall(self) -> None:
        """Take up what others have changed. Of our own lanes, that is a person's stop or go, and
        that a person wants no break of them any more."""
        async with self.recalling:
            self._memory = await self._store.read(memory.recall)
            for lane in self._lanes.values():
                known = self.known(lane.name)
                if not self._ownership.mine(lane.name):
                    lane.recall(known)
                elif lane.lifted(known):
                    lane.lift(self._environment.now())
                    log.info("lane.lifted", lane=lane.name)
                    lane.event.set()
                if lane.paused != known.paused:
                    lane.paused = known.paused
                    log.info("lane.paused" if known.paused else "lane.resumed", lane=lane.name)
                    lane.event.set()
