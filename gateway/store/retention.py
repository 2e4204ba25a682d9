"""Deletes the content of requests that are over, and old attempts.

A request's row stays, with its reference, status, times and account, and so do the digests and
instants of its events: a late push or entry of the history is recognised, and an account's
deletion still reaches the commune. What is still owed stays whole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    update,
)

from gateway.core.delivery import FINAL
from gateway.core.retention import ENDED, Cutoffs
from gateway.store import accounts, blobs, sealed
from gateway.store.conditions import PURGEABLE
from gateway.store.dialect import add_all, among
from gateway.store.erasure_tables import ERASURE
from gateway.store.reading import lock_requests
from gateway.store.tables import ATTACHMENT, ATTEMPT, DELIVERY, EVENT, HEARD, REQUEST, UNTOLD

#: Before a file's address, among what was heard of its request: the citizen's, gone since.
OWN_FILE = "own:"
_SETTLED = [state.value for state in FINAL]
_FILES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Purgeable:
    """A request whose content may be due, by the delays of its teleservice."""

    id: str
    portal: str
    commune: str
    teleservice: str
    gru: str
    status: str
    status_at: datetime


@dataclass(frozen=True, slots=True)
class Purged:
    """The numbers of what was deleted."""

    requests: int = 0
    events: int = 0
    files: int = 0

    def __add__(self, other: Purged) -> Purged:
        return Purged(
            self.requests + other.requests, self.events + other.events, self.files + other.files
        )


@dataclass(frozen=True, slots=True)
class HeldContent:
    """The contents of one kind (`events` or `files`) of one route: how many there are, how many of
    these are due, how many of the due ones are still owed, and the oldest status of their
    requests, which are over (`ended`) or not."""

    kind: str
    portal: str
    commune: str
    teleservice: str
    gru: str
    ended: bool
    count: int
    due: int
    owed: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class OldAttempt:
    """An attempt by its number; `over`: its delivery is settled for good."""

    id: int
    started_at: datetime
    over: bool


_PURGEABLE = tuple(REQUEST.c[name] for name in Purgeable.__slots__)
_OVER = REQUEST.c.status.in_(sorted(ENDED))
#: Something of it is still to be done.
_OWED = or_(
    exists().where(DELIVERY.c.request_id == REQUEST.c.id, DELIVERY.c.state.not_in(_SETTLED)),
    exists().where(UNTOLD.c.request_id == REQUEST.c.id),
    exists().where(ERASURE.c.account == REQUEST.c.account),
)
#: By another name, as a statement may count events too.
_LATER = EVENT.alias("later")
_MOMENT = REQUEST.c.status_at.type


def due(
    connection: Connection,
    latest: Cutoffs,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Purgeable]:
    """List requests that nothing is owed of, the longest silent first, from `after` on. `latest`
    are the latest cutoffs of all teleservices; each has its own."""
    statement = select(*_PURGEABLE).where(PURGEABLE, _old(latest), ~_OWED)
    if after is not None:
        at, last = after
        later = and_(REQUEST.c.status_at == at, REQUEST.c.id > last)
        statement = statement.where(or_(REQUEST.c.status_at > at, later))
    rows = connection.execute(statement.order_by(REQUEST.c.status_at, REQUEST.c.id).limit(limit))
    return [Purgeable(*row) for row in rows]


def purge(
    connection: Connection, chosen: Sequence[tuple[Purgeable, datetime]], now: datetime
) -> Purged:
    """Delete the content of these requests, each with its cutoff, but of those that have changed
    since they were found or that something is owed of."""
    aimed = {one.id: (one.status, cutoff) for one, cutoff in chosen}
    lock_requests(connection, aimed)
    # By their ids: of the conditions alone SQLite would walk through all that is here.
    rows = connection.execute(
        select(REQUEST.c.id, REQUEST.c.status, REQUEST.c.status_at, func.max(_LATER.c.received_at))
        .join(_LATER, _LATER.c.request_id == REQUEST.c.id)
        .where(REQUEST.c.id.in_([*aimed]), PURGEABLE, ~_OWED)
        .group_by(REQUEST.c.id, REQUEST.c.status, REQUEST.c.status_at)
    ).all()
    ids = []
    for request_id, status, status_at, last_at in rows:
        found_as, cutoff = aimed[request_id]
        if status == found_as and max(status_at, last_at) < cutoff:
            ids.append(request_id)
    if not ids:
        return Purged()
    known = accounts.of_requests(connection, ids)
    sealed.condemn(connection, ids)
    accounts.seal_again(connection, known)
    files = _drop_files(connection, ids)
    events = connection.execute(
        update(EVENT)
        .where(EVENT.c.request_id.in_(ids), EVENT.c.body.is_not(None))
        .values(body=None)
    ).rowcount
    deliveries = select(DELIVERY.c.id).where(DELIVERY.c.request_id.in_(ids))
    connection.execute(
        update(ATTEMPT).where(ATTEMPT.c.delivery_id.in_(deliveries)).values(detail="", answer=None)
    )
    connection.execute(update(DELIVERY).where(DELIVERY.c.request_id.in_(ids)).values(detail=""))
    connection.execute(
        update(REQUEST).where(REQUEST.c.id.in_(ids)).values(purged_at=now, ask_at=None)
    )
    return Purged(len(ids), events, files)


def _drop_files(connection: Connection, ids: Sequence[str]) -> int:
    """Delete the files of these requests; the citizen's are remembered by their addresses: a later
    event brings the whole form again, and a GRU may send one back."""
    rows = connection.execute(
        select(ATTACHMENT.c.request_id, ATTACHMENT.c.address, EVENT.c.origin)
        .join(EVENT, EVENT.c.id == ATTACHMENT.c.event_id)
        .where(ATTACHMENT.c.request_id.in_(ids))
    ).all()
    names = {(row.request_id, OWN_FILE + row.address) for row in rows if row.origin == "portal"}
    add_all(connection, HEARD, [{"request_id": one, "name": name} for one, name in sorted(names)])
    connection.execute(delete(ATTACHMENT).where(ATTACHMENT.c.request_id.in_(ids)))
    addresses = sorted({row.address for row in rows})
    for start in range(0, len(addresses), _FILES_AT_ONCE):
        blobs.drop_orphans(connection, addresses[start : start + _FILES_AT_ONCE])
    return len(rows)


def revive(connection: Connection, request_ids: Collection[str]) -> None:
    """Note that these requests have content again, where it was gone."""
    if not request_ids:
        return
    connection.execute(
        update(REQUEST)
        .where(among(connection, REQUEST.c.id, request_ids), REQUEST.c.purged_at.is_not(None))
        .values(purged_at=None)
    )


def own_files(connection: Connection, request_id: str) -> frozenset[str]:
    """Return the addresses of the citizen's files of a request that are gone by now."""
    names = connection.execute(
        select(HEARD.c.name).where(
            HEARD.c.request_id == request_id, HEARD.c.name.startswith(OWN_FILE, autoescape=True)
        )
    ).scalars()
    return frozenset(name.removeprefix(OWN_FILE) for name in names)


