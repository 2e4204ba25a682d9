"""Files' bytes, once each by SHA-256, in pieces: both databases, all replicas, one transaction.

Those of a `Placed` content lie in the object store: one row without bytes says where.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, select

from gateway.core.content import Content, Placed
from gateway.store import object_gc
from gateway.store.dialect import add
from gateway.store.tables import ATTACHMENT, BLOB

PIECE = 256 * 1024


class ObjectKey(str):
    """The place of a file's bytes in the object store."""

    __slots__ = ()


def keep(connection: Connection, content: Content) -> None:
    """Keep these bytes unless they are here already; one piece of them at a time is in memory."""
    sha256 = content.sha256
    place = content.place if isinstance(content, Placed) else None
    # The lock holds off an erasure that is about to drop them as nobody's.
    here = select(BLOB.c.n).where(BLOB.c.sha256 == sha256, BLOB.c.n == 0).with_for_update(read=True)
    if connection.execute(here).first() is not None:
        if place is not None:
            object_gc.condemn(connection, [place])
        return
    for n, data in enumerate([b""] if place is not None else content.pieces(PIECE)):
        if not add(connection, BLOB, sha256=sha256, n=n, data=data, place=place):
            # Another replica was faster, with all of it.
            if place is not None:
                object_gc.condemn(connection, [place])
            return
    if place is not None:
        object_gc.mark_used(connection, place)


def here(connection: Connection, sha256s: list[str]) -> frozenset[str]:
    """Return those of these files whose bytes are kept already."""
    found = select(BLOB.c.sha256).where(BLOB.c.sha256.in_(sha256s), BLOB.c.n == 0)
    return frozenset(connection.execute(found).scalars())


def piece(connection: Connection, sha256: str, n: int) -> bytes | ObjectKey | None:
    """Return the n-th piece of the bytes, from 0; None behind the last, and once they are erased.

    The 0-th of a file in the object store is its place.
    """
    found = connection.execute(
        select(BLOB.c.data, BLOB.c.place).where(BLOB.c.sha256 == sha256, BLOB.c.n == n)
    ).first()
    if found is None:
        return None
    data: bytes = found.data
    return data if found.place is None else ObjectKey(found.place)


def drop_orphans(connection: Connection, sha256s: list[str], erasure: str | None = None) -> int:
    """Delete those of these files' bytes that no attachment refers to any more; how many pieces.

    Objects are condemned in the same transaction, in the name of this erasure.
    """
    if not sha256s:
        return 0
    # First the locks, then a look at who refers to them: a file that is being kept again stays.
    locked = select(BLOB.c.sha256).where(BLOB.c.sha256.in_(sha256s), BLOB.c.n == 0)
    connection.execute(locked.order_by(BLOB.c.sha256).with_for_update()).all()
    used = exists().where(ATTACHMENT.c.sha256 == BLOB.c.sha256)
    gone = connection.execute(
        delete(BLOB).where(BLOB.c.sha256.in_(sha256s), ~used).returning(BLOB.c.place)
    ).all()
    object_gc.condemn_erased(connection, [row.place for row in gone if row.place], erasure)
    return len(gone)
