"""One attempt of a claimed delivery: prepare, call, conclude, record.

Each step hands a value to the next: `PreparedCall`, the outcome, `Conclusion`. The far end's answer
is always recorded, even if the call is cancelled or the database is away.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
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
from gateway.flow.lanes.clock import ClockStepDetector
from gateway.flow.lanes.registry import LaneRegistry
from gateway.flow.lanes.state import SETTLE_GRACE, HealthSign, Lane
from gateway.flow.tracing import Traces
from gateway.store import installation, notices
from gateway.store.engine import Store
from gateway.store.outbox import backlog, leases, settling
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import AttemptRecord, SettlementWrite
from gateway.wire.clients import telling_trace

log = structlog.get_logger()

#: Seconds for which a lost reply is remembered; longer than any far end works on a call.
DOUBTED = 3600.0


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A delivery that may go now. `began` is monotonic; its calls have `within` seconds in all."""

    claimed: Claimed
    policy: LanePolicy
    began_at: datetime
    began: float
    within: float
    #: The release and the mapping that it is made with.
    made_with: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Postponed:
    """A delivery that may not go now, and when to claim it again."""

    claimed: Claimed
    due: datetime


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The meaning of an attempt: for its delivery, and for its lane (`sign`, None: no meaning).
    `ended` is monotonic; `seconds` is the attempt's length."""

    claimed: Claimed
    write: SettlementWrite
    sign: HealthSign | None
    ended: float
    seconds: float


async def _nothing(lane: str) -> None:
    return


