"""The trail: what was decided, by whom, when; each entry sealed with the hash of the one before.

The database refuses anything but new entries; whoever gets around that breaks the chain, and
`verify` names the place. The chain does not show that its end was cut off: for that, the last
number is kept elsewhere, in the published procès-verbaux and in backups.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from gateway.core.errors import Fault
from gateway.core.messages import Message
from gateway.store.dialect import is_postgresql, micros
from gateway.store.release_tables import TRAIL
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
    n, previous = (1, START) if last is None else (last.n + 1, last.hash)
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
    return [
        TrailEntry(row.stream, row.n, row.at, row.kind, _read(row.data), row.previous, row.hash)
        for row in rows
    ]


def last_entry(connection: Connection, stream: str) -> int:
    """Return the number of the last entry, 0 for none: every new entry changes it."""
    found: int | None = connection.execute(
        select(func.max(TRAIL.c.n)).where(TRAIL.c.stream == stream)
    ).scalar()
    return found or 0


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
    expected, previous = 1, START
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


def _read(body: str) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
