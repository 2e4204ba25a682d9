"""The acts of an operator upon deliveries, lanes, erasures and secrets. Daemons take them up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from gateway.catalogue.catalogue import Glc
from gateway.core.delivery import State
from gateway.core.lane_policy import LanePolicy
from gateway.store import erasures, renewals, scrub, untold
from gateway.store.engine import Store
from gateway.store.outbox import backlog, operator
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.rows import Delivery
from gateway.store.renewals import RenewalAnswer
from gateway.store.rows import Untold

#: When GLC is no longer configured, what is still held keeps this deadline.
DEADLINE = timedelta(days=30)
#: A daemon looks every 3 seconds for what it is asked; so long it is waited for, in seconds.
PATIENCE = 20.0
#: A daemon that has said nothing for so many seconds was killed, or is very busy.
SILENT = renewals.BEAT + 15.0
_REPLAYABLE = (State.PARKED, State.DEAD)
_ALL = 1_000_000


async def replayable(store: Store, commune: str | None, reason: str | None) -> list[str]:
    """Return the ids of what can be replayed, of one commune or for one reason where that is
    given."""
    deliveries = await store.read(backlog.listing, states=_REPLAYABLE, commune=commune, limit=_ALL)
    changes = await store.read(untold.listing, commune=commune, limit=_ALL)
    ids = [one.id for one in deliveries if reason in (None, one.reason)]
    return ids + [one.id for one in changes if reason in (None, one.reason)]


async def replay(store: Store, which: str, now: datetime) -> str:
    """Have a delivery sent again, or a GRU's change judged again; its id.

    Raises NotFound, and Conflict for what does not wait for that.
    """
    if await store.read(untold.is_there, which):
        return (await store.write(untold.judge_again, which)).id
    return (await store.write(operator.replay, which, now)).id


async def resolve(
    store: Store, delivery: str, there: bool, now: datetime, *, reference: str | None = None
) -> Delivery:
    """Answer whether the far end has a delivery; `reference` is the number that it gave.

    Raises NotFound, and Conflict for what is no question.
    """
    return await store.write(operator.resolve, delivery, there, now, reference=reference)


async def discard(store: Store, which: str, because: str, now: datetime) -> Delivery | Untold:
    """Owe a delivery no more, or tell a GRU's change no more. Raises NotFound and Conflict."""
    if await store.read(untold.is_there, which):
        return await store.write(untold.give_up, which)
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
    """Have one call of each lane tell, now, whether its far end does well: no break and no open
    breaker is waited for. What is paused stays so, unless `resume`."""
    for lane in lanes:
        await store.write(memory.resume if resume else memory.lift, lane, now)
        await store.write(backlog.hurry, lane, now - timedelta(seconds=policy(lane).timeout))


async def approve(
    store: Store, glc: Glc | None, target: str, by: str, now: datetime
) -> tuple[int, int]:
    """Agree to an erasure that is held, or to all of a run; how many were agreed to, and how many
    are erased now. Raises NotFound and Conflict."""
    deadline = DEADLINE if glc is None else timedelta(seconds=glc.deadline)
    return await store.write(erasures.approve, target, by, deadline, now)


async def done_by_hand(store: Store, erasure: str, commune: str, by: str, now: datetime) -> int:
    """Note that a commune has erased what its GRU cannot erase; of how many requests.

    Raises NotFound.
    """
    return await store.write(scrub.done_by_hand, erasure, commune, by, now)


async def daemons(store: Store) -> Mapping[str, RenewalAnswer]:
    """Return the daemons that run, by their names. One that was killed is there for three
    minutes."""
    return await store.read(renewals.answers, datetime.now(UTC))


async def renew_secrets(store: Store) -> dict[str, tuple[RenewalAnswer, bool]]:
    """Have the daemons read their secrets anew, and wait for them: by the name of each, its answer,
    and whether that is to what was asked now."""
    asked = uuid4().hex
    await store.write(renewals.ask, asked, datetime.now(UTC))
    end = time.monotonic() + PATIENCE
    while True:
        known = await daemons(store)
        if all(one.asked == asked for one in known.values()) or time.monotonic() > end:
            return {name: (one, one.asked == asked) for name, one in known.items()}
        await asyncio.sleep(0.2)
