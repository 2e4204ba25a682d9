"""Deletes objects that no file refers to from the object store, whatever crashes.

A place is reserved here before anything is put there. Storing the file releases it in the same
transaction (`use`). A reservation that expires is deleted from the object store, and so is
what an erasure orphans. The object store itself is never searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from gateway.core.errors import Unavailable
from gateway.store.erasure_tables import ERASURE
from gateway.store.tables import BLOB, PENDING_OBJECT

#: A reservation lasts this long; an upload may be under way until then.
UNDER_WAY: Final = timedelta(hours=1)


def reserve(connection: Connection, places: Sequence[str], now: datetime) -> None:
    """Reserve places before something is put there. It must be stored within `UNDER_WAY`."""
    until = now + UNDER_WAY
    connection.execute(
        insert(PENDING_OBJECT), [{"place": place, "until": until} for place in places]
    )


def use(connection: Connection, place: str) -> None:
    """Refer to the object at a place from now on. Raises Unavailable when that comes too late."""
    taken = delete(PENDING_OBJECT).where(
        PENDING_OBJECT.c.place == place, PENDING_OBJECT.c.until.is_not(None)
    )
    if connection.execute(taken.returning(PENDING_OBJECT.c.place)).first() is None:
        raise Unavailable("the file was too long on its way to the object store")


def condemn(connection: Connection, places: Sequence[str]) -> None:
    """Have the objects at these places deleted at once, unless they are used."""
    connection.execute(
        update(PENDING_OBJECT).where(PENDING_OBJECT.c.place.in_(places)).values(until=None)
    )


def condemn_erased(connection: Connection, places: Sequence[str], erasure: str | None) -> None:
    """Have orphaned objects deleted; until then the erasure is not done."""
    if places:
        rows = [{"place": place, "until": None, "erasure_id": erasure} for place in places]
        connection.execute(insert(PENDING_OBJECT), rows)


def adopt_orphans(connection: Connection, until: datetime) -> None:
    """Shorten present reservations to `until`: the process that made them is dead."""
    connection.execute(
        update(PENDING_OBJECT).where(PENDING_OBJECT.c.until > until).values(until=until)
    )


def due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Return places to empty now. From here on nothing can use them."""
    connection.execute(
        update(PENDING_OBJECT).where(PENDING_OBJECT.c.until <= now).values(until=None)
    )
    lost = (
        select(PENDING_OBJECT.c.place)
        .where(PENDING_OBJECT.c.until.is_(None))
        .order_by(PENDING_OBJECT.c.place)
    )
    return list(connection.execute(lost.limit(limit)).scalars())


def waiting(connection: Connection, now: datetime) -> int:
    """Count the objects that wait to be deleted."""
    lost = or_(PENDING_OBJECT.c.until.is_(None), PENDING_OBJECT.c.until <= now)
    counted = select(func.count()).select_from(PENDING_OBJECT).where(lost)
    return connection.execute(counted).scalar_one()


def emptied(connection: Connection, places: Sequence[str]) -> None:
    """Forget these places: they are empty."""
    connection.execute(delete(PENDING_OBJECT).where(PENDING_OBJECT.c.place.in_(places)))


def unfinished(connection: Connection, erasures: Sequence[str]) -> frozenset[str]:
    """Return those of these erasures that may still have objects to delete.

    Those are objects condemned in its name, and reservations made before it was opened: they may be
    the same person's.
    """
    nobodys = PENDING_OBJECT.c.erasure_id.is_(None)
    lost = select(PENDING_OBJECT.c.place).where(nobodys, PENDING_OBJECT.c.until.is_(None)).limit(1)
    if connection.execute(lost).first() is not None:
        return frozenset(erasures)
    own = (
        select(PENDING_OBJECT.c.erasure_id)
        .where(PENDING_OBJECT.c.erasure_id.in_(erasures))
        .distinct()
    )
    left = set(connection.execute(own).scalars())
    first = connection.execute(select(func.min(PENDING_OBJECT.c.until)).where(nobodys)).scalar()
    if first is not None:
        later = ERASURE.c.id.in_(erasures) & (ERASURE.c.opened_at >= first - UNDER_WAY)
        left.update(connection.execute(select(ERASURE.c.id).where(later)).scalars())
    return frozenset(left)


def any_used(connection: Connection) -> bool:
    """Does a stored file need an object store?"""
    for statement in (
        select(BLOB.c.n).where(BLOB.c.place.is_not(None)).limit(1),
        select(PENDING_OBJECT.c.place).limit(1),
    ):
        if connection.execute(statement).first() is not None:
            return True
    return False
