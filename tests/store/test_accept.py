"""A 2xx means kept, once, whole."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, func, select

from gateway.core.content import InMemory
from gateway.core.delivery import Kind
from gateway.core.request import EventKind
from gateway.core.status import Status
from gateway.store import accepting, blobs, nonces, requests, sealed
from gateway.store.engine import Database
from gateway.store.outbox import leases, operator
from gateway.store.outbox.rows import NewDelivery
from gateway.store.rows import Incoming, Reception
from gateway.store.tables import ATTACHMENT, BLOB, DELIVERY, EVENT, REQUEST
from tests.builders import (
    GRU_LANE,
    NOW,
    PORTAL,
    TELESERVICE,
    file_of,
    incoming,
    new_id,
    service_request,
    stored,
)
from tests.store.acts import accept, amend, claim_one, mark_erased, trace

LATER = NOW + timedelta(minutes=5)


def _rows(connection: Connection) -> dict[str, int]:
    tables = (REQUEST, EVENT, DELIVERY, ATTACHMENT)
    return {
        t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables
    }


async def test_a_new_request_is_kept_with_all_it_makes_us_owe(store: Database) -> None:
    told = incoming(files={"photo": b"JPEG"})
    acceptance = await store.write(accepting.accept, told)
    assert acceptance.reception is Reception.NEW
    assert acceptance.event_id == told.event_id
    kept = acceptance.request
    assert kept is not None
    assert (kept.id, kept.ref, kept.status) == (
        told.request.id,
        told.request.ref,
        Status.RECEIVED,
    )
    assert kept.received_at == NOW
    assert kept.received_at.utcoffset() == timedelta(0)
    claimed = await claim_one(store)
    assert claimed.delivery.kind is Kind.SUBMIT
    assert claimed.body == told.request.document()
    assert claimed.attachments == told.request.attachments
    assert (claimed.event_key, claimed.event_kind) == ("creation", "creation")
    assert await store.read(requests.find, PORTAL, TELESERVICE, told.request.ref) is not None
    assert await store.read(requests.find, PORTAL, TELESERVICE, told.request.id) is not None
    assert await store.read(requests.find, PORTAL, "un-autre", told.request.id) is None


async def test_the_same_again_is_the_same_and_owes_nothing_more(store: Database) -> None:
    first = await accept(store, ref="7")
    assert first.request is not None
    before = await store.read(_rows)
    again = await accept(store, ref="7", now=LATER)
    assert (again.reception, again.event_id) == (Reception.SAME, first.event_id)
    assert again.request is not None
    assert again.request.id == first.request.id
    assert await store.read(_rows) == before


async def test_the_same_key_with_other_content_is_a_conflict(store: Database) -> None:
    await accept(store, ref="7")
    before = await store.read(_rows)
    other = await accept(store, ref="7", fields={"description": "autre chose"})
    assert other.reception is Reception.CONFLICT
    assert await store.read(_rows) == before


async def test_the_same_number_of_another_form_is_another_request(store: Database) -> None:
    one = await accept(store, ref="7")
    other = await accept(store, ref="7", teleservice="inscription-scolaire")
    elsewhere = await accept(store, ref="7", portal="toodego-prod")
    ids = {a.request.id for a in (one, other, elsewhere) if a.request}
    assert len(ids) == 3


async def test_a_nonce_is_good_once_and_nothing_is_kept_of_its_replay(store: Database) -> None:
    first = await accept(store, ref="1", nonce="n", nonce_until=LATER)
    assert first.reception is Reception.NEW
    before = await store.read(_rows)
    assert (await accept(store, ref="2", nonce="n", nonce_until=LATER)).reception is (
        Reception.REPLAYED
    )
    assert await store.read(_rows) == before
    assert await store.write(nonces.forget, LATER) == 0
    assert await store.write(nonces.forget, LATER + timedelta(seconds=1)) == 1
    assert (await accept(store, ref="2", nonce="n", nonce_until=LATER)).reception is Reception.NEW


async def test_a_refused_call_spends_its_nonce(store: Database) -> None:
    lost = incoming(kind=EventKind.MESSAGE, ref="9", nonce="n", nonce_until=LATER)
    assert (await store.write(accepting.accept, lost)).reception is Reception.UNKNOWN
    assert (await store.write(accepting.accept, lost)).reception is Reception.REPLAYED


async def test_an_event_of_an_unknown_request_is_not_kept(store: Database) -> None:
    assert (await amend(store, "404", 1)).reception is Reception.UNKNOWN
    assert await store.read(_rows) == {"request": 0, "event": 0, "delivery": 0, "attachment": 0}


async def test_a_later_event_joins_its_request_once(store: Database) -> None:
    first = await accept(store, ref="7")
    assert first.request is not None
    later = await amend(store, "7", 1)
    assert later.reception is Reception.NEW
    assert later.request is not None
    assert later.request.id == first.request.id
    assert (await amend(store, "7", 1)).reception is Reception.SAME
    history = await trace(store, first.request.id)
    assert [e.key for e in history.events] == ["creation", "message-1"]
    assert [d.kind for d in history.deliveries] == [Kind.SUBMIT, Kind.AMEND]
    # The stored document bears the request's own id, whatever id the event came with.
    body = await store.read(requests.event_body, later.event_id or "")
    assert body is not None
    assert body["id"] == first.request.id
    assert await store.read(requests.first_event, first.request.id) == first.event_id


async def test_an_unsound_key_of_the_workflow_loses_no_event(store: Database) -> None:
    """The guide's former key counted characters: another message of that length had it, too."""
    first = await accept(store, ref="7")
    assert first.request is not None
    one = await amend(store, "7", 1, digest="Bonjour ?")
    other = await amend(store, "7", 1, digest="Bonsoir ?")
    assert (one.reception, other.reception) == (Reception.NEW, Reception.NEW)
    for digest, kept in (("Bonjour ?", one), ("Bonsoir ?", other)):
        again = await amend(store, "7", 1, digest=digest)
        assert (again.reception, again.event_id) == (Reception.SAME, kept.event_id)
    keys = [e.key for e in (await trace(store, first.request.id)).events]
    assert len(set(keys)) == len(keys) == 3


