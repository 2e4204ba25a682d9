"""The acts of an operator on deliveries, lanes, erasures and secrets. Daemons carry them out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from gateway.catalogue.catalogue import Glc
from gateway.core.delivery import State
from gateway.core.erasure import DEADLINE, ORDERED
from gateway.core.lane_policy import LanePolicy
from gateway.core.outcome import ErasureAnswer
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.store import erasure_agreements, erasure_answers, erasure_orders, renewals, untold
from gateway.store.engine import Store
from gateway.store.erasure_orders import OpenOrder, SingleRequest
from gateway.store.outbox import backlog, operator
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.rows import Delivery
from gateway.store.renewals import RenewalAnswer
from gateway.store.rows import StoredRequest, Untold

#: Seconds to wait for daemons, which look for orders every 3 seconds.
PATIENCE = 20.0
#: A daemon that was silent for so many seconds was killed, or is very busy.
SILENT = renewals.BEAT + 15.0
_REPLAYABLE = (State.PARKED, State.DEAD)
_ALL = 1_000_000


async def replayable(store: Store, commune: str | None, reason: str | None) -> list[str]:
    """Return the ids that can be replayed, for one commune or one reason where given."""
    deliveries = await store.read(backlog.listing, states=_REPLAYABLE, commune=commune, limit=_ALL)
    changes = await store.read(untold.listing, commune=commune, limit=_ALL)
    ids = [one.id for one in deliveries if reason in (None, one.reason)]
    return ids + [one.id for one in changes if reason in (None, one.reason)]


async def replay(store: Store, which: str, now: datetime) -> str:
    """Send a delivery again, or judge a GRU's change again. Return its id. Raises NotFound, and
    Conflict when it is not parked."""
    if await store.read(untold.is_there, which):
        return (await store.write(untold.judge_again, which)).id
    return (await store.write(operator.replay, which, now)).id


async def resolve(
    store: Store, delivery: str, there: bool, now: datetime, *, reference: str | None = None
) -> Delivery:
    """Answer whether the far end has a delivery; `reference` is its number there. Raises NotFound,
    and Conflict when no answer is awaited."""
    return await store.write(operator.resolve, delivery, there, now, reference=reference)


async def discard(store: Store, which: str, because: str, now: datetime) -> Delivery | Untold:
    """Drop a delivery, or a GRU's untold change. Raises NotFound and Conflict."""
    if await store.read(untold.is_there, which):
        return await store.write(untold.dismiss, which)
    return await store.write(operator.discard, which, now, because=because)


async def pause(store: Store, lanes: Iterable[str]) -> None:
    """Send nothing on these lanes until they are resumed."""
    for lane in lanes:
        await store.write(memory.pause, lane, True)


async def try_now(
    store: Store,
    policy: Callable[[str], LanePolicy],
    lanes: Iterable[str],
    now: datetime,
    *,
    resume: bool = False,
) -> None:
    """Have one call of each lane test its far end now, without waiting for a break or breaker. A
    paused lane stays paused unless `resume`."""
    for lane in lanes:
        await store.write(memory.resume if resume else memory.lift, lane, now)
        await store.write(backlog.hurry, lane, now - timedelta(seconds=policy(lane).timeout))


async def approve(
    store: Store, glc: Glc | None, target: str, by: str, now: datetime
) -> tuple[int, int]:
    """Agree to a held erasure, or to all of a run. Return how many were agreed to, and how many
    begin now. Raises NotFound and Conflict."""
    deadline = DEADLINE if glc is None else timedelta(seconds=glc.deadline)
    return await store.write(erasure_agreements.approve, target, by, deadline, now)


async def withdraw(store: Store, target: str, by: str, because: str, now: datetime) -> int:
    """Give up a held erasure, or all of a run; return how many. Raises NotFound and Conflict."""
    return await store.write(erasure_agreements.withdraw, target, by, because, now)


async def done_by_hand(
    store: Store,
    erasure: str,
    commune: str,
    by: str,
    now: datetime,
    *,
    answer: ErasureAnswer | None = None,
    request: str | None = None,
) -> int:
    """Note what a commune did by hand (None: it erased), with one request or all that it owes.
    Return the number of requests. Raises NotFound and Conflict."""
    return await store.write(
        erasure_answers.done_by_hand, erasure, commune, by, now, answer, request
    )


async def open_requests(
    store: Store,
    hasher: AccountHasher,
    wanted: Sequence[StoredRequest],
    by: str,
    because: str,
    deadline: timedelta,
    environment: Environment,
) -> tuple[str, list[str]]:
    """Have single requests erased, once a second person agrees. Return the order's run, and the
    erasures. Raises NotFound, Conflict, BadKey and OSError."""
    run = f"RUN-{environment.new_name()}"
    singles = [
        SingleRequest(one.id, hasher.hash_of_request(one.portal, one.teleservice, one.ref))
        for one in wanted
    ]
    order = OpenOrder(run, "command", deadline, ORDERED, by, because)
    made = await store.write(
        erasure_orders.open_requests,
        singles,
        order,
        lambda: f"ERA-{environment.new_name()}",
        environment.now(),
    )
    return run, made


async def daemons(store: Store) -> Mapping[str, RenewalAnswer]:
    """Return the running daemons by name. A killed one stays listed for three minutes."""
    return await store.read(renewals.answers, datetime.now(UTC))


async def renew_secrets(store: Store) -> dict[str, tuple[RenewalAnswer, bool]]:
    """Have the daemons read their secrets anew. Return, by daemon, its answer and whether that
    answers this order."""
    asked = uuid4().hex
    await store.write(renewals.order, asked, datetime.now(UTC))
    end = time.monotonic() + PATIENCE
    while True:
        known = await daemons(store)
        if all(one.asked == asked for one in known.values()) or time.monotonic() > end:
            return {name: (one, one.asked == asked) for name, one in known.items()}
        await asyncio.sleep(0.2)
