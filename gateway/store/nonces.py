"""Nonces of signed calls: each is good once, over restarts and replicas too."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.base import Executable

from gateway.store.prepared import Prepared
from gateway.store.reading import NONCE


def _spend(dialect: str) -> Executable:
    insert = pg_insert if dialect == "postgresql" else sqlite_insert
    return (
        insert(NONCE)
        .values(key=bindparam("key"), expires_at=bindparam("expires_at"))
        .on_conflict_do_nothing()
        .returning(NONCE.c.key)  # an INSERT's row count is not to be relied on
    )


_SPEND = Prepared(_spend)


def spend(connection: Connection, key: str | None, until: datetime | None) -> bool:
    """True the first time. A call without a nonce (`key` None) has nothing to spend."""
    if key is None:
        return True
    return _SPEND(connection, key=key, expires_at=until).fetchone() is not None


def forget(connection: Connection, now: datetime) -> int:
    """Drop the nonces whose signature has expired anyway; how many."""
    return connection.execute(delete(NONCE).where(NONCE.c.expires_at < now)).rowcount
