"""Nonces of signed calls: each is good once, over restarts and replicas too."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete

from gateway.store import statements
from gateway.store.tables import NONCE

_SPEND = statements.load("accept")["spend_nonce"]


def spend(connection: Connection, key: str | None, until: datetime | None) -> bool:
    """Spend a nonce; True the first time. A call without one (`key` None) has nothing to spend."""
    if key is None:
        return True
    return _SPEND.run(connection, key=key, expires_at=until).rowcount == 1


def forget(connection: Connection, now: datetime) -> int:
    """Drop the nonces whose signature has expired anyway; how many."""
    return connection.execute(delete(NONCE).where(NONCE.c.expires_at < now)).rowcount
