"""The database itself refuses rows that cannot be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from gateway.store.engine import Database
from gateway.store.opening import open_database_engine
from gateway.store.tables import ATTEMPT, DELIVERY, EVENT, LANE, REQUEST
from tests.builders import COMMUNE, GRU, GRU_LANE, NOW

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
    engine = open_database_engine(url)
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
