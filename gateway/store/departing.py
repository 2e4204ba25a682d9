"""The open work of a commune that leaves: counted, then settled, some requests at once.

Each function is one transaction and may be run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    update,
)

from gateway.core.decommission import DecommissionStep, Farewell, Handover, farewell
from gateway.core.delivery import FINAL, Kind, State
from gateway.core.erasure import Phase
from gateway.core.lane_name import GruLane, PortalLane, parse_lane
from gateway.core.status import FINAL as ENDED
from gateway.core.status import Status
from gateway.store import releases, scrub
from gateway.store.erasure_tables import ERASURE, TARGET
from gateway.store.linked_tables import ACCOUNT_LINK
from gateway.store.outbox import lanes
from gateway.store.outbox.enqueuing import promote
from gateway.store.outbox.rows import NewReport
from gateway.store.outbox.settling import owe_report
from gateway.store.reading import lock_requests
from gateway.store.release_tables import APPLIED_FILE
from gateway.store.tables import (
    ATTACHMENT,
    DELIVERY,
    EVENT,
    REQUEST,
    UNTOLD,
)

#: The key of the last report to the portal.
LAST = "decommissioned"
_PARIS = ZoneInfo("Europe/Paris")
_SETTLED = [state.value for state in FINAL]
_PERSON = [State.QUESTION.value, State.PARKED.value, State.DEAD.value]


@dataclass(frozen=True, slots=True)
class OpenWork:
    """The numbers of what a commune leaves open. `waiting` deliveries to its GRU go by themselves,
    `person` ones wait for a person; `reports` are owed to the portal, `erasures` to people. `held`
    erasures wait for two people."""

    requests: int = 0
    open: int = 0
    waiting: int = 0
    person: int = 0
    reports: int = 0
    erasures: int = 0
    held: int = 0
    untold: int = 0
    files: int = 0
    links: int = 0

    @property
    def under_way(self) -> int:
        """The number of deliveries that may still go without a person."""
        return self.waiting + self.reports


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one batch: the last request's id, and numbers by word."""

    last: str
    numbers: Mapping[str, int]


def count_owed(connection: Connection, commune: str) -> OpenWork:
    """Count what a commune leaves open."""
    mine = REQUEST.c.commune == commune
    open_ = (mine, REQUEST.c.status.not_in([one.value for one in ENDED]))
    deliveries = connection.execute(
        select(DELIVERY.c.kind, DELIVERY.c.state, func.count())
        .join(REQUEST, REQUEST.c.id == DELIVERY.c.request_id)
        .where(mine, DELIVERY.c.state.not_in(_SETTLED))
        .group_by(DELIVERY.c.kind, DELIVERY.c.state)
    ).all()
    numbers = dict.fromkeys(("waiting", "person", "reports", "erasures"), 0)
    for kind, state, many in deliveries:
        if kind == Kind.ERASE.value:
            numbers["erasures"] += many
        elif state in _PERSON:
            numbers["person"] += many
        else:
            numbers["reports" if kind == Kind.REPORT.value else "waiting"] += many
    return OpenWork(
        requests=number(connection, select(func.count()).where(mine, ~proves_erasure())),
        open=number(connection, select(func.count()).where(*open_, REQUEST.c.erased_at.is_(None))),
        **numbers,
        held=number(
            connection,
            select(func.count(ERASURE.c.id.distinct()))
            .select_from(ERASURE)
            .join(REQUEST, REQUEST.c.account == ERASURE.c.account)
            .where(mine, ERASURE.c.state == Phase.HELD.value),
        ),
        untold=number(connection, select(func.count()).where(UNTOLD.c.commune == commune)),
        files=number(connection, of_commune(ATTACHMENT, commune)),
        links=number(connection, select(func.count()).where(ACCOUNT_LINK.c.commune == commune)),
    )


def unfinished_erasures(connection: Connection, commune: str) -> int:
    """Count the erasures of people with requests here that are being stopped or scrubbed."""
    theirs = select(TARGET.c.erasure_id).where(TARGET.c.commune == commune)
    by_account = select(REQUEST.c.account).where(REQUEST.c.commune == commune)
    return number(
        connection,
        select(func.count())
        .select_from(ERASURE)
        .where(
            ERASURE.c.state.in_([Phase.OPEN.value, Phase.SCRUBBED.value]),
            or_(ERASURE.c.id.in_(theirs), ERASURE.c.account.in_(by_account)),
        ),
    )


# --- settling ---------------------------------------------------------------------------------


