"""Reads the trail of several streams together, the last entry first."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from gateway.store.release_tables import TRAIL
from gateway.store.trail import TrailEntry, entry_of


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """The entries to look for. `naming`: texts, one of which is a key or a value of the entry, as
    it stands there; `by`: the beginning of a name; `until` is not within."""

    streams: Collection[str]
    naming: Collection[str] = ()
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None


def last_entries(
    connection: Connection, wanted: TrailFilter, limit: int, skip: int = 0
) -> list[TrailEntry]:
    """Return the entries of a filter, the last one first. `trail.verify` tells whether to believe
    them."""
    query = select(TRAIL).where(TRAIL.c.stream.in_(sorted(wanted.streams)))
    if wanted.naming:
        named = [TRAIL.c.data.contains(_text(one), autoescape=True) for one in wanted.naming]
        query = query.where(or_(*named))
    if wanted.by:
        begun = '"by":' + _text(wanted.by)[:-1]
        query = query.where(TRAIL.c.data.contains(begun, autoescape=True))
    if wanted.since is not None:
        query = query.where(TRAIL.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(TRAIL.c.at < wanted.until)
    order = TRAIL.c.at.desc(), TRAIL.c.stream, TRAIL.c.n.desc()
    rows = connection.execute(query.order_by(*order).limit(limit).offset(skip))
    return [entry_of(row) for row in rows]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
