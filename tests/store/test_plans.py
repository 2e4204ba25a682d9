"""The statements of the loop go down their index, however long the history.

`make bench` asserts the same where a million rows are, waiting or in history.
"""

from __future__ import annotations

import pytest

from gateway.store.opening import open_database_engine
from tests.bench.plans import plans
from tests.bench.rows import fill

ROWS = 3000


@pytest.fixture
def filled(url: str) -> str:
    """A long history, and a little that waits."""
    fill(url, ROWS, done=True)
    fill(url, 200, after=ROWS, communes=8)
    return url


def _do(url: str, statement: str) -> None:
    engine = open_database_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _faults(url: str) -> list[str]:
    return [fault for plan in plans(url) for fault in plan.faults()]


def test_each_statement_goes_down_its_index(filled: str) -> None:
    assert _faults(filled) == []
    _do(filled, "ANALYZE")  # SQLite, too, then knows how many rows there are
    assert _faults(filled) == []


def test_where_no_request_has_a_number_of_its_gru_there_is_nothing_to_ask_about(url: str) -> None:
    """PostgreSQL knows that, and takes another index in which nothing is found as fast."""
    fill(url, ROWS)
    asked = [plan for plan in plans(url) if plan.name == "poll: what to ask about"]
    assert [plan.faults() for plan in asked] == [[]]


@pytest.mark.parametrize(
    ("index", "unit"),
    [
        ("ix_delivery_due", "claim"),
        ("ix_request_ask", "poll: what to ask about"),
        ("ix_request_gru_reference", "poll: what it brought"),
    ],
)
def test_an_index_that_is_gone_is_missed(filled: str, index: str, unit: str) -> None:
    _do(filled, f"DROP INDEX {index}")
    assert f"{unit}: no step uses {index}" in _faults(filled)


def test_a_walk_through_a_growing_table_is_told(filled: str) -> None:
    _do(filled, "DROP INDEX ix_request_gru_reference")
    walk = "SCAN request" if filled.startswith("sqlite") else "Seq Scan on request"
    assert any(walk in fault for fault in _faults(filled))
