"""Judges an attempt: for its delivery, for the request and the citizen, for its lane."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.core import reasons
from gateway.core.delivery import Kind, Settlement, State, decide, decide_finding
from gateway.core.ids import event_id
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
)
from gateway.core.reasons import About
from gateway.core.request import EventKind
from gateway.core.retry import RetryPolicy
from gateway.core.status import Status
from gateway.flow.erase import PATIENCE
from gateway.flow.lanes.state import HealthSign
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import NewReport

#: The citizen reads this when the GRU refuses a file for good.
FILE_REFUSED = (
    "Une pièce jointe n'a pas pu être remise à la commune, qui traite la demande sans elle."
)
#: The citizen reads this when a file is empty: a broken upload, a photo kept in a cloud.
FILE_EMPTY = (
    "Une pièce jointe est vide (0 octet) : la commune ne peut pas la recevoir et traite la demande"
    " sans elle."
)
#: Seconds between tries while the portal runs a formdata's actions: most end within one second.
#: w.c.s. frees the formdata within two hours when its process died in them.
WHILE_PROCESSING = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)


def settlement(
    claimed: Claimed,
    result: Outcome | Finding,
    now: datetime,
    retry: RetryPolicy,
    chance: float,
    timeout: float,
) -> Settlement:
    """Decide the delivery's next state. `chance` in [0, 1) is the jitter's random number.
    `timeout`: the far end may work on one call for so many seconds."""
    if claimed.delivery.kind is Kind.ERASE:
        retry = dataclasses.replace(retry, limit=PATIENCE)
    if getattr(result, "reason", "") == "processing":
        retry = dataclasses.replace(retry, delays=WHILE_PROCESSING)
    progress = claimed.delivery.progress
    match result:
        case Found() | Absent() | CannotTell():
            decided = decide_finding(progress, result, now, retry, chance)
        case _:
            decided = decide(progress, result, now, retry, chance, timeout=timeout)
    if _file_refused(claimed, decided):
        # The request goes on without this file, and the citizen is told.
        return dataclasses.replace(decided, state=State.DISCARDED)
    return decided


def reports(
    claimed: Claimed,
    decided: Settlement,
    now: datetime,
    new_id: Callable[[], str],
    delay: float = 0.0,
) -> tuple[NewReport, ...]:
    """Make the reports that follow from it. None is due before `delay` seconds after the push that
    it answers: w.c.s. takes no hook while it runs the actions after our answer."""
    request = claimed.request
    key = "transmitted"
    message: str | None = None
    status: Status | None = Status.TRANSMITTED
    if decided.state is State.DISCARDED:
        message = FILE_EMPTY if decided.reason == "empty_file" else FILE_REFUSED
        key, status = f"refused {claimed.delivery.id}", None
    elif claimed.delivery.kind is not Kind.SUBMIT or decided.state is not State.DONE:
        return ()
    elif any(file.size == 0 for file in claimed.attachments):
        message = FILE_EMPTY
    return (
        NewReport(
            event_id=event_id(request.id, key),
            delivery_id=new_id(),
            request_id=request.id,
            lane=request.portal_lane,
            origin="gateway",
            key=key,
            at=now,
            body={"status": status.value if status else None, "message": message},
            status=status,
            due=_due(claimed, now, timedelta(seconds=delay)),
            # The creation's settlement was lost, and with it perhaps a report. (A standby that
            # lagged shows a call as under way whose end the former primary recorded.)
            asks=decided.reason == "found",
        ),
    )


def _due(claimed: Claimed, now: datetime, delay: timedelta) -> datetime:
    # The clock that dated the push may have been set back since.
    return min(max(now, claimed.delivery.created_at + delay), now + delay)


def status_after(claimed: Claimed, decided: Settlement) -> Status | None:
    """Return the request's new status; None when it keeps its own."""
    if decided.state is not State.DONE:
        return None
    if claimed.delivery.kind is Kind.SUBMIT:
        return Status.TRANSMITTED
    cancelled = claimed.event_kind == EventKind.CANCELLATION.value
    if claimed.delivery.kind is Kind.AMEND and cancelled:
        return Status.CANCELLED
    return None


def health_sign(outcome: Outcome | Finding, seconds: float) -> HealthSign | None:
    """Make a health sign of a call of so many seconds; None when it says nothing."""
    good = lane_health(outcome)
    if good is None:
        return None
    reason = "" if good else getattr(outcome, "reason", "")
    return HealthSign(good, reason, seconds, getattr(outcome, "after", None))


def lane_health(outcome: Outcome | Finding) -> bool | None:
    """Is the far end well? None when the outcome does not tell.

    It does not tell when nobody was called, or when one request alone is at fault. A refusal after
    reading the request is a sign of life.
    """
    match outcome:
        case Accepted(called=called) | Found(called=called) | Absent(called=called):
            return True if called else None
    about = reasons.of(outcome.reason, _UNNAMED[type(outcome)]).about
    answered = isinstance(outcome, Refused) or (isinstance(outcome, CannotTell) and outcome.forever)
    if about in (About.UNSENT, About.GATEWAY, About.SENDER):
        return None
    if about in (About.CONTENT, About.REQUEST):
        return True if answered else None
    return answered


#: The subject of a reason that no table has, by its outcome.
_UNNAMED: dict[type[Outcome | Finding], About] = {
    Refused: About.CONTENT,
    TryLater: About.FAR_END,
    Unsure: About.FAR_END,
    CannotTell: About.FAR_END,
    Misconfigured: About.SETTINGS,
}


_WORDS: dict[type[Outcome | Finding], str] = {
    Accepted: "accepted",
    Refused: "refused",
    TryLater: "try_later",
    Unsure: "unsure",
    Misconfigured: "misconfigured",
    Found: "found",
    Absent: "absent",
    CannotTell: "cannot_tell",
}


def outcome_word(outcome: Outcome | Finding) -> str:
    """Name an outcome for attempts, logs and metrics."""
    return _WORDS[type(outcome)]


def _file_refused(claimed: Claimed, decided: Settlement) -> bool:
    """Did the GRU itself refuse one file of a request for good?"""
    return (
        decided.state is State.PARKED
        and claimed.delivery.kind is Kind.AMEND
        and claimed.delivery.attachment_id is not None
        # Other refusals are not the file's fault, and wait for a person.
        and reasons.of(decided.reason).about is About.CONTENT
    )
