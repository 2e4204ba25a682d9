"""The claims of communes that fetch, on both databases."""

from __future__ import annotations

from datetime import timedelta

from gateway.core.delivery import State
from gateway.store import requests
from gateway.store.engine import Database
from gateway.store.outbox import leases, mailbox
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.leases import MAILBOX
from tests.builders import GRU_LANE, NOW
from tests.store.acts import LEASE, accept, claim_one, get, settle

LATER = NOW + timedelta(seconds=LEASE)


async def hold(
    store: Database, claimed: Claimed, fence: int | None = None
) -> mailbox.MailboxDelivery:
    mine = claimed.delivery
    wanted = mine.fence if fence is None else fence
    return await store.write(mailbox.lock_claim, mine.lane, mine.id, wanted, LATER)


async def end(store: Database) -> list[str]:
    over = await store.read(mailbox.ended_claims, LATER)
    return await store.write(mailbox.end_claims, over, LATER)


async def test_a_process_takes_nothing_from_a_commune(store: Database) -> None:
    await accept(store, ref="1")
    await accept(store, ref="2")
    theirs, ours = await claim_one(store, owner=MAILBOX), await claim_one(store)
    assert [one.id for one in await store.read(leases.under_way)] == [ours.delivery.id]
    assert await store.write(leases.reap_all, LATER, lambda lane: 0.0) == [GRU_LANE]
    assert (await get(store, theirs.delivery.id)).state is State.SENDING


async def test_a_lease_ends_once_and_is_told_as_an_attempt(store: Database) -> None:
    await accept(store)
    claimed = await claim_one(store, owner=MAILBOX)
    assert await store.read(mailbox.ended_claims, LATER - timedelta(seconds=1)) == []
    assert await end(store) == [GRU_LANE]
    assert await end(store) == []
    now = await get(store, claimed.delivery.id)
    assert (now.state, now.reason, now.failures) == (State.WAITING, "lease_ended", 1)
    assert (now.attempts, now.next_at) == (1, LATER)
    trace = await store.read(requests.trace, claimed.request.id)
    assert trace is not None
    ((attempt,),) = trace.attempts.values()
    assert (attempt.n, attempt.outcome, attempt.reason) == (1, "try_later", "lease_ended")
    assert await store.read(mailbox.unfetched, GRU_LANE, LATER) == (1, now.created_at)


async def test_a_result_is_held_by_its_fence_alone(store: Database) -> None:
    await accept(store)
    first = await claim_one(store, owner=MAILBOX)
    assert (await hold(store, first)).claimed == first
    assert (await hold(store, first, fence=7)) == mailbox.MailboxDelivery()
    assert await store.write(mailbox.lock_claim, "gru:1:x", first.delivery.id, 1, LATER) == (
        mailbox.MailboxDelivery()
    )
    await end(store)
    late = (await hold(store, first)).claimed
    assert late is not None, "nobody else has fetched it"
    assert late.delivery.fence == first.delivery.fence
    await end(store)
    second = await claim_one(store, owner=MAILBOX, now=LATER)
    assert (await hold(store, first)).claimed is None
    assert (await hold(store, second)).claimed == second
    assert await settle(store, second, State.DONE, reference="V-1")
    assert (await hold(store, first)).done


async def test_what_a_process_sends_is_no_commune_s_to_settle(store: Database) -> None:
    await accept(store)
    assert (await hold(store, await claim_one(store))) == mailbox.MailboxDelivery()
