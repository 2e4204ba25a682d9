"""Claims as others see them: those under way, and those taken from a dead owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.store import statements
from gateway.store.dialect import moment
from gateway.store.notices import notify

#: The owner of every claim that a commune made.
MAILBOX = "mailbox"
_SQL = statements.load("leases")
_UNDER_WAY, _REAP, _GIVE_BACK = _SQL["under_way"], _SQL["reap"], _SQL["give_back"]
_DROP_ERASED = _SQL["drop_erased"]


@dataclass(frozen=True, slots=True)
class ActiveClaim:
    """A claim as others see it."""

    id: str
    lane: str
    fence: int


def under_way(connection: Connection) -> list[ActiveClaim]:
    """List all that any process is sending now."""
    return [
        ActiveClaim(id_, lane, fence)
        for id_, lane, fence, _ in _UNDER_WAY.rows(connection, but=MAILBOX)
    ]


def reap(connection: Connection, silent: Mapping[str, int], now: datetime) -> list[str]:
    """Take claims (delivery and fence) from owners that let the lease run out. They may have been
    sent, so they become unsure. Return their lanes."""
    return _reap(connection, {id_: (fence, now) for id_, fence in silent.items()}, now)


def reap_all(connection: Connection, now: datetime, busy: Callable[[str], float]) -> list[str]:
    """Take every claim. For a process that is alone and starts. Return their lanes.

    `busy` gives the seconds for which a lane's far end may work on a call. The dead process may
    have made its call just before, so none is asked about earlier than that from now; but no later
    than the end of its lease.
    """
    claims = {}
    for id_, lane, fence, lease_until in _UNDER_WAY.rows(connection, but=MAILBOX):
        idle = now + timedelta(seconds=busy(lane))
        claims[id_] = (fence, max(now, min(moment(lease_until) or idle, idle)))
    return _reap(connection, claims, now)


def _reap(
    connection: Connection, claims: Mapping[str, tuple[int, datetime]], now: datetime
) -> list[str]:
    hit = set()
    for delivery_id, (fence, ask_at) in sorted(claims.items()):
        given = {"id": delivery_id, "fence": fence, "ask_at": ask_at, "now": now}
        lane = _REAP.run(connection, **given).scalar()
        if lane is not None:
            hit.add(lane)
            drop_erased(connection, delivery_id, now)
    if hit:
        notify(connection, *sorted(hit))
    return sorted(hit)


def give_back(connection: Connection, delivery_id: str, fence: int, now: datetime) -> bool:
    """Give a claim back untried, to its former state. Return False when it is not ours."""
    ours = _GIVE_BACK.run(connection, id=delivery_id, fence=fence, now=now).rowcount == 1
    if ours:
        drop_erased(connection, delivery_id, now)
    return ours


def drop_erased(connection: Connection, delivery_id: str, now: datetime) -> None:
    """Drop what was under way when its person was erased, unless it went through."""
    _DROP_ERASED.run(connection, id=delivery_id, now=now)
