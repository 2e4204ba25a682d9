"""The connection of communes to the portal, and the portal's requests that were passed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, exists, func, or_, select, update

from gateway.core.ids import is_insee
from gateway.core.request import EventKind
from gateway.core.sighting import Sighting
from gateway.store.dialect import add_all, upsert
from gateway.store.tables import CONNECTED, EVENT, PASSED_OVER, REQUEST

#: A passed-over request is shown for so long after it was last seen.
KEPT = timedelta(days=30)
#: The code of a request that is filled in for another commune now.
OTHER_COMMUNE = "other_commune"
#: It came another way since.
_HERE = ~PASSED_OVER.c.later & exists().where(
    REQUEST.c.portal == PASSED_OVER.c.portal,
    REQUEST.c.teleservice == PASSED_OVER.c.teleservice,
    REQUEST.c.ref == PASSED_OVER.c.ref,
)


@dataclass(frozen=True, slots=True)
class PassedOverRequest:
    """A request of the portal that could not be taken. `code` says why, as our answers do. `later`:
    the request is here; a later event of it could not be taken."""

    portal: str
    teleservice: str
    ref: str
    code: str
    commune: str | None
    first_at: datetime
    at: datetime
    times: int
    later: bool


@dataclass(frozen=True, slots=True)
class PassedOverCount:
    """The number of passed-over requests of one kind, and since when.

    `later` as in `PassedOverRequest`.
    """

    portal: str
    teleservice: str
    commune: str | None
    code: str
    later: bool
    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A request that is here, with its later events as they were seen. `vouched`: the portal itself
    confirmed its commune."""

    id: str
    commune: str
    erased: bool
    vouched: bool
    events: Mapping[EventKind, Sequence[Sighting]]


def record_routes(
    connection: Connection, places: Iterable[tuple[str, str, str]], now: datetime
) -> None:
    """Note that these (portal, commune, teleservice) have a route; the first time counts. A first
    time ahead of `now` is corrected: a clock was set, and it would keep every request out."""
    ahead = CONNECTED.c.since > now
    connection.execute(update(CONNECTED).where(ahead).values(since=now))
    rows = [
        {"portal": portal, "commune": commune, "teleservice": teleservice, "since": now}
        for portal, commune, teleservice in places
    ]
    add_all(connection, CONNECTED, rows)


def routed_since(connection: Connection, portal: str, teleservice: str) -> dict[str, datetime]:
    """Return since when each commune has had a route for this teleservice."""
    rows = connection.execute(
        select(CONNECTED.c.commune, CONNECTED.c.since).where(
            CONNECTED.c.portal == portal, CONNECTED.c.teleservice == teleservice
        )
    )
    return {row.commune: row.since for row in rows}


def known_requests(
    connection: Connection, portal: str, teleservice: str, refs: Sequence[str]
) -> dict[str, KnownRequest]:
    """Return the requests that are here, by formdata id."""
    rows = connection.execute(
        select(*(REQUEST.c[n] for n in ("ref", "id", "commune", "erased_at", "vouched"))).where(
            REQUEST.c.portal == portal,
            REQUEST.c.teleservice == teleservice,
            REQUEST.c.ref.in_(refs),
        )
    ).all()
    events: dict[str, dict[EventKind, list[Sighting]]] = {}
    told = connection.execute(
        select(
            EVENT.c.request_id,
            EVENT.c.kind,
            EVENT.c.digest,
            EVENT.c.received_at,
            EVENT.c.entry_at,
            EVENT.c.told_key,
            EVENT.c.key,
            EVENT.c.id,
        )
        .where(
            EVENT.c.request_id.in_([row.id for row in rows]),
            EVENT.c.origin == "portal",
            EVENT.c.kind != EventKind.CREATION.value,
        )
        .order_by(EVENT.c.received_at)
    )
    for request_id, kind, *rest in told:
        of_request = events.setdefault(request_id, {})
        of_request.setdefault(EventKind(kind), []).append(Sighting(*rest))
    return {
        row.ref: KnownRequest(
            row.id,
            row.commune,
            row.erased_at is not None,
            row.vouched,
            events.get(row.id, {}),
        )
        for row in rows
    }