def is_own_file(connection: Connection, request_id: str, sha256: str) -> bool:
    """Is this one of the citizen's files of a request, here or gone by now?"""
    rows = connection.execute(
        select(ATTACHMENT.c.address)
        .join(EVENT, EVENT.c.id == ATTACHMENT.c.event_id)
        .where(ATTACHMENT.c.request_id == request_id, EVENT.c.origin == "portal")
    )
    known = {row.address for row in rows} | own_files(connection, request_id)
    return not known.isdisjoint({sealed.address(connection, request_id, sha256), sha256})


def holdings(connection: Connection, cutoffs: Cutoffs) -> list[HeldContent]:
    """Count the contents that are here, by kind and route, against these cutoffs."""
    found = []
    is_due = _old(cutoffs)
    route = ("portal", "commune", "teleservice", "gru")
    # Each request is judged once, however much content it has.
    judged = (
        select(
            REQUEST.c.id,
            *(REQUEST.c[name] for name in route),
            REQUEST.c.status_at,
            _OVER.label("over"),
            case((is_due, 1), else_=0).label("due"),
            case((and_(is_due, _OWED), 1), else_=0).label("owed"),
        )
        .where(PURGEABLE)
        .cte("judged")
        .prefix_with("MATERIALIZED")
    )
    by = [judged.c[name] for name in (*route, "over")]
    for kind, table, there in (
        ("events", EVENT, EVENT.c.body.is_not(None)),
        ("files", ATTACHMENT, true()),
    ):
        rows = connection.execute(
            select(
                *by,
                func.count(),
                func.sum(judged.c.due),
                func.sum(judged.c.owed),
                func.min(judged.c.status_at),
            )
            .join(table, table.c.request_id == judged.c.id)
            .where(there)
            .group_by(*by)
            .order_by(*by)
        )
        found += [
            HeldContent(
                kind,
                *row[:4],
                ended=bool(row[4]),
                count=row[5],
                due=row[6],
                owed=row[7],
                oldest=row[8],
            )
            for row in rows
        ]
    return found


def attempts(connection: Connection, after: int, limit: int) -> list[OldAttempt]:
    """List attempts in the order in which they were made, after this number."""
    rows = connection.execute(
        select(ATTEMPT.c.id, ATTEMPT.c.started_at, DELIVERY.c.state.in_(_SETTLED))
        .join(DELIVERY, DELIVERY.c.id == ATTEMPT.c.delivery_id)
        .where(ATTEMPT.c.id > after)
        .order_by(ATTEMPT.c.id)
        .limit(limit)
    )
    return [OldAttempt(row[0], row[1], bool(row[2])) for row in rows]


def drop_attempts(connection: Connection, ids: Sequence[int]) -> int:
    """Delete these attempts; return how many."""
    return connection.execute(delete(ATTEMPT).where(ATTEMPT.c.id.in_(ids))).rowcount


def attempts_before(connection: Connection, before: datetime) -> tuple[int, datetime | None]:
    """Count the attempts of settled deliveries that were made before, and date the oldest."""
    count, oldest = connection.execute(
        select(func.count(), func.min(ATTEMPT.c.started_at))
        .join(DELIVERY, DELIVERY.c.id == ATTEMPT.c.delivery_id)
        .where(ATTEMPT.c.started_at < before, DELIVERY.c.state.in_(_SETTLED))
    ).one()
    return count, oldest


def _old(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Did the request reach its status, and come its last event, before the cutoff of its kind?"""
    ended, silent = _silent_since(cutoffs.ended), _silent_since(cutoffs.silent)
    return or_(and_(_OVER, ended), and_(~_OVER, silent))


def _silent_since(cutoff: datetime) -> ColumnElement[bool]:
    before = literal(cutoff, _MOMENT)
    later = exists().where(_LATER.c.request_id == REQUEST.c.id, _LATER.c.received_at >= before)
    return and_(REQUEST.c.status_at < before, ~later)
