"""Stores the changes that GRUs tell, once and in order of arrival, with their reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal, select, update

from gateway.core.content import Content
from gateway.core.progress import CurrentStatus
from gateway.core.request import EventKind, Json
from gateway.core.status import FINAL, Status
from gateway.store import cursors, retention, sealed, untold
from gateway.store.asking import AskedNumbers, record_asked
from gateway.store.dialect import add_all, among
from gateway.store.outbox import settling
from gateway.store.reading import REQUEST_COLUMNS, lock_request, to_request
from gateway.store.rows import ChangeEffects, IncomingChange, StoredRequest
from gateway.store.tables import DELIVERY, EVENT, HEARD, REQUEST

#: A number that so many requests share identifies none of them.
_SHARED = 100
_AT_ONCE = 500
#: News of one request taken from a batch; the rest is read again.
MOST_OF_ONE = 100
_MOMENT = REQUEST.c.ask_at.type
_COLUMNS = (*REQUEST_COLUMNS, REQUEST.c.word, REQUEST.c.heard_at)


@dataclass(frozen=True, slots=True)
class ConcernedRequest:
    """A request that a change is about."""

    request: StoredRequest
    standing: CurrentStatus


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event of the portal that was, or may have been, handed to the GRU, and when."""

    key: str
    kind: EventKind
    body: Mapping[str, Json]
    since: datetime
    until: datetime


@dataclass(slots=True)
class RequestHistory:
    """The past of one request, with which a change is compared. Most is read on demand."""

    connection: Connection
    request_id: str
    now: datetime
    heard: set[str]
    untold: dict[str, str]
    _sent: list[SentEvent] | None = field(default=None)

    def is_kept(self, name: str, judged_by: str) -> bool:
        """Is this stored as judged by these rules, or was there no room for it?"""
        return self.untold.get(name) == judged_by or untold.left_out(name) in self.heard

    def _read(self, event_id: str, text: str) -> dict[str, Json] | None:
        return sealed.read_event_body(self.connection, event_id, self.request_id, text)

    def sent(self) -> list[SentEvent]:
        """Return what we wrote into the GRU, oldest first."""
        if self._sent is None:
            rows = self.connection.execute(
                select(
                    EVENT.c.id,
                    EVENT.c.key,
                    EVENT.c.kind,
                    EVENT.c.body,
                    EVENT.c.received_at,
                    func.max(func.coalesce(DELIVERY.c.settled_at, literal(self.now, _MOMENT))),
                )
                .join(DELIVERY, DELIVERY.c.event_id == EVENT.c.id)
                .where(
                    EVENT.c.request_id == self.request_id,
                    EVENT.c.origin == "portal",
                    EVENT.c.body.is_not(None),
                    DELIVERY.c.attempts > 0,
                )
                .group_by(EVENT.c.id, EVENT.c.key, EVENT.c.kind, EVENT.c.body, EVENT.c.received_at)
                .order_by(EVENT.c.received_at)
            )
            self._sent = [
                SentEvent(key, EventKind(kind), body, since, until)
                for event_id, key, kind, text, since, until in rows
                if (body := self._read(event_id, text)) is not None
            ]
        return self._sent

    def told_texts(self) -> list[str]:
        """Return the GRU's texts that the citizen was told."""
        rows = self.connection.execute(
            select(EVENT.c.id, EVENT.c.body).where(
                EVENT.c.request_id == self.request_id,
                EVENT.c.origin == "gru",
                EVENT.c.body.is_not(None),
            )
        )
        texts = ((self._read(row.id, row.body) or {}).get("message") for row in rows)
        return [message for message in texts if isinstance(message, str)]

    def has_file(self, sha256: str) -> bool:
        """Is this one of the citizen's own files?"""
        return retention.is_own_file(self.connection, self.request_id, sha256)


Judge = Callable[[ConcernedRequest, IncomingChange, RequestHistory], ChangeEffects]


@dataclass(frozen=True, slots=True)
class PollProgress:
    """The end of a poll: the cursor's name and value, the failure, the far end's fault. `before` is
    the value so far, which stays when something has to be read again."""

    name: str
    value: str | None
    before: str | None = None
    failure: str | None = None
    fault: str | None = None


@dataclass(slots=True)
class NewChanges:
    """The part of a batch that `apply_changes` needs: news, and changes of unknown requests.

    These may become known a moment later. `contents` are the files of the news, by SHA-256.
    `unfetched` are the indexes of news to fetch first. `unread`: part of the batch is to be read
    again.
    """

    news: list[IncomingChange]
    contents: dict[str, Content]
    unfetched: set[int] = field(default_factory=set)
    unread: bool = False