def place_events(connection: Connection, instants: Mapping[str, datetime]) -> None:
    """Note when events (by id) entered the formdata's history."""
    for event_id, at in instants.items():
        connection.execute(update(EVENT).where(EVENT.c.id == event_id).values(entry_at=at))


def pass_over(
    connection: Connection,
    portal: str,
    teleservice: str,
    ref: str,
    code: str,
    commune: str | None,
    now: datetime,
    later: bool = False,
) -> None:
    """Note a request that could not be taken, and why. A commune that is no INSEE code is not
    stored: it may be anything."""
    commune = commune if commune is not None and is_insee(commune) else None
    key = {"portal": portal, "teleservice": teleservice, "ref": ref}
    seen = {"code": code, "commune": commune, "at": now, "later": later}
    again = {**seen, "times": PASSED_OVER.c.times + 1}
    upsert(connection, PASSED_OVER, *key, changed=again, first_at=now, times=1, **key, **seen)


def passed_over(
    connection: Connection,
    portal: str | None = None,
    teleservice: str | None = None,
    limit: int = 500,
) -> list[PassedOverRequest]:
    """List requests passed over, those looked at longest ago first."""
    statement = (
        select(*(PASSED_OVER.c[name] for name in PassedOverRequest.__slots__))
        .where(~_HERE)
        .order_by(PASSED_OVER.c.at, PASSED_OVER.c.ref)
        .limit(limit)
    )
    if portal is not None:
        statement = statement.where(PASSED_OVER.c.portal == portal)
    if teleservice is not None:
        statement = statement.where(PASSED_OVER.c.teleservice == teleservice)
    return [PassedOverRequest(*row) for row in connection.execute(statement)]


def to_look_at(
    connection: Connection, portal: str, teleservice: str, communes: Sequence[str], limit: int
) -> list[PassedOverRequest]:
    """List passed-over requests that may be taken now, those looked at longest ago first.

    Each is for one of these communes or for an unknown one, has a number that an address can name,
    and was not moved to another commune. Others do not count against `limit`.
    """
    statement = (
        select(*(PASSED_OVER.c[name] for name in PassedOverRequest.__slots__))
        .where(~_HERE, PASSED_OVER.c.portal == portal, PASSED_OVER.c.teleservice == teleservice)
        .where(or_(PASSED_OVER.c.commune.is_(None), PASSED_OVER.c.commune.in_(communes)))
        .where(PASSED_OVER.c.ref.not_like("%,%"))
        .where(or_(~PASSED_OVER.c.later, PASSED_OVER.c.code != OTHER_COMMUNE))
        .order_by(PASSED_OVER.c.at, PASSED_OVER.c.ref)
        .limit(limit)
    )
    return [PassedOverRequest(*row) for row in connection.execute(statement)]


def passed_counts(connection: Connection) -> list[PassedOverCount]:
    """Count passed-over requests by teleservice, commune and reason."""
    by = [PASSED_OVER.c[name] for name in ("portal", "teleservice", "commune", "code", "later")]
    rows = connection.execute(
        select(*by, func.count().label("n"), func.min(PASSED_OVER.c.first_at).label("since"))
        .where(~_HERE)
        .group_by(*by)
        .order_by(*by)
    )
    return [
        PassedOverCount(
            row.portal, row.teleservice, row.commune, row.code, row.later, row.n, row.since
        )
        for row in rows
    ]


def remove(connection: Connection, portal: str, teleservice: str, refs: Sequence[str]) -> None:
    """Drop these: they are here, or cannot be taken any more."""
    connection.execute(
        delete(PASSED_OVER).where(
            and_(
                PASSED_OVER.c.portal == portal,
                PASSED_OVER.c.teleservice == teleservice,
                PASSED_OVER.c.ref.in_(refs),
            )
        )
    )


def forget(connection: Connection, now: datetime) -> int:
    """Drop what is here by now, and what was not seen for long; return how many."""
    old = PASSED_OVER.c.at < now - KEPT
    return connection.execute(delete(PASSED_OVER).where(old | _HERE)).rowcount
