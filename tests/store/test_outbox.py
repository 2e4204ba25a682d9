"""Order, claims, fencing, and what follows from an attempt."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.core.content import InMemory
from gateway.core.delivery import Kind, Settlement, State
from gateway.core.request import Attachment
from gateway.core.status import Status
from gateway.store import accepting, requests
from gateway.store.engine import Database
from gateway.store.outbox import backlog, claiming, leases, operator, settling
from gateway.store.outbox.claiming import ClaimRequest
from gateway.store.outbox.rows import NewDelivery, NewReport
from gateway.store.tables import REQUEST
from tests.builders import (
    GRU_LANE,
    NOW,
    PORTAL_LANE,
    file_of,
    incoming,
    new_id,
    stored_of,
)
from tests.store.acts import (
    LEASE,
    accept,
    amend,
    claim,
    claim_one,
    get,
    mark_erased,
    put,
    settle,
    settled,
    trace,
)

SOON = NOW + timedelta(seconds=10)


def report(request_id: str, key: str = "k", **changes: Any) -> NewReport:
    values: dict[str, Any] = {
        "event_id": new_id("evt"),
        "delivery_id": new_id("dlv"),
        "request_id": request_id,
        "lane": PORTAL_LANE,
        "origin": "gru",
        "key": key,
        "at": NOW,
        "body": {"status": "accepted", "message": "Bonjour Zoé"},
        "status": Status.ACCEPTED,
    }
    return NewReport(**(values | changes))


async def test_deliveries_of_a_request_go_in_order(store: Database) -> None:
    first = await accept(store, ref="1")
    await amend(store, "1", 1)
    await amend(store, "1", 2)
    assert first.request is not None
    late = NOW + timedelta(hours=1)
    seen = []
    for _ in range(3):
        (claimed,) = await claim(store, limit=10, now=late)
        seen.append(claimed.event_key)
        assert await claim(store, limit=10, now=late) == []
        assert await settle(store, claimed, State.DONE, now=late)
    assert seen == ["creation", "message-1", "message-2"]
    assert await claim(store, limit=10, now=late) == []
    history = await trace(store, first.request.id)
    assert [(d.seq, d.state, d.head) for d in history.deliveries] == [
        (n, State.DONE, False) for n in (1, 2, 3)
    ]
    # What comes when all is done is at the head at once.
    await amend(store, "1", 3)
    assert (await claim_one(store, now=late)).delivery.seq == 4


async def test_what_is_not_final_holds_back_what_follows(store: Database) -> None:
    for state in (State.WAITING, State.UNSURE, State.QUESTION, State.PARKED, State.DEAD):
        taken = await accept(store, ref=state.value)
        await amend(store, state.value, 1)
        assert taken.request is not None
        claimed = await claim_one(store, now=SOON)
        far = NOW + timedelta(days=1)
        assert await settle(store, claimed, state, now=SOON, next_at=far)
        assert await claim(store, now=SOON) == [], state
        first, held = (await trace(store, taken.request.id)).deliveries
        assert (first.head, first.state) == (True, state)
        assert (held.head, held.state) == (False, State.WAITING)


async def test_requests_and_lanes_do_not_wait_for_each_other(store: Database) -> None:
    other_lane = "gru:69123:mairie"
    await accept(store, ref="1")
    await accept(store, ref="2")
    await accept(store, ref="3", lane=other_lane)
    assert len(await claim(store, limit=10)) == 2
    assert len(await claim(store, limit=10, lane=other_lane)) == 1


async def test_a_claim_takes_what_is_due_up_to_the_limit_earliest_first(store: Database) -> None:
    for n in (3, 1, 2, 9):
        await accept(store, ref=str(n), now=NOW + timedelta(seconds=n))
    when = NOW + timedelta(seconds=3)
    assert [c.request.ref for c in await claim(store, limit=2, now=when)] == ["1", "2"]
    assert [c.request.ref for c in await claim(store, limit=2, now=when)] == ["3"]
    for lane, due in ((GRU_LANE, NOW + timedelta(seconds=9)), ("gru:none:none", None)):
        left = await store.write(claiming.claim, ClaimRequest(lane, 2, "one", when, LEASE))
        assert (left.claims, left.due) == ([], due)
    assert await store.read(backlog.lanes_with_work) == [GRU_LANE]


async def test_each_lane_that_has_work_is_named_once(store: Database) -> None:
    lanes = [f"gru:6902{n}:outil" for n in range(4)]
    for ref, lane in enumerate([*lanes, *lanes]):
        await accept(store, ref=str(ref), lane=lane)
    (claimed,) = await claim(store, lane=lanes[1])
    await settle(store, claimed, State.DONE)
    (claimed,) = await claim(store, lane=lanes[1])
    assert await store.read(backlog.lanes_with_work) == [lanes[0], *lanes[2:]]


async def test_the_end_of_one_lets_the_next_of_the_same_lane_go(store: Database) -> None:
    """Whatever the request owes on its other lane, and since when."""
    taken = await accept(store)
    assert taken.request is not None
    told = tuple(report(taken.request.id, f"told-{n}") for n in range(3))
    await settle(store, await claim_one(store), State.DONE, reports=told)
    await amend(store, taken.request.ref, 1)
    for n in range(3):
        claimed = await claim_one(store, lane=PORTAL_LANE, now=SOON)
        assert claimed.event_key == f"told-{n}"
        assert await settle(store, claimed, State.DONE, now=SOON)


async def test_a_claim_says_whose_and_until_when(store: Database) -> None:
    await accept(store)
    delivery = (await claim_one(store, owner="me")).delivery
    assert (delivery.state, delivery.lease_owner) == (State.SENDING, "me")
    assert delivery.lease_until == NOW + timedelta(seconds=LEASE)
    assert (delivery.fence, delivery.attempts, delivery.asking) == (1, 1, False)
    (seen,) = await store.read(leases.under_way)
    assert (seen.lane, seen.fence) == (GRU_LANE, 1)


async def test_claimers_never_share(url: str) -> None:
    """Several processes at once: each delivery is claimed once, and none is left out."""
    stores = [Database(url) for _ in range(3)]
    try:
        await asyncio.gather(*(accept(stores[0], ref=str(n)) for n in range(90)))
        taken: Counter[str] = Counter()

        async def work(store: Database, owner: str) -> None:
            empty = 0
            while empty < 3:
                claims = await claim(store, limit=7, owner=owner)
                empty = 0 if claims else empty + 1
                for claimed in claims:
                    taken[claimed.delivery.id] += 1
                    assert claimed.delivery.lease_owner == owner
                    assert await settle(store, claimed, State.DONE)

        await asyncio.gather(*(work(s, f"{n}.{m}") for n, s in enumerate(stores) for m in range(3)))
        assert len(taken) == 90
        assert set(taken.values()) == {1}
    finally:
        for each in stores:
            each.close()


async def test_appending_while_settling_leaves_nothing_stuck(url: str) -> None:
    """An event that comes as the delivery before it ends must be at the head, or be promoted."""
    stores = [Database(url) for _ in range(2)]
    try:
        for n in range(25):
            ref = str(n)
            taken = await accept(stores[0], ref=ref)
            claimed = await claim_one(stores[0], now=NOW)
            await asyncio.gather(
                settle(stores[0], claimed, State.DONE),
                *(amend(stores[k % 2], ref, k) for k in range(3)),
            )
            assert taken.request is not None
            still_open = [
                d
                for d in (await trace(stores[0], taken.request.id)).deliveries
                if d.state is not State.DONE
            ]
            assert sorted((d.seq, d.head) for d in still_open) == [
                (2, True),
                (3, False),
                (4, False),
            ]
            for d in still_open:
                await stores[0].write(operator.discard, d.id, NOW)
    finally:
        for each in stores:
            each.close()


async def test_a_settlement_writes_all_that_follows(store: Database) -> None:
    taken = await accept(store)
    assert taken.request is not None
    claimed = await claim_one(store)
    told = report(taken.request.id, "transmitted", origin="gateway", status=Status.TRANSMITTED)
    assert await settle(
        store,
        claimed,
        State.DONE,
        now=SOON,
        reference="GRU-1",
        reports=(told,),
        status=Status.TRANSMITTED,
    )
    history = await trace(store, taken.request.id)
    assert (history.request.gru_reference, history.request.status) == ("GRU-1", Status.TRANSMITTED)
    assert history.request.status_at == SOON
    done, owed = history.deliveries
    assert (done.state, done.settled_at, done.lease_owner) == (State.DONE, SOON, None)
    assert (owed.kind, owed.lane, owed.head) == (Kind.REPORT, PORTAL_LANE, True)
    (attempt,) = history.attempts[done.id]
    assert (attempt.n, attempt.action, attempt.state, attempt.ms) == (1, "send", "done", 12)


async def test_a_late_owner_moves_nothing(store: Database) -> None:
    taken = await accept(store)
    assert taken.request is not None
    slow = await claim_one(store, owner="slow")
    after = NOW + timedelta(seconds=LEASE + 1)
    silent = {slow.delivery.id: slow.delivery.fence}
    assert await store.write(leases.reap, silent, after) == [GRU_LANE]
    quick = await claim_one(store, owner="quick", now=after)
    assert (quick.delivery.id, quick.delivery.asking) == (slow.delivery.id, True)
    before = await get(store, slow.delivery.id)
    told = report(taken.request.id)
    assert not await settle(
        store,
        slow,
        State.WAITING,
        next_at=after,
        reference="GRU-2",
        reports=(told,),
        status=Status.TRANSMITTED,
    )
    assert await get(store, slow.delivery.id) == before
    history = await trace(store, taken.request.id)
    assert (history.request.gru_reference, history.request.status) == (None, Status.RECEIVED)
    assert len(history.deliveries) == len(history.events) == 1
    (late,) = history.attempts[slow.delivery.id]
    assert (late.state, late.next_at) == ("late", None), "nor does it say when it goes on"
    assert await settle(store, quick, State.DONE, now=after)
    assert not await settle(store, quick, State.DONE, now=after)
    states = [a.state for a in (await trace(store, taken.request.id)).attempts[slow.delivery.id]]
    assert states == ["late", "done", "late"]


async def test_what_the_far_end_said_is_kept_of_the_last_attempts(store: Database) -> None:
    taken = await accept(store)
    assert taken.request is not None
    for n in range(settling.ANSWERS + 2):
        claimed = await claim_one(store)
        tried = settled(claimed, State.WAITING, next_at=NOW)
        said = dataclasses.replace(tried.tried, answer=f"réponse {n + 1}")
        assert await store.write(settling.settle, dataclasses.replace(tried, tried=said))
    kept = await store.read(requests.answers, taken.request.id)
    assert [(one.n, one.answer) for one in kept] == [
        (n, f"réponse {n}") for n in range(3, settling.ANSWERS + 3)
    ]
    late = dataclasses.replace(tried, tried=dataclasses.replace(said, answer="trop tard"))
    assert not await store.write(settling.settle, late)
    assert len(await store.read(requests.answers, taken.request.id)) == settling.ANSWERS + 1
    shown = await trace(store, taken.request.id)
    assert "réponse" not in repr((shown, kept)), "shown on demand alone"


async def test_what_another_delivery_was_answered_is_left_alone(store: Database) -> None:
    """Only what one delivery's earlier attempts were answered is forgotten, as it is tried on."""
    ids = []
    for ref, attempts in (("1", 1), ("2", settling.ANSWERS + 1)):
        taken = await accept(store, ref=ref)
        assert taken.request is not None
        ids.append(taken.request.id)
        for _ in range(attempts):
            claimed = await claim_one(store)
            move = settled(claimed, State.WAITING, next_at=NOW)
            said = dataclasses.replace(move.tried, answer=f"réponse à {ref}")
            await store.write(settling.settle, dataclasses.replace(move, tried=said))
        await settle(store, await claim_one(store), State.PARKED)
    kept = [len(await store.read(requests.answers, one)) for one in ids]
    assert kept == [1, settling.ANSWERS]


