"""A person may do exactly what the table of moves allows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.core.delivery import FINAL, MOVES, State
from gateway.core.errors import Conflict, NotFound
from gateway.store.engine import Database
from gateway.store.outbox import operator
from gateway.store.outbox.rows import Delivery
from gateway.store.tables import DELIVERY
from tests.builders import NOW
from tests.store.acts import accept, amend, claim, get, put, trace

Act = Callable[[Connection, str, datetime], Delivery]
LATER = NOW + timedelta(days=1)


def yes(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    return operator.resolve(connection, delivery_id, True, now)


def no(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    return operator.resolve(connection, delivery_id, False, now)


def replay_unsent(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    """Of what called nobody there is nothing to ask."""
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
        with pytest.raises(Conflict, match=f"{first} is {state.value}; it must be"):
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
