"""A million requests, written by the database itself: waiting, or done long ago.

Bodies are short: what is measured is what the number of rows costs, not their size.
"""

from __future__ import annotations

import json
import threading

from sqlalchemy import Connection, text

from gateway.store.opening import open_database_engine
from gateway.store.schema import upgrade
from tests.bench.bundle import COMMUNES, SLUG

#: 2026-01-01, in microseconds; each row is 10 ms younger than the one before.
_SINCE = 1_767_225_600_000_000

_BODY = json.dumps(
    {
        "fields": {"categorie": "Voirie", "categorie_raw": "voirie", "description": "Un trou"},
        "submitted_at": "2026-01-01T00:00:00Z",
        "event": {"kind": "creation", "key": "creation", "message": None},
    }
)
_SERIES = {
    "sqlite": "WITH RECURSIVE n(i) AS "
    "(SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) ",
    "postgresql": "",
}
_FROM = {"sqlite": "FROM n", "postgresql": "FROM generate_series({first}, {last}) AS n(i)"}
_PADDED = {"sqlite": "printf('%016d', i)", "postgresql": "lpad(i::text, 16, '0')"}

#: Alembic keeps its context in globals.
_ALONE = threading.Lock()


def fill(url: str, n: int, *, done: bool = False, after: int = 0, communes: int = COMMUNES) -> None:
    """Bring the schema up, and put `n` requests in, their submits `done` or waiting.

    `after`: how many are there already.
    """
    with _ALONE:
        upgrade(url)
    engine = open_database_engine(url)
    try:
        with engine.begin() as connection:
            _fill(connection, (after + 1, after + n), communes, done=done)
        with engine.connect() as connection:
            analyze = connection.execution_options(isolation_level="AUTOCOMMIT")
            if connection.dialect.name == "postgresql":
                analyze.execute(text("VACUUM (ANALYZE)"))
    finally:
        engine.dispose()


def _fill(connection: Connection, numbers: tuple[int, int], communes: int, *, done: bool) -> None:
    dialect = connection.dialect.name
    padded = _PADDED[dialect]
    first, last = numbers
    at = f"{_SINCE} + CAST(i AS BIGINT) * 10000"
    commune = f"CAST(69001 + i % {communes} AS TEXT)"
    state, head, settled = ("done", "FALSE", at) if done else ("waiting", "TRUE", "NULL")
    status = "transmitted" if done else "received"
    # A colon in the text would be read as a parameter.
    colon = "CHR(58)" if dialect == "postgresql" else "CHAR(58)"
    reference = "CAST(i AS TEXT)" if done else "NULL"

    def put(table: str, **columns: str) -> None:
        select = (
            f"SELECT {', '.join(columns.values())} {_FROM[dialect].format(first=first, last=last)}"
        )
        insert = f"INSERT INTO {table} ({', '.join(columns)}) "
        # SQLite reads the WITH after the INSERT INTO.
        series = _SERIES[dialect].format(first=first, last=last)
        connection.execute(
            text(insert + series + select), {"body": _BODY} if table == "event" else {}
        )

    if dialect == "postgresql":
        connection.execute(text("SET LOCAL synchronous_commit = off"))
    put(
        "request",
        id=f"'TDG-' || {padded}",
        portal="'toodego'",
        commune=commune,
        teleservice=f"'{SLUG}'",
        ref="CAST(i AS TEXT)",
        api_url="'https' || " + colon + " || '//portail.invalid/api/forms/x/' || CAST(i AS TEXT)",
        digest="'d'",
        gru="'outil'",
        status=f"'{status}'",
        status_at=at,
        gru_reference=reference,
        received_at=at,
        submitted_at=at,
        ask_at=at,
    )
    put(
        "event",
        id=f"'e-' || {padded}",
        request_id=f"'TDG-' || {padded}",
        origin="'portal'",
        key="'creation'",
        kind="'creation'",
        digest="'d'",
        at=at,
        received_at=at,
        body="CAST(:body AS TEXT)",
    )
    put(
        "delivery",
        id=f"'d-' || {padded}",
        request_id=f"'TDG-' || {padded}",
        event_id=f"'e-' || {padded}",
        kind="'submit'",
        lane=f"'gru' || {colon} || {commune} || {colon} || 'outil'",
        seq="1",
        state=f"'{state}'",
        head=head,
        asking="FALSE",
        next_at=at,
        failures="0",
        attempts="1" if done else "0",
        reason="'accepted'" if done else "''",
        detail="''",
        fence="1" if done else "0",
        created_at=at,
        settled_at=settled,
    )
    if done:
        put(
            "attempt",
            delivery_id=f"'d-' || {padded}",
            n="1",
            action="'send'",
            started_at=at,
            ms="20",
            outcome="'accepted'",
            reason="'accepted'",
            detail="''",
            state="'done'",
        )
