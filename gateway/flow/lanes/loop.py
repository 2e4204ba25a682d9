"""The loop of a lane: claims what the lane may send, and has each claim tried."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from gateway.flow.environment import Environment
from gateway.flow.lanes.attempt import Attempts
from gateway.flow.lanes.registry import LaneRegistry
from gateway.flow.lanes.state import SAFETY_POLL, SETTLE_GRACE, Lane
from gateway.store.engine import Store
from gateway.store.outbox import claiming
from gateway.store.outbox.claiming import Claimed
from gateway.wire.budget import CallSource, Turns, with_turn

log = structlog.get_logger()

#: Seconds that a lane without work waits unless it is woken.
IDLE = 24 * 3600.0


@dataclass(eq=False, slots=True)
class LaneLoop:
    """Runs lanes, each in a task of its own. `caller` gives the source of a lane's calls."""

    store: Store
    environment: Environment
    registry: LaneRegistry
    attempts: Attempts
    turns: Turns
    caller: Callable[[str], CallSource]
    #: The calls under way of all lanes.
    calls: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def run(self, lane: Lane) -> None:
        """Work on a lane until it is closed or the process stops."""
        while not self._over(lane):
            lane.event.clear()
            try:
                wait = await self._advance(lane)
            except Exception as error:
                # Most likely the database is away; the other lanes must go on.
                log.error("lane.failed", lane=lane.name, error=type(error).__name__)
                wait = 1.0
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await lane.event.wait()

    def give_up_turns(self, lane: Lane) -> None:
        """Give up the turns that a closed lane waits for or has."""
        caller = self.caller(lane.name)
        self._give_up(caller, self.turns.collect(caller))

    def _over(self, lane: Lane) -> bool:
        return self.registry.stopping or lane.closed

    async def _advance(self, lane: Lane) -> float:
        """Claim what the lane may send now. Return the seconds until the next look."""
        caller = self.caller(lane.name)
        turns = self.turns.collect(caller)
        try:
            now = self.environment.now()
            clock = self.environment.monotonic()  # taken before the claim: from here its lease runs
            free, wait = (
                lane.room(now, clock)
                if self.registry.ownership.owns(lane.name)
                else (0, SAFETY_POLL)
            )
            if free <= 0:
                return wait
            turns += self.turns.acquire(caller, max(0, free - turns), lane.event.set)
            most = min(free, turns)
            if most == 0:
                return SAFETY_POLL  # its turn wakes it
            taken = await self.store.write(
                claiming.claim,
                claiming.ClaimRequest(
                    lane.name,
                    most,
                    self.registry.ownership.owner,
                    now,
                    lane.policy.lease,
                    lane.claim_order,
                ),
            )
            claims = taken.claims
            lane.turn += 1
            lane.pace.started(self.environment.monotonic(), len(claims))
            if self._over(lane):  # nobody would wait for these calls
                for claimed in claims:
                    await self.attempts.give_back(claimed, now)
                return 0.0
            for claimed in claims:
                turns -= 1
                self._begin_call(lane, claimed, caller, clock)
        finally:
            if turns:
                self._give_up(caller, turns)
        if len(claims) == most:
            return lane.pace.pause(self.environment.monotonic()) or SAFETY_POLL
        if taken.due is None:
            return IDLE
        return min(SAFETY_POLL, max(0.0, (taken.due - self.environment.now()).total_seconds()))

    def _give_up(self, caller: CallSource, turns: int) -> None:
        self.turns.stop_waiting(caller)
        self.turns.give_back(caller, turns)

    def _begin_call(self, lane: Lane, claimed: Claimed, caller: CallSource, clock: float) -> None:
        lane.running += 1
        task = asyncio.create_task(
            self._call(lane, claimed, caller, clock), name=f"call {lane.name}"
        )
        for calls in (self.calls, lane.calls):
            calls.add(task)
            task.add_done_callback(calls.discard)

    async def _call(
        self, lane: Lane, claimed: Claimed, caller: CallSource, claimed_at: float
    ) -> None:
        try:
            with with_turn():
                await self.attempts.make(lane, claimed, claimed_at)
        except Exception as error:
            # The lease runs out, and the far end is asked.
            log.error("delivery.dropped", delivery=claimed.delivery.id, error=type(error).__name__)
        finally:
            lane.running -= 1
            self.turns.give_back(caller)
            lane.event.set()


async def ended(tasks: Iterable[asyncio.Task[None]], grace: float) -> None:
    """Wait `grace` seconds for these tasks, then cancel them and wait for their end."""
    tasks = set(tasks)
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=grace)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=SETTLE_GRACE * 2)
