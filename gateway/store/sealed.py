"""The one place where the store seals and opens: `connection` leads to the Sealer of its database.

A database without a Sealer keeps everything in clear: a temporary one of invented data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, update

from gateway.core import sealing
from gateway.core.errors import Unavailable
from gateway.core.messages import Message
from gateway.core.request import Attachment
from gateway.core.sealing import NotOpened, Place
from gateway.store import condemned, installation
from gateway.store.dialect import among, micros
from gateway.store.driver_errors import errors_named
from gateway.store.engine import SEALER
from gateway.store.opening import open_database_engine
from gateway.store.sealer import Sealer
from gateway.store.tables import ATTACHMENT, REQUEST
from gateway.store.texts import say

#: The last requests whose keys must be here: keys of before these would be an older copy.
_NEWEST: Final = 16
#: The columns of `read_attachment`.
ATTACHMENT_COLUMNS: Final = tuple(
    ATTACHMENT.c[name]
    for name in ("id", "request_id", "field", "filename", "content_type", "size", "address")
)


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


def load_key_ids(connection: Connection, key_ids: Iterable[str | None]) -> None:
    """As `load_keys`, of keys by their ids."""
    sealer = sealer_of(connection)
    if sealer is not None:
        sealer.load_ids(one for one in key_ids if one is not None)


def condemn(connection: Connection, request_ids: Sequence[str]) -> None:
    """Have the keys of these requests destroyed once this transaction is committed: nothing of them
    can be read again then, in no copy. What comes later gets a new key."""
    if not request_ids:
        return
    mine = among(connection, REQUEST.c.id, request_ids)
    rows = connection.execute(select(REQUEST.c.key_id, REQUEST.c.sealed_account).where(mine)).all()
    keys = [row.key_id for row in rows if row.key_id is not None]
    # An account may have a key of its own.
    keys += _key_ids(row.sealed_account for row in rows)
    if keys:
        condemned.condemn(connection, keys)
        connection.execute(update(REQUEST).where(mine).values(key_id=None, sealed_account=None))


def count_lost(connection: Connection, key_ids: Sequence[str]) -> int:
    """Count those of these keys that are missing, or do not open. Raises Unavailable."""
    sealer = sealer_of(connection)
    return 0 if sealer is None else sealer.count_lost(key_ids)


def condemn_keys_of(connection: Connection, texts: Iterable[str | None]) -> None:
    """As `condemn`, for sealed texts that have keys of their own."""
    condemned.condemn(connection, _key_ids(texts))


def _key_ids(texts: Iterable[str | None]) -> list[str]:
    """Return the ids of the keys of these texts. One that is damaged so far that it names no key is
    left out: it must not keep its row from going."""
    found = []
    for one in texts:
        if one is not None and is_sealed(one):
            with suppress(NotOpened):
                found.append(sealing.key_id_of(one))
    return found


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
