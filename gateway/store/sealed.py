"""The one place where the store seals and opens: `connection` leads to the Sealer of its database.

A database without a Sealer keeps everything in clear: a temporary one of invented data.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from threading import Lock
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, select, update

from gateway.core import sealing
from gateway.core.errors import Unavailable
from gateway.core.messages import Message
from gateway.core.request import Attachment
from gateway.core.sealing import KEY, NONCE, MasterKey, NotOpened, Place
from gateway.store import condemned, installation
from gateway.store.dialect import among, micros
from gateway.store.driver_errors import errors_named
from gateway.store.engine import SEALER
from gateway.store.keys import KeyStore, WrappedKey
from gateway.store.opening import open_database_engine
from gateway.store.tables import ATTACHMENT, REQUEST
from gateway.store.texts import say

#: The key of keyed hashes lies among the others.
HASHES: Final = "hashes"
#: Keys made at once, of which one commit makes all durable; and keys kept open in memory.
SPARE: Final = 64
_OPEN: Final = 4096
#: Seconds after which all of these are read anew: another process may have destroyed some.
_KEPT_OPEN: Final = 300.0
#: The last requests whose keys must be here: keys of before these would be an older copy.
_NEWEST: Final = 16
#: The columns of `read_attachment`.
ATTACHMENT_COLUMNS: Final = tuple(
    ATTACHMENT.c[name]
    for name in ("id", "request_id", "field", "filename", "content_type", "size", "address")
)


class Sealer:
    """Seals and opens values with keys of a KeyStore. Its methods may be called from any thread.

    The first of `masters` wraps new keys, each of them opens those that it has wrapped. They may be
    replaced at any time.
    """

    def __init__(self, keys: KeyStore, masters: Sequence[MasterKey]) -> None:
        self.keys = keys
        self.masters = tuple(masters)
        self._lock = Lock()
        self._spare: list[tuple[str, AESGCM]] = []
        self._open: OrderedDict[str, AESGCM] = OrderedDict()
        self._open_until = 0.0
        #: Counts the destructions of keys here.
        self._destructions = 0
        self._hashes: bytes | None = None

    def new_key(self) -> str:
        """Return the id of a new key, which is durable. Raises Unavailable."""
        with self._lock:
            if not self._spare:
                self._spare = self._made(SPARE)
            key_id, key = self._spare.pop()
            self._remember(key_id, key)
        return key_id

    def return_key(self, key_id: str) -> None:
        """Take a new key back with which nothing was sealed."""
        with self._lock:
            key = self._open.pop(key_id, None)
            if key is not None:
                self._spare.append((key_id, key))

    def load(self, texts: Iterable[str | None]) -> None:
        """Open the keys of many sealed texts at once. One that is damaged is left to who opens its
        texts. Raises Unavailable."""
        wanted = set()
        for one in texts:
            if one is not None and sealing.is_sealed(one):
                with suppress(NotOpened):
                    wanted.add(sealing.key_id_of(one))
        self._opened(wanted, damaged=True)

    def seal(self, key_id: str, place: Place, text: str) -> str:
        """Seal a text with a key. Raises Unavailable, also when the key is destroyed."""
        key = self._opened([key_id]).get(key_id)
        if key is None:
            raise Unavailable(say("key_destroyed"))
        return sealing.seal(key_id, key, place, text, secrets.token_bytes(NONCE))

    def unseal(self, place: Place, text: str) -> str | None:
        """Return what is sealed; None when its key is destroyed. A text of before the sealing is
        returned as it is. Raises NotOpened, Unavailable."""
        if not sealing.is_sealed(text):
            return text
        key_id = sealing.key_id_of(text)
        key = self._opened([key_id]).get(key_id)
        return None if key is None else sealing.unseal(key, place, text)

    def destroy(self, key_ids: Sequence[str]) -> None:
        """Destroy keys. What they sealed can never be read again. Raises Unavailable."""
        self.keys.destroy(key_ids)
        with self._lock:
            self._destructions += 1
            for key_id in key_ids:
                self._open.pop(key_id, None)

    def hash(self, purpose: str, *parts: str) -> str:
        """Return a keyed hash, the same for ever. The first one makes its key. Raises
        Unavailable."""
        if self._hashes is None:
            self._hashes = self._hash_key(make=True)
        return sealing.keyed_hash(self._hashes or b"", purpose, *parts)

    def identity(self) -> str | None:
        """Name the keys as a whole; None where they are not. Nothing is written. Raises
        Unavailable."""
        key = self._hash_key(make=False)
        return None if key is None else sealing.keyed_hash(key, "identity")

    def rewrap(self, limit: int) -> int:
        """Wrap up to `limit` keys of other master keys by the first one; return how many. Raises
        Unavailable."""
        first = self._first()
        old = self.keys.not_under(first.id, limit)
        self.keys.rewrap(old, [self._wrapped(first, one.id, self._unwrapped(one)) for one in old])
        return len(old)

    def count_lost(self, key_ids: Sequence[str]) -> int:
        """Count those of these keys that are missing, or do not open. Raises Unavailable."""
        lost = len(key_ids)
        for one in self.keys.read(key_ids):
            with suppress(NotOpened):
                self._unwrapped(one)
                lost -= 1
        return lost

    def unknown_masters(self) -> dict[str, int]:
        """Return the master keys that wrap keys and are not given, each with how many."""
        known = {master.id for master in self.masters}
        return {
            master: count
            for master, count in sorted(self.keys.count_by_master().items())
            if master not in known
        }

    def close(self) -> None:
        self.keys.close()

    def _opened(self, key_ids: Iterable[str], *, damaged: bool = False) -> dict[str, AESGCM]:
        """Return those of these keys that are here. `damaged`: one that does not open is left out,
        and NotOpened is not raised."""
        found: dict[str, AESGCM] = {}
        missing = []
        with self._lock:
            destructions = self._destructions
            if time.monotonic() >= self._open_until:
                self._open.clear()
                self._open_until = time.monotonic() + _KEPT_OPEN
            for key_id in key_ids:
                known = self._open.get(key_id)
                if known is None:
                    missing.append(key_id)
                else:
                    found[key_id] = known
        read: dict[str, AESGCM] = {}
        for one in self.keys.read(missing):
            with suppress(NotOpened) if damaged else nullcontext():
                read[one.id] = AESGCM(self._unwrapped(one))
        with self._lock:
            # One that was destroyed while it was read here is not to be kept.
            if destructions == self._destructions:
                for key_id, key in read.items():
                    self._remember(key_id, key)
        return found | read

    def _remember(self, key_id: str, key: AESGCM) -> None:
        self._open[key_id] = key
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)

    def _made(self, count: int) -> list[tuple[str, AESGCM]]:
        first = self._first()
        made = [(secrets.token_hex(sealing.ID), secrets.token_bytes(KEY)) for _ in range(count)]
        self.keys.add([self._wrapped(first, key_id, key) for key_id, key in made])
        return [(key_id, AESGCM(key)) for key_id, key in made]

    def _hash_key(self, *, make: bool) -> bytes | None:
        with self._lock:
            found = self.keys.read([HASHES])
            if not found and make:
                # Another process may make it, too: one of them is stored.
                self.keys.add([self._wrapped(self._first(), HASHES, secrets.token_bytes(KEY))])
                found = self.keys.read([HASHES])
        return self._unwrapped(found[0]) if found else None

    def _wrapped(self, master: MasterKey, key_id: str, key: bytes) -> WrappedKey:
        nonce = secrets.token_bytes(NONCE)
        return WrappedKey(key_id, master.id, sealing.wrap(master, key_id, key, nonce))

    def _unwrapped(self, one: WrappedKey) -> bytes:
        master = next((known for known in self.masters if known.id == one.master), None)
        if master is None:
            # A process that reads its secrets again knows it.
            raise Unavailable(sealing.say("master_unknown", id=one.master))
        return sealing.unwrap(master, one.id, one.wrapped)

    def _first(self) -> MasterKey:
        if not self.masters:
            raise Unavailable(say("no_master"))
        return self.masters[0]


def sealer_of(connection: Connection) -> Sealer | None:
    """Return the Sealer of this connection's database; None where all is in clear."""
    found: Sealer | None = connection.get_execution_options().get(SEALER)
    return found


