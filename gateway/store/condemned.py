"""Keys that a transaction gave up, until they are destroyed.

Keys lie in a place of their own, so a transaction cannot destroy one: it might fail afterwards, and
what it was to delete would still be here, and unreadable. It condemns the key, and once it is
committed, `destroy` carries that out; who dies in between leaves it to the next process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, select

from gateway.store.dialect import add_all, among
from gateway.store.tables import CONDEMNED_KEY

if TYPE_CHECKING:
    from gateway.store.engine import Store
    from gateway.store.sealer import Sealer

#: Keys destroyed at once.
_AT_ONCE: Final = 500


def condemn(connection: Connection, key_ids: Sequence[str]) -> None:
    """Have these keys destroyed once this transaction is committed."""
    add_all(connection, CONDEMNED_KEY, [{"id": one} for one in sorted(set(key_ids))])


async def destroy(store: Store) -> int:
    """Destroy the keys that committed transactions gave up; return how many. Nothing that they
    sealed can be read again, in no copy. Raises Unavailable; they wait for the next call then."""
    done, sealer = 0, store.sealer
    if sealer is None:
        return done
    while gone := await store.read(_destroy_some, sealer):
        await store.write(_forget, gone)
        done += len(gone)
    return done


def _destroy_some(connection: Connection, sealer: Sealer) -> list[str]:
    some = select(CONDEMNED_KEY.c.id).order_by(CONDEMNED_KEY.c.id).limit(_AT_ONCE)
    found = list(connection.execute(some).scalars())
    if found:
        sealer.destroy(found)
    return found


def _forget(connection: Connection, key_ids: Sequence[str]) -> None:
    connection.execute(delete(CONDEMNED_KEY).where(among(connection, CONDEMNED_KEY.c.id, key_ids)))