def settle(
    connection: Connection,
    commune: str,
    name: str,
    new_id: Callable[[], str],
    now: datetime,
    after: str,
    limit: int,
) -> BatchResult | None:
    """Drop what did not go of some requests, from after an id on, and owe the portal the last word
    about the open ones.

    Return None when nothing is left to be done. Requests of which a call is under way are left to
    a later turn.
    """
    ids = some_requests(
        connection,
        limit,
        REQUEST.c.commune == commune,
        REQUEST.c.id > after,
        _unsettled(),
        ~_sending(),
    )
    if not ids:
        return None
    lock_requests(connection, ids)
    day = now.astimezone(_PARIS).strftime("%d/%m/%Y")
    numbers = {"dropped": 0, "to_tell": 0, "erasures_owed": 0}
    for request_id in ids:
        row = connection.execute(
            select(
                REQUEST.c.status, REQUEST.c.gru_reference, REQUEST.c.erased_at, REQUEST.c.portal
            ).where(REQUEST.c.id == request_id)
        ).one()
        # That of the request: the commune may have moved to another portal since.
        lane = str(PortalLane(row.portal, commune))
        handover = _handover(connection, request_id)
        dropped, erasures, amended = _drop_deliveries(connection, request_id, lane, now)
        numbers["dropped"] += dropped
        numbers["erasures_owed"] += erasures
        if row.erased_at is not None or Status(row.status) in ENDED:
            continue
        last = farewell(name, day, handover, row.gru_reference, dropped=amended)
        numbers["to_tell"] += _owe(connection, request_id, lane, last, new_id, now)
    return BatchResult(ids[-1], numbers)


def unsettled(connection: Connection, commune: str) -> int:
    """Count the requests of which something is still to be dropped or said."""
    mine = REQUEST.c.commune == commune
    return number(connection, select(func.count()).where(mine, _unsettled()))


def portals_of(connection: Connection, commune: str) -> list[str]:
    """List the portals that a commune's requests came from."""
    found = select(REQUEST.c.portal).where(REQUEST.c.commune == commune).distinct()
    return sorted(connection.execute(found).scalars())


def under_way(connection: Connection, commune: str) -> int:
    """Count the requests of which a call to the GRU is under way, or that the commune holds."""
    mine = REQUEST.c.commune == commune
    return number(connection, select(func.count()).where(mine, _sending()))


def waits_for(connection: Connection, step: DecommissionStep, commune: str) -> dict[str, int]:
    """Count what holds a step up, by word; nothing in those that wait for no delivery."""
    if step is DecommissionStep.DRAINING:
        work = count_owed(connection, commune)
        names = ("waiting", "person", "reports", "erasures")
        return {"under_way": under_way(connection, commune)} | {n: getattr(work, n) for n in names}
    if step is DecommissionStep.TELLING:
        return {
            "under_way": under_way(connection, commune),
            "reports": untold_reports(connection, commune),
            "people": unfinished_erasures(connection, commune),
        }
    return {}


def untold_reports(connection: Connection, commune: str) -> int:
    """Count the deliveries that are not over: only reports to the portal, once all is settled."""
    return number(connection, of_commune(DELIVERY, commune, DELIVERY.c.state.not_in(_SETTLED)))


def drop_reports(connection: Connection, commune: str, now: datetime) -> int:
    """Drop the reports that the portal did not take; return how many."""
    mine = select(REQUEST.c.id).where(REQUEST.c.commune == commune)
    return connection.execute(
        _dropping(now).where(
            DELIVERY.c.request_id.in_(mine),
            DELIVERY.c.state.not_in([*_SETTLED, State.SENDING.value]),
        )
    ).rowcount


def count_told(connection: Connection, commune: str) -> dict[str, int]:
    """Count the last reports by what came of them: `told` or `untold`."""
    rows = connection.execute(
        select(DELIVERY.c.state, func.count())
        .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
        .join(REQUEST, REQUEST.c.id == EVENT.c.request_id)
        .where(REQUEST.c.commune == commune, EVENT.c.origin == "gateway", EVENT.c.key == LAST)
        .group_by(DELIVERY.c.state)
    ).all()
    found = {"told": 0, "untold": 0}
    for state, many in rows:
        found["told" if state == State.DONE.value else "untold"] += many
    return found


def pause_grus(connection: Connection, commune: str) -> None:
    """Have no lane to the commune's GRUs send any more."""
    every = connection.execute(
        select(DELIVERY.c.lane)
        .join(REQUEST, REQUEST.c.id == DELIVERY.c.request_id)
        .where(REQUEST.c.commune == commune, DELIVERY.c.state.not_in(_SETTLED))
        .distinct()
    ).scalars()
    for lane in every.all():
        if isinstance(parse_lane(lane), GruLane):
            lanes.pause(connection, lane, True)


