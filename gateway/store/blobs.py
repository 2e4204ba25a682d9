"""Files' bytes, stored once each by SHA-256, in pieces, for both databases and all replicas. A
`ObjectContent` lies in the object store: one row without bytes names the place."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, select

from gateway.core.content import Content, ObjectContent
from gateway.store import object_gc
from gateway.store.dialect import add
from gateway.store.tables import ATTACHMENT, BLOB

PIECE = 256 * 1024


class ObjectKey(str):
    """The place of a file's bytes in the object store."""

    __slots__ = ()


def store(connection: Connection, content: Content) -> None:
    """Store these bytes unless they are here. One piece at a time is in memory."""
    sha256 = content.sha256
    place = content.place if isinstance(content, ObjectContent) else None
    # The lock keeps an erasure from dropping them as orphans.
    kept = select(BLOB.c.n).where(BLOB.c.sha256 == sha256, BLOB.c.n == 0).with_for_update(read=True)
    if connection.execute(kept).first() is not None:
        if place is not None:
            object_gc.condemn(connection, [place])
        return
    for n, data in enumerate([b""] if place is not None else content.pieces(PIECE)):
        if not add(connection, BLOB, sha256=sha256, n=n, data=data, place=place):
            # Another replica stored all of it first.
            if place is not None:
                object_gc.condemn(connection, [place])
            return
    if place is not None:
        object_gc.use(connection, place)


def stored_among(connection: Connection, sha256s: list[str]) -> frozenset[str]:
    """Return those of these files whose bytes are stored."""
    found = select(BLOB.c.sha256).where(BLOB.c.sha256.in_(sha256s), BLOB.c.n == 0)
    return frozenset(connection.execute(found).scalars())


def piece(connection: Connection, sha256: str, n: int) -> bytes | ObjectKey | None:
    """Return the n-th piece of the bytes, from 0; None after the last, and once erased. The 0-th
    piece of a file in the object store is its place."""
    found = connection.execute(
        select(BLOB.c.data, BLOB.c.place).where(BLOB.c.sha256 == sha256, BLOB.c.n == n)
    ).first()
    if found is None:
        return None
    data: bytes = found.data
    return data if found.place is None else ObjectKey(found.place)


def drop_orphans(connection: Connection, sha256s: list[str], erasure: str | None = None) -> int:
    """Delete the bytes of those of these files that no attachment refers to; return the number of
    pieces. Condemns their objects in the same transaction, in the name of this erasure."""
    if not sha256s:
        return 0
    # Locks come before the look for references: a file that is being stored again stays.
    locked = select(BLOB.c.sha256).where(BLOB.c.sha256.in_(sha256s), BLOB.c.n == 0)
    connection.execute(locked.order_by(BLOB.c.sha256).with_for_update()).all()
    used = exists().where(ATTACHMENT.c.sha256 == BLOB.c.sha256)
    gone = connection.execute(
        delete(BLOB).where(BLOB.c.sha256.in_(sha256s), ~used).returning(BLOB.c.place)
    ).all()
    object_gc.condemn_erased(connection, [row.place for row in gone if row.place], erasure)
    return len(gone)