async def test_an_event_of_the_history_is_that_of_the_push(store: Database) -> None:
    """Whichever came first, and whatever the workflow calls it."""
    await accept(store, ref="7")
    pushed = await amend(store, "7", 1, now=LATER)
    seen = await amend(store, "7", 9, now=LATER, entry_at=NOW)
    assert (seen.reception, seen.event_id) == (Reception.SAME, pushed.event_id)
    # From now on its instant tells it: the same words at another instant are another message.
    week = NOW + timedelta(days=7)
    found = await amend(store, "7", 9, now=week, entry_at=week)
    assert found.reception is Reception.NEW
    for _ in range(2):
        late = await amend(store, "7", 2, now=week + timedelta(days=1))
        assert (late.reception, late.event_id) == (Reception.SAME, found.event_id)
    third = await amend(store, "7", 3, now=week + timedelta(days=2))
    assert third.reception is Reception.NEW


async def test_nothing_of_an_erased_request_is_kept_again(store: Database) -> None:
    first = await accept(store, ref="7")
    assert first.request is not None
    await store.write(mark_erased, first.request.id)
    before = await store.read(_rows)
    assert (await accept(store, ref="7")).reception is Reception.ERASED
    assert (await amend(store, "7", 1)).reception is Reception.ERASED
    assert await store.read(_rows) == before


async def test_a_file_sent_twice_is_kept_once(store: Database) -> None:
    await accept(store, files={"photo": b"JPEG", "copie": b"JPEG"})
    await accept(store, files={"photo": b"JPEG"})
    counts = await store.read(_rows)
    assert counts["attachment"] == 3
    # Once for each request: what is shared could not be destroyed with one of them.
    assert (
        await store.read(lambda c: c.execute(select(func.count()).select_from(BLOB)).scalar()) == 2
    )


@pytest.mark.parametrize(
    ("size", "pieces"),
    [(0, 1), (1, 1), (256 * 1024, 1), (256 * 1024 + 1, 2), (600 * 1024, 3)],
)
async def test_bytes_come_back_as_they_were(store: Database, size: int, pieces: int) -> None:
    content = bytes(n % 251 for n in range(size))
    kept = InMemory(content)
    assert kept.sha256 == hashlib.sha256(content).hexdigest()
    key = await store.read(sealed.new_key)
    await store.write(blobs.store, kept, "here", key)
    await store.write(blobs.store, kept, "here", key)
    assert await stored(store, "here", size) == content
    n = await store.read(lambda c: c.execute(select(func.count()).select_from(BLOB)).scalar())
    assert n == pieces


async def test_bytes_go_when_the_last_that_refers_to_them_is_erased(store: Database) -> None:
    both, one = b"A" * 300_000, b"B"
    first = await accept(store, ref="7", files={"photo": both, "plan": one})
    later = service_request(ref="7", kind=EventKind.CHANGE, attachments=(file_of(both),))
    told = incoming(later)
    told = dataclasses.replace(told, blobs={file_of(both).sha256: InMemory(both)})
    second = await store.write(accepting.accept, told)
    assert first.request is not None
    of_both, of_one = [
        await store.read(sealed.address, first.request.id, file_of(content).sha256)
        for content in (both, one)
    ]

    def erase(connection: Connection, event_id: str | None) -> int:
        connection.execute(delete(ATTACHMENT).where(ATTACHMENT.c.event_id == event_id))
        return blobs.drop_orphans(connection, [of_both, of_one])

    assert await store.write(erase, first.event_id) == 1
    assert await stored(store, of_one, len(one)) is None
    assert await stored(store, of_both, len(both)) == both
    assert await store.write(erase, second.event_id) == 2
    assert await stored(store, of_both, len(both)) is None
    assert await store.write(blobs.drop_orphans, []) == 0


