"""Claims taken from a dead owner, or given back: one claim, and no more."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import Connection, update

from gateway.core.delivery import Kind, Settlement, State
from gateway.store.engine import Database
from gateway.store.outbox import leases, settling
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import NewDelivery
from gateway.store.tables import REQUEST
from tests.builders import GRU_LANE, NOW, new_id
from tests.store.acts import LEASE, accept, claim_one, get, put, settle, settled

LATER = NOW + timedelta(seconds=LEASE)


async def take(store: Database, claimed: Claimed, way: str, fence: int = 0) -> bool:
    """Reap or give back a claim, or one with a fence of so many later. Did it do anything?"""
    id_, ours = claimed.delivery.id, claimed.delivery.fence + fence
    if way == "reap":
        return bool(await store.write(leases.reap, {id_: ours}, LATER))
    return await store.write(leases.give_back, id_, ours, LATER)


BOTH = pytest.mark.parametrize("way", ["reap", "give_back"])


@BOTH
async def test_of_two_claims_one_is_taken(store: Database, way: str) -> None:
    await accept(store, ref="1")
    await accept(store, ref="2")
    first, second = await claim_one(store), await claim_one(store)
    assert first.delivery.fence == second.delivery.fence
    assert await take(store, first, way)
    assert (await get(store, second.delivery.id)).state is State.SENDING


@BOTH
async def test_what_was_settled_in_time_is_left_as_it_is(store: Database, way: str) -> None:
    await accept(store)
    claimed = await claim_one(store)
    await settle(store, claimed, State.WAITING, next_at=NOW)
    before = await get(store, claimed.delivery.id)
    assert not await take(store, claimed, way)
    assert await get(store, claimed.delivery.id) == before


async def test_when_it_was_sent_stays_known_while_it_is_asked_about(store: Database) -> None:
    await accept(store)
    claimed = await claim_one(store)
    assert await take(store, claimed, "reap")
    taken = await get(store, claimed.delivery.id)
    assert (taken.sent_at, taken.asking) == (LATER, False), "it may have been sent until then"
    assert "stopped before the answer" in taken.detail
    sent = NOW - timedelta(minutes=5)
    unsure = Settlement(State.UNSURE, "timeout", next_at=LATER, failures=1, sent_at=sent)
    asking = await claim_one(store, now=LATER)
    move = dataclasses.replace(settled(asking, State.UNSURE), settlement=unsure)
    assert await store.write(settling.settle, move)
    again = await claim_one(store, now=LATER)
    assert again.delivery.asking
    assert await take(store, again, "reap")
    taken = await get(store, claimed.delivery.id)
    assert (taken.sent_at, taken.asking) == (sent, False)


def _erase(connection: Connection, request_id: str) -> None:
    connection.execute(update(REQUEST).where(REQUEST.c.id == request_id).values(erased_at=NOW))


@BOTH
async def test_what_an_erasure_found_under_way_ends_with_its_claim(
    store: Database, way: str
) -> None:
    """Once the claim is over it is not sent again: nothing of the person goes out any more."""
    accepted = await accept(store)
    assert accepted.request is not None
    claimed = await claim_one(store)
    await store.write(_erase, accepted.request.id)
    assert await take(store, claimed, way)
    dropped = await get(store, claimed.delivery.id)
    assert (dropped.state, dropped.reason, dropped.detail) == (State.DISCARDED, "erased", "")
    assert (dropped.lease_owner, dropped.settled_at) == (None, LATER)


async def test_at_a_start_what_an_erasure_found_under_way_ends_too(store: Database) -> None:
    accepted = await accept(store)
    assert accepted.request is not None
    claimed = await claim_one(store)
    await store.write(_erase, accepted.request.id)
    assert await store.write(leases.reap_all, LATER, lambda lane: 20.0) == [GRU_LANE]
    assert (await get(store, claimed.delivery.id)).state is State.DISCARDED


@BOTH
@pytest.mark.parametrize("later", [-1, 1])
async def test_a_claim_is_taken_by_its_own_fence_alone(
    store: Database, way: str, later: int
) -> None:
    """Another has claimed it since, or will have: that claim is not ours to end."""
    await accept(store)
    claimed = await claim_one(store)
    before = await get(store, claimed.delivery.id)
    assert not await take(store, claimed, way, fence=later)
    assert await get(store, claimed.delivery.id) == before


@BOTH
async def test_the_erasure_itself_goes_on_when_its_claim_is_over(store: Database, way: str) -> None:
    """A commune that was not told would keep the person for ever."""
    erase = NewDelivery(new_id("dlv"), Kind.ERASE, GRU_LANE)
    accepted = await accept(store, deliveries=(erase,))
    assert accepted.request is not None
    await store.write(_erase, accepted.request.id)
    assert await take(store, await claim_one(store), way)
    owed = await get(store, erase.id)
    assert owed.state is (State.UNSURE if way == "reap" else State.WAITING)
    assert owed.head


@pytest.mark.parametrize("state", [State.WAITING, State.UNSURE, State.PARKED])
async def test_what_an_erased_person_is_owed_ends_where_it_stands(
    store: Database, state: State
) -> None:
    accepted = await accept(store)
    assert accepted.request is not None
    claimed = await claim_one(store)
    await store.write(put, claimed.delivery.id, state)
    await store.write(leases.drop_erased, claimed.delivery.id, LATER)
    assert (await get(store, claimed.delivery.id)).state is state, "nobody was erased"
    await store.write(_erase, accepted.request.id)
    await store.write(leases.drop_erased, claimed.delivery.id, LATER)
    dropped = await get(store, claimed.delivery.id)
    assert (dropped.state, dropped.reason, dropped.head) == (State.DISCARDED, "erased", False)
    assert dropped.settled_at == LATER


async def test_who_was_not_erased_goes_on_being_owed(store: Database) -> None:
    hers, his = await accept(store, ref="1"), await accept(store, ref="2")
    assert hers.request is not None
    assert his.request is not None
    mine, other = sorted(
        [await claim_one(store), await claim_one(store)], key=lambda one: one.request.ref
    )
    for claimed in (mine, other):
        assert await take(store, claimed, "give_back")
        assert (await get(store, claimed.delivery.id)).next_at == LATER
    await store.write(_erase, hers.request.id)
    before = await get(store, other.delivery.id)
    await store.write(leases.drop_erased, other.delivery.id, LATER)
    assert await get(store, other.delivery.id) == before, "somebody else was"
    await store.write(_erase, his.request.id)
    await store.write(leases.drop_erased, mine.delivery.id, LATER)
    assert (await get(store, mine.delivery.id)).state is State.DISCARDED
    assert await get(store, other.delivery.id) == before, "another delivery was meant"


@pytest.mark.parametrize("state", [State.SENDING, State.DONE])
async def test_what_is_under_way_or_through_is_not_stopped(store: Database, state: State) -> None:
    accepted = await accept(store)
    assert accepted.request is not None
    claimed = await claim_one(store)
    await store.write(put, claimed.delivery.id, state)
    before = await get(store, claimed.delivery.id)
    await store.write(_erase, accepted.request.id)
    await store.write(leases.drop_erased, claimed.delivery.id, LATER)
    assert await get(store, claimed.delivery.id) == before
