"""Files' bytes, stored once for each request, in pieces, for both databases and all replicas.

Each file has a key of its own, sealed with the key of its request. An `ObjectContent` lies in the
object store: one row without bytes names the place.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, bindparam, delete, exists, select

from gateway.core import sealing
from gateway.core.content import Content, ObjectContent
from gateway.core.sealing import Place
from gateway.store import object_gc, sealed
from gateway.store.dialect import add
from gateway.store.tables import ATTACHMENT, BLOB

PIECE = 256 * 1024
_FIRST_PIECE = select(BLOB.c.place, BLOB.c.key).where(
    BLOB.c.address == bindparam("wanted"), BLOB.c.n == 0
)
_PIECE = select(BLOB.c.data).where(
    BLOB.c.address == bindparam("wanted"), BLOB.c.n == bindparam("at")
)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored file: its address, its place in the object store if it lies there, and its key; None
    for one in clear, of before the sealing."""

    address: str
    place: str | None
    key: bytes | None = field(default=None, repr=False)


def store(connection: Connection, content: Content, address: str, key_id: str | None) -> None:
    """Store these bytes unless they are here. One piece at a time is in memory. `key_id` is the key
    of their request."""
    place = content.place if isinstance(content, ObjectContent) else None
    if place is not None and _is_used(connection, place):
        place = None  # another request of the same change has it: this one keeps a copy
    # The lock keeps an erasure from dropping them as orphans.
    kept = (
        select(BLOB.c.n).where(BLOB.c.address == address, BLOB.c.n == 0).with_for_update(read=True)
    )
    if connection.execute(kept).first() is not None:
        if place is not None:
            object_gc.condemn(connection, [place])
        return
    key = _key_for(connection, content if place is not None else None)
    wrapped = None if key is None else key.hex()
    wrapped = sealed.seal(connection, key_id, _key_place(address), wrapped)
    for n, data in enumerate([b""] if place is not None else content.pieces(PIECE)):
        if key is not None and place is None:
            data = sealing.seal_piece(AESGCM(key), n, content.size, data)
        first = {"key": wrapped} if n == 0 else {}
        if not add(connection, BLOB, address=address, n=n, data=data, place=place, **first):
            # Another replica stored all of it first.
            if place is not None:
                object_gc.condemn(connection, [place])
            return
    if place is not None:
        object_gc.use(connection, place)


def _is_used(connection: Connection, place: str) -> bool:
    used = select(BLOB.c.n).where(BLOB.c.place == place)
    return connection.execute(used).first() is not None


def _key_for(connection: Connection, content: Content | None) -> bytes | None:
    if isinstance(content, ObjectContent):
        return content.key
    return None if sealed.sealer_of(connection) is None else secrets.token_bytes(sealing.KEY)


def _key_place(address: str) -> Place:
    return Place("blob", "key", address, "")


def stored_among(connection: Connection, request_id: str, sha256s: list[str]) -> frozenset[str]:
    """Return those of these files of a request whose bytes are stored."""
    by_address = {sealed.address(connection, request_id, sha256): sha256 for sha256 in sha256s}
    found = select(BLOB.c.address).where(BLOB.c.address.in_(list(by_address)), BLOB.c.n == 0)
    return frozenset(by_address[one] for one in connection.execute(found).scalars())


def find(connection: Connection, address: str) -> StoredFile | None:
    """Return a stored file; None once erased. Raises NotOpened, Unavailable."""
    row = connection.execute(_FIRST_PIECE, {"wanted": address}).first()
    if row is None:
        return None
    key = sealed.unseal(connection, _key_place(address), row.key)
    if key is None and row.key is not None:
        return None
    return StoredFile(address, row.place, None if key is None else bytes.fromhex(key))


def piece(connection: Connection, file: StoredFile, n: int, size: int) -> bytes | None:
    """Return the n-th piece of a file of `size` bytes, from 0; None after the last, and once
    erased. Raises NotOpened."""
    data: bytes | None = connection.execute(_PIECE, {"wanted": file.address, "at": n}).scalar()
    if data is None or file.key is None:
        return data
    return sealing.unseal_piece(AESGCM(file.key), n, size, data)


def seal_copy(
    connection: Connection, sha256: str, address: str, size: int, key_id: str | None
) -> bool:
    """Store a sealed copy of a file of `size` bytes that lies in clear in the database. Return
    False, and store nothing, for one that lies in the object store, or is not here."""
    first = find(connection, sha256)
    if first is None or first.place is not None or first.key is not None:
        return False
    if find(connection, address) is None:
        store(connection, _InDatabase(connection, first, size), address, key_id)
    return True


class _InDatabase(Content):
    """The bytes of a file of the database, read piece by piece."""

    __slots__ = ("_connection", "_file")

    def __init__(self, connection: Connection, file: StoredFile, size: int) -> None:
        super().__init__(size, file.address)
        self._connection = connection
        self._file = file

    def read(self, at: int, length: int) -> bytes:
        return piece(self._connection, self._file, at // PIECE, self.size) or b""


def drop_orphans(connection: Connection, addresses: list[str], erasure: str | None = None) -> int:
    """Delete the bytes of those of these files that no attachment refers to; return the number of
    pieces. Condemns their objects in the same transaction, in the name of this erasure."""
    if not addresses:
        return 0
    # Locks come before the look for references: a file that is being stored again stays.
    locked = select(BLOB.c.address).where(BLOB.c.address.in_(addresses), BLOB.c.n == 0)
    connection.execute(locked.order_by(BLOB.c.address).with_for_update()).all()
    used = exists().where(ATTACHMENT.c.address == BLOB.c.address)
    gone = connection.execute(
        delete(BLOB).where(BLOB.c.address.in_(addresses), ~used).returning(BLOB.c.place)
    ).all()
    object_gc.condemn_erased(connection, [row.place for row in gone if row.place], erasure)
    return len(gone)
