"""The trail: what was decided, by whom, when; each entry sealed with the hash of the one before.

The database refuses anything but new entries, and that the beginning of a stream goes once it is
old, which its place in `trail_start` says; whoever gets around that breaks the chain, and `verify`
names the place. The chain does not show that its end was cut off: for that, the last
number is kept elsewhere, in the published procès-verbaux and in backups.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, text

from gateway.core.errors import Fault
from gateway.core.messages import Message
from gateway.store.dialect import is_postgresql, micros, upsert
from gateway.store.release_tables import TRAIL, TRAIL_START
from gateway.store.texts import say

#: The hash before a stream's first entry.
START = "0" * 64
#: The PostgreSQL advisory lock under which entries are added ("TDG" and a two).
_LOCK = 0x54444702


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One entry; `n` counts from 1 within its stream, `hash` seals it and all before."""

    stream: str
    n: int
    at: datetime
    kind: str
    data: Mapping[str, Any]
    previous: str
    hash: str


def lock_trail(connection: Connection) -> None:
    """Lock the trail until the transaction ends. SQLite has one writer anyhow."""
    if is_postgresql(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def append(
    connection: Connection, stream: str, kind: str, data: Mapping[str, Any], now: datetime
) -> TrailEntry:
    """Append an entry, in the caller's transaction. `data` is plain JSON, `now` aware. On
    PostgreSQL other writers wait until the transaction ends, so keep it short."""
    lock_trail(connection)
    last = connection.execute(
        select(TRAIL.c.n, TRAIL.c.hash)
        .where(TRAIL.c.stream == stream)
        .order_by(TRAIL.c.n.desc())
        .limit(1)
    ).first()
    before, previous = _start(connection, stream) if last is None else (last.n, last.hash)
    n = before + 1
    body = json.dumps(
        data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    seal = seal_of(stream, n, now, kind, body, previous)
    connection.execute(
        insert(TRAIL).values(
            stream=stream, n=n, at=now, kind=kind, data=body, previous=previous, hash=seal
        )
    )
    return TrailEntry(stream, n, now, kind, dict(data), previous, seal)


def entries(connection: Connection, stream: str) -> list[TrailEntry]:
    """Return all of a stream, oldest first; `verify` tells whether to believe it. An entry that is
    no JSON has no data."""
    rows = connection.execute(
        select(TRAIL).where(TRAIL.c.stream == stream).order_by(TRAIL.c.n)
    ).all()
    return [entry_of(row) for row in rows]


def about(
    connection: Connection, stream: str, targets: Collection[str], limit: int
) -> list[TrailEntry]:
    """Return the last entries of a stream that name one of these as their `target`, the last one
    first."""
    named = [TRAIL.c.data.contains(f'"target":"{one}"', autoescape=True) for one in targets]
    rows = connection.execute(
        select(TRAIL)
        .where(TRAIL.c.stream == stream, or_(*named))
        .order_by(TRAIL.c.n.desc())
        .limit(limit)
    )
    return [entry_of(row) for row in rows]


def data_of(connection: Connection, stream: str, n: int) -> Mapping[str, Any]:
    """Return what the entry of this number says; nothing where there is none."""
    mine = TRAIL.c.stream == stream, TRAIL.c.n == n
    body = connection.execute(select(TRAIL.c.data).where(*mine)).scalar()
    return {} if body is None else _read(body)


def last_entry(connection: Connection, stream: str) -> int:
    """Return the number of the last entry, 0 for none: every new entry changes it."""
    found: int | None = connection.execute(
        select(func.max(TRAIL.c.n)).where(TRAIL.c.stream == stream)
    ).scalar()
    return found or _start(connection, stream)[0]


def old(connection: Connection, stream: str, before: datetime) -> int:
    """Count the entries of a stream that `cut` deletes."""
    mine = TRAIL.c.stream == stream
    kept = select(func.min(TRAIL.c.n)).where(mine, TRAIL.c.at >= before).scalar_subquery()
    every = select(func.count()).where(mine, or_(kept.is_(None), TRAIL.c.n < kept))
    count: int = connection.execute(every).scalar_one()
    return count


def cut(connection: Connection, stream: str, before: datetime, now: datetime, limit: int) -> int:
    """Delete the beginning of a stream: the entries before the first that is not old. Return how
    many, `limit` at most. What is left is chained to the hash of the last one that went."""
    lock_trail(connection)
    columns = TRAIL.c.n, TRAIL.c.at, TRAIL.c.hash
    first = select(*columns).where(TRAIL.c.stream == stream).order_by(TRAIL.c.n).limit(limit)
    rows = [*takewhile(lambda row: row.at < before, connection.execute(first).all())]
    if not rows:
        return 0
    n, hash_ = rows[-1].n, rows[-1].hash
    upsert(connection, TRAIL_START, "stream", stream=stream, n=n, hash=hash_, cut_at=now)
    connection.execute(delete(TRAIL).where(TRAIL.c.stream == stream, TRAIL.c.n <= n))
    return len(rows)


def _start(connection: Connection, stream: str) -> tuple[int, str]:
    """Return the number and the hash before a stream's first entry."""
    row = connection.execute(
        select(TRAIL_START.c.n, TRAIL_START.c.hash).where(TRAIL_START.c.stream == stream)
    ).first()
    return (0, START) if row is None else (row.n, row.hash)


def streams(connection: Connection) -> list[str]:
    """List the streams."""
    rows = connection.execute(select(TRAIL.c.stream).distinct().order_by(TRAIL.c.stream))
    return [row.stream for row in rows]


def verify(connection: Connection, stream: str) -> list[Fault]:
    """List the faults of a stream, at the number of the entry; empty when it is intact."""
    problems: list[Fault] = []
    rows = connection.execute(
        select(TRAIL).where(TRAIL.c.stream == stream).order_by(TRAIL.c.n)
    ).all()
    start, previous = _start(connection, stream)
    expected = start + 1
    for row in rows:
        found: list[Message] = []
        if row.n != expected:
            found.append(say("entry_missing", n=expected))
        elif row.previous != previous:
            found.append(say("entry_unchained"))
        if row.hash != seal_of(stream, row.n, row.at, row.kind, row.data, row.previous):
            found.append(say("entry_altered"))
        problems += [Fault(f"trail {stream}", row.n, said) for said in found]
        expected, previous = row.n + 1, row.hash
    return problems


def seal_of(stream: str, n: int, at: datetime, kind: str, body: str, previous: str) -> str:
    sealed = json.dumps([stream, n, micros(at), kind, body, previous], ensure_ascii=False)
    return hashlib.sha256(sealed.encode("utf-8")).hexdigest()


def entry_of(row: Row[Any]) -> TrailEntry:
    """Return a row of the trail as an entry."""
    data = _read(row.data)
    return TrailEntry(row.stream, row.n, row.at, row.kind, data, row.previous, row.hash)


def _read(body: str) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
