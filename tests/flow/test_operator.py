"""The acts of an operator reach what they name, all of it, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.core.delivery import Kind, State
from gateway.core.lane_policy import LanePolicy
from gateway.core.retry import RetryPolicy
from gateway.flow import operator
from gateway.store import accepting, renewals, untold
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.lanes import LaneMemory
from gateway.store.outbox.rows import NewDelivery
from gateway.store.rows import WithheldPart
from gateway.store.tables import DELIVERY
from tests.builders import GRU_LANE, NOW, PORTAL_LANE, incoming, new_id
from tests.flow.rig import Rig
from tests.store.acts import get

FAR = NOW + timedelta(hours=3)
POLICY = LanePolicy(4, None, 20.0, RetryPolicy())


def _put(connection: Connection, ids: list[str], values: dict[str, Any]) -> None:
    connection.execute(update(DELIVERY).where(DELIVERY.c.id.in_(ids)).values(values))


async def untold_change(rig: Rig, commune: str = "69029", reason: str = "no_route") -> str:
    """Return the id of a GRU's change that waits for a person."""
    taken = await rig.database.write(accepting.accept, incoming(commune=commune))
    assert taken.request is not None
    request = (await rig.trace(taken.request.id)).request
    part = WithheldPart("note:1", reason, {"message": "Passage jeudi."}, person=True)
    change = new_id("unt")
    await rig.database.write(untold.record, request, part, "rules", NOW, NOW, change)
    return change


async def owed(rig: Rig, n: int = 1, commune: str = "69029", **values: Any) -> list[str]:
    """Return the ids of the deliveries that a request owes, stored with these values."""
    ids = [new_id("dlv") for _ in range(n)]
    deliveries = tuple(NewDelivery(one, Kind.AMEND, GRU_LANE) for one in ids)
    await rig.database.write(accepting.accept, incoming(commune=commune, deliveries=deliveries))
    await rig.database.write(_put, ids, values)
    return ids


async def test_all_that_is_parked_or_dead_can_be_replayed_by_commune_and_reason(rig: Rig) -> None:
    """However much it is: it may be more than a page of a list."""
    parked = await owed(rig, 101, state=State.PARKED, reason="refused")
    dead = await owed(rig, state=State.DEAD, reason="timeout")
    await owed(rig, state=State.QUESTION, reason="timeout")
    theirs = await owed(rig, commune="69266", state=State.PARKED, reason="refused")
    here, there = await untold_change(rig), await untold_change(rig, "69266", "timeout")
    for commune, reason, wanted in (
        (None, None, [*parked, *dead, *theirs, here, there]),
        ("69029", None, [*parked, *dead, here]),
        (None, "timeout", [*dead, there]),
        ("69266", "refused", theirs),
        ("69029", "no_route", [here]),
    ):
        found = await operator.replayable(rig.database, commune, reason)
        assert sorted(found) == sorted(wanted)


async def test_a_delivery_and_a_gru_s_change_are_replayed_and_discarded_alike(rig: Rig) -> None:
    store = rig.database
    (parked,) = await owed(rig, state=State.PARKED, reason="unmappable")
    first, second = await untold_change(rig), await untold_change(rig)
    for which in (parked, first):
        assert await operator.replay(store, which, NOW) == which
    assert (await get(store, parked)).state is State.WAITING
    for which in (parked, second):
        await operator.discard(store, which, "la commune a appelé", NOW)
    dropped = await get(store, parked)
    assert (dropped.state, dropped.detail) == (State.DISCARDED, "la commune a appelé")
    left = [one.id for one in await store.read(untold.listing)]
    assert left == [first], "a poll judges it again"


async def test_the_number_that_a_person_has_read_at_the_gru_is_the_request_s(rig: Rig) -> None:
    (delivery,) = await owed(rig, kind=Kind.SUBMIT.value, state=State.QUESTION)
    await operator.resolve(rig.database, delivery, True, NOW, reference="GRU-7")
    request = (await get(rig.database, delivery)).request_id
    assert (await rig.trace(request)).request.gru_reference == "GRU-7"


@pytest.mark.parametrize("resumed", [{}, {"resume": True}], ids=["stays paused", "resumed"])
async def test_a_lane_is_tried_now_and_goes_on_if_that_is_the_order(
    rig: Rig, resumed: dict[str, bool]
) -> None:
    store = rig.database
    broken = LaneMemory(GRU_LANE, breaker="open", opened_at=NOW, probe_at=FAR, hold_until=FAR)
    await store.write(memory.remember, broken)
    await operator.pause(store, [GRU_LANE, PORTAL_LANE])
    long_ago = NOW - timedelta(seconds=POLICY.timeout + 1)
    ids = []
    for values in (
        {"state": State.WAITING, "sent_at": None},
        {"state": State.UNSURE, "sent_at": long_ago},
        {"state": State.UNSURE, "sent_at": NOW - timedelta(seconds=1)},
    ):
        ids += await owed(rig, next_at=FAR, failures=2, **values)
    await operator.try_now(store, lambda _: POLICY, [GRU_LANE], NOW, **resumed)
    lanes = await store.read(memory.recall)
    found = lanes[GRU_LANE]
    assert (found.paused, found.hold_until, found.probe_at) == (not resumed, None, NOW)
    assert lanes[PORTAL_LANE].paused
    due = [(await get(store, one)).next_at for one in ids]
    assert due == [NOW, NOW, FAR], "it may still be at work on the last"


async def test_an_order_to_read_secrets_waits_for_the_answer_of_each_daemon(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "PATIENCE", 3600.0)
    store, now = rig.database, datetime.now(UTC)
    assert await operator.renew_secrets(store) == {}
    for name in ("one", "two"):
        await store.write(renewals.record_answer, name, "an older order", None, now)
    before = await store.read(renewals.last_order)
    asked = asyncio.create_task(operator.renew_secrets(store))

    async def ordered() -> bool:
        return await store.read(renewals.last_order) != before

    await rig.until(ordered)
    order = await store.read(renewals.last_order)
    for name in ("one", "two"):
        assert not asked.done()
        await store.write(renewals.record_answer, name, order, None, now)
    async with asyncio.timeout(60):
        found = await asked
    assert {name: read for name, (_, read) in found.items()} == {"one": True, "two": True}


async def test_a_daemon_that_does_not_answer_is_told_in_the_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "PATIENCE", -1.0)
    await rig.database.write(renewals.record_answer, "one", "old", None, datetime.now(UTC))
    found = await operator.renew_secrets(rig.database)
    assert {name: read for name, (_, read) in found.items()} == {"one": False}