async def test_what_an_attempt_came_to_is_kept_to_the_letter(store: Database) -> None:
    taken = await accept(store)
    assert taken.request is not None
    assert await settle(store, await claim_one(store), State.WAITING, next_at=NOW)
    claimed = await claim_one(store)
    found = Settlement(State.DONE, "found", "en deux fois", reference="42", link="https://gru/42")
    move = dataclasses.replace(settled(claimed, State.DONE), settlement=found)
    assert await store.write(settling.settle, move)
    history = await trace(store, taken.request.id)
    kept = history.request
    assert (kept.gru_reference, kept.gru_link) == ("42", "https://gru/42")
    attempts = history.attempts[claimed.delivery.id]
    assert [one.next_at for one in attempts] == [NOW, None], "when it goes on"
    done = await get(store, claimed.delivery.id)
    assert (done.state, done.reason, done.detail) == (State.DONE, "found", "en deux fois")


async def test_nothing_that_is_said_of_an_erased_request_is_kept(store: Database) -> None:
    taken = await accept(store)
    assert taken.request is not None
    claimed = await claim_one(store)

    def erase(connection: Connection) -> None:
        connection.execute(update(REQUEST).values(erased_at=NOW))

    await store.write(erase)
    tried = settled(claimed, State.WAITING, next_at=NOW)
    said = dataclasses.replace(tried.tried, answer="Zoé")
    await store.write(settling.settle, dataclasses.replace(tried, tried=said))
    assert await store.read(requests.answers, taken.request.id) == []
    ended = await get(store, claimed.delivery.id)
    assert (ended.state, ended.reason) == (State.DISCARDED, "erased"), "nor is it tried again"


