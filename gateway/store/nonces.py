"""Nonces of signed calls: each is good once, over restarts and replicas too."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from gateway.store.reading import NONCE


def spend(connection: Connection, key: str | None, until: datetime | None) -> bool:
    """True the first time. A call without a nonce (`key` None) has nothing to spend."""
    if key is None:
        return True
    insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    result = connection.execute(
        insert(NONCE)
        .values(key=key, expires_at=until)
        .on_conflict_do_nothing()
        .returning(NONCE.c.key)  # an INSERT's row count is not to be relied on
    )
    return result.first() is not None


def forget(connection: Connection, now: datetime) -> int:
    """Drop the nonces whose signature has expired anyway; how many."""
    return connection.execute(delete(NONCE).where(NONCE.c.expires_at < now)).rowcount
