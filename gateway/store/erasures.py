"""Deleted accounts as found: suspects, erasures opened or held."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update

from gateway.core.erasure import (
    Brake,
    Judgement,
    KnownAccounts,
    Phase,
    ProviderRun,
    Suspect,
    VoidRun,
    judge_run,
)
from gateway.store import accounts, cursors, nonces, trail
from gateway.store.conditions import LIVE
from gateway.store.dialect import add, among
from gateway.store.erasure_level import recent_people
from gateway.store.erasure_names import hashed_run, named_judgement
from gateway.store.erasure_tables import ERASURE, SUSPECT, TARGET, TOMBSTONE
from gateway.store.tables import DELIVERY, REQUEST
from gateway.store.tombstones import lock_account

#: The trail of erasures, without identity.
STREAM = "erasure"
#: The cursor of the provider's polls.
CURSOR = "glc"


@dataclass(frozen=True, slots=True)
class Erasure:
    """The state of one person's erasure. The account itself never leaves the store."""

    id: str
    run: str
    source: str
    state: Phase
    reason: str
    found_at: datetime
    opened_at: datetime | None
    due_at: datetime | None
    erased_at: datetime | None
    closed_at: datetime | None
    first_by: str | None
    second_by: str | None
    requests: int
    files: int
    request_id: str | None = None
    because: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One request of an erasure, with the state of the delivery by which its commune erases it, and
    the commune's answer (`ErasureResult`)."""

    request_id: str
    commune: str
    gru: str
    delivery_id: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    answer: str | None
    ground: str | None
    until: datetime | None
    decided_by: str | None
    delivery_state: str | None
    delivery_reason: str | None


