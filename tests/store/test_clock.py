"""The clock is set back: nobody waits for an hour that the old one wrote down, nor is hurried."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from gateway.core.delivery import Kind, State
from gateway.store import asking, installation
from gateway.store.engine import Database
from gateway.store.outbox import backlog, clock
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.lanes import LaneMemory
from gateway.store.outbox.rows import NewDelivery
from gateway.store.tables import ATTEMPT, DELIVERY, REQUEST
from tests.builders import COMMUNE, GRU, GRU_LANE, NOW, PORTAL_LANE, new_id
from tests.store.acts import accept, amend, claim_one, settle

#: What the clock said before it was set back to NOW.
AHEAD = NOW + timedelta(hours=2)
BEFORE = NOW - timedelta(minutes=5)
#: When a lease that begins now is over.
ASK_AT = NOW + timedelta(minutes=2)


def _set(connection: Connection, request_id: str, values: dict[str, object]) -> None:
    connection.execute(update(REQUEST).where(REQUEST.c.id == request_id).values(values))


def _asked(connection: Connection) -> list[datetime | None]:
    return [row[0] for row in connection.execute(select(REQUEST.c.ask_at).order_by(REQUEST.c.id))]


async def _requests(store: Database, *numbered: tuple[str | None, datetime | None]) -> None:
    for number, ask_at in numbered:
        accepted = await accept(store)
        assert accepted.request is not None
        values: dict[str, object] = {"gru_reference": number, "ask_at": ask_at}
        await store.write(_set, accepted.request.id, values)


async def test_all_that_waits_by_the_old_clock_is_due(store: Database) -> None:
    await store.write(
        memory.remember,
        LaneMemory(
            GRU_LANE,
            breaker="open",
            reason="timeout",
            opened_at=BEFORE,
            probe_at=AHEAD,
            trips=2,
            hold_until=AHEAD,
        ),
    )
    await _requests(store, ("1", AHEAD), (None, AHEAD), ("3", BEFORE), ("4", None))
    ref = "a-request"
    await accept(store, ref=ref)
    await amend(store, ref, 1, now=AHEAD)
    await store.write(clock.rewind, NOW)
    lane = (await store.read(memory.recall))[GRU_LANE]
    assert (lane.breaker, lane.probe_at, lane.hold_until, lane.trips) == ("open", NOW, None, 2)
    asked = await store.read(_asked)
    assert asked[:4] == [NOW, NOW, BEFORE, None], "one without a number as well"
    assert await store.read(_due_behind) == [NOW]


async def test_what_is_asked_about_first_waits_behind_for_no_old_hour(store: Database) -> None:
    """Read from the portal while the clock was ahead, it was due then, and nobody looked again."""
    await accept(store, ref="1")
    asks = NewDelivery(new_id("dlv"), Kind.AMEND, GRU_LANE, asks=True)
    await amend(store, "1", 1, deliveries=(asks,))
    await store.write(_by_clock, asks.id, {"next_at": AHEAD})
    await store.write(clock.rewind, NOW)
    assert await store.read(_due_behind) == [NOW]


async def test_what_is_at_the_head_is_its_lane_s_to_correct(store: Database) -> None:
    """It may wait for so long by a right clock, and whoever works on the lane can tell."""
    delivery_id = await _failed(store, State.WAITING)
    await store.write(clock.rewind, NOW)
    found = await store.read(backlog.find_delivery, delivery_id)
    assert found is not None
    assert found.next_at == AHEAD


def _due_behind(connection: Connection) -> list[datetime]:
    rows = connection.execute(select(DELIVERY.c.next_at).where(~DELIVERY.c.head))
    return [row[0] for row in rows]


async def test_what_a_right_clock_wrote_stays(store: Database) -> None:
    break_ = LaneMemory(
        GRU_LANE, breaker="open", opened_at=BEFORE, probe_at=BEFORE, hold_until=BEFORE
    )
    await store.write(memory.remember, break_)
    await _requests(store, ("1", BEFORE), ("2", NOW))
    await store.write(clock.rewind, NOW)
    assert (await store.read(memory.recall))[GRU_LANE] == break_
    assert await store.read(_asked) == [BEFORE, NOW]


async def test_one_grus_turns_are_brought_back_alone(store: Database) -> None:
    await _requests(store, ("1", AHEAD), ("2", AHEAD), ("3", BEFORE))
    other = await accept(store)
    assert other.request is not None
    values: dict[str, object] = {"gru_reference": "4", "ask_at": AHEAD, "gru": "voirie"}
    await store.write(_set, other.request.id, values)
    elsewhere = await accept(store, commune="69123")
    assert elsewhere.request is not None
    await store.write(_set, elsewhere.request.id, {"gru_reference": "5", "ask_at": AHEAD})
    await store.write(clock.rewind_questions, COMMUNE, GRU, NOW)
    assert await store.read(_asked) == [NOW, NOW, BEFORE, AHEAD, AHEAD]
    due = await store.read(asking.tracked, COMMUNE, GRU, 10, NOW)
    assert sorted(str(one.gru_reference) for one in due) == ["1", "2", "3"]


def _by_clock(connection: Connection, delivery_id: str, values: dict[str, object]) -> None:
    connection.execute(update(DELIVERY).where(DELIVERY.c.id == delivery_id).values(values))


def _tried_at(connection: Connection, delivery_id: str, at: datetime) -> None:
    connection.execute(
        insert(ATTEMPT).values(
            delivery_id=delivery_id,
            n=2,
            action="send",
            started_at=at,
            ms=1,
            outcome="unsure",
            reason="timeout",
            state="unsure",
        )
    )


async def _failed(store: Database, state: State, **by_clock: object) -> str:
    """A delivery that was tried and goes on by a clock ahead, as its id."""
    accepted = await accept(store)
    assert accepted.request is not None
    claimed = await claim_one(store)
    await settle(store, claimed, state, next_at=AHEAD, failures=1)
    if by_clock:
        await store.write(_by_clock, claimed.delivery.id, by_clock)
    return claimed.delivery.id


@pytest.mark.parametrize(
    ("state", "due"), [(State.WAITING, NOW), (State.UNSURE, ASK_AT)], ids=["waiting", "unsure"]
)
@pytest.mark.parametrize(
    "by_clock",
    [{"created_at": AHEAD}, {"sent_at": AHEAD}, {}],
    ids=["queued by it", "sent by it", "tried by it"],
)
async def test_a_lane_goes_on_with_what_the_old_clock_set_down(
    store: Database, state: State, due: datetime, by_clock: dict[str, Any]
) -> None:
    delivery_id = await _failed(store, state, **by_clock)
    if not by_clock:
        await store.write(_tried_at, delivery_id, AHEAD)
    other = [PORTAL_LANE]
    assert await store.write(clock.rewind_lanes, other, NOW, ASK_AT) == 0
    assert await store.write(clock.rewind_lanes, [GRU_LANE], NOW, ASK_AT) == 1
    found = await store.read(backlog.find_delivery, delivery_id)
    assert found is not None
    assert found.next_at == due, "what is unsure no earlier: the far end may be at work on it"
    if "sent_at" in by_clock:
        assert found.sent_at == NOW, "what is in doubt is so since now, not since an hour to come"
    assert await store.write(clock.rewind_lanes, [GRU_LANE], NOW, ASK_AT) == 0, "and once"


async def test_what_waits_for_long_by_a_right_clock_goes_on_waiting(store: Database) -> None:
    """Though another of its lane was tried by the clock that was ahead."""
    delivery_id = await _failed(store, State.WAITING)
    await store.write(_tried_at, await _failed(store, State.DONE), AHEAD)
    assert await store.write(clock.rewind_lanes, [GRU_LANE], NOW, ASK_AT) == 0
    found = await store.read(backlog.find_delivery, delivery_id)
    assert found is not None
    assert found.next_at == AHEAD


async def test_the_latest_attempt_tells_what_the_clock_was(store: Database) -> None:
    assert await store.read(clock.latest_act) is None
    delivery_id = await _failed(store, State.WAITING)
    assert await store.read(clock.latest_act) == NOW
    await store.write(_tried_at, delivery_id, AHEAD)
    assert await store.read(clock.latest_act) == AHEAD


async def test_a_restore_after_the_latest_attempt_tells_what_the_clock_was(store: Database) -> None:
    await _failed(store, State.WAITING)
    await store.write(installation.record_restore, BEFORE)
    assert await store.read(clock.latest_act) == NOW
    await store.write(installation.record_restore, AHEAD)
    assert await store.read(clock.latest_act) == AHEAD


async def test_what_was_put_back_by_a_clock_ahead_is_asked_about_soon(store: Database) -> None:
    await accept(store)
    assert await store.write(installation.treat_as_restored, AHEAD) == 1
    assert await store.read(clock.latest_act) == AHEAD, "no attempt tells of that clock"
    assert await store.read(_unsure) == [AHEAD + installation.CALL]
    await store.write(clock.rewind, NOW)
    assert await store.read(installation.restored_at) == NOW
    assert await store.read(_unsure) == [NOW + installation.CALL]
    await store.write(clock.rewind, NOW + timedelta(minutes=1))
    assert await store.read(installation.restored_at) == NOW, "an hour that is past stays"
    assert await store.read(_unsure) == [NOW + installation.CALL]


def _unsure(connection: Connection) -> list[datetime]:
    rows = connection.execute(
        select(DELIVERY.c.next_at).where(DELIVERY.c.state == State.UNSURE.value)
    )
    return [row[0] for row in rows]
