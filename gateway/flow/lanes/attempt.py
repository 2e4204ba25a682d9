"""One try of a claimed delivery: whether it may go, the call, what is made of it, what is kept.

A far end's answer is worth more than anything else here, so that it is written down though the
call is cancelled or the database is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateway.core.breaker import Breaking
from gateway.core.delivery import Kind, State
from gateway.core.lane_policy import CALLS, LanePolicy
from gateway.core.outcome import CannotTell, Finding, Outcome, Unsure
from gateway.flow import judging
from gateway.flow.deliver import Deliverer
from gateway.flow.environment import Environment
from gateway.flow.lanes.ownership import Ownership
from gateway.flow.lanes.state import SETTLE_GRACE, Lane
from gateway.flow.lanes.supervisor import LaneSupervisor
from gateway.store import notices
from gateway.store.engine import Store
from gateway.store.outbox import backlog, leases, settling
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import AttemptRecord, SettlementWrite

log = structlog.get_logger()

#: When a reply was lost is kept so long, in seconds: longer than any far end is at work on a call.
DOUBTED = 3600.0


class Attempts:
    """Tries deliveries, for all lanes of a process.

    `policy` gives a lane's bounds by its name, `wake` says that something may be due on lanes,
    `stopping` whether the process is to end.
    """

    def __init__(
        self,
        store: Store,
        deliverer: Deliverer,
        environment: Environment,
        watch: LaneSupervisor,
        ownership: Ownership,
        *,
        policy: Callable[[str], LanePolicy],
        wake: Callable[..., None],
        stopping: Callable[[], bool],
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._environment = environment
        self._watch = watch
        self._ownership = ownership
        self._policy = policy
        self._wake = wake
        self._stopping = stopping
        #: Deliveries whose reply was lost here, and when by the steady clock.
        self._doubts: dict[str, float] = {}
        #: A delivery was tried: the word of what came of it, and its seconds.
        self.on_attempt: Callable[[Claimed, str, float], None] = lambda claimed, outcome, s: None
        #: A creation has its number now, on the lane of this name.
        self.on_number: Callable[[str], Awaitable[object]] = _nothing

    def forget(self) -> None:
        """Lost replies that are old enough are nothing to wait for."""
        old = self._environment.monotonic() - DOUBTED
        self._doubts = {id_: at for id_, at in self._doubts.items() if at > old}

    async def give_back(self, claimed: Claimed, due: datetime) -> None:
        """Put a delivery back untried, to be claimed again when it is due."""
        await self._store.write(leases.give_back, claimed.delivery.id, claimed.delivery.fence, due)

    async def make(self, lane: Lane, claimed: Claimed, held_since: float) -> None:
        """Try a delivery that was claimed at `held_since` by the steady clock. What came of it is
        written to the end even when this is cancelled."""
        area = "report" if claimed.delivery.kind is Kind.REPORT else "deliver"
        self._environment.crash(f"{area}.claimed")
        started = self._environment.now()
        # This process may have slept on its claim. One clock stands still while the machine is
        # suspended, the other one may have been set.
        policy = lane.policy
        left = min(
            policy.lease - (self._environment.monotonic() - held_since),
            ((claimed.delivery.lease_until or started) - started).total_seconds(),
        )
        if left < policy.lease / 2:
            # Another may hold it soon, so nothing is sent.
            await self.give_back(claimed, started)
            return
        # Nor is the far end asked while it may be at work on the call: when that is over was noted
        # by a clock that may have been set forward since.
        noted = self._doubts.get(claimed.delivery.id)
        doubted = claimed.delivery.asking and claimed.delivery.sent_at is not None
        early = self._watch.patience(noted, policy.timeout) if doubted else 0.0
        if early > 0:
            await self.give_back(claimed, started + timedelta(seconds=early))
            return
        clock = self._environment.monotonic()
        # The last call has its time, too, before another may ask what came of it.
        within = min(policy.timeout * CALLS, left - policy.timeout)
        try:
            result = await self._deliverer.attempt(claimed, policy.timeout, within)
        except asyncio.CancelledError:
            result = CannotTell("stopped") if claimed.delivery.asking else Unsure("stopped")
            await _to_the_end(self._settle(lane, claimed, result, started, clock))
            raise
        self._environment.crash("find.answered" if claimed.delivery.asking else f"{area}.answered")
        await _to_the_end(self._settle(lane, claimed, result, started, clock))
        self._environment.crash(f"{area}.settled")

    async def _settle(
        self,
        lane: Lane,
        claimed: Claimed,
        result: Outcome | Finding,
        started: datetime,
        clock: float,
    ) -> None:
        ended = self._environment.monotonic()
        seconds = ended - clock
        now = self._environment.now()
        settlement = judging.settlement(
            claimed, result, now, lane.policy.retry, self._environment.chance(), lane.policy.timeout
        )
        if settlement.state is State.UNSURE:
            self._doubts[claimed.delivery.id] = ended
        outcome = judging.outcome_word(result)
        request = claimed.request
        delay = self._policy(request.portal_lane).report_delay
        settled = SettlementWrite(
            delivery_id=claimed.delivery.id,
            request_id=claimed.request.id,
            lane=claimed.delivery.lane,
            fence=claimed.delivery.fence,
            settlement=settlement,
            tried=AttemptRecord(
                "find" if claimed.delivery.asking else "send",
                started,
                int(seconds * 1000),
                outcome,
                getattr(result, "answer", None),
            ),
            now=now,
            reports=judging.reports(claimed, settlement, now, self._environment.new_id, delay),
            status=judging.status_after(claimed, settlement),
        )
        ours = await self._keep(settled)
        if not self._ownership.mine(lane.name):
            await self._tell(lane.name)  # what comes next is another's to send
        await self._judge_lane(lane, claimed, result, now, seconds)
        self.on_attempt(claimed, outcome, seconds)
        log.info(
            "delivery.attempted",
            delivery=claimed.delivery.id,
            request=claimed.request.id,
            kind=claimed.delivery.kind.value,
            lane=lane.name,
            action=settled.tried.action,
            outcome=outcome,
            reason=settlement.reason,
            state=settlement.state.value if ours else "late",
            ms=settled.tried.ms,
            attempt=claimed.delivery.attempts,
        )
        if ours and settlement.reference is not None and claimed.delivery.kind is Kind.SUBMIT:
            try:
                await self.on_number(lane.name)
            except Exception as error:
                # A timer comes by as well.
                log.error("lane.on_number_failed", lane=lane.name, error=type(error).__name__)
        self._wake(*(report.lane for report in settled.reports))

    async def _keep(self, settled: SettlementWrite) -> bool:
        """Write a settlement, however long the database is away: the far end has answered, and
        forgetting that would cost a question to it or to a person. False: it is no longer ours."""
        while True:
            try:
                return await self._store.write(settling.settle, settled)
            except Exception as error:
                log.error(
                    "delivery.settle_failed",
                    delivery=settled.delivery_id,
                    error=type(error).__name__,
                )
                if self._stopping():
                    return False  # the lease runs out, and the next process asks the far end
            await self._environment.sleep(1.0)

    async def _judge_lane(
        self,
        lane: Lane,
        claimed: Claimed,
        outcome: Outcome | Finding,
        now: datetime,
        seconds: float,
    ) -> None:
        good = judging.health(outcome)
        # Who fails again while the others do well is alone in trouble, and alone is sent away.
        alone = claimed.delivery.failures > 0 and lane.doing_well
        if good is None or (alone and not good):
            return
        clock = self._environment.monotonic()
        reason = "" if good else getattr(outcome, "reason", "")
        after = getattr(outcome, "after", None)
        # Nobody takes up what was remembered before this is.
        async with self._watch.recalling:
            held = False
            if after is not None:
                held = lane.hold(now, min(after, lane.policy.retry.retry_after_max))
                lane.pace.strained(clock)
            if good:
                lane.pace.answered(clock, seconds)
                lane.well(now)
            moved = lane.breaker.record(good, now, reason)
            if not moved and not held:
                return
            if held:
                log.warning("lane.held", lane=lane.name, until=str(lane.hold_until), reason=reason)
            if moved:
                if lane.breaker.state is Breaking.OPEN:
                    lane.pace.strained(clock)
                state = lane.breaker.state.value
                log.warning("lane.breaker", lane=lane.name, state=state, reason=reason)
            try:
                await self._store.write(memory.remember, lane.memory())
                if moved and lane.breaker.state is Breaking.CLOSED:
                    idle = now - timedelta(seconds=lane.policy.timeout)
                    await self._store.write(backlog.hurry, lane.name, idle)
            except Exception as error:
                log.error("lane.remember_failed", lane=lane.name, error=type(error).__name__)

    async def _tell(self, name: str) -> None:
        """Have the replica that works on this lane look at it."""
        try:
            await self._store.write(notices.notify, name)
        except Exception as error:
            log.error("lane.tell_failed", lane=name, error=type(error).__name__)


async def _nothing(lane: str) -> None:
    return


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Run something that a cancellation must not cut in two; the cancellation follows it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=SETTLE_GRACE)
        raise
