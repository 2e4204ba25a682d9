"""Accounts in the tables: a keyed hash, by which they are found and compared, and the account
itself beside it, sealed, for who has to name it at GLC.

Whoever is outside of the store gives and gets the account itself. In a database in clear the hash
is the account, and nothing is sealed. An erasure of a single request names the request in place of
an account, in clear.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from gateway.core.account import normal_account
from gateway.core.sealing import NotOpened, Place
from gateway.store import cursors, installation, sealed
from gateway.store.dialect import among
from gateway.store.erasure_tables import ERASURE, SUSPECT
from gateway.store.reading import lock_requests
from gateway.store.tables import REQUEST

#: Holds the last request of before whose account is hashed.
CURSOR: Final = "accounts"
#: Accounts opened at once.
_AT_ONCE: Final = 500
_STORED: Final = (REQUEST.c.id, REQUEST.c.account, REQUEST.c.sealed_account)
#: Another process may have done it while this one waited for its lock.
_HASH: Final = (
    update(REQUEST)
    .where(REQUEST.c.id == bindparam("mine"), REQUEST.c.sealed_account.is_(None))
    .values(account=bindparam("hash"), sealed_account=bindparam("text"))
)


def hashed(connection: Connection, account: str) -> str:
    """Return an account as the tables name it."""
    sealer = sealed.sealer_of(connection)
    return account if sealer is None else sealer.hash("account", account)


def seal(connection: Connection, key_id: str | None, request_id: str, account: str) -> str | None:
    """Return the account of a request, sealed; None where all is in clear."""
    if sealed.sealer_of(connection) is None:
        return None
    return sealed.seal(connection, key_id, _of_request(request_id), account)


def seal_for_erasure(connection: Connection, erasure_id: str, account: str) -> str | None:
    """Return the account of an erasure, sealed with a key of its own; None where all is in
    clear."""
    if sealed.sealer_of(connection) is None:
        return None
    return sealed.seal(connection, sealed.new_key(connection), _of_erasure(erasure_id), account)


def forget_in_erasures(connection: Connection, which: ColumnElement[bool]) -> None:
    """Drop the sealed accounts of these erasures, and their keys."""
    mine = which & ERASURE.c.sealed_account.is_not(None)
    texts = connection.execute(select(ERASURE.c.sealed_account).where(mine)).scalars().all()
    if texts:
        sealed.condemn_keys_of(connection, texts)
        connection.execute(update(ERASURE).where(mine).values(sealed_account=None))


def of_erasure(connection: Connection, erasure_id: str) -> str | None:
    """Return the account of an erasure; None for one of a single request, and once it is scrubbed.
    Raises NotOpened, Unavailable."""
    row = connection.execute(
        select(ERASURE.c.account, ERASURE.c.sealed_account).where(
            ERASURE.c.id == erasure_id, ERASURE.c.request_id.is_(None)
        )
    ).first()
    if row is None or row.sealed_account is None:
        return None if row is None else row.account
    return sealed.unseal(connection, _of_erasure(erasure_id), row.sealed_account)


def of_requests(connection: Connection, request_ids: Collection[str]) -> dict[str, str]:
    """Return the accounts of those of these requests that have one. Raises Unavailable."""
    rows = connection.execute(
        select(*_STORED).where(
            among(connection, REQUEST.c.id, request_ids), REQUEST.c.account.is_not(None)
        )
    )
    return opened(connection, rows.all())


def opened(connection: Connection, rows: Sequence[Any]) -> dict[str, str]:
    """Return the accounts of rows that have an id, an account and a sealed account. One that does
    not open is left out. Raises Unavailable."""
    sealed.load_keys(connection, [row.sealed_account for row in rows])
    in_clear = sealed.sealer_of(connection) is None or not installation.is_hashed(connection)
    found: dict[str, str] = {}
    for row in rows:
        if row.sealed_account is None:
            if in_clear:  # else it is a hash, which names nobody at GLC
                found[row.id] = row.account
            continue
        with suppress(NotOpened):
            text = sealed.unseal(connection, _of_request(row.id), row.sealed_account)
            if text is not None:
                found[row.id] = text
    return found


def known(connection: Connection) -> list[str]:
    """Return every account that a stored request belongs to. Raises Unavailable."""
    # Of each account one request is opened.
    one = select(func.min(REQUEST.c.id)).where(REQUEST.c.account.is_not(None))
    ids = list(connection.execute(one.group_by(REQUEST.c.account)).scalars())
    found: set[str] = set()
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        mine = of_requests(connection, part)
        found.update(mine.values())
        lost = [one for one in part if one not in mine]
        if lost:
            found.update(_by_others(connection, lost))
    return sorted(found)


def _by_others(connection: Connection, request_ids: Sequence[str]) -> Collection[str]:
    """Return the accounts of requests whose own value does not open, by others of the same: one
    that is damaged must not keep its person from being known."""
    names = select(REQUEST.c.account).where(among(connection, REQUEST.c.id, request_ids))
    rows = connection.execute(select(*_STORED).where(REQUEST.c.account.in_(names)))
    return opened(connection, rows.all()).values()


def seal_again(connection: Connection, accounts: Mapping[str, str]) -> None:
    """Store the accounts of requests whose keys were condemned, each with a key of its own: what is
    deleted at GLC is still to be found here."""
    if sealed.sealer_of(connection) is None:
        return
    for request_id, account in accounts.items():
        text = seal(connection, sealed.new_key(connection), request_id, account)
        mine = REQUEST.c.id == request_id
        connection.execute(update(REQUEST).where(mine).values(sealed_account=text))


def hash_some(connection: Connection, limit: int) -> int | None:
    """Hash the accounts of up to `limit` requests of before; return how many. None: all are."""
    if sealed.sealer_of(connection) is None or installation.is_hashed(connection):
        return None
    cursor = cursors.get(connection, CURSOR)
    after = "" if cursor is None else cursor.value or ""
    waiting = (
        select(REQUEST.c.id, REQUEST.c.account)
        .where(
            REQUEST.c.id > after, REQUEST.c.account.is_not(None), REQUEST.c.sealed_account.is_(None)
        )
        .order_by(REQUEST.c.id)
        .limit(limit)
    )
    rows = connection.execute(waiting).all()
    if not rows:
        _hash_erasures(connection)
        cursors.forget(connection, CURSOR)
        return None
    held = lock_requests(connection, [row.id for row in rows])
    sealed.load_key_ids(connection, [one.key_id for one in held.values()])
    values = []
    for row in rows:
        account = normal_account(row.account)
        key_id = held[row.id].key_id or sealed.new_key(connection)
        text = seal(connection, key_id, row.id, account)
        values.append({"mine": row.id, "hash": hashed(connection, account), "text": text})
    connection.execute(_HASH, values)
    cursors.move(connection, CURSOR, rows[-1].id, datetime.now(UTC))
    return len(rows)


def _hash_erasures(connection: Connection) -> None:
    if not installation.note_hashed(connection):
        return  # another process has done it
    for (account,) in connection.execute(select(SUSPECT.c.account)).all():
        name = hashed(connection, normal_account(account))
        connection.execute(update(SUSPECT).where(SUSPECT.c.account == account).values(account=name))
    people = ERASURE.c.account.is_not(None), ERASURE.c.request_id.is_(None)
    for erasure_id, account in connection.execute(
        select(ERASURE.c.id, ERASURE.c.account).where(*people)
    ).all():
        connection.execute(
            update(ERASURE)
            .where(ERASURE.c.id == erasure_id)
            .values(
                account=hashed(connection, normal_account(account)),
                sealed_account=seal_for_erasure(connection, erasure_id, normal_account(account)),
            )
        )


def _of_request(request_id: str) -> Place:
    return Place("request", "account", request_id, request_id)


def _of_erasure(erasure_id: str) -> Place:
    return Place("erasure", "account", erasure_id, "")