async def test_a_status_that_the_gru_told_first_is_not_undone(store: Database) -> None:
    taken = await accept(store)
    assert taken.request is not None
    claimed = await claim_one(store)

    def told(connection: Connection) -> None:
        connection.execute(update(REQUEST).values(status="in_progress"))

    await store.write(told)
    reports = (
        report(taken.request.id, "transmitted", status=Status.TRANSMITTED),
        note := report(taken.request.id, "note", status=None),
    )
    done: dict[str, Any] = {"reference": "G", "status": Status.TRANSMITTED, "reports": reports}
    await settle(store, claimed, State.DONE, **done)
    found = await trace(store, taken.request.id)
    assert (found.request.status, found.request.gru_reference) == (Status.IN_PROGRESS, "G")
    owed = [one.id for one in found.deliveries if one.kind is Kind.REPORT]
    assert owed == [note.delivery_id], "nor is the citizen told an older one"


async def test_only_a_submit_names_the_request_at_the_gru(store: Database) -> None:
    taken = await accept(store, ref="1")
    await settle(store, await claim_one(store), State.DONE, reference="GRU-1")
    await amend(store, "1", 1)
    await settle(store, await claim_one(store, now=SOON), State.DONE, reference="NOTE-9")
    assert taken.request is not None
    assert (await trace(store, taken.request.id)).request.gru_reference == "GRU-1"


