"""A person may do exactly what the table of moves allows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.core.delivery import FINAL, MOVES, Kind, State
from gateway.core.errors import Conflict, NotFound
from gateway.core.status import Status
from gateway.store.engine import Database
from gateway.store.outbox import operator
from gateway.store.outbox.rows import Delivery
from gateway.store.tables import DELIVERY, REQUEST
from tests.builders import NOW, PORTAL_LANE
from tests.store.acts import accept, amend, claim, get, put, trace

Act = Callable[[Connection, str, datetime], Delivery]
LATER = NOW + timedelta(days=1)


def yes(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    return operator.resolve(connection, delivery_id, True, now)


def no(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    return operator.resolve(connection, delivery_id, False, now)


def replay_unsent(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    """A delivery that called nobody leaves nothing to ask."""
    unsent = update(DELIVERY).where(DELIVERY.c.id == delivery_id).values(reason="unmappable")
    connection.execute(unsent)
    return operator.replay(connection, delivery_id, now)


#: What each act leads to, and the states a person may do it in. All others are its complement.
ACTS: list[tuple[Act, State, set[State]]] = [
    # Asked about first: whatever was answered, the far end may hold it.
    (operator.replay, State.UNSURE, {State.PARKED, State.DEAD}),
    (replay_unsent, State.WAITING, {State.PARKED, State.DEAD}),
    (yes, State.DONE, {State.QUESTION}),
    (no, State.WAITING, {State.QUESTION}),
    (
        operator.discard,
        State.DISCARDED,
        {State.WAITING, State.UNSURE, State.QUESTION, State.PARKED, State.DEAD},
    ),
]


def test_every_act_is_a_move_and_every_persons_move_is_an_act() -> None:
    for _, to, states in ACTS:
        assert all(to in MOVES[state] for state in states)
    by_hand = {(state, to) for _, to, states in ACTS for state in states}
    # A claim, and what an attempt came to, are the gateway's own moves.
    own = {(s, State.SENDING) for s in State} | {(State.SENDING, s) for s in State}
    assert {(s, to) for s, tos in MOVES.items() for to in tos} - own == by_hand


async def _one(store: Database, state: State) -> tuple[str, str]:
    """A delivery in this state with another behind it."""
    taken = await accept(store, ref="1")
    await amend(store, "1", 1)
    assert taken.request is not None
    first, second = (await trace(store, taken.request.id)).deliveries
    await store.write(put, first.id, state)
    return first.id, second.id


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize(
    ("act", "to", "states"), ACTS, ids=["replay", "unsent", "yes", "no", "discard"]
)
async def test_a_person_may_do_this(
    store: Database, state: State, act: Act, to: State, states: set[State]
) -> None:
    first, second = await _one(store, state)
    before = await get(store, first)
    if state not in states:
        with pytest.raises(Conflict, match=f"{first} is {state.value}; this is for: "):
            await store.write(act, first, LATER)
        assert await get(store, first) == before
        assert not (await get(store, second)).head
        return
    moved = await store.write(act, first, LATER)
    assert moved == await get(store, first)
    assert (moved.state, moved.head) == (to, to not in FINAL)
    assert moved.settled_at == (LATER if to in FINAL else None)
    # Once it is final, and only then, what waited behind it goes on.
    (claimed,) = await claim(store, limit=9, now=LATER)
    assert claimed.delivery.id == (second if to in FINAL else first)
    assert claimed.delivery.asking is (to is State.UNSURE)


async def test_a_replay_starts_its_clock_anew(store: Database) -> None:
    first, _ = await _one(store, State.DEAD)
    moved = await store.write(operator.replay, first, LATER)
    assert (moved.created_at, moved.failures, moved.reason) == (LATER, 0, "replayed")


async def test_discarding_what_waits_behind_frees_nothing(store: Database) -> None:
    first, second = await _one(store, State.PARKED)
    await store.write(operator.discard, second, LATER)
    assert await claim(store, limit=9, now=LATER) == []
    assert (await get(store, first)).state is State.PARKED


@pytest.mark.parametrize("act", [operator.replay, yes, no, operator.discard])
async def test_there_is_no_such_delivery(store: Database, act: Any) -> None:
    with pytest.raises(NotFound, match="no delivery nowhere"):
        await store.write(act, "nowhere", NOW)


@pytest.mark.parametrize(
    ("there", "stood", "stands", "told"),
    [
        (True, Status.RECEIVED, Status.TRANSMITTED, True),
        (True, Status.ACCEPTED, Status.ACCEPTED, False),
        (False, Status.RECEIVED, Status.RECEIVED, False),
    ],
)
async def test_a_yes_to_a_creation_is_told_unless_the_gru_has_told_more(
    store: Database, there: bool, stood: Status, stands: Status, told: bool
) -> None:
    taken = await accept(store, ref="1")
    assert taken.request is not None
    (creation,) = (await trace(store, taken.request.id)).deliveries
    await store.write(put, creation.id, State.QUESTION)
    await store.write(_stand, stood)
    await store.write(partial(operator.resolve, reference="GRU-1"), creation.id, there, LATER)
    found = await trace(store, taken.request.id)
    assert found.request.status is stands
    assert found.request.gru_reference == ("GRU-1" if there else None)
    reports = [one for one in found.deliveries if one.kind is Kind.REPORT]
    assert len(reports) == int(told)
    if told:
        assert (reports[0].lane, reports[0].next_at) == (PORTAL_LANE, LATER)


def _stand(connection: Connection, status: Status) -> None:
    connection.execute(update(REQUEST).values(status=status.value))


async def test_a_yes_to_what_came_later_tells_nobody(store: Database) -> None:
    """Nor does its number become the request's."""
    taken = await accept(store, ref="1")
    await amend(store, "1", 1)
    assert taken.request is not None
    _, later = (await trace(store, taken.request.id)).deliveries
    await store.write(put, later.id, State.QUESTION)
    await store.write(partial(operator.resolve, reference="NOTE-9"), later.id, True, LATER)
    found = await trace(store, taken.request.id)
    assert (found.request.status, found.request.gru_reference) == (Status.RECEIVED, None)
    assert all(one.kind is not Kind.REPORT for one in found.deliveries)


async def test_a_person_s_act_is_of_that_delivery_and_request_alone(store: Database) -> None:
    """Another request stands beside it, in the same state, with the same question."""
    ids = {}
    for ref in ("1", "2"):
        taken = await accept(store, ref=ref)
        assert taken.request is not None
        (creation,) = (await trace(store, taken.request.id)).deliveries
        await store.write(put, creation.id, State.QUESTION)
        ids[taken.request.id] = creation.id
    mine, other = ids
    before = await trace(store, other)
    resolve = partial(operator.resolve, reference="GRU-1")
    assert (await store.write(resolve, ids[mine], True, LATER)).id == ids[mine]
    assert await trace(store, other) == before
    assert (await trace(store, mine)).request.gru_reference == "GRU-1"
    await store.write(operator.discard, ids[other], LATER)
    assert (await get(store, ids[mine])).state is State.DONE