def sift(
    connection: Connection,
    commune: str,
    gru: str,
    news: Sequence[IncomingChange],
    judge: Judge,
    now: datetime,
) -> NewChanges:
    """Leave out what `apply_changes` would ignore: GRUs repeat themselves at each poll, and tell of
    erased requests."""
    sifted = NewChanges([], {})
    taken: Counter[str] = Counter()
    for start in range(0, len(news), _AT_ONCE):
        part = news[start : start + _AT_ONCE]
        found = _many(connection, commune, gru, part)
        ids = {one.request.id for known in found for one in known}
        heard, waiting = _heard(connection, ids), untold.of_requests(connection, ids)
        for item, known in zip(part, found, strict=True):
            alive = [one for one in known if one.request.erased_at is None]
            if any(taken[one.request.id] >= MOST_OF_ONE for one in alive):
                # Each further change costs more, for it is compared with those told before.
                sifted.unread = True
                continue
            fresh = not known
            for one in alive:
                request_id = one.request.id
                untold_here = waiting.get(request_id, {})
                memory = RequestHistory(connection, request_id, now, heard[request_id], untold_here)
                judged = judge(one, item, memory)
                sifted.unread = sifted.unread or judged.unread
                if judged.unfetched:
                    sifted.unfetched.add(len(sifted.news))
                numbered = one.request.gru_reference is None and item.gru_reference is not None
                # Later changes of a request depend on what the earlier ones will have changed.
                if not judged.nothing or numbered or taken[request_id]:
                    taken[request_id] += 1
                    fresh = True
                    sifted.contents |= {c.sha256: c for _, c in item.documents}
            if fresh:
                sifted.news.append(item)
    return sifted


def apply_changes(
    connection: Connection,
    commune: str,
    gru: str,
    news: Sequence[IncomingChange],
    judge: Judge,
    now: datetime,
    new_id: Callable[[], str],
    *,
    early: Callable[[IncomingChange], Mapping[str, Any]] | None = None,
    read: PollProgress | None = None,
    asked: AskedNumbers | None = None,
) -> list[str]:
    """Do what `judge` (pure) decides for each change, once. Return the lanes of the queued reports.

    Changes of requests that are erased or not ours are ignored. With `early`, which gives the body
    to store, a change of an unknown number waits while a creation's answer is pending. `read` and
    `asked` are stored in the same transaction.
    """
    lanes: list[str] = []
    left = False
    # Read before any number is looked up: a creation's answer may come in between.
    doubtful = early is not None and untold.in_doubt(connection, commune, gru)
    named: list[list[str]] = []
    for n, item in enumerate(news):
        if len(named) <= n:
            named += _named(connection, commune, gru, news[n:])
        found = named[n]
        if not found and doubtful and early is not None and item.reference is None:
            (found,) = _named(connection, commune, gru, [item])
            if not found and item.gru_reference:
                untold.record_early(
                    connection, commune, gru, item.gru_reference, early(item), now, new_id()
                )
        for request_id in found:
            if lock_request(connection, request_id):
                known = _now_held(connection, request_id)
                memory = read_memory(connection, request_id, now)
                judged = judge(known, item, memory)
                if judged.unfetched:  # it has just become ours
                    left = True
                else:
                    lanes += _apply(connection, known.request, item, judged, now, new_id)
                    if known.request.gru_reference is None and item.gru_reference is not None:
                        del named[n + 1 :]  # others may hold it by its number
    if asked is not None:
        record_asked(connection, commune, gru, asked, now, new_id)
    if read is not None:
        value = read.before if left else read.value
        cursors.move(connection, read.name, value, now, read.failure, read.fault)
    return lanes


def apply_waiting(
    connection: Connection,
    waiting: Sequence[tuple[str, IncomingChange]],
    commune: str,
    gru: str,
    judge: Judge,
    now: datetime,
    new_id: Callable[[], str],
) -> list[str]:
    """Judge waiting changes (by id) again. Return the lanes of the queued reports."""
    lanes: list[str] = []
    for untold_id, item in waiting:
        if untold.drop(connection, untold_id):
            lanes += apply_changes(connection, commune, gru, [item], judge, now, new_id)
    untold.forget_early(connection, commune, gru, now)
    return lanes


def _now_held(connection: Connection, request_id: str) -> ConcernedRequest:
    """Return the locked request as it is now."""
    rows = connection.execute(select(*_COLUMNS).where(REQUEST.c.id == request_id)).all()
    return _standing(connection, rows)[request_id]


def read_memory(connection: Connection, request_id: str, now: datetime) -> RequestHistory:
    heard = _heard(connection, [request_id])[request_id]
    waiting = untold.of_requests(connection, [request_id]).get(request_id, {})
    return RequestHistory(connection, request_id, now, heard, waiting)


