"""The wrapped keys of requests, apart from the database: a copy of the one does not open the other.

A key is here, durable, before the database refers to it. A key that nothing refers to does no harm.
Once destroyed, it is in none of our files; what it sealed cannot be read again, wherever a copy of
that lies.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    func,
    inspect,
    select,
    text,
    update,
)

from gateway.core.errors import Unavailable
from gateway.store.dialect import among, is_postgresql
from gateway.store.driver_errors import errors_named
from gateway.store.opening import open_database_engine
from gateway.store.texts import say

#: Begins the id of a period's key, which a remote master wraps, and which wraps keys of requests.
PERIOD: Final = "period:"
#: No part of the database's schema: it may lie elsewhere.
_METADATA: Final = MetaData()
TABLE: Final = Table(
    "sealing_key",
    _METADATA,
    Column("id", Text, primary_key=True),
    Column("master", Text, nullable=False, index=True),
    Column("wrapped", LargeBinary, nullable=False),
)
_OF_REQUESTS: Final = ~TABLE.c.id.startswith(PERIOD)
_ADD: Final = {
    name: f"INSERT INTO {TABLE.name} (id, master, wrapped) VALUES ({marks})"  # noqa: S608 - ours
    " ON CONFLICT DO NOTHING"
    for name, marks in (("sqlite", "?, ?, ?"), ("postgresql", "%s, %s, %s"))
}
#: The PostgreSQL advisory lock of the table's making ("TDG" and a two).
_LOCK: Final = 0x54444702
#: Else ANALYZE keeps some keys among PostgreSQL's statistics, where no destruction finds them.
_WITHOUT_STATISTICS: Final = f"ALTER TABLE {TABLE.name} ALTER COLUMN wrapped SET STATISTICS 0"
#: A dump reads the table for as long as it takes: it is waited for by trying again.
_PATIENCE: Final = "200ms"


class WrappedKey(NamedTuple):
    """A key by its id, wrapped by the master key of that id."""

    id: str
    master: str
    wrapped: bytes


class KeyStore(Protocol):
    """Holds wrapped keys. Its methods may be called from any thread, and raise Unavailable."""

    @property
    def exists(self) -> bool:
        """Was anything ever stored here?"""
        ...

    def read(self, ids: Sequence[str]) -> list[WrappedKey]:
        """Return those of these keys that are here."""
        ...

    def add(self, keys: Sequence[WrappedKey], period: str = "") -> None:
        """Store keys, but for those that are here. When this returns they are durable. `period`:
        the key of a period that wraps them, and which must be here."""
        ...

    def destroy(self, ids: Sequence[str]) -> None:
        """Destroy keys. When this returns, nobody finds them here again."""
        ...

    def clean(self) -> None:
        """Remove from the files what is left of destroyed keys."""
        ...

    def count_by_master(self) -> dict[str, int]:
        """Count the keys by the id of their master key, without those of periods."""
        ...

    def not_under(self, master: str, after: str, limit: int) -> list[WrappedKey]:
        """Return the next keys, by id, that another master key wraps, without those of periods."""
        ...

    def rewrap(
        self, old: Sequence[WrappedKey], new: Sequence[WrappedKey], period: str = ""
    ) -> None:
        """Replace wrapped keys, all or none. One that is not as in `old` any more stays. `period`
        as in `add`."""
        ...

    def periods(self) -> list[WrappedKey]:
        """Return the keys of periods, the oldest first."""
        ...

    def drop_period(self, period: str, master: str) -> bool:
        """Destroy the key of a period unless it wraps keys, which name it `master`. Was it
        destroyed?"""
        ...

    def close(self) -> None: ...


class DatabaseKeys:
    """A KeyStore in a SQLite file or in PostgreSQL. Opened at the first call."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = Lock()
        self._engines: dict[bool, Engine] = {}
        self._there = False

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for PostgreSQL."""
        return Path(self.url.removeprefix("sqlite:///")) if self.url.startswith("sqlite") else None

    @property
    def exists(self) -> bool:
        if not self._there and (self.path is None or self.path.exists()):
            with errors_named(), self._engine(reader=True).connect() as connection:
                self._there = inspect(connection).has_table(TABLE.name)
        return self._there

    def read(self, ids: Sequence[str]) -> list[WrappedKey]:
        if not ids or not self.exists:
            return []
        with errors_named(), self._engine(reader=True).connect() as connection:
            found = select(TABLE).where(among(connection, TABLE.c.id, list(ids)))
            return [WrappedKey(*row) for row in connection.execute(found)]

    def add(self, keys: Sequence[WrappedKey], period: str = "") -> None:
        there = self.exists
        with errors_named(), self._engine().begin() as connection:
            if not there:
                _make(connection)
            _require(connection, period)
            # As the driver takes them: through SQLAlchemy each key takes twice the time.
            connection.exec_driver_sql(_ADD[connection.dialect.name], list(map(tuple, keys)))

    def destroy(self, ids: Sequence[str]) -> None:
        if not ids or not self.exists:
            return
        with errors_named(), self._engine().begin() as connection:
            connection.execute(delete(TABLE).where(among(connection, TABLE.c.id, list(ids))))

    def clean(self) -> None:
        if not self.exists:
            return
        if self.path is None:
            self._rewrite()
            return
        with errors_named(), contextlib.closing(self._engine().raw_connection()) as connection:
            driver: Any = connection.driver_connection
            # The file is small: it is written anew as a whole, and its log emptied.
            driver.execute("VACUUM")
            busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise Unavailable(say("keys_busy"))

    def _rewrite(self) -> None:
        """Have PostgreSQL write the table anew: its autovacuum would leave the bytes of dead rows
        where they lie, for months where few keys are destroyed."""
        outside = self._engine().connect().execution_options(isolation_level="AUTOCOMMIT")
        with errors_named(), outside as connection:
            # Whoever waits for this lock has all others wait behind it.
            connection.exec_driver_sql(f"SET lock_timeout = '{_PATIENCE}'")
            try:
                # A table of before may have some: they go with the type, which stays the same.
                connection.exec_driver_sql(_WITHOUT_STATISTICS)
                connection.exec_driver_sql(
                    f"ALTER TABLE {TABLE.name} ALTER COLUMN wrapped TYPE bytea"
                )
                connection.exec_driver_sql(f"VACUUM (FULL) {TABLE.name}")
            finally:
                connection.detach()  # with its own timeout it is of no use to others

    def count_by_master(self) -> dict[str, int]:
        if not self.exists:
            return {}
        with errors_named(), self._engine(reader=True).connect() as connection:
            counted = select(TABLE.c.master, func.count()).where(_OF_REQUESTS)
            counted = counted.group_by(TABLE.c.master)
            return {row[0]: row[1] for row in connection.execute(counted)}

    def not_under(self, master: str, after: str, limit: int) -> list[WrappedKey]:
        if not self.exists:
            return []
        with errors_named(), self._engine(reader=True).connect() as connection:
            other = select(TABLE).where(TABLE.c.master != master, TABLE.c.id > after, _OF_REQUESTS)
            found = connection.execute(other.order_by(TABLE.c.id).limit(limit))
            return [WrappedKey(*row) for row in found]

    def periods(self) -> list[WrappedKey]:
        if not self.exists:
            return []
        with errors_named(), self._engine(reader=True).connect() as connection:
            found = connection.execute(select(TABLE).where(~_OF_REQUESTS))
            return sorted(WrappedKey(*row) for row in found)

    def drop_period(self, period: str, master: str) -> bool:
        with errors_named(), self._engine().begin() as connection:
            # Who adds keys under it holds its row, and is waited for here.
            connection.execute(select(TABLE.c.id).where(TABLE.c.id == period).with_for_update())
            used = select(TABLE.c.id).where(TABLE.c.master == master, _OF_REQUESTS).limit(1)
            if connection.execute(used).first() is not None:
                return False
            return connection.execute(delete(TABLE).where(TABLE.c.id == period)).rowcount == 1

    def rewrap(
        self, old: Sequence[WrappedKey], new: Sequence[WrappedKey], period: str = ""
    ) -> None:
        with errors_named(), self._engine().begin() as connection:
            _require(connection, period)
            for before, after in zip(old, new, strict=True):
                same = (TABLE.c.id == before.id) & (TABLE.c.wrapped == before.wrapped)
                connection.execute(
                    update(TABLE).where(same).values(master=after.master, wrapped=after.wrapped)
                )

    def close(self) -> None:
        with self._lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()

    def _engine(self, *, reader: bool = False) -> Engine:
        reader = reader and self.path is not None
        with self._lock:
            if reader not in self._engines:
                self._engines[reader] = open_database_engine(self.url, reader=reader)
            return self._engines[reader]


def _require(connection: Connection, period: str) -> None:
    """Hold the key of a period in place until the transaction ends. Raises Unavailable when it is
    gone: what it wraps could not be opened again."""
    if not period:
        return
    row = select(TABLE.c.id).where(TABLE.c.id == period).with_for_update(read=True)
    if connection.execute(row).first() is None:
        raise Unavailable(say("period_gone"))


def _make(connection: Connection) -> None:
    if is_postgresql(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    _METADATA.create_all(connection)
    if is_postgresql(connection):
        connection.execute(text(_WITHOUT_STATISTICS))
