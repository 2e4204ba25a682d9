"""Judges a GRU's change: told to the citizen, kept until it can be told, or never told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateway.catalogue.catalogue import Catalogue, Route
from gateway.core.content import Content
from gateway.core.echo import fingerprint, same_key
from gateway.core.errors import Rejected
from gateway.core.ids import event_id
from gateway.core.mapping import (
    RequestMapping,
    UnknownStatus,
    canonical,
    note_is_public,
    status_key,
)
from gateway.core.progress import ReportedStatus, judge_status
from gateway.core.request import Attachment
from gateway.core.status import FINAL, Status
from gateway.flow.echoes import echo_names
from gateway.flow.keeping import as_body
from gateway.flow.note_files import new_files, short_hash, with_unreadable
from gateway.store.history import ConcernedRequest, RequestHistory
from gateway.store.outbox.rows import NewReport
from gateway.store.rows import ChangeEffects, IncomingChange, WithheldPart

log = structlog.get_logger()

#: Characters of a GRU's word that operators are shown.
_SHOWN = 100
#: In place of rules: a mended program is no changed rule, so a person has it judged again.
_BUG = "bug"
#: A poll is over by then.
_A_POLL = timedelta(minutes=30)


def rules_of(catalogue: Catalogue, commune: str) -> frozenset[str]:
    """Return the names of all rules by which a commune's changes are judged now."""
    found = catalogue.communes.get(commune)
    routes = {} if found is None else found.routes
    names = {_rules(route.mapping) for route in routes.values()}
    return frozenset(names | {_no_rules(names), _BUG})


def _rules(mapping: RequestMapping) -> str:
    """Return a hash of the rules that decide what the citizen is told."""
    statuses = sorted((k, r.status, r.message) for k, r in mapping.statuses.items())
    return short_hash(repr((statuses, mapping.unknown_status, mapping.notes)))


def _no_rules(of_others: set[str]) -> str:
    return "none " + short_hash(repr(sorted(of_others)))


