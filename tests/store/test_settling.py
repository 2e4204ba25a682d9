"""Settlements of one batch have the same effect as one by one."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from gateway.core.delivery import Kind, State
from gateway.core.status import Status
from gateway.store.engine import Database, Store
from gateway.store.outbox import settling
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import NewDelivery, NewReport, SettlementWrite
from gateway.store.tables import ATTEMPT, DELIVERY, EVENT, REQUEST
from tests.builders import GRU_LANE, NOW, PORTAL_LANE, new_id
from tests.store.acts import accept, amend, claim, claim_one, mark_erased, settled, trace
from tests.store.test_engine import held

DELIVERY_TELLS = ["lane", "seq", "kind", "state", "head", "asking", "next_at", "reason", "fence"]
DELIVERY_TELLS += ["lease_owner", "settled_at", "failures", "attempts"]
STATES = [State.DONE, State.DONE, State.DONE, State.WAITING, State.UNSURE, State.PARKED, State.DEAD]


def _report(claimed: Claimed, n: int, key: str, status: Status | None) -> NewReport:
    return NewReport(
        event_id=f"event-{claimed.request.ref}-{n}",
        delivery_id=f"told-{claimed.request.ref}-{n}",
        request_id=claimed.request.id,
        lane=PORTAL_LANE,
        origin="gateway",
        key=key,
        at=NOW,
        body={"status": status.value if status else None, "message": None},
        status=status,
    )


def _set_status(connection: Connection, request_id: str, status: Status) -> None:
    connection.execute(
        REQUEST.update().where(REQUEST.c.id == request_id).values(status=status.value)
    )


async def _moves(store: Store, prefix: str, seed: int) -> list[SettlementWrite]:
    """A dozen claims of requests in all kinds of standing, and what each came to."""
    dice = random.Random(seed)
    for n in range(12):
        await accept(store, ref=f"{prefix}{n:02}")
        if dice.random() < 0.5:
            await amend(store, f"{prefix}{n:02}", 1)
    moves = []
    for claimed in await claim(store, limit=12):
        if dice.random() < 0.2:
            await store.write(mark_erased, claimed.request.id)
        if dice.random() < 0.3:
            await store.write(_set_status, claimed.request.id, Status.ACCEPTED)
        state = dice.choice(STATES)
        done = state is State.DONE
        reports = []
        if done:
            reports.append(_report(claimed, 1, "transmitted", Status.TRANSMITTED))
        if dice.random() < 0.4:
            reports.append(_report(claimed, 2, "note", None))
        if dice.random() < 0.2:
            reports.append(_report(claimed, 3, "note", None))  # a repeat within the batch
        move = settled(
            claimed,
            state,
            now=NOW + timedelta(seconds=1),
            next_at=None if done else NOW + timedelta(seconds=9),
            reference=f"GRU-{claimed.request.ref[1:]}" if done else None,
            reports=tuple(reports),
            status=Status.TRANSMITTED if done else None,
        )
        moves.append(move)
        if dice.random() < 0.2:
            moves.append(move)  # the answer to the first was lost
    return moves


def _rows(connection: Connection, prefix: str) -> Any:
    """Return all rows of a family of requests, by reference instead of by id."""
    found: dict[str, Any] = {}
    for request in connection.execute(select(REQUEST).where(REQUEST.c.ref.startswith(prefix))):
        mine = request.id
        deliveries = connection.execute(
            select(DELIVERY)
            .where(DELIVERY.c.request_id == mine)
            .order_by(DELIVERY.c.lane, DELIVERY.c.seq)
        ).all()
        attempts = connection.execute(
            select(ATTEMPT)
            .join(DELIVERY, DELIVERY.c.id == ATTEMPT.c.delivery_id)
            .where(DELIVERY.c.request_id == mine)
            .order_by(ATTEMPT.c.state, ATTEMPT.c.id)
        ).all()
        events = connection.execute(
            select(EVENT).where(EVENT.c.request_id == mine).order_by(EVENT.c.origin, EVENT.c.key)
        ).all()
        found[request.ref[1:]] = (
            (request.status, request.status_at, request.gru_reference),
            [[d._mapping[name] for name in DELIVERY_TELLS] for d in deliveries],
            [(a.n, a.action, a.outcome, a.reason, a.state, a.next_at) for a in attempts],
            [(e.origin, e.key, e.kind, e.status) for e in events],
        )
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_together_as_one_by_one(store: Database, seed: int) -> None:
    together = await _moves(store, "t", seed)
    alone = await _moves(store, "a", seed)
    async with held(store):
        waiting = [asyncio.ensure_future(store.write(settling.settle, m)) for m in together]
        await asyncio.sleep(0)
    one_by_one = [await store.write(settling.settle, move) for move in alone]
    assert [await w for w in waiting] == one_by_one
    assert len(set(one_by_one)) == 2, "this seed attacks nothing"
    assert await store.read(_rows, "t") == await store.read(_rows, "a")


async def test_many_cost_no_more_statements_than_one(store: Database) -> None:
    counts = []
    for prefix, n in (("x", 1), ("y", 8)):
        for i in range(n):
            await accept(store, ref=f"{prefix}{i}")
        claims = await claim(store, limit=n, lane=GRU_LANE)
        moves = [
            settled(c, State.DONE, reports=(_report(c, 1, "transmitted", Status.TRANSMITTED),))
            for c in claims
        ]
        seen: list[str] = []

        def run(connection: Connection, moves: Any = moves, seen: Any = seen) -> None:
            def see(_c: Any, _cur: Any, sql: str, *_: Any) -> None:
                seen.append(sql)

            event.listen(connection, "before_cursor_execute", see)
            assert settling.settle.many(connection, moves) == [True] * len(moves)
            event.remove(connection, "before_cursor_execute", see)

        await store.write(run)
        counts.append(len(seen))
    assert counts[0] == counts[1] > 0


async def test_what_a_database_that_was_put_back_does_not_know_is_late(store: Database) -> None:
    """A settlement was tried for ever, and held its lane."""
    await accept(store, ref="gone")
    (lost,) = await claim(store)
    await store.write(
        lambda c: [c.execute(table.delete()) for table in (DELIVERY, EVENT, REQUEST)] and None
    )
    await accept(store, ref="here")
    (here,) = await claim(store)
    both = (settled(one, State.DONE) for one in (lost, here))
    assert await asyncio.gather(*(store.write(settling.settle, one) for one in both)) == [
        False,
        True,
    ]
    tried = await store.read(lambda c: c.execute(select(ATTEMPT.c.delivery_id)).scalars().all())
    assert tried == [here.delivery.id]


async def test_a_later_status_of_the_same_batch_is_not_undone(store: Database) -> None:
    """Two deliveries of a request end at once, on two lanes: the citizen reads of the later one."""
    other = "gru:69123:mairie"
    planned = tuple(NewDelivery(new_id("dlv"), Kind.SUBMIT, lane) for lane in (GRU_LANE, other))
    taken = await accept(store, deliveries=planned)
    assert taken.request is not None
    moves: list[SettlementWrite] = []
    for lane, key, status in (
        (other, "cancelled", Status.CANCELLED),
        (GRU_LANE, "transmitted", Status.TRANSMITTED),
    ):
        (claimed,) = await claim(store, lane=lane)
        told = _report(claimed, len(moves), key, status)
        moves.append(settled(claimed, State.DONE, status=status, reports=(told,)))
    assert await store.write(settling.settle.many, moves) == [True, True]
    found = await trace(store, taken.request.id)
    assert found.request.status is Status.CANCELLED
    assert [one.key for one in found.events if one.origin == "gateway"] == ["cancelled"]


async def test_a_status_that_comes_back_is_told_again(store: Database) -> None:
    """It is named by its content, as the first was; only the same delivery of it is a repeat."""
    taken = await accept(store)
    claimed = await claim_one(store)
    told = replace(_report(claimed, 1, "event-1", Status.ACCEPTED), event_id="event-1")
    again = replace(told, delivery_id="told-again", due=NOW + timedelta(hours=1), asks=True)
    assert taken.request is not None
    for report, kept in ((told, True), (again, True), (again, False)):
        assert await store.write(settling.owe_report, report, NOW) is kept
    owed = (await trace(store, taken.request.id)).deliveries[1:]
    assert [(one.id, one.event_id, one.state) for one in owed] == [
        (told.delivery_id, "event-1", State.WAITING),
        ("told-again", "told-again", State.UNSURE),
    ]
    assert [one.next_at for one in owed] == [NOW, NOW + timedelta(hours=1)]
