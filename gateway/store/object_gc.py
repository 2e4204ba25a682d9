"""Delete objects that the database does not count on from the object store, whatever crashes.

A place is written down here before anything is put there. Keeping the file strikes it out in the
same transaction (`mark_used`). What is not struck out in time is deleted from the object store, and
so is what an erasure leaves to nobody. The object store itself is never searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from gateway.core.errors import Unavailable
from gateway.store.erasure_tables import ERASURE
from gateway.store.tables import BLOB, PENDING_OBJECT

#: So long a place is reserved, and an upload may be under way, before it is taken for lost.
UNDER_WAY: Final = timedelta(hours=1)


def reserve(connection: Connection, places: Sequence[str], now: datetime) -> None:
    """Write down places where something is about to be put. It must be kept within `UNDER_WAY`."""
    until = now + UNDER_WAY
    connection.execute(
        insert(PENDING_OBJECT), [{"place": place, "until": until} for place in places]
    )


def mark_used(connection: Connection, place: str) -> None:
    """Count on the object at a place from now on. Raises Unavailable when that came too late."""
    taken = delete(PENDING_OBJECT).where(
        PENDING_OBJECT.c.place == place, PENDING_OBJECT.c.until.is_not(None)
    )
    if connection.execute(taken.returning(PENDING_OBJECT.c.place)).first() is None:
        raise Unavailable("the file was too long on its way to the object store")


def condemn(connection: Connection, places: Sequence[str]) -> None:
    """Have the objects at these places go at once, but for those that are used."""
    connection.execute(
        update(PENDING_OBJECT).where(PENDING_OBJECT.c.place.in_(places)).values(until=None)
    )


def condemn_erased(connection: Connection, places: Sequence[str], erasure: str | None) -> None:
    """Have objects go that have just become nobody's; before that the erasure is not done."""
    if places:
        rows = [{"place": place, "until": None, "erasure_id": erasure} for place in places]
        connection.execute(insert(PENDING_OBJECT), rows)


def adopt_orphans(connection: Connection, until: datetime) -> None:
    """Wait for what is reserved now until `until` at most: whoever reserved it is dead."""
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
    """Forget these places: nothing is there any more."""
    connection.execute(delete(PENDING_OBJECT).where(PENDING_OBJECT.c.place.in_(places)))


def unfinished(connection: Connection, erasures: Sequence[str]) -> frozenset[str]:
    """Return those of these erasures that may still have objects to be deleted.

    Those in its own name; and what nobody has taken may be of the same person, if it was reserved
    before the erasure was opened.
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
    """Tell whether the database needs an object store for what it holds already."""
    for statement in (
        select(BLOB.c.n).where(BLOB.c.place.is_not(None)).limit(1),
        select(PENDING_OBJECT.c.place).limit(1),
    ):
        if connection.execute(statement).first() is not None:
            return True
    return False