@dataclass(frozen=True, slots=True)
class ChangeJudge:
    """Judges the changes of one commune's GRU. Pure but for the ids that it draws.

    The poll that brought them began at `asked_at`. `polled`: a poll gives the present state, so a
    late call says nothing of it. `asks`: the citizen may have been told already.
    """

    catalogue: Catalogue
    new_id: Callable[[], str]
    polled: bool
    asked_at: datetime | None = None
    asks: bool = False

    def __call__(
        self, known: ConcernedRequest, news: IncomingChange, memory: RequestHistory
    ) -> ChangeEffects:
        try:
            return self._judged(known, news, memory)
        except Exception as error:
            # Only this change fails. The error's text can hold the GRU's words.
            log.error("change.bug", request=known.request.id, error=type(error).__name__)
            return self._later(news, memory, "bug", _BUG)

    def _judged(
        self, known: ConcernedRequest, news: IncomingChange, memory: RequestHistory
    ) -> ChangeEffects:
        request = known.request
        try:
            route = self.catalogue.route(request.portal, request.commune, request.teleservice)
        except Rejected:
            mine = self.catalogue.communes.get(request.commune)
            others = {_rules(one.mapping) for one in mine.routes.values()} if mine else set()
            return self._later(news, memory, "no_route", _no_rules(others))
        ours = self._ours(route, news, memory)
        if ours:
            return ChangeEffects(names=ours)
        wanted = news.more is not None and note_is_public(route.mapping, news.public)
        if wanted and f"key:{news.key}" not in memory.heard:
            return ChangeEffects(unfetched=True)
        told = self._status(route, known, news, memory)
        note = self._note(route, news, memory)
        status, message = told.status, note.message
        if message is None and status is not None:
            message = told.message
        return dataclasses.replace(
            _both(told.judged, note.judged),
            reports=self._reports(known, news, status, message, note.documents),
            judged_by=_rules(route.mapping),
        )

    def _later(
        self, news: IncomingChange, memory: RequestHistory, reason: str, rules: str
    ) -> ChangeEffects:
        """Keep the whole change."""
        name = f"change:{news.key or fingerprint(f'{news.status} {news.message}')}"
        if memory.is_kept(name, rules):
            return ChangeEffects()
        return ChangeEffects(
            withheld=(WithheldPart(name, reason, as_body(news), person=True),), judged_by=rules
        )

    def _ours(self, route: Route, news: IncomingChange, memory: RequestHistory) -> tuple[str, ...]:
        """List the names to remember of a journal entry that we wrote; none when it is not ours.
        Neither its text nor its status is the commune's."""
        key = f"key:{news.key}"
        if news.key is None or key in memory.heard:
            return ()
        names = [key]
        if news.status is not None:
            names.append(f"status:{news.key}:{status_key(news.status)}")
        if news.sender_key is not None and any(
            same_key(news.sender_key, one.key) for one in memory.sent()
        ):
            return tuple(names)
        if news.message is None:
            return ()
        echo = echo_names(route.mapping, news, news.message, memory)
        return (*names, *echo) if echo else ()

    # --- the status ---------------------------------------------------------------------------

    def _status(
        self, route: Route, known: ConcernedRequest, news: IncomingChange, memory: RequestHistory
    ) -> _StatusReport:
        if news.status is None:
            return _StatusReport()
        standing = known.standing
        word = status_key(news.status)
        name = _status_name(news, word)
        if name is not None and name in memory.heard and not news.again:
            return _StatusReport()
        at = news.at if news.dated else None
        if self._overtaken(known, news):
            return _StatusReport(judged=ChangeEffects(unread=True))
        rule = canonical(route.mapping, news.status)
        status = None if rule is None else rule.status
        verdict = judge_status(
            standing, ReportedStatus(word, status, at, news.present, news.doubtful, news.again)
        )
        names = () if name is None else (name,)
        moved = at is not None and (
            (news.present and not (news.doubtful and not verdict.keep))
            or standing.changed_at is None
            or at > standing.changed_at
        )
        judged = ChangeEffects(
            names=names,
            word=word if verdict.keep else None,
            changed_at=at if moved and at != standing.changed_at else None,
        )
        if verdict.why == "out_of_order":
            if self.polled:
                return _StatusReport(judged=judged)
            return _StatusReport(judged=_withheld(judged, news, "out_of_order", person=True))
        if verdict.keep and rule is None:
            parked = route.mapping.unknown_status is UnknownStatus.PARK
            log.warning("changes.unknown_status", request=known.request.id, parked=parked)
            return _StatusReport(judged=_withheld(judged, news, "unknown_status", person=parked))
        if verdict.keep and "status" in memory.untold:
            judged = dataclasses.replace(judged, settled=("status",))
        if not verdict.move or rule is None:
            return _StatusReport(judged=judged)
        return _StatusReport(status, rule.message, judged)

    def _overtaken(self, known: ConcernedRequest, news: IncomingChange) -> bool:
        """Did the GRU call during the poll, and say something newer?"""
        standing = known.standing
        return (
            self.asked_at is not None
            and news.present
            and news.dated
            and standing.heard_at is not None
            # Heard later than any poll lasts: that clock was set back since.
            and self.asked_at <= standing.heard_at <= self.asked_at + _A_POLL
            and standing.changed_at is not None
            and news.at < standing.changed_at
        )

    # --- the note -----------------------------------------------------------------------------

    def _note(self, route: Route, news: IncomingChange, memory: RequestHistory) -> _Note:
        message = news.message
        if message is None and not news.documents and not news.unreadable:
            return _Note()
        key = None if news.key is None else f"key:{news.key}"
        told_of = message is not None or news.documents
        if told_of and not note_is_public(route.mapping, news.public):
            return _Note(judged=self._kept_back(route, news, memory))
        told = key is not None and key in memory.heard
        names: list[str] = []
        if message is not None and not told:
            message = self._text(route, news, message, memory, names)
        else:
            message = None
        fresh, barred = new_files(news, memory, names)
        if key is not None and not told:
            names.append(key)
        judged = with_unreadable(news, memory, ChangeEffects(names=tuple(names), withheld=barred))
        name = _note_name(news)
        if name in memory.untold:
            judged = dataclasses.replace(judged, settled=(*judged.settled, name))
        return _Note(message, fresh, judged)

    def _kept_back(
        self, route: Route, news: IncomingChange, memory: RequestHistory
    ) -> ChangeEffects:
        """Drop an internal note. Keep a public one that the mapping does not let through, in case
        the mapping changes."""
        name = _note_name(news)
        if not news.public or memory.is_kept(name, _rules(route.mapping)):
            return ChangeEffects()
        body = as_body(dataclasses.replace(news, status=None))
        return ChangeEffects(withheld=(WithheldPart(name, "note_kept_back", body),))

    def _text(
        self,
        route: Route,
        news: IncomingChange,
        message: str,
        memory: RequestHistory,
        names: list[str],
    ) -> str | None:
        """Return the text if it is news. Adds to `names` what is to be remembered of it."""
        mark = fingerprint(message)
        text, state, claimed = f"text:{mark}", f"state:{mark}", f"claimed:{mark}"
        if news.key is None:
            if {text, state} & memory.heard:
                return None
            names.append(state)
            echo = echo_names(route.mapping, news, message, memory)
            if echo:
                names += echo
                return None
        elif state in memory.heard and claimed not in memory.heard:
            # The list of notes repeats it.
            names.append(claimed)
            return None
        if news.key is None and any(fingerprint(one) == mark for one in memory.told_texts()):
            return None
        names.append(text)
        return message

    # --- the reports --------------------------------------------------------------------------

    def _reports(
        self,
        known: ConcernedRequest,
        news: IncomingChange,
        status: Status | None,
        message: str | None,
        documents: tuple[tuple[Attachment, Content], ...],
    ) -> tuple[NewReport, ...]:
        """Make the reports, one for each document: a workflow finds it under one name."""
        if status is None and message is None and not documents:
            return ()
        request = known.request
        body: dict[str, Any] = {
            # A note has the status that held when it came: the request may have moved on when it
            # leaves.
            "status": (status or request.status).value,
        }
        if status is not None and request.status in FINAL and status not in FINAL:
            body["reopened"] = True
        reports = []
        for n in range(max(1, len(documents))):
            first, file = n == 0, documents[n][0].sha256 if documents else ""
            # Named by its content, so that the portal knows it again after a loss.
            said = news.key or "", status.value if status else "", fingerprint(message or ""), file
            told = event_id(request.id, *said)
            reports.append(
                NewReport(
                    event_id=told,
                    delivery_id=self.new_id(),
                    request_id=request.id,
                    lane=request.portal_lane,
                    origin="gru",
                    key=told,
                    at=news.at,
                    body={**body, "message": message if first else None},
                    status=status if first else None,
                    documents=documents[n : n + 1],
                    asks=self.asks,
                )
            )
        return tuple(reports)