async def test_a_lease_that_ran_out_leaves_it_unsure_and_it_is_asked_about(
    store: Database,
) -> None:
    await accept(store)
    claimed = await claim_one(store)
    after = NOW + timedelta(seconds=LEASE)
    delivery_id, fence = claimed.delivery.id, claimed.delivery.fence
    assert await store.write(leases.reap, {delivery_id: fence + 1}, after) == []
    assert await store.write(leases.reap, {delivery_id: fence}, after) == [GRU_LANE]
    unsure = await get(store, claimed.delivery.id)
    assert (unsure.state, unsure.reason, unsure.head) == (State.UNSURE, "owner_died", True)
    assert (unsure.lease_owner, unsure.lease_until, unsure.next_at) == (None, None, after)
    asking = await claim_one(store, now=after)
    assert (asking.delivery.asking, asking.delivery.fence) == (True, 2)
    # "It is not there": it is sent again, and this time it is a sending.
    await settle(store, asking, State.WAITING, now=after, next_at=after)
    assert not (await claim_one(store, now=after)).delivery.asking


@pytest.mark.parametrize(("started", "asked"), [(10, 50), (30, LEASE), (300, 300)])
async def test_at_the_start_a_lone_process_frees_the_claims_of_the_dead_one(
    store: Database, started: float, asked: float
) -> None:
    """Times in seconds since the claim, where a far end may be at work for 40 s."""
    await accept(store)
    claimed = await claim_one(store)
    now = NOW + timedelta(seconds=started)
    assert await store.write(leases.reap_all, now, lambda lane: 40.0) == [GRU_LANE]
    unsure = await get(store, claimed.delivery.id)
    assert unsure.next_at == NOW + timedelta(seconds=asked)
    early = unsure.next_at - timedelta(milliseconds=1)
    assert await claim(store, now=early) == []


