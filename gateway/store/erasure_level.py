"""Counts who was erased of late without an agreement, for the brake."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.core.erasure import BRAKE_WINDOW
from gateway.store.erasure_tables import ERASURE
from gateway.store.tables import REQUEST


def recent_people(connection: Connection, now: datetime) -> int:
    """Count the people whose erasure was opened within a day, of itself."""
    count: int = connection.execute(
        select(func.count()).where(
            ERASURE.c.opened_at > now - BRAKE_WINDOW,
            ERASURE.c.second_by.is_(None),
            ERASURE.c.request_id.is_(None),
        )
    ).scalar_one()
    return count


def single_requests(connection: Connection, source: str, now: datetime) -> int:
    """Count the single requests whose erasure this source opened within a day, of itself."""
    count: int = connection.execute(
        select(func.count()).where(
            ERASURE.c.source == source,
            ERASURE.c.request_id.is_not(None),
            ERASURE.c.opened_at > now - BRAKE_WINDOW,
            ERASURE.c.second_by.is_(None),
        )
    ).scalar_one()
    return count


def level(connection: Connection, now: datetime) -> tuple[int, int]:
    """Count the people of `recent_people`, and the known accounts."""
    known = select(func.count(REQUEST.c.account.distinct()))
    return recent_people(connection, now), connection.execute(known).scalar_one()
