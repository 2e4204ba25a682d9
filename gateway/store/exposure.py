"""Counts the requests whose content lay here within a time, for a notice of a violation.

No personal data is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from gateway.store.reading import OF_CITIZENS
from gateway.store.release_tables import TRAIL
from gateway.store.tables import ATTACHMENT, REQUEST


@dataclass(frozen=True, slots=True)
class ExposedRoute:
    """The requests of one teleservice of a commune that had content here within a time. `accounts`
    are different people with an account; `alone` the requests without one."""

    portal: str
    commune: str
    teleservice: str
    gru: str
    requests: int
    accounts: int
    alone: int
    files: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class TrailSummary:
    """The entries of one kind in a stream of the trail within a time."""

    stream: str
    kind: str
    count: int
    first: datetime
    last: datetime


def routes(
    connection: Connection, since: datetime, until: datetime, commune: str | None
) -> list[ExposedRoute]:
    """Count what lay here from `since` until `until`, by route."""
    by = tuple(REQUEST.c[name] for name in ("portal", "commune", "teleservice", "gru"))
    there = _there(since, until, commune)
    counted = connection.execute(
        select(
            *by,
            func.count(),
            func.count(REQUEST.c.account.distinct()),
            func.count() - func.count(REQUEST.c.account),
            func.min(REQUEST.c.received_at),
            func.max(REQUEST.c.received_at),
        )
        .where(there)
        .group_by(*by)
        .order_by(*by)
    ).all()
    files = {
        tuple(row[:4]): row[4]
        for row in connection.execute(
            select(*by, func.count())
            .join(ATTACHMENT, ATTACHMENT.c.request_id == REQUEST.c.id)
            .where(there)
            .group_by(*by)
        )
    }
    return [
        ExposedRoute(*row[:7], files=files.get(tuple(row[:4]), 0), first=row[7], last=row[8])
        for row in counted
    ]


def people(connection: Connection, since: datetime, until: datetime, commune: str | None) -> int:
    """Count the people: each account once, and each request without one."""
    accounts, requests, named = connection.execute(
        select(
            func.count(REQUEST.c.account.distinct()), func.count(), func.count(REQUEST.c.account)
        ).where(_there(since, until, commune))
    ).one()
    found: int = accounts + requests - named
    return found


def references(
    connection: Connection,
    since: datetime,
    until: datetime,
    commune: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[tuple[str, str, str, datetime]]:
    """List requests (our reference, commune, teleservice, when received), oldest first, after one
    (when received, reference)."""
    columns = tuple(REQUEST.c[name] for name in ("id", "commune", "teleservice", "received_at"))
    statement = select(*columns).where(_there(since, until, commune))
    if after is not None:
        at, last = after
        later = and_(REQUEST.c.received_at == at, REQUEST.c.id > last)
        statement = statement.where(or_(REQUEST.c.received_at > at, later))
    ordered = statement.order_by(REQUEST.c.received_at, REQUEST.c.id).limit(limit)
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(ordered)]


def trail_within(connection: Connection, since: datetime, until: datetime) -> list[TrailSummary]:
    """Count the entries of the trail within a time, by stream and kind."""
    rows = connection.execute(
        select(
            TRAIL.c.stream, TRAIL.c.kind, func.count(), func.min(TRAIL.c.at), func.max(TRAIL.c.at)
        )
        .where(TRAIL.c.at >= since, TRAIL.c.at < until)
        .group_by(TRAIL.c.stream, TRAIL.c.kind)
        .order_by(TRAIL.c.stream, TRAIL.c.kind)
    )
    return [TrailSummary(*row) for row in rows]


def _there(since: datetime, until: datetime, commune: str | None) -> ColumnElement[bool]:
    """Had the request content here at some time from `since` to `until`?"""
    found = and_(
        OF_CITIZENS,
        REQUEST.c.received_at < until,
        or_(REQUEST.c.purged_at.is_(None), REQUEST.c.purged_at >= since),
        or_(REQUEST.c.erased_at.is_(None), REQUEST.c.erased_at >= since),
    )
    return found if commune is None else and_(found, REQUEST.c.commune == commune)