@dataclass(frozen=True, slots=True)
class DeletionRun:
    """One complete run of the provider; `marks` has the keyed hash of each deleted account. `note`
    is the reason of a believed run that has no weightier one."""

    id: str
    source: str
    reading: ProviderRun
    accounts: tuple[str, ...]
    marks: Mapping[str, str]
    cursor: str | None
    brake: Brake
    confirm_after: timedelta
    deadline: timedelta
    note: str | None = None
    #: Of `accounts`, those known by their links, with or without a request.
    linked: frozenset[str] = frozenset()
    #: False: the provider told it by itself, which says nothing of its polls; `accounts` is not
    #: asked then, all that are known count.
    polled: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of erasures in each state; `overdue` are past their deadline."""

    held: int
    open: int
    telling: int
    overdue: int
    suspects: int


_TARGET: Sequence[Any] = (
    TARGET.c.request_id,
    TARGET.c.commune,
    TARGET.c.gru,
    TARGET.c.delivery_id,
    TARGET.c.acknowledged_at,
    TARGET.c.acknowledged_by,
    TARGET.c.answer,
    TARGET.c.ground,
    TARGET.c.until,
    TARGET.c.decided_by,
    DELIVERY.c.state,
    DELIVERY.c.reason,
)
COLUMNS = tuple(ERASURE.c[name] for name in Erasure.__slots__)


def known_accounts(connection: Connection) -> list[str]:
    """Return every account that a stored request belongs to. Raises Unavailable."""
    return accounts.known(connection)


def accounts_among(connection: Connection, asked: Collection[str]) -> frozenset[str]:
    """Return those of these accounts that a stored request belongs to."""
    names = {accounts.hashed(connection, account): account for account in asked}
    mine = among(connection, REQUEST.c.account, names)
    rows = connection.execute(select(REQUEST.c.account).where(mine).distinct())
    return frozenset(names[row.account] for row in rows)


def record_run(
    connection: Connection, run: DeletionRun, new_id: Callable[[], str], now: datetime
) -> Judgement | VoidRun:
    """Judge a run and store all that follows from it, the cursor included."""
    run, names = hashed_run(connection, run)
    judged = judge_run(
        run.reading, _before(connection, run, now), run.brake, run.confirm_after, now
    )
    if isinstance(judged, VoidRun):
        record_failed_run(connection, judged.reason, now)
        return judged
    connection.execute(delete(SUSPECT))
    insert_all(
        connection,
        SUSPECT,
        [{name: getattr(one, name) for name in Suspect.__slots__} for one in judged.suspects],
    )
    _withdraw(connection, run, judged, now)
    waits = waiting(connection)
    held = [account for account in sorted(judged.hold) if account not in waits]
    insert_all(
        connection,
        ERASURE,
        [
            _new(connection, run, new_id(), (account, names[account]), judged.reason, now)
            for account in held
        ],
    )
    if held:
        data = {"run": run.id, "source": run.source, "held": len(held), "why": judged.reason}
        trail.append(connection, STREAM, "held", {**data, "known": len(run.accounts)}, now)
    for account in sorted(judged.erase):
        erasure_id, state = waits.get(account, ("", Phase.HELD.value))
        if state != Phase.HELD.value:
            continue
        if not erasure_id:
            erasure_id = new_id()
            both = account, names[account]
            new = _new(connection, run, erasure_id, both, "", now)
            connection.execute(insert(ERASURE).values(new))
        data = {"erasure": erasure_id, "run": run.id, "source": run.source}
        trail.append(connection, STREAM, "found", data, now)
        open_erasure(connection, erasure_id, run.deadline, now)
    if run.polled:
        cursors.move(connection, CURSOR, run.cursor, now, judged.reason or run.note)
    return named_judgement(judged, names)


def record_event(
    connection: Connection,
    nonce: str,
    until: datetime,
    run: DeletionRun | None,
    new_id: Callable[[], str],
    now: datetime,
) -> Judgement | None:
    """Judge and store what an event says (None: nothing of ours), once. Return None for one that
    came before. It is remembered `until` it would be too old to be believed."""
    if not nonces.spend(connection, nonce, until):
        return None
    judged = None if run is None else record_run(connection, run, new_id, now)
    return judged if isinstance(judged, Judgement) else Judgement()


def held_runs(connection: Connection) -> list[str]:
    """Return the runs of which people's erasures wait for two people, earliest first. A later run
    that finds the same accounts holds none of its own."""
    rows = connection.execute(
        select(ERASURE.c.run)
        .where(ERASURE.c.state == Phase.HELD.value, ERASURE.c.request_id.is_(None))
        .group_by(ERASURE.c.run)
        .order_by(func.min(ERASURE.c.id))
    )
    return [row.run for row in rows]


def record_failed_run(connection: Connection, reason: str, now: datetime) -> None:
    """Record a failed run: the cursor stays, with the reason."""
    last = cursors.get(connection, CURSOR)
    cursors.move(connection, CURSOR, None if last is None else last.value, now, reason)


def close_as_withdrawn(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
    """Withdraw these erasures, and forget whose they were; return how many."""
    accounts.forget_in_erasures(connection, which)
    values = {"state": Phase.WITHDRAWN.value, "account": None, "closed_at": now, "mark": ""}
    return connection.execute(update(ERASURE).where(which).values(values)).rowcount


def get(connection: Connection, erasure_id: str) -> Erasure | None:
    row = connection.execute(select(*COLUMNS).where(ERASURE.c.id == erasure_id)).first()
    return None if row is None else erasure(row)


def listing(connection: Connection, *, everything: bool = False, limit: int = 100) -> list[Erasure]:
    """List erasures that are not over, or all of them, the latest first."""
    statement = select(*COLUMNS).order_by(ERASURE.c.found_at.desc(), ERASURE.c.id).limit(limit)
    if not everything:
        statement = statement.where(LIVE)
    return [erasure(row) for row in connection.execute(statement)]


def in_phases(connection: Connection, *phases: Phase) -> list[str]:
    """Return the ids of the erasures in these phases, oldest first."""
    rows = connection.execute(
        select(ERASURE.c.id)
        .where(LIVE, ERASURE.c.state.in_([phase.value for phase in phases]))
        .order_by(ERASURE.c.found_at, ERASURE.c.id)
    )
    return [row.id for row in rows]


def targets(connection: Connection, erasure_id: str) -> list[Target]:
    """Return the requests of an erasure, by commune."""
    rows = connection.execute(
        select(*_TARGET)
        .join(DELIVERY, DELIVERY.c.id == TARGET.c.delivery_id, isouter=True)
        .where(TARGET.c.erasure_id == erasure_id)
        .order_by(TARGET.c.commune, TARGET.c.request_id)
    )
    return [Target(*row) for row in rows]


def target_ids(erasure_id: str) -> Any:
    """Return the query for the ids of an erasure's requests."""
    return select(TARGET.c.request_id).where(TARGET.c.erasure_id == erasure_id).scalar_subquery()


