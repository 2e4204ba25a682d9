"""The values of a whole database: the key of our references, and whether it was put back.

The key must come back with the requests, so it lies here and not in a file: a reference that is
made again after a loss is then the one that the GRU knows.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, case, delete, inspect, literal, select, text, update
from sqlalchemy.exc import DBAPIError

from gateway.core.delivery import Kind, State
from gateway.store.dialect import add, is_postgresql
from gateway.store.tables import DELIVERY, INSTALLATION

log = structlog.get_logger()

#: A call that the database does not know of is over after this: three default timeouts.
CALL = timedelta(seconds=60)
_KEY, _SERVER, _RESTORED_AT, _OLDEST = "reference_key", "server", "put_back_at", "runs_from"
_KEYS, _SEALED, _ALL_SEALED, _WIPED = "keys", "sealed", "all sealed", "all"
_HASHED = "accounts"
ERASURE_KEY = "erasure_key_check"
#: An erasure may be sent twice, so nobody is asked about it.
_ASKED = [Kind.SUBMIT.value, Kind.AMEND.value, Kind.REPORT.value]
#: The server that holds this database, and its timeline: a promoted standby begins another, and so
#: does a recovery to a point in time.
_WHERE = text(
    "SELECT (SELECT system_identifier FROM pg_control_system())"
    " || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
)


def reference_key(connection: Connection) -> bytes:
    """Return the key of our references; drawn at first use."""
    _store(connection, _KEY, secrets.token_hex(32), anew=False)
    return bytes.fromhex(_value(connection, _KEY) or "")


def treat_as_restored(connection: Connection, now: datetime) -> int:
    """Treat this database as older than what was done with it, as a lagging standby's is.

    A waiting delivery may have been sent, or a replica may be sending it, so its far end is asked
    first where it can be, once such a call must be over. Return how many. (After a known loss, with
    no daemon at work: see `backup.doubt`.)
    """
    record_restore(connection, now)
    due = DELIVERY.c.next_at
    over = literal(now + CALL, due.type)
    return connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.state == State.WAITING.value, DELIVERY.c.kind.in_(_ASKED))
        .values(
            state=State.UNSURE.value,
            next_at=case((due < over, over), else_=due),
        )
    ).rowcount


def record_restore(connection: Connection, now: datetime) -> None:
    """Note that the database was put back: the portal is asked about the next changes of GRUs,
    since it may know them."""
    _store(connection, _RESTORED_AT, now.isoformat(), anew=True)


def rewind_restore(connection: Connection, now: datetime) -> None:
    """Correct a time of a restore that is ahead of `now`: a clock was set. The true time is
    unknown, so it becomes `now`."""
    at = restored_at(connection)
    if at is None or at <= now:
        return
    record_restore(connection, now)
    asked = (DELIVERY.c.state == State.UNSURE.value, DELIVERY.c.sent_at.is_(None))
    connection.execute(
        update(DELIVERY).where(*asked, DELIVERY.c.next_at > now + CALL).values(next_at=now + CALL)
    )


def restored_at(connection: Connection) -> datetime | None:
    """Return when the database was last put back; None: never."""
    value = _value(connection, _RESTORED_AT)
    return None if value is None else datetime.fromisoformat(value)


def known_keys(connection: Connection) -> str | None:
    """Return the identity of the keys with which this database is sealed; None: it is not."""
    return _value(connection, _KEYS)


def note_keys(connection: Connection, identity: str) -> None:
    _store(connection, _KEYS, identity, anew=True)


def is_sealed(connection: Connection) -> bool:
    """Is nothing of before the sealing left in clear?"""
    return _value(connection, _SEALED) is not None


def note_sealed(connection: Connection) -> None:
    """Note that all is sealed; what was in clear may still be found in the files."""
    add(connection, INSTALLATION, name=_SEALED, value=_ALL_SEALED)


def is_hashed(connection: Connection) -> bool:
    """Are all accounts keyed hashes?"""
    return _value(connection, _HASHED) is not None


def note_hashed(connection: Connection) -> bool:
    """Note that they are. Return False when another process has noted it; waits for it."""
    return add(connection, INSTALLATION, name=_HASHED, value="all")


def is_wiped(connection: Connection) -> bool:
    """Were the files cleaned since all is sealed?"""
    return _value(connection, _SEALED) == _WIPED


def note_wiped(connection: Connection) -> None:
    _store(connection, _SEALED, _WIPED, anew=True)


def oldest(connection: Connection) -> str | None:
    """Return the oldest revision whose program can use this schema, as its newest program says."""
    return _value(connection, _OLDEST) if inspect(connection).has_table("installation") else None


def note_oldest(connection: Connection, revision: str) -> None:
    if _value(connection, _OLDEST) != revision:
        _store(connection, _OLDEST, revision, anew=True)


def notice_move(connection: Connection) -> None:
    """Compare where the database is with where it was.

    On another PostgreSQL server, or on the same after a recovery, it may lack the last commits, and
    counts as put back.

    A server that does not tell (some managed ones) is left to `db restored`.
    """
    if not is_postgresql(connection):
        return
    try:
        with connection.begin_nested():
            here: str = connection.execute(_WHERE).scalar_one()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return
    before = _value(connection, _SERVER)
    if before == here:
        return
    _store(connection, _SERVER, here, anew=True)
    if before is not None:
        asked = treat_as_restored(connection, datetime.now(UTC))
        log.warning("database.put_back", asked=asked)


def erasure_key(connection: Connection) -> str | None:
    """Return the check value of the key that erased accounts are refused by; None: none noted."""
    return _value(connection, ERASURE_KEY)


def note_erasure_key(connection: Connection, value: str) -> None:
    """Note the check value of that key."""
    _store(connection, ERASURE_KEY, value, anew=True)


def _value(connection: Connection, name: str) -> str | None:
    found: str | None = connection.execute(
        select(INSTALLATION.c.value).where(INSTALLATION.c.name == name)
    ).scalar()
    return found


def _store(connection: Connection, name: str, value: str, *, anew: bool) -> None:
    if anew:
        connection.execute(delete(INSTALLATION).where(INSTALLATION.c.name == name))
    add(connection, INSTALLATION, name=name, value=value)