def new_key(connection: Connection) -> str | None:
    """Return a key for a new request; None where all is in clear."""
    sealer = sealer_of(connection)
    return None if sealer is None else sealer.new_key()


def check_keys(connection: Connection, place: str) -> Message | None:
    """Return what is wrong with the keys of this database, which lie at `place`; None: nothing.
    Raises Unavailable."""
    sealer, known = sealer_of(connection), installation.known_keys(connection)
    if sealer is None or known is None:
        return None
    here = sealer.identity()
    if here is None:
        return say("keys_missing", place=place)
    if here != known:
        return say("keys_of_another", place=place)
    lost = sealer.count_lost(_newest(connection))
    return say("keys_older", place=place, count=lost) if lost else None


def _newest(connection: Connection) -> list[str]:
    """Return the keys of the newest requests. Those of before the database was put back may have
    been destroyed since."""
    last = select(REQUEST.c.key_id, REQUEST.c.received_at).where(REQUEST.c.key_id.is_not(None))
    rows = connection.execute(last.order_by(REQUEST.c.received_at.desc()).limit(_NEWEST)).all()
    since = installation.restored_at(connection)
    return [row.key_id for row in rows if since is None or row.received_at > since]


def is_bound(url: str) -> bool:
    """Are keys noted in this database? Raises BadAddress, Unavailable."""
    engine = open_database_engine(url, reader=True)
    try:
        with errors_named(), engine.connect() as connection:
            return installation.known_keys(connection) is not None
    finally:
        engine.dispose()


