"""The data of a commune that leaves: deleted, some requests at once, counted, and looked for.

Each function is one transaction and may be run again. What stays: requests of erased people, which
are empty and prove their erasure, and the trail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from gateway.core.lane_name import GruLane, portal_far_end
from gateway.core.sealing import NotOpened, Place
from gateway.store import blobs, departing, linked, sealed
from gateway.store.decommission_tables import DECOMMISSION
from gateway.store.departing import BatchResult
from gateway.store.dialect import among
from gateway.store.linked_tables import ACCOUNT_LINK
from gateway.store.reading import lock_requests
from gateway.store.release_tables import APPLIED_FILE
from gateway.store.tables import (
    ATTACHMENT,
    ATTEMPT,
    CONNECTED,
    CURSOR,
    DELIVERY,
    EVENT,
    HEARD,
    LANE,
    NONCE,
    PASSED_OVER,
    PENDING_OBJECT,
    REQUEST,
    TICK,
    UNTOLD,
)

_FILES_AT_ONCE = 200
_KEPT = departing.proves_erasure()
#: Requests of which markers are looked for: as many of the first as of the last.
_SAMPLE = 8
#: Characters that a marker has at least: a shorter one may stand elsewhere by chance.
_LEAST = 12


def markers(connection: Connection, commune: str) -> list[str]:
    """Return texts that stand for some of the commune's requests and nowhere else: their addresses
    at the portal and at the GRU, their ids there, and those of their files."""
    columns = (REQUEST.c.uuid, REQUEST.c.api_url, REQUEST.c.gru_link, REQUEST.c.id)
    mine = (REQUEST.c.commune == commune, ~_KEPT)
    ids: set[str] = set()
    found: set[str] = set()
    for order in (REQUEST.c.received_at, REQUEST.c.received_at.desc()):
        rows = connection.execute(select(*columns).where(*mine).order_by(order).limit(_SAMPLE))
        for *texts, request_id in rows.all():
            ids.add(request_id)
            found.update(one for one in texts if one and len(one) >= _LEAST)
    files = select(ATTACHMENT.c.address).where(ATTACHMENT.c.request_id.in_(sorted(ids)))
    found.update(connection.execute(files.limit(_SAMPLE)).scalars())
    return sorted(found)


def store_markers(connection: Connection, name: str, commune: str) -> None:
    """Put the markers aside, so that no search finds this copy."""
    text = "\n".join(markers(connection, commune)).encode().hex()[::-1]
    key_id = sealed.new_key(connection)
    told = sealed.seal(connection, key_id, _place(name), text)
    mine = DECOMMISSION.c.id == name
    connection.execute(update(DECOMMISSION).where(mine).values(markers=told))


def read_markers(connection: Connection, name: str) -> list[str]:
    """Return the markers that were put aside; none once their key is destroyed, or where they were
    damaged: no search for them is possible then, and none is counted."""
    stored = select(DECOMMISSION.c.markers).where(DECOMMISSION.c.id == name)
    try:
        text = sealed.unseal(connection, _place(name), connection.execute(stored).scalar())
    except NotOpened:
        return []
    return [] if text is None else bytes.fromhex(text[::-1]).decode().splitlines()


def shared_markers(connection: Connection, commune: str, texts: list[str]) -> set[str]:
    """Return those of these texts that stand for requests of other communes as well: a formdata may
    have moved from one to the other."""
    columns = (REQUEST.c.uuid, REQUEST.c.api_url, REQUEST.c.gru_link)
    found: set[str] = set()
    for column in columns:
        mine = (REQUEST.c.commune != commune, among(connection, column, texts))
        found.update(connection.execute(select(column).where(*mine)).scalars())
    return found


def forget_markers(connection: Connection, name: str) -> None:
    """Drop the markers, and their key."""
    mine = DECOMMISSION.c.id == name
    text = connection.execute(select(DECOMMISSION.c.markers).where(mine)).scalar()
    sealed.condemn_keys_of(connection, [text])
    connection.execute(update(DECOMMISSION).where(mine).values(markers=None))


def _place(name: str) -> Place:
    return Place("decommission", "markers", name, "")


def delete_requests(
    connection: Connection, commune: str, name: str, after: str, limit: int
) -> BatchResult | None:
    """Delete some of a commune's requests, from after an id on, with all that hangs on them; None
    when none is left. `name`: in its name objects are deleted."""
    ids = departing.some_requests(
        connection,
        limit,
        REQUEST.c.commune == commune,
        REQUEST.c.id > after,
        ~_KEPT,
    )
    if not ids:
        return None
    lock_requests(connection, ids)
    # Once this is committed, no copy of what follows can be read, wherever it lies.
    sealed.condemn(connection, ids)

    def theirs(table: Any) -> ColumnElement[bool]:
        return among(connection, table.c.request_id, ids)

    addresses = sorted(
        set(
            connection.execute(
                delete(ATTACHMENT).where(theirs(ATTACHMENT)).returning(ATTACHMENT.c.address)
            ).scalars()
        )
    )
    for start in range(0, len(addresses), _FILES_AT_ONCE):
        blobs.drop_orphans(connection, addresses[start : start + _FILES_AT_ONCE], name)
    mine = select(DELIVERY.c.id).where(theirs(DELIVERY))
    connection.execute(delete(ATTEMPT).where(ATTEMPT.c.delivery_id.in_(mine)))
    for table in (DELIVERY, HEARD, UNTOLD, EVENT):
        connection.execute(delete(table).where(theirs(table)))
    connection.execute(delete(REQUEST).where(among(connection, REQUEST.c.id, ids)))
    return BatchResult(ids[-1], {"requests": len(ids), "files": len(addresses)})


def delete_rest(connection: Connection, commune: str, codes: Sequence[str] = ()) -> dict[str, int]:
    """Delete what a commune has beside its requests: links, calls about unknown numbers, what was
    passed over for one of its `codes`, what its lanes and timers remember."""
    early = connection.execute(
        delete(UNTOLD).where(UNTOLD.c.commune == commune).returning(UNTOLD.c.body)
    ).scalars()
    sealed.condemn_keys_of(connection, early.all())
    links = linked.drop_commune(connection, commune)
    for table in (CONNECTED, APPLIED_FILE):
        connection.execute(delete(table).where(table.c.commune == commune))
    connection.execute(delete(PASSED_OVER).where(PASSED_OVER.c.commune.in_([commune, *codes])))
    for column in (LANE.c.name, CURSOR.c.name, TICK.c.job):
        connection.execute(delete(column.table).where(_names(column, commune)))
    own = or_(
        NONCE.c.key.startswith(f"commune:{commune}:", autoescape=True),
        NONCE.c.key.startswith(f"link request {commune} ", autoescape=True),
        NONCE.c.key.startswith(f"link call {commune} ", autoescape=True),
    )
    connection.execute(delete(NONCE).where(own))
    return {"links": links}


def rows_left(connection: Connection, commune: str, codes: Sequence[str] = ()) -> dict[str, int]:
    """Count the rows about a commune by table, but for those that prove erasures."""
    mine = (REQUEST.c.commune == commune, ~_KEPT)
    counted = {"request": select(func.count()).where(*mine)}
    for table in (EVENT, ATTACHMENT, DELIVERY, HEARD):
        counted[table.name] = departing.of_commune(table, commune, ~_KEPT)
    counted["attempt"] = (
        select(func.count())
        .select_from(ATTEMPT)
        .join(DELIVERY, DELIVERY.c.id == ATTEMPT.c.delivery_id)
        .join(REQUEST, REQUEST.c.id == DELIVERY.c.request_id)
        .where(*mine)
    )
    every = select(func.count())
    for table in (UNTOLD, CONNECTED, PASSED_OVER, ACCOUNT_LINK, APPLIED_FILE):
        meant = [commune, *codes] if table is PASSED_OVER else [commune]
        counted[table.name] = every.select_from(table).where(table.c.commune.in_(meant))
    for column in (LANE.c.name, CURSOR.c.name):
        named = _names(column, commune)
        counted[column.table.name] = every.select_from(column.table).where(named)
    return {name: departing.number(connection, one) for name, one in counted.items()}


def kept(connection: Connection, commune: str) -> int:
    """Count the empty requests that stay, since they prove an erasure."""
    return departing.number(
        connection,
        select(func.count()).where(REQUEST.c.commune == commune, _KEPT),
    )


def objects_left(connection: Connection, name: str) -> int:
    """Count the objects that are to be deleted in this name, and are not yet."""
    mine = PENDING_OBJECT.c.erasure_id == name
    return departing.number(
        connection, select(func.count()).select_from(PENDING_OBJECT).where(mine)
    )


def _names(column: Any, commune: str) -> ColumnElement[bool]:
    """Does a name of a lane, cursor or timer hold that of one of the commune's lanes, to whichever
    portal?"""
    return or_(
        column.contains(str(GruLane(commune, "")), autoescape=True),
        and_(
            column.contains(portal_far_end(""), autoescape=True),
            column.endswith(f":{commune}", autoescape=True),
        ),
        column.in_((f"release:{commune}", f"release:{commune}:former")),
    )
