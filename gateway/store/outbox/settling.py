"""Settles attempts and enqueues their reports, many deliveries at once.

Everything here takes a list and runs each statement once for all of it: on PostgreSQL each
statement is a round trip, and one settlement alone needs a dozen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from gateway.core.delivery import FINAL, Kind, State
from gateway.core.outcome import ErasureAnswer
from gateway.core.status import Status
from gateway.store import resealing, retention, sealed, statements
from gateway.store.engine import Batch
from gateway.store.outbox.enqueuing import QueuedDelivery, attach, enqueue, promote
from gateway.store.outbox.leases import drop_erased
from gateway.store.outbox.rows import NewReport, SettlementWrite
from gateway.store.reading import LockedRequest, as_text, lock_requests

_SQL = statements.load("settle")
#: The far end's answers are stored for so many attempts of a delivery.
ANSWERS = 3


def _settle(connection: Connection, batch: Sequence[SettlementWrite]) -> list[bool]:
    """Store attempts, and what follows from them.

    Return False for each claim that is no longer ours: its attempt is stored as `late`, and nothing
    else changes. Nothing is stored of a delivery that a restored database does not know.
    """
    held = lock_requests(connection, (settled.request_id for settled in batch))
    ids = sorted({settled.delivery_id for settled in batch})
    sending = {row[0]: (row[1], row[2]) for row in _SQL["claims"].rows(connection, ids=ids)}
    kinds: list[str | None] = []
    for settled in batch:
        fence, kind = sending.get(settled.delivery_id, (None, None))
        ours = fence == settled.fence
        kinds.append(kind if ours else None)
        if ours:  # a second settlement counts as late
            del sending[settled.delivery_id]
    moved = [(s, kind) for s, kind in zip(batch, kinds, strict=True) if kind is not None]
    _SQL["move"].run_all(connection, [_move(settled) for settled, _ in moved])
    late = sorted({s.delivery_id for s, kind in zip(batch, kinds, strict=True) if kind is None})
    known = {row[0] for row in _SQL["known"].rows(connection, ids=late)} if late else set()
    tries = [
        _try(connection, s, held, late=kind is None)
        for s, kind in zip(batch, kinds, strict=True)
        if kind is not None or s.delivery_id in known
    ]
    _SQL["insert_attempt"].run_all(connection, tries)
    _SQL["forget_answers"].run_all(
        connection,
        [{"id": one["delivery_id"], "kept": ANSWERS} for one in tries if one["answer"]],
    )
    for settled, _ in moved:
        if not _alive(held, settled.request_id):
            drop_erased(connection, settled.delivery_id, settled.now)
    promote(
        connection,
        [
            (settled.request_id, settled.lane)
            for settled, _ in moved
            if settled.settlement.state in FINAL
        ],
    )
    _SQL["set_receipt"].run_all(
        connection,
        [
            {
                "id": settled.request_id,
                "reference": settled.settlement.reference,
                "link": settled.settlement.link,
            }
            for settled, kind in moved
            # The number of an amendment or erasure is not the request's.
            if settled.settlement.reference is not None and kind == Kind.SUBMIT.value
        ],
    )
    _SQL["set_erasure_answer"].run_all(
        connection,
        [
            _answer(settled)
            for settled, kind in moved
            if kind == Kind.ERASE.value and settled.settlement.state is State.DONE
        ],
    )
    statuses, reports = _statuses_and_reports([settled for settled, _ in moved], held)
    _SQL["set_status"].run_all(connection, statuses)
    _report(connection, reports, held)
    return [kind is not None for kind in kinds]


settle = Batch(_settle)


def owe_report(connection: Connection, report: NewReport, now: datetime) -> bool:
    """Store an event for the portal and enqueue its report, once. Return False, and store nothing,
    for a repeat or an erased request."""
    return _report(connection, [(report, now)], lock_requests(connection, [report.request_id])) == 1


def _statuses_and_reports(
    moved: Sequence[SettlementWrite], held: dict[str, LockedRequest]
) -> tuple[list[dict[str, Any]], list[tuple[NewReport, datetime]]]:
    """Choose the statuses to store and the reports to enqueue, each with its time."""
    stands = {request_id: request.status for request_id, request in held.items()}
    statuses: list[dict[str, Any]] = []
    reports: list[tuple[NewReport, datetime]] = []
    for settled in moved:
        # The GRU may have told more already, before its answer came. A citizen who has read
        # "accepted" is not told "transmitted" after it.
        first = settled.status is Status.TRANSMITTED
        overtaken = first and stands.get(settled.request_id) != Status.RECEIVED.value
        if settled.status is not None and not overtaken:
            stands[settled.request_id] = settled.status.value
            statuses.append(
                {
                    "id": settled.request_id,
                    "status": settled.status.value,
                    "now": settled.now,
                }
            )
        reports += [
            (report, settled.now)
            for report in settled.reports
            if not (overtaken and report.status is Status.TRANSMITTED)
        ]
    return statuses, reports


def _alive(held: dict[str, LockedRequest], request_id: str) -> bool:
    return request_id in held and not held[request_id].erased


def _move(settled: SettlementWrite) -> dict[str, Any]:
    settlement = settled.settlement
    final = settlement.state in FINAL
    return {
        "id": settled.delivery_id,
        "fence": settled.fence,
        "state": settlement.state.value,
        "head": not final,
        "reason": settlement.reason,
        "detail": settlement.detail,
        "failures": settlement.failures,
        "next_at": settlement.next_at or settled.now,
        "settled_at": settled.now if final else None,
        "sent_at": settlement.sent_at,
    }


def _answer(settled: SettlementWrite) -> dict[str, Any]:
    answer = settled.settlement.erasure or ErasureAnswer()
    return {
        "delivery_id": settled.delivery_id,
        "answer": answer.result.value,
        "ground": answer.ground,
        "until": answer.until,
        "decided_by": answer.by,
    }


def _try(
    connection: Connection,
    settled: SettlementWrite,
    held: dict[str, LockedRequest],
    *,
    late: bool,
) -> dict[str, Any]:
    settlement, tried = settled.settlement, settled.tried
    answer = None
    if tried.answer is not None and _alive(held, settled.request_id):
        key_id = _key(connection, settled.request_id, held)
        place = sealed.attempt_answer(settled.delivery_id, tried.started_at, settled.request_id)
        answer = sealed.seal(connection, key_id, place, tried.answer)
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
        "answer": answer,
        "release_digest": tried.release_digest,
        "mapping": tried.mapping,
    }


def _key(connection: Connection, request_id: str, held: dict[str, LockedRequest]) -> str | None:
    return resealing.request_key(connection, request_id, held[request_id].key_id)


def _event(
    connection: Connection, report: NewReport, key_id: str | None, now: datetime
) -> dict[str, Any]:
    place = sealed.event_body(report.event_id, report.request_id)
    return {
        "id": report.event_id,
        "request_id": report.request_id,
        "origin": report.origin,
        "key": report.key,
        "kind": "status" if report.status else "note",
        "status": report.status.value if report.status else None,
        "at": report.at,
        "received_at": now,
        "body": sealed.seal(connection, key_id, place, as_text(report.body)),
    }


def _report(
    connection: Connection,
    reports: Sequence[tuple[NewReport, datetime]],
    held: dict[str, LockedRequest],
) -> int:
    """Store the new reports of requests that are not erased; return how many."""
    wanted = [one for one in reports if _alive(held, one[0].request_id)]
    if not wanted:
        return 0
    ids = sorted({report.request_id for report, _ in wanted})
    told = set(_SQL["reported"].rows(connection, ids=ids))
    news: list[tuple[NewReport, datetime]] = []
    for report, now in wanted:
        name = (report.request_id, report.origin, report.key)
        if name in told and report.key == report.event_id:
            # A status that comes back needs a name of its own: named by its content it would be a
            # repeat.
            anew = report.delivery_id
            report = dataclasses.replace(report, event_id=anew, key=anew)
            name = (report.request_id, report.origin, anew)
        if name not in told:
            told.add(name)
            news.append((report, now))
    if not news:
        return 0
    keys = {
        request_id: _key(connection, request_id, held)
        for request_id in {report.request_id for report, _ in news}
    }
    _SQL["insert_report"].run_all(
        connection,
        [_event(connection, report, keys[report.request_id], now) for report, now in news],
    )
    retention.revive(connection, {one.request_id for one, _ in news if one.origin == "gru"})
    for report, _ in news:
        request_id = report.request_id
        for n, (attachment, content) in enumerate(report.documents):
            attach(
                connection, request_id, keys[request_id], report.event_id, n, attachment, content
            )
    enqueue(
        connection,
        [
            QueuedDelivery(
                id=report.delivery_id,
                request_id=report.request_id,
                event_id=report.event_id,
                kind=Kind.REPORT,
                lane=report.lane,
                made_at=now,
                due=report.due or now,
                asks=report.asks,
            )
            for report, now in news
        ],
    )
    return len(news)
