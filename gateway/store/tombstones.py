"""Is somebody erased? Asked at each push."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, text

from gateway.store.dialect import is_postgresql
from gateway.store.erasure_tables import ERASURE, TOMBSTONE


def was_erased(connection: Connection, marks: Sequence[str], request: str | None = None) -> bool:
    """Was an account with one of these hashes erased, or the single request with that hash?"""
    for mark in marks:
        lock_account(connection, mark, shared=True)
    # A request that is here is locked by its row; its mark is for one that a backup brought back.
    asked = [*marks] if request is None else [*marks, request]
    if not asked:
        return False
    erased = select(TOMBSTONE.c.mark).where(TOMBSTONE.c.mark.in_(asked))
    return connection.execute(erased).first() is not None


def any_erased(connection: Connection) -> bool:
    """Was anybody erased, here or by the word of a ledger, or is anybody being erased?"""
    found = (select(column).limit(1) for column in (ERASURE.c.id, TOMBSTONE.c.mark))
    return any(connection.execute(one).first() is not None for one in found)


def lock_account(connection: Connection, mark: str, *, shared: bool) -> None:
    """Make pushes and the erasure of one person take turns. SQLite's one writer does so anyway."""
    if is_postgresql(connection):
        key = int(mark[:16], 16) - 2**63
        name = "pg_advisory_xact_lock" + ("_shared" if shared else "")
        connection.execute(text(f"SELECT {name}(:key)"), {"key": key})
