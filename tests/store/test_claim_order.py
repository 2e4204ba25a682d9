"""The order in which a claim takes due deliveries."""

from __future__ import annotations

from datetime import timedelta

from gateway.core.delivery import State
from gateway.store.engine import Database
from gateway.store.outbox import claiming
from gateway.store.outbox.claiming import FRESH_FOR, ClaimOrder, ClaimRequest
from tests.builders import GRU_LANE, NOW
from tests.store.acts import LEASE, accept, claim_one, settle


async def due(store: Database, **ago: timedelta) -> None:
    """One delivery each, which came due so long ago."""
    for ref, since in ago.items():
        await accept(store, ref=ref, now=NOW - since)


async def claimed(store: Database, order: ClaimOrder, limit: int) -> list[str]:
    ask = ClaimRequest(GRU_LANE, limit, "one", NOW, LEASE, order)
    result = await store.write(claiming.claim, ask)
    return sorted(one.request.ref for one in result.claims)


async def test_what_has_just_come_is_taken_before_what_waits_longer(store: Database) -> None:
    fresh = FRESH_FOR - timedelta(seconds=1)
    await due(store, a=timedelta(hours=1), b=FRESH_FOR, c=fresh, d=timedelta(0))
    assert await claimed(store, ClaimOrder.NEWEST_FIRST, 1) == ["c"], "of what is fresh the oldest"
    assert await claimed(store, ClaimOrder.NEWEST_FIRST, 2) == ["a", "d"], "then the oldest of all"
    assert await claimed(store, ClaimOrder.NEWEST_FIRST, 2) == ["b"]


async def test_what_waits_longest_is_taken_first(store: Database) -> None:
    await due(store, a=timedelta(hours=1), b=timedelta(0), c=timedelta(hours=2))
    assert await claimed(store, ClaimOrder.OLDEST_FIRST, 2) == ["a", "c"]


async def test_a_probe_is_made_with_what_has_not_failed_yet(store: Database) -> None:
    await due(store, a=timedelta(hours=1))
    failed = await claim_one(store)
    await settle(store, failed, State.WAITING, next_at=NOW - timedelta(minutes=9), failures=1)
    await due(store, b=timedelta(minutes=1), c=timedelta(minutes=2))
    assert await claimed(store, ClaimOrder.UNTRIED_FIRST, 1) == ["c"]
    assert await claimed(store, ClaimOrder.UNTRIED_FIRST, 2) == ["a", "b"]


async def test_a_claim_is_filled_with_what_is_due_whatever_was_chosen_first(
    store: Database,
) -> None:
    """The delivery that has not failed is also the oldest: it counts once."""
    await due(store, a=timedelta(hours=1))
    failed = await claim_one(store)
    await settle(store, failed, State.WAITING, next_at=NOW - timedelta(minutes=1), failures=1)
    await due(store, b=timedelta(minutes=2))
    assert await claimed(store, ClaimOrder.UNTRIED_FIRST, 2) == ["a", "b"]


async def test_what_is_not_due_yet_is_nobody_s(store: Database) -> None:
    await due(store, a=-timedelta(seconds=1))
    for order in ClaimOrder:
        assert await claimed(store, order, 1) == []
