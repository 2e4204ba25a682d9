"""Files' bytes, once each by SHA-256, in pieces: both databases, all replicas, one transaction."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from gateway.core.content import Content
from gateway.store.reading import ATTACHMENT, BLOB

PIECE = 256 * 1024


def keep(connection: Connection, content: Content) -> None:
    """Keep these bytes unless they are here already; one piece of them at a time is in memory."""
    sha256 = content.sha256
    # The lock holds off an erasure that is about to drop them as nobody's.
    here = select(BLOB.c.n).where(BLOB.c.sha256 == sha256, BLOB.c.n == 0).with_for_update(read=True)
    if connection.execute(here).first() is not None:
        return
    insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = insert(BLOB).on_conflict_do_nothing()  # another replica may be keeping them too
    for n, data in enumerate(content.pieces(PIECE)):
        connection.execute(statement, {"sha256": sha256, "n": n, "data": data})


def piece(connection: Connection, sha256: str, n: int) -> bytes | None:
    """The n-th piece of the bytes, from 0; None behind the last one, and once they are erased."""
    found: bytes | None = connection.execute(
        select(BLOB.c.data).where(BLOB.c.sha256 == sha256, BLOB.c.n == n)
    ).scalar()
    return found


def drop_orphans(connection: Connection, sha256s: list[str]) -> int:
    """Of these, delete the bytes that no attachment refers to any more; how many pieces."""
    if not sha256s:
        return 0
    # First the locks, then a look at who refers to them: a file that is being kept again stays.
    locked = select(BLOB.c.sha256).where(BLOB.c.sha256.in_(sha256s), BLOB.c.n == 0)
    connection.execute(locked.order_by(BLOB.c.sha256).with_for_update()).all()
    used = exists().where(ATTACHMENT.c.sha256 == BLOB.c.sha256)
    return connection.execute(delete(BLOB).where(BLOB.c.sha256.in_(sha256s), ~used)).rowcount
