"""The availability ledger: for each service and commune, runs of minutes of one verdict.

A minute is written once. It becomes up where another replica, or a later look within it, saw it
served; nothing else is ever changed. What was announced is taken off when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, text, update

from gateway.core.availability import MinuteVerdict, Stretch
from gateway.store.availability_tables import AVAILABILITY
from gateway.store.dialect import is_postgresql

#: The PostgreSQL advisory lock of a record ("TDG" and a nine).
_LOCK = 0x54444709
#: Minutes for which the ledger is kept: three years. It is looked at once a day.
KEPT, _DAY = 3 * 366 * 1440, 1440


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """A service, or a commune of it, that is judged."""

    service: str
    commune: str = ""


_KEY = and_(
    AVAILABILITY.c.service == bindparam("key_service"),
    AVAILABILITY.c.commune == bindparam("key_commune"),
    AVAILABILITY.c.start == bindparam("key_start"),
)
_ENDS = update(AVAILABILITY).where(_KEY).values(ended=bindparam("to_ended"))
_MENDS = update(AVAILABILITY).where(_KEY).values(verdict=MinuteVerdict.UP.value)


def record(connection: Connection, minute: int, verdicts: Mapping[Scope, MinuteVerdict]) -> None:
    """Write down a minute: how each scope was. What was written for it as down becomes up."""
    if is_postgresql(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    known = {
        Scope(row.service, row.commune): row
        for row in connection.execute(
            select(AVAILABILITY)
            .where(AVAILABILITY.c.ended >= minute)
            .order_by(AVAILABILITY.c.ended)
        )
    }
    begun: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    mended: list[dict[str, Any]] = []
    for scope, verdict in verdicts.items():
        last = known.get(scope)
        fresh = {"service": scope.service, "commune": scope.commune, "start": minute}
        fresh |= {"ended": minute + 1, "verdict": verdict.value}
        if last is None:
            begun.append(fresh)
        elif last.ended == minute and last.verdict == verdict:
            ends.append({**_key(last), "to_ended": minute + 1})
        elif last.ended == minute:
            begun.append(fresh)
        elif last.ended == minute + 1 and verdict is MinuteVerdict.UP and last.verdict != verdict:
            if last.start == minute:
                mended.append(_key(last))
            else:
                ends.append({**_key(last), "to_ended": minute})
                begun.append(fresh)
    for statement, rows in ((_ENDS, ends), (_MENDS, mended), (insert(AVAILABILITY), begun)):
        if rows:
            connection.execute(statement, rows)
    if minute % _DAY == 0:
        connection.execute(delete(AVAILABILITY).where(AVAILABILITY.c.ended < minute - KEPT))


def served(connection: Connection, minute: int, services: frozenset[str]) -> bool:
    """Are these services recorded as up in this minute?"""
    found = connection.execute(
        select(AVAILABILITY.c.service).where(
            AVAILABILITY.c.ended > minute,
            AVAILABILITY.c.start <= minute,
            AVAILABILITY.c.commune == "",
            AVAILABILITY.c.verdict == MinuteVerdict.UP.value,
        )
    )
    return services <= set(found.scalars())


def stretches(connection: Connection, since: int, until: int) -> dict[Scope, list[Stretch]]:
    """Return what was recorded of a time, and what came last before it."""
    wanted = and_(AVAILABILITY.c.start < until, AVAILABILITY.c.ended > since)
    found: dict[Scope, list[Stretch]] = {}
    for row in connection.execute(select(AVAILABILITY).where(wanted)):
        one = Stretch(row.start, row.ended, MinuteVerdict(row.verdict))
        found.setdefault(Scope(row.service, row.commune), []).append(one)
    for scope, last in _last_before(connection, since).items():
        found.setdefault(scope, []).insert(0, last)
    return found


def _last_before(connection: Connection, since: int) -> dict[Scope, Stretch]:
    """Return each scope's last run that ended by then: a time without a record may begin there."""
    wanted = AVAILABILITY.c.ended <= since
    scope = (AVAILABILITY.c.service, AVAILABILITY.c.commune)
    last = select(*scope, func.max(AVAILABILITY.c.start), func.max(AVAILABILITY.c.ended))
    # What the verdict was plays no part.
    return {
        Scope(service, name): Stretch(start, ended, MinuteVerdict.UP)
        for service, name, start, ended in connection.execute(last.where(wanted).group_by(*scope))
    }


def _key(row: Any) -> dict[str, Any]:
    return {"key_service": row.service, "key_commune": row.commune, "key_start": row.start}
