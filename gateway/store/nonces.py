"""Nonces of signed calls: each is good once, across restarts and replicas."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete

from gateway.store import statements
from gateway.store.tables import NONCE

_SPEND = statements.load("accept")["spend_nonce"]


def spend(connection: Connection, key: str | None, until: datetime | None) -> bool:
    """Spend a nonce. Return True the first time, and for a call without one (`key` None)."""
    if key is None:
        return True
    return _SPEND.run(connection, key=key, expires_at=until).rowcount == 1


def forget(connection: Connection, now: datetime) -> int:
    """Drop nonces whose signature has expired; return how many."""
    return connection.execute(delete(NONCE).where(NONCE.c.expires_at < now)).rowcount
