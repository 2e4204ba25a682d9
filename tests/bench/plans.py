"""The plans of the loop's statements: each must use its index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event

from gateway.store import asking, history, untold
from gateway.store.opening import open_database_engine
from gateway.store.outbox import backlog, claiming, clock, leases, settling
from gateway.store.rows import ChangeEffects, IncomingChange
from tests.bench.bundle import insee, lane
from tests.bench.queueing import settled

#: After all that `tests.bench.rows` has put in is due.
NOW = datetime(2026, 7, 1, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
#: The tables that grow with each request.
GROWING = ("request", "event", "delivery", "attempt")

Unit = Callable[[Connection], object]


@dataclass(frozen=True, slots=True)
class Promise:
    """A unit of the store, and the indexes of which one at least has to serve it.

    `binds`: a condition on requests without which there is nothing in the index: where no row
    fulfils it, PostgreSQL knows so, and any index in which nothing is found is as good.
    """

    unit: Unit
    indexes: frozenset[str]
    binds: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Return the database's plan of one unit: a line for each step of its statements."""

    name: str
    promise: Promise
    lines: tuple[str, ...]
    bound: bool = True

    def faults(self) -> list[str]:
        """The promised index that serves nothing, and each step that walks a growing table."""
        used = any(index in line for index in self.promise.indexes for line in self.lines)
        expected = " or ".join(sorted(self.promise.indexes))
        missing = [] if used or not self.bound else [f"{self.name}: no step uses {expected}"]
        return missing + [f"{self.name}: {line}" for line in self.lines if _walks(line)]


def _walks(line: str) -> bool:
    """Does this step read a growing table from its first row to its last?"""
    if "Seq Scan on " in line:  # PostgreSQL
        if "cost=0.00..0.00 " in line:
            return False  # there is nothing in it
        return line.partition("Seq Scan on ")[2].split()[0] in GROWING
    # SQLite. What is being sent, or in trouble, is a partial index of few rows, which may be read
    # as a whole.
    # `found` is a statement's own: one row for each lane; `listed` is what it was given, and so are
    # constant rows. What a subquery reads of a table has a line of its own.
    return line.startswith("SCAN") and not (
        "_sending" in line
        or "_stuck" in line
        or line == "SCAN found"
        or line.startswith(("SCAN listed VIRTUAL TABLE", "SCAN CONSTANT ROW", "SCAN (subquery-"))
    )


def _wishes(*lanes: int) -> list[claiming.ClaimRequest]:
    return [claiming.ClaimRequest(lane(n), 5, "o", NOW, 60.0) for n in lanes]


def _claim(connection: Connection) -> Sequence[claiming.ClaimResult]:
    taken = claiming.claim.many(connection, _wishes(0, 1))
    assert all(len(one.claims) == 5 for one in taken), taken
    return taken


def _claim_past_the_end(connection: Connection) -> None:
    """With the look for the next that is due, as nothing is."""
    early = claiming.ClaimRequest(lane(0), 5, "o", NOW - timedelta(days=900), 60.0)
    taken = claiming.claim(connection, early)
    assert not taken.claims
    assert taken.due is not None


def _settle(connection: Connection) -> None:
    batch = [settled(c, SOON, n) for n, one in enumerate(_claim(connection)) for c in one.claims]
    assert all(settling.settle.many(connection, batch))


def _reap(connection: Connection) -> None:
    _claim(connection)
    silent = {one.id: one.fence for one in leases.under_way(connection)}
    assert leases.reap(connection, silent, NOW + timedelta(days=1))


def _nothing(
    _known: history.ConcernedRequest, _news: IncomingChange, _memory: history.RequestHistory
) -> ChangeEffects:
    return ChangeEffects()


def _take_news(connection: Connection) -> None:
    """One change that a poll brought, of a request known by the GRU's reference."""
    news = IncomingChange(
        key="k1",
        gru_reference="1",
        reference=None,
        status="pris en charge",
        message=None,
        public=True,
        at=NOW,
    )
    history.sift(connection, insee(1), "outil", [news], _nothing, SOON)
    history.apply_changes(connection, insee(1), "outil", [news], _nothing, SOON, lambda: "e")


def _tracked(connection: Connection) -> None:
    asking.tracked(connection, insee(0), "outil", 5, NOW)


def _early(connection: Connection) -> None:
    """A call of a GRU that names a number which nobody knows, while nothing is in doubt."""
    untold.in_doubt(connection, insee(1), "outil")


_DUE = frozenset({"ix_delivery_due"})
# Both hold what is being sent and nothing else.
_SENDING = frozenset({"ix_delivery_sending", "uq_delivery_one_sending"})

PROMISES: dict[str, Promise] = {
    "claim": Promise(_claim, _DUE),
    "claim when nothing is due": Promise(_claim_past_the_end, _DUE),
    "hurry": Promise(lambda c: backlog.hurry(c, lane(0), NOW), _DUE),
    "lanes_with_work": Promise(backlog.lanes_with_work, _DUE),
    "under_way": Promise(leases.under_way, _SENDING),
    "reap": Promise(_reap, _SENDING),
    "rewind": Promise(
        lambda c: clock.rewind_lanes(c, [lane(n) for n in range(8)], NOW, SOON), _DUE
    ),
    # The second is SQLite's name for the index of a UNIQUE constraint.
    "settle": Promise(_settle, frozenset({"uq_delivery_seq", "sqlite_autoindex_delivery"})),
    "poll: what to ask about": Promise(
        _tracked, frozenset({"ix_request_ask"}), binds="gru_reference IS NOT NULL"
    ),
    "call about an unknown number": Promise(_early, _DUE),
    "poll: what it brought": Promise(_take_news, frozenset({"ix_request_gru_reference"})),
    "listing of what waits for a person": Promise(
        backlog.listing, frozenset({"ix_delivery_person", "ix_delivery_stuck"})
    ),
}


def plans(url: str) -> list[Plan]:
    """Run each unit, undo it, and ask for the plan of each of its statements.

    `url`: a database that `tests.bench.rows` has filled with requests done and others waiting.
    """
    engine = open_database_engine(url)
    try:
        with _listening(engine) as seen:
            return [
                Plan(name, promise, _explain(engine, promise.unit, seen), _binds(engine, promise))
                for name, promise in PROMISES.items()
            ]
    finally:
        engine.dispose()


def _binds(engine: Engine, promise: Promise) -> bool:
    if promise.binds is None:
        return True
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT 1 FROM request WHERE {promise.binds} LIMIT 1")
        return found.first() is not None


Seen = list[tuple[str, Any]]


@contextmanager
def _listening(engine: Engine) -> Iterator[Seen]:
    """The statements that run meanwhile, with their parameters; of many alike, the first's."""
    seen: Seen = []

    def see(_c: Any, _cur: Any, statement: str, parameters: Any, _: Any, many: bool) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            seen.append((statement, parameters[0] if many else parameters))

    event.listen(engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", see)


def _explain(engine: Engine, unit: Unit, seen: Seen) -> tuple[str, ...]:
    seen.clear()
    prefix = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    found: list[str] = []
    with engine.connect() as connection, connection.begin() as transaction:
        unit(connection)
        ran = list(seen)
        if not ran:
            raise AssertionError("no statement was seen")
        for statement, parameters in ran:
            rows = connection.exec_driver_sql(prefix + statement, parameters)
            found += [str(row[-1]) for row in rows]
        transaction.rollback()
    return tuple(found)