async def test_a_claim_given_back_goes_where_it_came_from(store: Database) -> None:
    await accept(store)
    claimed = await claim_one(store)
    delivery_id, fence = claimed.delivery.id, claimed.delivery.fence
    assert not await store.write(leases.give_back, delivery_id, fence + 1, SOON)
    assert await store.write(leases.give_back, delivery_id, fence, SOON)
    back = await get(store, delivery_id)
    assert (back.state, back.attempts, back.lease_owner) == (State.WAITING, 0, None)
    claimed = await claim_one(store, now=SOON)
    await settle(store, claimed, State.UNSURE, next_at=SOON)
    asking = await claim_one(store, now=SOON)
    assert asking.delivery.asking
    assert await store.write(leases.give_back, delivery_id, asking.delivery.fence, SOON)
    back = await get(store, delivery_id)
    assert (back.state, back.asking, back.attempts) == (State.UNSURE, False, 1)


async def test_a_far_end_that_is_back_is_tried_at_once_but_not_asked_early(
    store: Database,
) -> None:
    """An unsure one asked too early may be called absent while it is still being taken in."""
    far = NOW + timedelta(hours=6)
    idle = NOW - timedelta(seconds=20)
    made = {}
    for name, state, sent_at in (
        ("waiting", State.WAITING, None),
        ("just sent", State.UNSURE, idle),
        ("long ago", State.UNSURE, idle - timedelta(seconds=1)),
    ):
        await accept(store, ref=name)
        claimed = await claim_one(store)
        failed = Settlement(state, "timeout", next_at=far, failures=2, sent_at=sent_at)
        move = dataclasses.replace(settled(claimed, state), settlement=failed)
        assert await store.write(settling.settle, move)
        made[name] = claimed.delivery.id
    await accept(store, ref="later", now=far)
    assert await store.write(backlog.hurry, GRU_LANE, idle) == 2
    for name in ("waiting", "long ago"):
        back = await get(store, made[name])
        assert back.next_at == back.created_at, "in the order in which they came"
        assert back.failures == {"waiting": 2, "long ago": 1}[name]
    assert (await get(store, made["just sent"])).next_at == far


async def test_a_far_end_that_is_back_hurries_its_own_failures_alone(store: Database) -> None:
    far = NOW + timedelta(hours=6)
    other, ids = "gru:69123:mairie", {}
    for name, lane, failures, state in (
        ("failed", GRU_LANE, 1, State.WAITING),
        ("of another lane", other, 1, State.WAITING),
        ("for a person", GRU_LANE, 1, State.PARKED),
        ("never tried", GRU_LANE, 0, State.WAITING),
    ):
        await accept(store, ref=name, lane=lane)
        claimed = await claim_one(store, lane=lane)
        next_at = None if state is State.PARKED else far
        await settle(store, claimed, state, next_at=next_at, failures=failures)
        ids[name] = claimed.delivery.id
    before = {name: await get(store, one) for name, one in ids.items()}
    assert await store.write(backlog.hurry, GRU_LANE, NOW) == 1
    after = {name: await get(store, one) for name, one in ids.items()}
    assert {name for name in ids if after[name] != before[name]} == {"failed"}