@dataclass(frozen=True, slots=True)
class _StatusReport:
    """The status that is told, with the mapping's message for it."""

    status: Status | None = None
    message: str | None = None
    judged: ChangeEffects = ChangeEffects()  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class _Note:
    """The text and the files that are told."""

    message: str | None = None
    documents: tuple[tuple[Attachment, Content], ...] = ()
    judged: ChangeEffects = ChangeEffects()  # noqa: RUF009 - frozen


def _both(one: ChangeEffects, other: ChangeEffects) -> ChangeEffects:
    return dataclasses.replace(
        one,
        names=one.names + other.names,
        withheld=one.withheld + other.withheld,
        settled=one.settled + other.settled,
    )


def _withheld(
    judged: ChangeEffects, news: IncomingChange, reason: str, *, person: bool
) -> ChangeEffects:
    alone = dataclasses.replace(news, message=None, documents=(), unreadable=0)
    detail = (news.status or "")[:_SHOWN]
    withheld = WithheldPart("status", reason, as_body(alone), detail, person)
    return dataclasses.replace(judged, withheld=(withheld,))


def _status_name(news: IncomingChange, word: str) -> str | None:
    """Return the name of a status word among its repeats; None for the present state, which may
    return. One number may be given to two statuses, one after the other."""
    if news.present and news.key is None:
        return None
    if news.key is None and not news.dated:
        return None
    return f"status:{news.key or news.at.isoformat()}:{word}"


def _note_name(news: IncomingChange) -> str:
    content = news.message or " ".join(file.sha256 for file, _ in news.documents)
    return f"note:{news.key or fingerprint(content)}"


__all__ = ["ChangeJudge", "rules_of"]