def bind_keys(connection: Connection) -> None:
    """Note the keys with which this database is sealed from now on. Raises Unavailable."""
    sealer = sealer_of(connection)
    if sealer is not None and installation.known_keys(connection) is None:
        installation.note_keys(connection, sealer.hash("identity"))


def return_key(connection: Connection, key_id: str | None) -> None:
    """Take a new key back with which nothing was sealed."""
    sealer = sealer_of(connection)
    if sealer is not None and key_id is not None:
        sealer.return_key(key_id)


def seal(connection: Connection, key_id: str | None, place: Place, text: str | None) -> str | None:
    """Return the text as it is to be stored. `key_id` is the key of its request."""
    sealer = sealer_of(connection)
    if sealer is None or text is None:
        return text
    if key_id is None:
        raise ValueError("a value of a request without a key")
    return sealer.seal(key_id, place, text)


def unseal(connection: Connection, place: Place, text: str | None) -> str | None:
    """Return what was sealed; None for nothing, and where its key is destroyed. Raises NotOpened
    for a value that was altered or moved, and Unavailable."""
    if text is None or not sealing.is_sealed(text):
        return text
    sealer = sealer_of(connection)
    if sealer is None:
        raise Unavailable(say("no_master"))
    return sealer.unseal(place, text)


def is_sealed(text: str) -> bool:
    return sealing.is_sealed(text)


def event_body(event_id: str, request_id: str) -> Place:
    return Place("event", "body", event_id, request_id)


def read_event_body(
    connection: Connection, event_id: str, request_id: str, text: str | None
) -> dict[str, Any] | None:
    """Return the stored body of an event; None for none, and when its key is destroyed. Raises
    NotOpened, Unavailable, and ValueError for what is no JSON."""
    body = unseal(connection, event_body(event_id, request_id), text)
    return None if body is None else json.loads(body)


def untold_body(name: str, request_id: str) -> Place:
    """The place of the body of an untold change: by its name, or by its id without a request."""
    return Place("untold", "body", name, request_id)


def attempt_answer(delivery_id: str, started_at: datetime, request_id: str) -> Place:
    return Place("attempt", "answer", f"{delivery_id} {micros(started_at)}", request_id)


def load_keys(connection: Connection, texts: Iterable[str | None]) -> None:
    """Read the keys of many sealed texts at once: opening them then reads none."""
    sealer = sealer_of(connection)
    if sealer is not None:
        sealer.load(texts)


def condemn(connection: Connection, request_ids: Sequence[str]) -> None:
    """Have the keys of these requests destroyed once this transaction is committed: nothing of them
    can be read again then, in no copy. What comes later gets a new key."""
    if not request_ids:
        return
    mine = among(connection, REQUEST.c.id, request_ids) & REQUEST.c.key_id.is_not(None)
    keys = connection.execute(select(REQUEST.c.key_id).where(mine)).scalars().all()
    if keys:
        condemned.condemn(connection, keys)
        connection.execute(update(REQUEST).where(mine).values(key_id=None))


def count_lost(connection: Connection, key_ids: Sequence[str]) -> int:
    """Count those of these keys that are missing, or do not open. Raises Unavailable."""
    sealer = sealer_of(connection)
    return 0 if sealer is None else sealer.count_lost(key_ids)


def condemn_keys_of(connection: Connection, texts: Iterable[str | None]) -> None:
    """As `condemn`, for sealed texts that have keys of their own."""
    condemned.condemn(
        connection,
        [sealing.key_id_of(one) for one in texts if one is not None and is_sealed(one)],
    )


def address(connection: Connection, request_id: str, sha256: str) -> str:
    """Return the address of a file of a request: nobody else can tell by it what is in the file."""
    sealer = sealer_of(connection)
    return sha256 if sealer is None else sealer.hash("file", request_id, sha256)


def file_name(attachment_id: str, request_id: str) -> Place:
    return Place("attachment", "filename", attachment_id, request_id)


def seal_name(
    connection: Connection,
    key_id: str | None,
    attachment_id: str,
    request_id: str,
    file: Attachment,
) -> str:
    """Return what is stored as the name of a file: once sealed, with the SHA-256 of its bytes."""
    if sealer_of(connection) is None:
        return file.filename
    both = json.dumps([file.filename, file.sha256], ensure_ascii=False)
    return seal(connection, key_id, file_name(attachment_id, request_id), both) or ""


def read_attachment(connection: Connection, row: Sequence[Any]) -> Attachment:
    """Return the attachment of a row of ATTACHMENT_COLUMNS. Of one whose key is destroyed the name
    and the hash are empty."""
    attachment_id, request_id, field, stored, content_type, size, where = row
    text = unseal(connection, file_name(attachment_id, request_id), stored)
    if text == stored:
        return Attachment(field, stored, content_type, size, where, where)
    filename, sha256 = ("", "") if text is None else json.loads(text)
    return Attachment(field, filename, content_type, size, sha256, where)