async def test_a_report_is_owed_once(store: Database) -> None:
    taken = await accept(store)
    assert taken.request is not None
    request_id = taken.request.id
    document = Attachment("document", "reponse.pdf", "application/pdf", 3, file_of(b"PDF").sha256)
    told = report(request_id, documents=((document, InMemory(b"PDF")),))
    assert await store.write(settling.owe_report, told, NOW)
    assert not await store.write(settling.owe_report, report(request_id), NOW)
    assert await store.write(settling.owe_report, report(request_id, origin="gateway"), NOW)
    assert await store.write(settling.owe_report, report(request_id, "other", status=None), NOW)
    (first,) = await claim(store, lane=PORTAL_LANE, limit=9)
    assert first.attachments == (document,)
    assert first.body == told.body
    assert await stored_of(store, request_id, document.sha256, 3) == b"PDF"
    kinds = [e.kind for e in (await trace(store, request_id)).events]
    assert sorted(kinds) == ["creation", "note", "status", "status"]


async def test_nothing_is_told_of_an_erased_or_unknown_request(store: Database) -> None:
    taken = await accept(store)
    assert taken.request is not None
    claimed = await claim_one(store)
    await store.write(mark_erased, taken.request.id)
    told = report(taken.request.id)
    assert not await store.write(settling.owe_report, told, NOW)
    assert not await store.write(settling.owe_report, report("TDG-0000000000000000"), NOW)
    # An attempt that ends after the erasure is settled, without bringing anything back.
    assert await settle(store, claimed, State.DONE, reports=(told,))
    assert len((await trace(store, taken.request.id)).events) == 1


async def test_an_erasure_carries_no_files(store: Database) -> None:
    planned = NewDelivery(new_id("dlv"), Kind.ERASE, GRU_LANE)
    await store.write(accepting.accept, incoming(files={"a": b"1"}, deliveries=(planned,)))
    assert (await claim_one(store)).attachments == ()


async def test_what_fails_again_and_again_by_itself_is_shown_to_a_person(store: Database) -> None:
    """A formdata in which a process of w.c.s. died, or one ticket that is refused, and no lane."""
    for n in range(3):
        await accept(store, ref=str(n), now=NOW + timedelta(seconds=n))
    late = NOW + timedelta(hours=1)
    for one, reason, failures in zip(
        await claim(store, limit=3, now=SOON),
        ("processing", "unreachable", "processing"),
        (4, 9, 3),
        strict=True,
    ):
        await settle(store, one, State.WAITING, reason=reason, next_at=late, failures=failures)
        if (reason, failures) == ("processing", 4):
            stuck = one.delivery.id
    assert await store.read(backlog.listing) == []
    assert await store.read(backlog.listing, now=NOW + timedelta(minutes=14)) == []
    assert [d.id for d in await store.read(backlog.listing, now=late)] == [stuck]
    assert await store.read(backlog.waiting_by_lane, late) == {GRU_LANE: (3, 1, NOW)}


async def test_what_waits_is_counted_by_lane(store: Database) -> None:
    for n in range(3):
        await accept(store, ref=str(n), now=NOW + timedelta(seconds=n))
    parked, done = await claim(store, limit=2, now=SOON)
    await settle(store, parked, State.PARKED)
    await settle(store, done, State.DONE)
    waiting = await store.read(backlog.waiting_by_lane)
    assert waiting == {GRU_LANE: (2, 1, NOW)}
    assert [d.id for d in await store.read(backlog.listing)] == [parked.delivery.id]
    assert await store.read(backlog.listing, commune="99999") == []
    of_one = await store.read(
        backlog.listing, states=[State.DONE], commune="69029", request_id=done.request.id
    )
    assert [d.id for d in of_one] == [done.delivery.id]


async def test_put_is_what_it_says(store: Database) -> None:
    """The tests of a person's moves rest on this helper."""
    for state in State:
        taken = await accept(store, ref=state.value)
        assert taken.request is not None
        (delivery,) = (await trace(store, taken.request.id)).deliveries
        await store.write(put, delivery.id, state)
        assert (await get(store, delivery.id)).state is state
