"""The numbers of a lane's feed, on both databases."""

from __future__ import annotations

import asyncio
import dataclasses

from gateway.core.delivery import Kind, State
from gateway.store import accepting
from gateway.store.engine import Database
from gateway.store.outbox import enqueuing, feed
from gateway.store.outbox.enqueuing import QueuedDelivery
from tests.builders import GRU_LANE, NOW, incoming
from tests.store.acts import accept, claim_one, settle


async def fed(store: Database, ref: str, lane: str = GRU_LANE) -> str:
    """A request whose delivery is in its lane's feed; its id."""
    one = incoming(ref=ref)
    deliveries = tuple(dataclasses.replace(d, fed=True, lane=lane) for d in one.deliveries)
    accepted = await store.write(accepting.accept, dataclasses.replace(one, deliveries=deliveries))
    assert accepted.request is not None
    return accepted.request.id


async def numbers(store: Database, after: int = 0, most: int = 100) -> list[tuple[int, str]]:
    page = await store.read(feed.read_page, GRU_LANE, after, most)
    return [(seq, one.request.id) for seq, one in page]


async def test_each_lane_counts_by_itself_and_what_is_not_fed_has_no_number(
    store: Database,
) -> None:
    await accept(store, ref="0")
    first = await fed(store, "1")
    await fed(store, "2", "gru:69266:autre")
    second = await fed(store, "3")
    assert await numbers(store) == [(1, first), (2, second)]
    assert await numbers(store, after=1) == [(2, second)]
    assert await numbers(store, most=1) == [(1, first)]
    lasts = await store.read(feed.last_numbers, [GRU_LANE, "gru:69266:autre", "gru:1:x"])
    assert lasts == {GRU_LANE: 2, "gru:69266:autre": 1}


async def test_many_at_once_get_a_number_each_and_none_is_missed(store: Database) -> None:
    wanted = set(await asyncio.gather(*(fed(store, str(n)) for n in range(40))))
    found = await numbers(store)
    assert [seq for seq, _ in found] == list(range(1, 41))
    assert {request_id for _, request_id in found} == wanted


async def test_what_is_done_stays_in_the_feed(store: Database) -> None:
    request = await fed(store, "1")
    await settle(store, await claim_one(store), State.DONE, reference="V-1")
    ((seq, owed),) = await store.read(feed.read_page, GRU_LANE, 0, 100)
    assert (seq, owed.request.id, owed.delivery.state) == (1, request, State.DONE)
    assert owed.body


async def test_an_erasure_follows_into_the_feed_of_what_it_erases(store: Database) -> None:
    mine = await fed(store, "1")
    other = await accept(store, ref="2")
    assert other.request is not None
    for request_id in (mine, other.request.id):
        page = await store.read(feed.read_page, GRU_LANE, 0, 1)
        event_id = page[0][1].delivery.event_id
        owed = QueuedDelivery(
            f"e-{request_id}", request_id, event_id, Kind.ERASE, GRU_LANE, NOW, NOW
        )
        await store.write(enqueuing.enqueue, [owed])
    assert [request_id for _, request_id in await numbers(store)] == [mine, mine]