def _many(
    connection: Connection, commune: str, gru: str, news: Sequence[IncomingChange]
) -> list[list[ConcernedRequest]]:
    """Return the requests that each change is about."""
    ours = REQUEST.c.gru == gru, REQUEST.c.commune == commune
    references = sorted({n.reference for n in news if n.reference is not None})
    numbers = sorted({n.gru_reference for n in news if n.gru_reference is not None})
    rows: list[Any] = []
    if references:
        rows += connection.execute(
            select(*_COLUMNS).where(*ours, among(connection, REQUEST.c.id, references))
        ).all()
    if numbers:
        rows += connection.execute(
            select(*_COLUMNS).where(*ours, among(connection, REQUEST.c.gru_reference, numbers))
        ).all()
    by_id = _standing(connection, rows)
    by_number: dict[str, list[ConcernedRequest]] = {}
    for one in by_id.values():
        if one.request.gru_reference is not None:
            by_number.setdefault(one.request.gru_reference, []).append(one)
    return [_meant(item, by_id, by_number) for item in news]


def _named(
    connection: Connection, commune: str, gru: str, news: Sequence[IncomingChange]
) -> list[list[str]]:
    """Return the ids of each change's requests, in locking order."""
    found = _many(connection, commune, gru, news)
    return [sorted(one.request.id for one in known) for known in found]


def _meant(
    item: IncomingChange,
    by_id: Mapping[str, ConcernedRequest],
    by_number: Mapping[str, list[ConcernedRequest]],
) -> list[ConcernedRequest]:
    """Return the requests that a change means; one ticket may stand for several. A change with a
    reference that is not ours means none: its number may be another system's."""
    alike = by_number.get(item.gru_reference or "", [])[:_SHARED]
    if item.reference is None:
        return alike
    named = by_id.get(item.reference)
    if named is None:
        return []
    return [named, *(one for one in alike if one.request.id != named.request.id)]


def _standing(connection: Connection, rows: Iterable[Any]) -> dict[str, ConcernedRequest]:
    found = {row[0]: row for row in rows}
    cancelled = [row[0] for row in found.values() if row.status == Status.CANCELLED.value]
    withdrawn = _withdrawn(connection, cancelled)
    known: dict[str, ConcernedRequest] = {}
    for request_id, row in found.items():
        request = to_request(row)
        standing = CurrentStatus(
            request.status,
            request.status_at,
            row.word,
            row.heard_at,
            request.changed_at,
            request_id in withdrawn,
        )
        known[request_id] = ConcernedRequest(request, standing)
    return known


def _withdrawn(connection: Connection, ids: Sequence[str]) -> frozenset[str]:
    """Return those of these requests that the citizens cancelled."""
    if not ids:
        return frozenset()
    rows = connection.execute(
        select(EVENT.c.request_id).where(
            among(connection, EVENT.c.request_id, ids),
            EVENT.c.origin == "portal",
            EVENT.c.kind == EventKind.CANCELLATION.value,
        )
    )
    return frozenset(row.request_id for row in rows)


def _heard(connection: Connection, ids: Collection[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {request_id: set() for request_id in ids}
    if not found:
        return found
    rows = connection.execute(
        select(HEARD.c.request_id, HEARD.c.name).where(among(connection, HEARD.c.request_id, found))
    )
    for row in rows:
        found[row.request_id].add(row.name)
    return found


def _apply(
    connection: Connection,
    request: StoredRequest,
    item: IncomingChange,
    judged: ChangeEffects,
    now: datetime,
    new_id: Callable[[], str],
) -> list[str]:
    heard = [{"request_id": request.id, "name": name} for name in judged.names]
    add_all(connection, HEARD, heard)
    untold.remove(connection, request.id, judged.settled)
    for withheld in judged.withheld:
        untold.record(connection, request, withheld, judged.judged_by, item.at, now, new_id())
    lanes = [
        report.lane for report in judged.reports if settling.owe_report(connection, report, now)
    ]
    status = next((r.status for r in judged.reports if r.status is not None), None)
    values: dict[str, object] = {}
    if status is not None:
        values |= {"status": status.value, "status_at": now}
        if status not in FINAL:
            values["ask_at"] = now
    if judged.word is not None:
        values |= {"word": judged.word, "heard_at": now}
    if judged.changed_at is not None:
        values["changed_at"] = judged.changed_at
    if request.gru_reference is None and item.gru_reference is not None:
        values["gru_reference"] = item.gru_reference
    if values:
        connection.execute(update(REQUEST).where(REQUEST.c.id == request.id).values(**values))
    return lanes
