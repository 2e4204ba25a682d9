"""The statements of the loop use their index, however long the history; the database refuses
what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text
from sqlalchemy.exc import IntegrityError

from gateway.core.delivery import State
from gateway.store import history, outbox, settling
from gateway.store.engine import Database, open_engine
from gateway.store.reading import ATTEMPT, DELIVERY, EVENT, LANE, REQUEST
from tests.builders import COMMUNE, GRU, GRU_LANE, NOW, take
from tests.store.acts import LEASE, settled
from tests.store.test_history import judge, news

ROWS = 3000
SOON = NOW + timedelta(seconds=1)


def _request(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"r{n}",
        "portal": "p",
        "commune": COMMUNE,
        "teleservice": "t",
        "ref": str(n),
        "digest": "d",
        "gru": GRU,
        "gru_reference": f"G{n}",
        "status": "done",
        "status_at": NOW,
        "received_at": NOW,
        "submitted_at": NOW,
    } | changes


def _event(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"e{n}",
        "request_id": f"r{n}",
        "origin": "portal",
        "key": "creation",
        "kind": "creation",
        "at": NOW,
        "received_at": NOW,
        "body": "{}",
    } | changes


def _delivery(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"d{n}",
        "request_id": f"r{n}",
        "event_id": f"e{n}",
        "kind": "submit",
        "lane": GRU_LANE,
        "seq": 1,
        "state": "done",
        "head": False,
        "next_at": NOW,
        "lease_owner": None,
        "lease_until": None,
        "created_at": NOW,
        "settled_at": NOW,
    } | changes


def _fill(connection: Connection) -> None:
    """A long history, and a little that waits."""
    waiting = {"state": "waiting", "head": True, "settled_at": None}
    connection.execute(insert(REQUEST), [_request(n) for n in range(ROWS)])
    connection.execute(insert(EVENT), [_event(n) for n in range(ROWS)])
    connection.execute(
        insert(DELIVERY), [_delivery(n, **(waiting if n % 50 == 0 else {})) for n in range(ROWS)]
    )


Plans = Callable[[Callable[..., Any]], list[str]]


@pytest.fixture
def plans(url: str) -> Iterator[Plans]:
    """Runs a unit, then tells how the database found the rows of each of its statements."""
    engine = open_engine(url)
    with engine.begin() as connection:
        _fill(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    seen: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _see(_c: Any, _cur: Any, statement: str, parameters: Any, _: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            seen.append((statement, parameters[0] if many else parameters))

    def explain(unit: Callable[..., Any]) -> list[str]:
        with engine.begin() as connection:
            unit(connection)
            ran, found = list(seen), []
            assert ran, "no statement was seen"
            if engine.dialect.name == "postgresql":
                # Small tables fit a page or two: the question is whether the index can serve.
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            for statement, parameters in ran:
                prefix = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
                rows = connection.exec_driver_sql(prefix + statement, parameters)
                found += [str(row[-1]) for row in rows]
            connection.rollback()
        seen.clear()
        return found

    yield explain
    engine.dispose()


def _claim(connection: Connection) -> list[Any]:
    claimed = take(connection, GRU_LANE, 5, owner="o", now=SOON, lease=LEASE)
    assert len(claimed) == 5
    return claimed


def _settle(connection: Connection) -> None:
    (claimed, *_) = _claim(connection)
    assert settling.settle(connection, settled(claimed, State.DONE))


def _reap(connection: Connection) -> None:
    _claim(connection)
    silent = {one.id: one.fence for one in outbox.under_way(connection)}
    assert outbox.reap(connection, silent, SOON + timedelta(days=1))


def _find_by_reference(connection: Connection) -> None:
    history.take(connection, COMMUNE, GRU, [news(gru_reference="G7")], judge, SOON)


@pytest.mark.parametrize(
    ("unit", "index"),
    [
        (_claim, "ix_delivery_due"),
        (lambda c: outbox.next_due(c, GRU_LANE), "ix_delivery_due"),
        (lambda c: outbox.hurry(c, GRU_LANE), "ix_delivery_due"),
        (lambda c: outbox.lanes_with_work(c), "ix_delivery_due"),
        (_reap, "ix_delivery_sending"),
        (lambda c: outbox.under_way(c), "ix_delivery_sending"),
        (_settle, "uq_delivery_seq"),
        (_find_by_reference, "ix_request_gru_reference"),
        (lambda c: history.tracked(c, COMMUNE, GRU, 5), "ix_request_open"),
        (lambda c: outbox.listing(c), "ix_delivery_person"),
    ],
    ids=[
        *(
            "claim",
            "next_due",
            "hurry",
            "lanes_with_work",
            "reap",
            "under_way",
            "settle",
            "find_by_reference",
        ),
        *("tracked", "listing"),
    ],
)
def test_the_index_serves(plans: Plans, dialect: str, unit: Any, index: str) -> None:
    found = plans(unit)
    may_be = {index}
    if index == "uq_delivery_seq" and dialect == "sqlite":
        may_be = {"sqlite_autoindex_delivery"}  # its name for a UNIQUE constraint's index
    if index == "ix_delivery_sending":
        may_be.add("uq_delivery_one_sending")  # it, too, holds what is being sent and no more
    assert any(name in line for name in may_be for line in found), found
    for line in found:
        # SEARCH goes down an index; a SCAN of a whole partial index is one of what waits.
        assert "Seq Scan" not in line
        # `found` is the statement's own: one row for each lane. `listed` is what it was given.
        own = line == "SCAN found" or line.startswith("SCAN listed VIRTUAL TABLE")
        small = "_sending" in line or own
        assert not line.startswith("SCAN") or small, found


def test_postgresql_would_choose_them_by_itself(postgres: Any) -> None:
    url = postgres.fresh()
    engine = open_engine(url)
    with engine.begin() as connection:
        _fill(connection)
        connection.exec_driver_sql("ANALYZE")
        rows = connection.execute(
            text(
                "EXPLAIN SELECT id FROM delivery WHERE lane = 'x' AND head"
                " AND state IN ('waiting', 'unsure') AND next_at <= 9 ORDER BY next_at LIMIT 5"
            )
        )
        assert "ix_delivery_due" in str(rows.all())
    engine.dispose()
    postgres.drop(url)


SENDING = {"head": True, "settled_at": None, "lease_owner": "o", "lease_until": SOON}
IMPOSSIBLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "unknown state": (DELIVERY, _delivery(2, state="lost", settled_at=None)),
    "unknown kind": (DELIVERY, _delivery(2, kind="poke")),
    "sending without an owner": (
        DELIVERY,
        _delivery(2, state="sending", **(SENDING | {"lease_owner": None})),
    ),
    "sending without an end": (
        DELIVERY,
        _delivery(2, state="sending", **(SENDING | {"lease_until": None})),
    ),
    "sending out of turn": (DELIVERY, _delivery(2, state="sending", **(SENDING | {"head": False}))),
    "waiting with an owner": (DELIVERY, _delivery(2, state="waiting", **SENDING)),
    "done and at the head": (DELIVERY, _delivery(2, head=True)),
    "done at no time": (DELIVERY, _delivery(2, settled_at=None)),
    "settled and waiting": (DELIVERY, _delivery(2, state="waiting", head=True)),
    "two in one place": (DELIVERY, _delivery(2, request_id="r1")),
    "two sendings of one request": (
        DELIVERY,
        _delivery(2, request_id="r0", seq=2, state="sending", **SENDING),
    ),
    "of no request": (DELIVERY, _delivery(2, request_id="r9")),
    "of no event": (DELIVERY, _delivery(2, event_id="e9")),
    "unknown status": (REQUEST, _request(3, status="lost")),
    "one reference twice": (REQUEST, _request(3, ref="1")),
    "unknown origin": (EVENT, _event(3, request_id="r1", origin="elsewhere")),
    "one key twice": (EVENT, _event(3, request_id="r1")),
    "unknown action": (
        ATTEMPT,
        {
            "delivery_id": "d1",
            "n": 1,
            "action": "poke",
            "started_at": NOW,
            "ms": 1,
            "outcome": "accepted",
            "reason": "",
            "state": "done",
        },
    ),
    "unknown breaker": (LANE, {"name": "x", "breaker": "ajar"}),
}


def _start(connection: Connection) -> None:
    connection.execute(insert(REQUEST), [_request(n) for n in range(3)])
    connection.execute(insert(EVENT), [_event(n) for n in range(3)])
    connection.execute(insert(DELIVERY).values(_delivery(0, state="sending", **SENDING)))
    connection.execute(insert(DELIVERY).values(_delivery(1)))


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_impossible_rows_are_refused_by_the_database(url: str, what: str) -> None:
    table, row = IMPOSSIBLE[what]
    engine = open_engine(url)
    with engine.begin() as connection:
        _start(connection)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(table).values(row))
    engine.dispose()


async def test_the_same_rows_are_taken_when_they_are_possible(store: Database) -> None:
    """Else the test above would pass on any mistake in its rows."""

    def possible(connection: Connection) -> None:
        _start(connection)
        connection.execute(insert(REQUEST).values(_request(3)))
        connection.execute(insert(EVENT).values(_event(3)))
        connection.execute(insert(DELIVERY).values(_delivery(2, state="sending", **SENDING)))
        attempt = IMPOSSIBLE["unknown action"][1] | {"action": "find"}
        connection.execute(insert(ATTEMPT).values(attempt))
        connection.execute(insert(LANE).values(name="x"))

    await store.write(possible)
