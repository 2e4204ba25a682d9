"""Lanes: each commune's bounded way out, and the loop that claims and has tried what is due.

A lane wakes when something is queued on it, when one of its calls ends, or when its next delivery
is due. It holds no delivery but those it has claimed, so any process may take over at any time.
A lane with nothing to do costs nothing: one look over all lanes in a while finds what was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import structlog

from gateway.core.breaker import Breaker
from gateway.core.errors import Unavailable
from gateway.core.lane_policy import LanePolicy
from gateway.flow.deliver import Deliverer
from gateway.flow.environment import Environment
from gateway.flow.lanes.attempt import Attempts
from gateway.flow.lanes.leases import LeaseReaper
from gateway.flow.lanes.ownership import Ownership
from gateway.flow.lanes.state import SETTLE_GRACE, Lane
from gateway.flow.lanes.supervisor import SAFETY_POLL, LaneSupervisor
from gateway.store.engine import Store
from gateway.store.outbox import backlog, claiming
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.claiming import Claimed
from gateway.wire.budget import CallSource, Turns, with_turn

__all__ = ["Lane", "LanePolicy", "Lanes"]

log = structlog.get_logger()

#: Until it is woken.
IDLE = 24 * 3600.0
REAP_EVERY = 2.0


class Lanes:
    """Runs every lane until told to stop. One per process."""

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
        #: This process's name among its replicas.
        self.owner = owner
        self.policy = policy
        self._turns = turns
        self._caller = caller
        self._alone = alone
        self._leases = LeaseReaper(store, environment, policy)
        self._lanes: dict[str, Lane] = {}
        self._ownership = Ownership(store, environment, owner, alone=alone)
        #: What befalls them from outside.
        self.watch = LaneSupervisor(
            store, environment, policy, self._ownership, self._lanes, wake=self.wake
        )
        self._loops: asyncio.TaskGroup | None = None
        self._keepers: list[asyncio.Task[None]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.attempts = Attempts(
            store,
            deliverer,
            environment,
            self.watch,
            self._ownership,
            policy=policy,
            wake=self.wake,
            stopping=lambda: self._stopping,
        )

    def wake(self, *names: str) -> None:
        """Something may be due on these lanes. Those of other replicas are theirs to look at."""
        for name in names:
            lane = self._lanes.get(name)
            if lane is None:
                if not self._ownership.mine(name):
                    continue
                lane = self._open(name)
            lane.event.set()

    def wake_all(self) -> None:
        """Something may be due anywhere: news of it may have been missed."""
        self.watch.wake_all()

    def refresh(self) -> None:
        """What is remembered of lanes was changed by another process."""
        if self._loops is not None and not self._stopping:
            self._loops.create_task(self.watch.refresh(), name="lanes.refresh")

    def waits_for_its_far_end(self, name: str) -> bool:
        """Is its breaker open, as far as this process knows?"""
        return self.watch.known(name).breaker == "open"

    def views(self) -> Iterable[Lane]:
        """The lanes of this process, for health and metrics."""
        return list(self._lanes.values())

    def lane(self, name: str) -> Lane | None:
        """A lane that had something to do; None for one that had not, so far."""
        return self._lanes.get(name)

    def standing(self, name: str, known: Mapping[str, memory.LaneMemory]) -> Lane:
        """How a lane stands, whoever works on it. For looking only.

        `known` is what the database remembers of lanes: all there is to say of those of others.
        """
        lane = self._lanes.get(name)
        if lane is None or not self._ownership.mine(name):
            lane = self._make(name)
            lane.recall(known.get(name) or memory.LaneMemory(name))
        return lane

    async def run(self, names: Iterable[str] = ()) -> None:
        """Work until `stop`. `names` are looked at from the start, others when they have work."""
        left = await self._begin()
        async with asyncio.TaskGroup() as self._loops:
            for keeper in (self._reap_loop(), self.watch.run()):
                self._keepers.append(self._loops.create_task(keeper, name="lanes.keeper"))
            for lane in list(self._lanes.values()):  # woken by what came in before this
                lane.recall(self.watch.known(lane.name))
                self._start(lane, self._loops)
            self.wake(*dict.fromkeys([*names, *left]))
            if self._stopping:
                self._end_keepers()

    async def _begin(self) -> list[str]:
        """Read what a start needs, however long the database is away: the lanes with work."""
        while not self._stopping:
            try:
                self._ownership.take(*await self._ownership.ask())
                if self._alone:
                    # Before the first claim: a later look could not tell it from a dead one's.
                    self._took_over(await self._leases.inherit())
                await self.watch.begin()
                return await self._store.read(backlog.lanes_with_work)
            except Unavailable as error:
                log.error("lanes.start_failed", error=error.text)
            await self._environment.sleep(1.0)
        return []

    def _end_keepers(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()

    async def stop(self, grace: float) -> None:
        """Claim nothing more, wait `grace` seconds for calls under way, then cancel them."""
        self._stopping = True
        self._end_keepers()
        for lane in self._lanes.values():
            lane.event.set()
        await _ended(self._calls, grace)
        try:
            async with asyncio.timeout(SETTLE_GRACE):
                await self._ownership.leave()
        except Exception as error:
            log.error("lanes.leave_failed", error=type(error).__name__)

    async def change(self, names: Iterable[str], grace: float, change: Callable[[], None]) -> None:
        """Call `change` while nothing of these lanes is under way; from then on they go as they are
        configured. Their calls are waited for `grace` seconds and cut then; other lanes go on.

        Raises what `change` raises; the lanes go on all the same.
        """
        names = list(names)
        closed: dict[str, Lane] = {}
        # Until there is none: what comes in meanwhile may wake another of them.
        while found := {n: self._lanes[n] for n in names if n in self._lanes and n not in closed}:
            closed |= found
            for lane in found.values():
                lane.close()
            await _ended({task for lane in found.values() for task in lane.tasks}, grace)
            for name in found:  # which may have waited for a turn
                caller = self._caller(name)
                self._turns.leave(caller)
                self._turns.give_back(caller, self._turns.collect(caller))
        try:
            change()
        finally:
            for name, lane in closed.items():
                fresh = self._lanes[name] = self._make(name)
                fresh.recall(lane.memory())
                if self._loops is not None and not self._stopping:
                    self._start(fresh, self._loops)

    async def pause(self, name: str, paused: bool) -> None:
        """A person's stop or go, kept over restarts."""
        async with self.watch.recalling:
            await self._store.write(memory.pause, name, paused)
            lane = self._lanes.get(name) or self._open(name)
            lane.paused = paused
            lane.event.set()

    async def idle(self) -> bool:
        """True when nothing is running."""
        return not self._calls

    def _make(self, name: str) -> Lane:
        policy = self.policy(name)
        lane = Lane(name, policy, Breaker(policy.breaker))
        lane.recall(self.watch.known(name))
        return lane

    def _open(self, name: str) -> Lane:
        lane = self._lanes[name] = self._make(name)
        if self._loops is not None and not self._stopping:
            self._start(lane, self._loops)
        return lane

    def _start(self, lane: Lane, loops: asyncio.TaskGroup) -> None:
        lane.loop = loops.create_task(self._lane_loop(lane), name=f"lane {lane.name}")

    async def _lane_loop(self, lane: Lane) -> None:
        while not (self._stopping or lane.closed):
            lane.event.clear()
            try:
                wait = await self._advance(lane)
            except Exception as error:
                # The database is away, most likely: one lane's trouble must not end the others.
                log.error("lane.failed", lane=lane.name, error=type(error).__name__)
                wait = 1.0
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await lane.event.wait()

    async def _advance(self, lane: Lane) -> float:
        """Claim what the lane may send now; how many seconds until it is worth looking again."""
        caller = self._caller(lane.name)
        turns = self._turns.collect(caller)
        try:
            now = self._environment.now()
            clock = self._environment.monotonic()  # of the claim, too: from here on its lease runs
            free, wait = self._free(lane, now, clock)
            if free <= 0:
                return wait
            turns += self._turns.take(caller, max(0, free - turns), lane.event.set)
            most = min(free, turns)
            if most == 0:
                return SAFETY_POLL  # it is woken when it is its turn
            wish = claiming.ClaimRequest(
                lane.name, most, self.owner, now, lane.policy.lease, lane.claim_order
            )
            taken = await self._store.write(claiming.claim, wish)
            claims = taken.claims
            lane.turn += 1
            lane.pace.started(self._environment.monotonic(), len(claims))
            if self._stopping or lane.closed:  # meanwhile: nobody would wait for these calls
                for claimed in claims:
                    await self.attempts.give_back(claimed, now)
                return 0.0
            for claimed in claims:
                turns -= 1
                self._begin_call(lane, claimed, caller, clock)
        finally:
            if turns:
                self._turns.leave(caller)
                self._turns.give_back(caller, turns)
        if len(claims) == most:
            return lane.pace.pause(self._environment.monotonic()) or SAFETY_POLL
        if taken.due is None:
            return IDLE
        return min(SAFETY_POLL, max(0.0, (taken.due - self._environment.now()).total_seconds()))

    def _begin_call(self, lane: Lane, claimed: Claimed, caller: CallSource, clock: float) -> None:
        lane.running += 1
        task = asyncio.create_task(
            self._one(lane, claimed, caller, clock), name=f"call {lane.name}"
        )
        for calls in (self._calls, lane.calls):
            calls.add(task)
            task.add_done_callback(calls.discard)

    def _free(self, lane: Lane, now: datetime, clock: float) -> tuple[int, float]:
        """How many calls the lane may begin; when none, how long until it is worth looking."""
        if not self._ownership.mine(lane.name) or lane.paused or lane.policy.paused:
            return 0, SAFETY_POLL
        if lane.hold_until is not None and now < lane.hold_until:
            return 0, (lane.hold_until - now).total_seconds()
        if not lane.breaker.allows(now):
            probe_at = lane.breaker.probe_at or now
            return 0, max(0.01, (probe_at - now).total_seconds())
        free = lane.pace.permits(clock, lane.running)
        if lane.probing:
            free = min(free, 1 - lane.running)
        return free, lane.pace.pause(clock) or SAFETY_POLL

    async def _one(
        self, lane: Lane, claimed: Claimed, caller: CallSource, held_since: float
    ) -> None:
        try:
            with with_turn():
                await self.attempts.make(lane, claimed, held_since)
        except Exception as error:
            # Its lease runs out, and the far end is asked.
            log.error("delivery.dropped", delivery=claimed.delivery.id, error=type(error).__name__)
        finally:
            lane.running -= 1
            self._turns.give_back(caller)
            lane.event.set()

    def _took_over(self, lanes: list[str]) -> None:
        if lanes:
            log.warning("outbox.reaped", lanes=lanes)
            self.wake(*lanes)

    async def _reap_loop(self) -> None:
        while not self._stopping:
            try:
                self._took_over(await self._leases.look())
            except Exception as error:
                log.error("outbox.reap_failed", error=type(error).__name__)
            self.attempts.forget()
            await self._environment.sleep(REAP_EVERY)


async def _ended(tasks: Iterable[asyncio.Task[None]], grace: float) -> None:
    """Wait `grace` seconds for these, then cancel them and let them settle."""
    tasks = set(tasks)
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=grace)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=SETTLE_GRACE * 2)
