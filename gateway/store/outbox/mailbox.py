"""The claims of communes that fetch: told from ours by their owner, and ended by their lease."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.store import statements
from gateway.store.dialect import moment
from gateway.store.notices import notify
from gateway.store.outbox import claiming, leases
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.leases import MAILBOX

_SQL = statements.load("mailbox")


@dataclass(frozen=True, slots=True)
class MailboxDelivery:
    """A delivery that a commune tells a result of. `claimed`: it is the commune's to tell, and
    was fetched `at`.

    `done`: it is over, and the commune's number of it is `number`. Neither: somebody else has it,
    or it is none of the lane.
    """

    claimed: Claimed | None = None
    at: datetime | None = None
    done: bool = False
    number: str | None = None


def lock_claim(
    connection: Connection, lane: str, delivery_id: str, fence: int, until: datetime
) -> MailboxDelivery:
    """Hold a delivery to write a result down: the claim of this fence, be it still good or ended
    with nobody else after it."""
    row = next(iter(_SQL["stands"].rows(connection, id=delivery_id, lane=lane)), None)
    if row is None:
        return MailboxDelivery()
    state, known, owner, number, *_ = row
    if state == "done":
        return MailboxDelivery(done=True, number=number)
    held = state == "sending" and known == fence and owner == MAILBOX
    if not held:
        again = {"id": delivery_id, "lane": lane, "fence": fence}
        if _SQL["retake"].run(connection, **again, owner=MAILBOX, until=until).rowcount != 1:
            return MailboxDelivery()
    return MailboxDelivery(claiming.read_claimed(connection, [delivery_id])[0], moment(row[5]))


def extend_claim(
    connection: Connection,
    lane: str,
    delivery_id: str,
    fence: int,
    until: datetime,
    longest: timedelta,
    now: datetime,
) -> datetime | None:
    """Let the claim of this fence, be it still good or ended with nobody else after it, last until
    then, and no longer than `longest` since it was made; return its end. It is never made shorter.
    None where it is not the commune's any more, is to be forgotten, or would end at once."""
    row = next(iter(_SQL["stands"].rows(connection, id=delivery_id, lane=lane)), None)
    if row is None:
        return None
    state, known, owner, _, lease_until, claimed_at, erased_at = row
    at = moment(claimed_at)
    if at is None or erased_at is not None:
        return None
    end = min(until, at + longest)
    end = max(end, moment(lease_until) or end)
    held = state == "sending" and known == fence and owner == MAILBOX
    if not held and end <= now:
        return None
    act = _SQL["extend" if held else "retake"]
    again = {"id": delivery_id, "lane": lane, "fence": fence, "owner": MAILBOX, "until": end}
    return end if act.run(connection, **again).rowcount == 1 else None


def ended_claims(connection: Connection, now: datetime) -> list[tuple[str, int]]:
    """List the claims of communes whose lease has ended, by delivery and fence."""
    return [(row[0], row[1]) for row in _SQL["ended"].rows(connection, owner=MAILBOX, now=now)]


def end_claims(connection: Connection, claims: list[tuple[str, int]], now: datetime) -> list[str]:
    """Give these claims back, to be fetched again; return their lanes. They are told as attempts
    without an answer."""
    hit = set()
    for delivery_id, fence in sorted(claims):
        lane = _SQL["end"].run(connection, id=delivery_id, fence=fence, now=now).scalar()
        if lane is not None:
            hit.add(lane)
            _SQL["attempted"].run(connection, id=delivery_id, now=now)
            leases.drop_erased(connection, delivery_id, now)
    if hit:
        notify(connection, *sorted(hit))
    return sorted(hit)


def unfetched(connection: Connection, lane: str, now: datetime) -> tuple[int, datetime | None]:
    """Count what may be fetched of a lane, and tell since when the oldest of it waits."""
    count, oldest = next(iter(_SQL["unfetched"].rows(connection, lane=lane, now=now)))
    return count, moment(oldest)