@dataclass(eq=False, slots=True)
class Attempts:
    """Tries deliveries, for all lanes of a process. `wake` names lanes to look at."""

    store: Store
    deliverer: Deliverer
    environment: Environment
    registry: LaneRegistry
    steps: ClockStepDetector
    wake: Callable[..., None]
    #: Called after each attempt, with the word of its outcome and its seconds.
    on_attempt: Callable[[Claimed, str, float], None] = lambda claimed, outcome, seconds: None
    #: None: there are no traces.
    traces: Traces | None = None
    #: Called once a creation has its number, with its lane's name.
    on_number: Callable[[str], Awaitable[object]] = _nothing
    #: Deliveries whose reply this process lost, with the monotonic time.
    _doubts: OrderedDict[str, float] = field(default_factory=OrderedDict, init=False)

    async def make(self, lane: Lane, claimed: Claimed, claimed_at: float) -> None:
        """Try a delivery claimed at `claimed_at` (monotonic). Its outcome is recorded to the end
        even when this is cancelled."""
        asking = claimed.delivery.asking
        area = "report" if claimed.delivery.kind is Kind.REPORT else "deliver"
        self.environment.crash(f"{area}.claimed")
        prepared: PreparedCall | Postponed | None = await self._wait_out(claimed, lane.policy)
        if prepared is None:
            prepared = self._prepare(claimed, lane.policy, claimed_at)
        if isinstance(prepared, Postponed):
            await self.give_back(claimed, prepared.due)
            return
        try:
            outcome = await self._call(prepared)
        except asyncio.CancelledError:
            cut = CannotTell("stopped") if asking else Unsure("stopped")
            await _to_the_end(self._record(lane, self._conclude(prepared, cut)))
            raise
        self.environment.crash("find.answered" if asking else f"{area}.answered")
        await _to_the_end(self._record(lane, self._conclude(prepared, outcome)))
        self.environment.crash(f"{area}.settled")

    async def conclude_fetched(
        self, lane: Lane, claimed: Claimed, outcome: Outcome, at: datetime
    ) -> bool:
        """Record the result that a commune tells of what it fetched `at`. False: it was not its to
        tell. It says nothing of a far end that is never called."""
        seconds = max(0.0, (self.environment.now() - at).total_seconds())
        began = self.environment.monotonic() - seconds
        prepared = PreparedCall(claimed, lane.policy, at, began, 0.0)
        concluded = replace(self._conclude(prepared, outcome), sign=None)
        return await self._record(lane, concluded)

    async def give_back(self, claimed: Claimed, due: datetime) -> None:
        """Give a claim back untried, to be claimed again when it is `due`. Raises Unavailable."""
        await self.store.write(leases.give_back, claimed.delivery.id, claimed.delivery.fence, due)

    async def _wait_out(self, claimed: Claimed, policy: LanePolicy) -> Postponed | None:
        """Postpone while a call may be under way that a restored database does not know. Raises
        Unavailable."""
        if not claimed.delivery.asking or claimed.delivery.sent_at is not None:
            return None
        at = await self.store.read(installation.restored_at)
        if at is None:
            return None
        now = self.environment.now()
        left = policy.lease - max(0.0, (now - at).total_seconds())
        return Postponed(claimed, now + timedelta(seconds=left)) if left > 0 else None

    def _prepare(
        self, claimed: Claimed, policy: LanePolicy, claimed_at: float
    ) -> PreparedCall | Postponed:
        """Check that the claim is ours for long enough, and that the far end may be asked."""
        now = self.environment.now()
        # This process may have slept on its claim. The monotonic clock stops while the machine is
        # suspended; the other one may have been set.
        left = min(
            policy.lease - (self.environment.monotonic() - claimed_at),
            ((claimed.delivery.lease_until or now) - now).total_seconds(),
        )
        if left < policy.lease / 2:
            return Postponed(claimed, now)  # another may claim it soon, so nothing is sent
        # A far end is not asked while it may work on the call. The clock that noted this may have
        # been set forward since.
        if claimed.delivery.asking and claimed.delivery.sent_at is not None:
            noted = self._doubts.get(claimed.delivery.id)
            early = self.steps.remaining(noted, policy.timeout)
            if early > 0:
                return Postponed(claimed, now + timedelta(seconds=early))
        # The last call needs its time too, before another process may ask about it.
        within = min(policy.timeout * CALLS, left - policy.timeout)
        made_with = self.deliverer.made_with(claimed.request)
        return PreparedCall(claimed, policy, now, self.environment.monotonic(), within, made_with)

    async def _call(self, prepared: PreparedCall) -> Outcome | Finding:
        """Call the far end: send the delivery, or ask about it."""
        told = None if self.traces is None else self.traces.passed_on(prepared.claimed)
        with telling_trace(told):
            return await self.deliverer.attempt(
                prepared.claimed, prepared.policy.timeout, prepared.within
            )

    def _conclude(self, prepared: PreparedCall, outcome: Outcome | Finding) -> Conclusion:
        """Decide what the outcome means for the delivery, the citizen and the lane."""
        claimed, policy, env = prepared.claimed, prepared.policy, self.environment
        ended, now = env.monotonic(), env.now()
        seconds = ended - prepared.began
        decided = judging.settlement(
            claimed, outcome, now, policy.retry, env.chance(), policy.timeout
        )
        delay = self.registry.policy(claimed.request.portal_lane).report_delay
        write = SettlementWrite(
            delivery_id=claimed.delivery.id,
            request_id=claimed.request.id,
            lane=claimed.delivery.lane,
            fence=claimed.delivery.fence,
            settlement=decided,
            tried=AttemptRecord(
                "find" if claimed.delivery.asking else "send",
                prepared.began_at,
                int(seconds * 1000),
                judging.outcome_word(outcome),
                getattr(outcome, "answer", None),
                *prepared.made_with,
            ),
            now=now,
            reports=judging.reports(claimed, decided, now, env.new_id, delay),
            status=judging.status_after(claimed, decided),
        )
        return Conclusion(claimed, write, judging.health_sign(outcome, seconds), ended, seconds)

    async def _record(self, lane: Lane, concluded: Conclusion) -> bool:
        """Write a conclusion, then notify whoever continues."""
        claimed, write = concluded.claimed, concluded.write
        decided = write.settlement
        if decided.state is State.UNSURE:
            self._doubt(claimed.delivery.id, concluded.ended)
        ours = await self._write(write)
        if not self.registry.ownership.owns(lane.name):
            await self._notify(lane.name)  # another replica may own the next delivery
        await self._record_health(lane, concluded)
        self.on_attempt(claimed, write.tried.outcome, concluded.seconds)
        if self.traces is not None and ours:
            self.traces.attempted(claimed, write)
        log.info(
            "delivery.attempted",
            delivery=claimed.delivery.id,
            request=claimed.request.id,
            kind=claimed.delivery.kind.value,
            lane=lane.name,
            action=write.tried.action,
            outcome=write.tried.outcome,
            reason=decided.reason,
            state=decided.state.value if ours else "late",
            ms=write.tried.ms,
            attempt=claimed.delivery.attempts,
        )
        if ours and decided.reference is not None and claimed.delivery.kind is Kind.SUBMIT:
            try:
                await self.on_number(lane.name)
            except Exception as error:
                # A timer does it as well.
                log.error("lane.on_number_failed", lane=lane.name, error=type(error).__name__)
        self.wake(*(report.lane for report in write.reports))
        return ours

    def _doubt(self, delivery: str, at: float) -> None:
        """Note when a reply was lost; forget old ones."""
        self._doubts[delivery] = at
        self._doubts.move_to_end(delivery)
        while next(iter(self._doubts.values())) <= at - DOUBTED:
            self._doubts.popitem(last=False)

    async def _write(self, write: SettlementWrite) -> bool:
        """Write a settlement, however long the database is away. Return False when the claim was
        lost. A forgotten answer would cost a question to the far end or to a person."""
        while True:
            try:
                return await self.store.write(settling.settle, write)
            except Exception as error:
                log.error(
                    "delivery.settle_failed",
                    delivery=write.delivery_id,
                    error=type(error).__name__,
                )
                if self.registry.stopping:
                    return False  # the lease runs out, and the next process asks the far end
            await self.environment.sleep(1.0)

    async def _record_health(self, lane: Lane, concluded: Conclusion) -> None:
        """Have the lane judge the call's sign, and remember its moved breaker or break."""
        sign, now = concluded.sign, concluded.write.now
        # A delivery that fails while others succeed is at fault itself.
        alone = concluded.claimed.delivery.failures > 0 and lane.doing_well
        if sign is None or (alone and not sign.good):
            return
        clock = self.environment.monotonic()
        # No recall may come between the change and its storing.
        async with self.registry.lock:
            held, moved = lane.judge(sign, now, clock)
            if not moved and not held:
                return
            reason, state = sign.reason, lane.breaker.state
            if held:
                log.warning("lane.held", lane=lane.name, until=str(lane.hold_until), reason=reason)
            if moved:
                log.warning("lane.breaker", lane=lane.name, state=state.value, reason=reason)
            try:
                await self.store.write(memory.remember, lane.memory())
                if moved and state is Breaking.CLOSED:
                    idle = now - timedelta(seconds=lane.policy.timeout)
                    await self.store.write(backlog.hurry, lane.name, idle)
            except Exception as error:
                log.error("lane.remember_failed", lane=lane.name, error=type(error).__name__)

    async def _notify(self, name: str) -> None:
        """Wake the lane in the replica that owns it."""
        try:
            await self.store.write(notices.notify, name)
        except Exception as error:
            log.error("lane.tell_failed", lane=name, error=type(error).__name__)


async def _to_the_end(work: Coroutine[Any, Any, object]) -> None:
    """Run this to its end though cancelled; the cancellation follows."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=SETTLE_GRACE)
        raise