def counts(connection: Connection, now: datetime) -> Counts:
    """Count erasures by state, for health."""
    by_state: dict[str, int] = {}
    statement = select(ERASURE.c.state, func.count()).where(LIVE).group_by(ERASURE.c.state)
    for row in connection.execute(statement):
        by_state[row[0]] = row[1]
    overdue = connection.execute(select(func.count()).where(LIVE, ERASURE.c.due_at < now))
    suspects = connection.execute(select(func.count()).select_from(SUSPECT)).scalar_one()
    return Counts(
        held=by_state.get(Phase.HELD.value, 0),
        open=by_state.get(Phase.OPEN.value, 0) + by_state.get(Phase.SCRUBBED.value, 0),
        telling=by_state.get(Phase.TELLING.value, 0),
        overdue=overdue.scalar_one(),
        suspects=suspects,
    )


def erasure(row: Sequence[Any]) -> Erasure:
    values = dict(zip(Erasure.__slots__, row, strict=True))
    values["state"] = Phase(values["state"])
    return Erasure(**values)


def _before(connection: Connection, run: DeletionRun, now: datetime) -> KnownAccounts:
    suspects = connection.execute(select(*(SUSPECT.c[name] for name in Suspect.__slots__)))
    recent = recent_people(connection, now)
    waits = waiting(connection)
    # People being erased now, or erased during the question, do not concern the run.
    gone = frozenset(run.marks)
    opened = frozenset(
        account for account, (_, state) in waits.items() if state == Phase.OPEN.value
    )
    erased = opened | (gone - run.linked - _still_kept(connection, sorted(gone)))
    return KnownAccounts(
        frozenset(run.accounts) - erased,
        {row.account: Suspect(*row) for row in suspects},
        frozenset(account for account, (_, state) in waits.items() if state == Phase.HELD.value),
        recent,
        opened & frozenset(run.accounts),
    )


def _still_kept(connection: Connection, names: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for part in id_batches(names):
        rows = connection.execute(select(REQUEST.c.account).where(REQUEST.c.account.in_(part)))
        found |= {row.account for row in rows}
    return frozenset(found)


def waiting(connection: Connection) -> dict[str, tuple[str, str]]:
    """Return the erasures that still name their account: id and state by account."""
    rows = connection.execute(
        select(ERASURE.c.account, ERASURE.c.id, ERASURE.c.state).where(
            ERASURE.c.account.is_not(None)
        )
    )
    return {row.account: (row.id, row.state) for row in rows}


def _new(
    connection: Connection,
    run: DeletionRun,
    erasure_id: str,
    names: tuple[str, str],
    reason: str,
    now: datetime,
) -> dict[str, Any]:
    account, itself = names
    return {
        "id": erasure_id,
        "run": run.id,
        "account": account,
        "sealed_account": accounts.seal_for_erasure(connection, erasure_id, itself),
        "mark": run.marks[account],
        "source": run.source,
        "state": Phase.HELD.value,
        "reason": reason,
        "found_at": now,
        "requests": 0,
        "files": 0,
        "told": "",
    }


def open_erasure(
    connection: Connection, erasure_id: str, deadline: timedelta, now: datetime
) -> None:
    """Open an erasure: from here on nothing about this person is accepted."""
    mark = connection.execute(select(ERASURE.c.mark).where(ERASURE.c.id == erasure_id)).scalar_one()
    lock_account(connection, mark, shared=False)
    add(connection, TOMBSTONE, mark=mark, made_at=now)
    connection.execute(
        update(ERASURE)
        .where(ERASURE.c.id == erasure_id)
        .values(state=Phase.OPEN.value, opened_at=now, due_at=now + deadline)
    )


def _withdraw(connection: Connection, run: DeletionRun, judged: Judgement, now: datetime) -> None:
    count = 0
    for cleared in id_batches(sorted(judged.cleared)):
        mine = ERASURE.c.account.in_(cleared) & (ERASURE.c.state == Phase.HELD.value)
        count += close_as_withdrawn(connection, mine, now)
    if count:
        data = {"run": run.id, "source": run.source, "withdrawn": count}
        trail.append(connection, STREAM, "withdrawn", data, now)


def insert_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; none for an empty list."""
    if rows:
        connection.execute(insert(table), rows)


def id_batches(ids: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """Split into parts that fit into a statement."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