def withdraw_release(connection: Connection, commune: str, now: datetime) -> None:
    """Have no release run for a commune any more, and forget its file as it was applied."""
    if commune in releases.ledger(connection).active:
        releases.withdraw(connection, [commune], now)
    connection.execute(delete(APPLIED_FILE).where(APPLIED_FILE.c.commune == commune))


def _unsettled() -> ColumnElement[bool]:
    """Is anything to be dropped of a request, or to be said of it?"""
    last = exists().where(
        EVENT.c.request_id == REQUEST.c.id, EVENT.c.origin == "gateway", EVENT.c.key == LAST
    )
    unsaid = and_(
        REQUEST.c.status.not_in([one.value for one in ENDED]), REQUEST.c.erased_at.is_(None), ~last
    )
    return or_(unsaid, exists().where(DELIVERY.c.request_id == REQUEST.c.id, _droppable()))


def _droppable() -> ColumnElement[bool]:
    """Everything to the GRU, and what blocks a report to the portal."""
    to_portal = DELIVERY.c.kind == Kind.REPORT.value
    stuck = and_(to_portal, DELIVERY.c.state.in_(_PERSON), ~_is_last())
    rest = and_(~to_portal, DELIVERY.c.state.not_in([*_SETTLED, State.SENDING.value]))
    return or_(stuck, rest)


def _is_last() -> ColumnElement[bool]:
    return exists().where(
        EVENT.c.id == DELIVERY.c.event_id, EVENT.c.origin == "gateway", EVENT.c.key == LAST
    )


def _sending() -> ColumnElement[bool]:
    """Is a call to the GRU under way?"""
    return exists().where(
        DELIVERY.c.request_id == REQUEST.c.id,
        DELIVERY.c.state == State.SENDING.value,
        DELIVERY.c.kind != Kind.REPORT.value,
    )


def _drop_deliveries(
    connection: Connection, request_id: str, lane: str, now: datetime
) -> tuple[int, int, bool]:
    """Drop deliveries; return how many, how many of them were erasures, and was it something that
    the citizen added?"""
    rows = connection.execute(
        _dropping(now)
        .where(DELIVERY.c.request_id == request_id, _droppable())
        .returning(DELIVERY.c.kind)
    ).all()
    kinds = [row.kind for row in rows]
    promote(connection, [(request_id, lane)])
    return len(kinds), kinds.count(Kind.ERASE.value), Kind.AMEND.value in kinds


def _dropping(now: datetime) -> Any:
    return update(DELIVERY).values(
        state=State.DISCARDED.value,
        head=false(),
        reason="decommissioned",
        detail="",
        settled_at=now,
    )


def _handover(connection: Connection, request_id: str) -> Handover:
    done = connection.execute(
        select(DELIVERY.c.id).where(
            DELIVERY.c.request_id == request_id,
            DELIVERY.c.kind == Kind.SUBMIT.value,
            DELIVERY.c.state == State.DONE.value,
        )
    ).first()
    if done is not None:
        return Handover.ALL
    perhaps = scrub.reached(connection, request_id) is not None
    return Handover.PERHAPS if perhaps else Handover.NOTHING


def _owe(
    connection: Connection,
    request_id: str,
    lane: str,
    last: Farewell,
    new_id: Callable[[], str],
    now: datetime,
) -> bool:
    status = None if last.status is None else last.status.value
    if last.status is not None:
        connection.execute(
            update(REQUEST)
            .where(REQUEST.c.id == request_id)
            .values(status=status, status_at=now, ask_at=None)
        )
    report = NewReport(
        event_id=new_id(),
        delivery_id=new_id(),
        request_id=request_id,
        lane=lane,
        origin="gateway",
        key=LAST,
        at=now,
        body={"status": status, "message": last.message},
        status=last.status,
    )
    return owe_report(connection, report, now)


def proves_erasure() -> ColumnElement[bool]:
    """Does a request prove an erasure?"""
    return exists().where(TARGET.c.request_id == REQUEST.c.id)


def some_requests(connection: Connection, limit: int, *which: ColumnElement[bool]) -> list[str]:
    """Return the ids of some requests, in order."""
    found = select(REQUEST.c.id).where(*which).order_by(REQUEST.c.id).limit(limit)
    return list(connection.execute(found).scalars())


def of_commune(table: Any, commune: str, *more: ColumnElement[bool]) -> Any:
    """Return the statement that counts the rows of a table that hang on a commune's requests."""
    return (
        select(func.count())
        .select_from(table)
        .join(REQUEST, REQUEST.c.id == table.c.request_id)
        .where(REQUEST.c.commune == commune, *more)
    )


def number(connection: Connection, counted: Any) -> int:
    """Return what a statement counts."""
    found: int = connection.execute(counted).scalar_one()
    return found