async def test_half_a_character_does_not_cost_a_request(store: Database) -> None:
    """JSON may hold half a surrogate pair or a NUL, as w.c.s. hands on what browsers send."""
    fields = {"description": "coupé \ud83d", "nul": "\x00"}
    taken = await accept(store, fields=fields)
    assert taken.reception is Reception.NEW
    body = await store.read(requests.event_body, taken.event_id or "")
    assert body is not None
    assert body["fields"] == fields


async def test_each_file_may_have_its_own_delivery(store: Database) -> None:
    submit = NewDelivery(new_id("dlv"), Kind.SUBMIT, GRU_LANE)
    one, two = (NewDelivery(new_id("dlv"), Kind.AMEND, GRU_LANE, n) for n in range(2))
    taken = await accept(store, files={"a": b"1", "b": b"22"}, deliveries=(submit, one, two))
    assert taken.request is not None
    for planned in (submit, one, two):
        claimed = await claim_one(store)
        assert claimed.delivery.id == planned.id
        sizes = [a.size for a in claimed.attachments]
        assert sizes == ([1, 2] if planned.attachment is None else [planned.attachment + 1])
        await store.write(leases.give_back, planned.id, claimed.delivery.fence, NOW)
        await store.write(operator.discard, planned.id, NOW)


async def test_half_an_acceptance_is_none(store: Database) -> None:
    told = incoming(files={"photo": b"JPEG"})
    broken = Incoming(
        told.request, told.event_id, told.digest, told.gru, NOW, told.deliveries, blobs={}
    )
    with pytest.raises(KeyError):
        await store.write(accepting.accept, broken)
    assert set((await store.read(_rows)).values()) == {0}
    assert (await store.write(accepting.accept, told)).reception is Reception.NEW


async def test_the_same_request_many_times_at_once_is_kept_once(url: str) -> None:
    """Two processes: the portal's push and the reconciler's pull of another replica."""
    stores = [Database(url) for _ in range(3)]
    try:
        for ref in map(str, range(8)):
            taken = await asyncio.gather(*(accept(s, ref=ref) for s in stores for _ in range(3)))
            assert sorted(a.reception.value for a in taken) == ["new"] + ["same"] * 8
            assert len({a.event_id for a in taken}) == 1
            amends = await asyncio.gather(*(amend(s, ref, n) for s in stores for n in range(3)))
            assert sorted(a.reception.value for a in amends) == ["new"] * 3 + ["same"] * 6
            kept = taken[0].request
            assert kept is not None
            history = await trace(stores[0], kept.id)
            assert sorted((d.seq, d.head) for d in history.deliveries) == (
                [(1, True), (2, False), (3, False), (4, False)]
            )
    finally:
        for each in stores:
            each.close()


async def test_listings(store: Database) -> None:
    for n in range(3):
        await accept(store, ref=str(n), now=NOW + timedelta(hours=n))
    other = await accept(store, ref="9", commune="69123", teleservice="inscription")
    assert [k.ref for k in await store.read(requests.listing, limit=2)] == ["2", "1"]
    assert [k.ref for k in await store.read(requests.listing, commune="69123")] == ["9"]
    assert [k.ref for k in await store.read(requests.listing, teleservice="inscription")] == ["9"]
    since = NOW + timedelta(hours=1)
    assert [k.ref for k in await store.read(requests.listing, since=since)] == ["2", "1"]
    assert await store.read(requests.listing, status="done") == []
    assert other.request is not None
    assert [k.ref for k in await store.read(requests.search, other.request.id)] == ["9"]
    assert [k.ref for k in await store.read(requests.search, "12-1")] == ["1"]
    assert await store.read(requests.counts) == {"received": 4}
    assert await store.read(requests.trace, "TDG-0000000000000000") is None


def test_a_request_is_new_unless_it_is_told_otherwise() -> None:
    assert service_request().ref != service_request().ref


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b", "🙏🏽", "a\x0b\u2028b"])
async def test_any_character_of_a_citizen_is_kept(store: Database, text: str) -> None:
    told = await store.write(accepting.accept, incoming(service_request(fields={"d": text})))
    assert told.event_id is not None
    body = await store.read(requests.event_body, told.event_id)
    assert body is not None
    assert body["fields"] == {"d": text}
