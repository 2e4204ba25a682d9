"""Writing what attempts came to, and what the portal is to be told: for many deliveries at once.

Everything here takes a list and runs each statement once for all of it: over PostgreSQL a statement
is a round trip, and a settlement of its own would make a dozen of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)

from gateway.core.delivery import FINAL, Kind
from gateway.core.status import Status
from gateway.store.conditions import SENDING
from gateway.store.engine import Batch
from gateway.store.notices import notify
from gateway.store.outbox.enqueuing import OWE, PROMOTE, attach, begin
from gateway.store.outbox.leases import drop_erased
from gateway.store.outbox.rows import NewReport, SettlementWrite
from gateway.store.prepared import Prepared, among
from gateway.store.reading import ATTEMPT, DELIVERY, EVENT, REQUEST, as_text

# In the order of their ids, so that two writers who need the same requests take turns.
_HOLD = Prepared(
    lambda dialect: (
        select(REQUEST.c.id, REQUEST.c.status, REQUEST.c.erased_at)
        .where(among(REQUEST.c.id, "ids", dialect))
        .order_by(REQUEST.c.id)
        .with_for_update(key_share=True)
    )
)
_OURS = Prepared(
    lambda dialect: (
        select(DELIVERY.c.id, DELIVERY.c.fence, DELIVERY.c.kind)
        .where(among(DELIVERY.c.id, "ids", dialect), SENDING)
        .order_by(DELIVERY.c.id)
        .with_for_update()
    )
)
_KNOWN = Prepared(lambda dialect: select(DELIVERY.c.id).where(among(DELIVERY.c.id, "ids", dialect)))
_MOVE = Prepared(
    lambda dialect: (
        update(DELIVERY)
        .where(DELIVERY.c.id == bindparam("mine"), DELIVERY.c.fence == bindparam("held"), SENDING)
        .values(
            state=bindparam("to_state"),
            head=bindparam("to_head"),
            asking=False,
            lease_owner=None,
            lease_until=None,
            reason=bindparam("to_reason"),
            detail=bindparam("to_detail"),
            failures=bindparam("to_failures"),
            next_at=bindparam("to_next_at"),
            settled_at=bindparam("to_settled_at"),
            sent_at=bindparam("to_sent_at"),
        )
    )
)
_TRY = Prepared(
    lambda dialect: (
        insert(ATTEMPT)
        .inline()
        .values(
            n=select(DELIVERY.c.attempts)
            .where(DELIVERY.c.id == bindparam("delivery_id"))
            .scalar_subquery(),
            **{
                name: bindparam(name)
                for name in ("delivery_id", "action", "started_at", "ms", "outcome", "reason")
            },
            **{name: bindparam(name) for name in ("detail", "state", "next_at", "answer")},
        )
    )
)
#: What far ends said is kept of so many attempts of a delivery.
ANSWERS = 3
_FORGET = Prepared(
    lambda dialect: (
        update(ATTEMPT)
        .where(
            ATTEMPT.c.delivery_id == bindparam("mine"),
            ATTEMPT.c.answer.is_not(None),
            ATTEMPT.c.n
            <= select(DELIVERY.c.attempts - literal_column(str(ANSWERS)))
            .where(DELIVERY.c.id == bindparam("mine"))
            .scalar_subquery(),
        )
        .values(answer=null())
    )
)
_RECEIPT = Prepared(
    lambda dialect: (
        update(REQUEST)
        .where(REQUEST.c.id == bindparam("mine"))
        .values(gru_reference=bindparam("to_reference"), gru_link=bindparam("to_link"))
    )
)
_STATUS = Prepared(
    lambda dialect: (
        update(REQUEST)
        .where(REQUEST.c.id == bindparam("mine"))
        .values(status=bindparam("to_status"), status_at=bindparam("to_status_at"))
    )
)
_TOLD = Prepared(
    lambda dialect: select(EVENT.c.request_id, EVENT.c.origin, EVENT.c.key).where(
        among(EVENT.c.request_id, "ids", dialect), EVENT.c.origin != "portal"
    )
)
_TELL = Prepared(
    lambda dialect: (
        insert(EVENT)
        .inline()
        .values(
            digest="",
            **{
                name: bindparam(name)
                for name in ("id", "request_id", "origin", "key", "kind", "status", "at", "body")
            },
            received_at=bindparam("received_at"),
        )
    )
)
_OWED = Prepared(
    lambda dialect: (
        select(
            DELIVERY.c.request_id,
            DELIVERY.c.lane,
            func.max(DELIVERY.c.seq),
            func.sum(
                case(
                    (DELIVERY.c.state.in_(literal_column(f"'{s.value}'") for s in FINAL), 0),
                    else_=1,
                )
            ),
        )
        .where(among(DELIVERY.c.request_id, "ids", dialect))
        .group_by(DELIVERY.c.request_id, DELIVERY.c.lane)
    )
)


class _Held(NamedTuple):
    """A request that this transaction holds."""

    status: str
    erased: bool


def _settle(connection: Connection, batch: Sequence[SettlementWrite]) -> list[bool]:
    """Write what attempts came to, and what follows from them, at once.

    False for each claim that is no longer ours: its attempt is kept as `late`, and nothing else
    of it moves. Of a delivery that a database which was put back does not know nothing is kept.
    """
    held = _hold(connection, (settled.request_id for settled in batch))
    found = _OURS(connection, ids=sorted({settled.delivery_id for settled in batch})).fetchall()
    sending = {row[0]: (row[1], row[2]) for row in found}
    kinds: list[str | None] = []
    for settled in batch:
        fence, kind = sending.get(settled.delivery_id, (None, None))
        ours = fence == settled.fence
        kinds.append(kind if ours else None)
        if ours:  # what comes twice comes late
            del sending[settled.delivery_id]
    moved = [(s, kind) for s, kind in zip(batch, kinds, strict=True) if kind is not None]
    _MOVE.many(connection, [_move(settled) for settled, _ in moved])
    late = sorted({s.delivery_id for s, kind in zip(batch, kinds, strict=True) if kind is None})
    known = {row[0] for row in _KNOWN(connection, ids=late).fetchall()} if late else set()
    tries = [
        _try(s, late=kind is None, alive=_alive(held, s.request_id))
        for s, kind in zip(batch, kinds, strict=True)
        if kind is not None or s.delivery_id in known
    ]
    _TRY.many(connection, tries)
    _FORGET.many(connection, [{"mine": one["delivery_id"]} for one in tries if one["answer"]])
    for settled, _ in moved:
        if not _alive(held, settled.request_id):
            drop_erased(connection, settled.delivery_id, settled.now)
    PROMOTE.many(
        connection,
        [
            {"of": settled.request_id, "on": settled.lane}
            for settled, _ in moved
            if settled.settlement.state in FINAL
        ],
    )
    _RECEIPT.many(
        connection,
        [
            {
                "mine": settled.request_id,
                "to_reference": settled.settlement.reference,
                "to_link": settled.settlement.link,
            }
            for settled, kind in moved
            # What an amend or an erasure is called over there is not the request's name.
            if settled.settlement.reference is not None and kind == Kind.SUBMIT.value
        ],
    )
    stands = {request_id: request.status for request_id, request in held.items()}
    statuses, reports = [], []
    for settled, _ in moved:
        # The GRU may have told more of it already, before its answer was in. The citizen who has
        # read "accepted" is not told "transmitted" after it.
        first = settled.status is Status.TRANSMITTED
        overtaken = first and stands.get(settled.request_id) != Status.RECEIVED.value
        if settled.status is not None and not overtaken:
            stands[settled.request_id] = settled.status.value
            statuses.append(
                {
                    "mine": settled.request_id,
                    "to_status": settled.status.value,
                    "to_status_at": settled.now,
                }
            )
        reports += [
            (report, settled.now)
            for report in settled.reports
            if not (overtaken and report.status is Status.TRANSMITTED)
        ]
    _STATUS.many(connection, statuses)
    _tell(connection, reports, held)
    return [kind is not None for kind in kinds]


settle = Batch(_settle)


def owe_report(connection: Connection, report: NewReport, now: datetime) -> bool:
    """Keep something to tell the portal and owe its report, once.

    False when it is a repeat, or when the request is erased: nothing of it is kept again.
    """
    return _tell(connection, [(report, now)], _hold(connection, [report.request_id])) == 1


def _hold(connection: Connection, request_ids: Iterable[str]) -> dict[str, _Held]:
    """Be alone with these requests until the transaction ends; those that are known.

    What is next in a request's order is decided from its other deliveries, so two transactions
    must not decide it at once. SQLite has one writer and needs no lock.
    """
    rows = _HOLD(connection, ids=sorted(set(request_ids))).fetchall()
    return {row[0]: _Held(row[1], row[2] is not None) for row in rows}


def _alive(held: dict[str, _Held], request_id: str) -> bool:
    return request_id in held and not held[request_id].erased


def _move(settled: SettlementWrite) -> dict[str, Any]:
    settlement = settled.settlement
    final = settlement.state in FINAL
    return {
        "mine": settled.delivery_id,
        "held": settled.fence,
        "to_state": settlement.state.value,
        "to_head": not final,
        "to_reason": settlement.reason,
        "to_detail": settlement.detail,
        "to_failures": settlement.failures,
        "to_next_at": settlement.next_at or settled.now,
        "to_settled_at": settled.now if final else None,
        "to_sent_at": settlement.sent_at,
    }


def _try(settled: SettlementWrite, *, late: bool, alive: bool) -> dict[str, Any]:
    settlement, tried = settled.settlement, settled.tried
    return {
        "delivery_id": settled.delivery_id,
        "action": tried.action,
        "started_at": tried.started_at,
        "ms": tried.ms,
        "outcome": tried.outcome,
        "reason": settlement.reason,
        "detail": settlement.detail,
        "state": "late" if late else settlement.state.value,
        "next_at": None if late else settlement.next_at,
        "answer": tried.answer if alive else None,
    }


def _tell(
    connection: Connection, reports: Sequence[tuple[NewReport, datetime]], held: dict[str, _Held]
) -> int:
    """Keep those that are news, of requests that live; how many these are."""
    wanted = [one for one in reports if _alive(held, one[0].request_id)]
    if not wanted:
        return 0
    ids = sorted({report.request_id for report, _ in wanted})
    told = {tuple(row) for row in _TOLD(connection, ids=ids).fetchall()}
    news: list[tuple[NewReport, datetime]] = []
    for report, now in wanted:
        name = (report.request_id, report.origin, report.key)
        if name in told and report.key == report.event_id:
            # A status that it had before, and has again: named after what it says, it is another.
            anew = report.delivery_id
            report = dataclasses.replace(report, event_id=anew, key=anew)
            name = (report.request_id, report.origin, anew)
        if name not in told:
            told.add(name)
            news.append((report, now))
    if not news:
        return 0
    _TELL.many(
        connection,
        [
            {
                "id": report.event_id,
                "request_id": report.request_id,
                "origin": report.origin,
                "key": report.key,
                "kind": "status" if report.status else "note",
                "status": report.status.value if report.status else None,
                "at": report.at,
                "received_at": now,
                "body": as_text(report.body),
            }
            for report, now in news
        ],
    )
    owed = {(row[0], row[1]): (row[2], row[3]) for row in _OWED(connection, ids=ids).fetchall()}
    rows = []
    for report, now in news:
        for n, (attachment, content) in enumerate(report.documents):
            attach(connection, report.request_id, report.event_id, n, attachment, content)
        last, still_open = owed.get((report.request_id, report.lane), (0, 0))
        owed[report.request_id, report.lane] = (last + 1, still_open + 1)
        rows.append(
            {
                "id": report.delivery_id,
                "request_id": report.request_id,
                "event_id": report.event_id,
                "attachment_id": None,
                "kind": Kind.REPORT.value,
                "lane": report.lane,
                "seq": last + 1,
                "state": begin(report.asks),
                "head": not still_open,
                "now": now,
                "due": report.due or now,
            }
        )
    OWE.many(connection, rows)
    notify(connection, *sorted({report.lane for report, _ in news}))
    return len(news)
