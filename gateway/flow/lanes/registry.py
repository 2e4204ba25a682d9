"""The lanes of a process by name, and what the database remembers of all lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from gateway.core.breaker import Breaker
from gateway.core.lane_policy import LanePolicy
from gateway.flow.environment import Environment
from gateway.flow.lanes.ownership import Ownership
from gateway.flow.lanes.state import Lane
from gateway.store.engine import Store
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.lanes import LaneMemory

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class LaneRegistry:
    """Holds every lane that has had something to do. `policy` gives a lane's bounds by its name."""

    store: Store
    environment: Environment
    ownership: Ownership
    policy: Callable[[str], LanePolicy]
    #: Held while what is remembered of a lane is changed or recalled.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    #: The process stops: nothing more is claimed.
    stopping: bool = field(default=False, init=False)
    _lanes: dict[str, Lane] = field(default_factory=dict, init=False)
    _remembered: dict[str, LaneMemory] = field(default_factory=dict, init=False)

    def get(self, name: str) -> Lane | None:
        """Return a lane that has had something to do; None for another."""
        return self._lanes.get(name)

    def every(self) -> list[Lane]:
        """List the lanes that have had something to do."""
        return list(self._lanes.values())

    def remembered(self, name: str) -> LaneMemory:
        """Return what is remembered of a lane, as of the last recall."""
        return self._remembered.get(name) or LaneMemory(name)

    def make(self, name: str, known: LaneMemory | None = None) -> Lane:
        """Make a lane in the state that is `known` or remembered."""
        policy = self.policy(name)
        lane = Lane(name, policy, Breaker(policy.breaker))
        lane.recall(known or self.remembered(name))
        return lane

    def add(self, lane: Lane) -> Lane:
        """Register this lane under its name."""
        self._lanes[lane.name] = lane
        return lane

    async def reread(self) -> None:
        """Read what is remembered. Raises Unavailable."""
        self._remembered = await self.store.read(memory.recall)

    async def recall(self) -> None:
        """Take up what others changed. Raises Unavailable. For our own lanes that is a pause or
        resumption, or a break that a person ended."""
        async with self.lock:
            await self.reread()
            for lane in self._lanes.values():
                known = self.remembered(lane.name)
                if not self.ownership.owns(lane.name):
                    lane.recall(known)
                elif lane.lifted(known):
                    lane.lift(self.environment.now())
                    log.info("lane.lifted", lane=lane.name)
                    lane.event.set()
                if lane.paused != known.paused:
                    lane.paused = known.paused
                    log.info("lane.paused" if known.paused else "lane.resumed", lane=lane.name)
                    lane.event.set()
