"""Marks of what was erased, and the second erasure of what a restored database still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select

from gateway.core.erasure import Phase
from gateway.store import accounts, erasures, trail
from gateway.store.dialect import add_all
from gateway.store.erasure_tables import ERASURE, TOMBSTONE
from gateway.store.tables import REQUEST

#: The source of an erasure that was carried out once, before the database was put back.
SOURCE = "ledger"
#: Requests read at once.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class UnerasedRequest:
    """A request that is not erased, by the names that its mark is made of. `account` is None where
    its key is destroyed; `hashed` is the account as the tables name it."""

    id: str
    account: str | None
    portal: str
    teleservice: str
    ref: str
    hashed: str | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """The part of a ledger that the database lacks: `marks` with their times, and, of what the
    database holds, the accounts and single requests (by id) that they are about."""

    marks: Mapping[str, datetime]
    accounts: Mapping[str, str]
    requests: Mapping[str, str]


def marks(connection: Connection) -> dict[str, datetime]:
    """Return the marks of all that is erased. Those of erasures that may still be withdrawn are
    left out."""
    unsure = select(ERASURE.c.mark).where(ERASURE.c.state == Phase.OPEN.value)
    rows = connection.execute(
        select(TOMBSTONE.c.mark, TOMBSTONE.c.made_at).where(TOMBSTONE.c.mark.not_in(unsure))
    )
    return {row.mark: row.made_at for row in rows}


def held_requests(connection: Connection) -> Iterator[UnerasedRequest]:
    """Yield the requests that are not erased. Raises Unavailable."""
    columns = ("id", "account", "sealed_account", "portal", "teleservice", "ref")
    rows = connection.execute(
        select(*(REQUEST.c[name] for name in columns)).where(REQUEST.c.erased_at.is_(None))
    )
    for part in rows.partitions(_AT_ONCE):
        named = accounts.opened(connection, [row for row in part if row.account is not None])
        for row in part:
            yield UnerasedRequest(
                row.id, named.get(row.id), row.portal, row.teleservice, row.ref, row.account
            )


def remember(
    connection: Connection,
    found: Remembered,
    run: str,
    deadline: timedelta,
    new_id: Callable[[], str],
    now: datetime,
) -> int:
    """Store the marks, and open the erasure of what they are about; return how many opened.

    Two people have agreed to it, or nobody had to, when it was erased first: nobody is asked again.
    """
    if not found.marks:
        return 0
    add_all(
        connection,
        TOMBSTONE,
        [{"mark": mark, "made_at": at} for mark, at in sorted(found.marks.items())],
    )
    waiting = erasures.waiting(connection)
    opened = 0
    singles = {name: (mark, name) for name, mark in found.requests.items()}
    people = {name: (mark, None) for name, mark in found.accounts.items()}
    for named, (mark, request_id) in sorted((people | singles).items()):
        account = named if request_id else accounts.hashed(connection, named)
        erasure_id, state = waiting.get(account, ("", ""))
        if state == Phase.OPEN.value:
            continue
        if not erasure_id:
            erasure_id = new_id()
            connection.execute(
                insert(ERASURE).values(
                    id=erasure_id,
                    run=run,
                    account=account,
                    sealed_account=(
                        None
                        if request_id
                        else accounts.seal_for_erasure(connection, erasure_id, named)
                    ),
                    request_id=request_id,
                    mark=mark,
                    source=SOURCE,
                    state=Phase.HELD.value,
                    found_at=now,
                    reason="",
                    requests=0,
                    files=0,
                    told="",
                )
            )
        erasures.open_erasure(connection, erasure_id, deadline, now)
        opened += 1
    data = {"run": run, "source": SOURCE, "marks": len(found.marks), "opened": opened}
    trail.append(connection, erasures.STREAM, "remembered", data, now)
    return opened
