"""A delivery's states, the moves between them, and the one function that decides a move.

waiting --claim--> sending --Accepted--> done
   ^                  |------TryLater, Misconfigured--> waiting (later) or dead (time limit)
   |                  |------Refused-----------------> parked
   |                  |------Unsure-------------------> unsure --claim, find--> sending
   |                  '------cannot ever be asked-----> question (a person's yes or no)
   '---"no" (question); replay (parked, dead), which asks first where it can
done and discarded are final. Everything else but these two holds the request's later
deliveries on the same lane back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.core import reasons
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    ErasureAnswer,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
)
from gateway.core.retry import RetryPolicy


class Kind(StrEnum):
    SUBMIT = "submit"
    AMEND = "amend"
    REPORT = "report"
    ERASE = "erase"


class State(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    UNSURE = "unsure"
    QUESTION = "question"
    PARKED = "parked"
    DEAD = "dead"
    DONE = "done"
    DISCARDED = "discarded"


FINAL = frozenset({State.DONE, State.DISCARDED})
CLAIMABLE = frozenset({State.WAITING, State.UNSURE})
NEEDS_A_PERSON = frozenset({State.QUESTION, State.PARKED, State.DEAD})

MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.SENDING, State.DISCARDED}),
    State.SENDING: frozenset(
        {
            State.DONE,
            State.WAITING,
            State.UNSURE,
            State.QUESTION,
            State.PARKED,
            State.DEAD,
            State.DISCARDED,
        }
    ),
    State.UNSURE: frozenset({State.SENDING, State.DISCARDED}),
    State.QUESTION: frozenset({State.DONE, State.WAITING, State.DISCARDED}),
    State.PARKED: frozenset({State.WAITING, State.UNSURE, State.DISCARDED}),
    State.DEAD: frozenset({State.WAITING, State.UNSURE, State.DISCARDED}),
    State.DONE: frozenset(),
    State.DISCARDED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """The part of a delivery for `decide`: its beginning, its failures, the reason of its last
    settlement, and when a call was sent that the far end may have taken (None: none)."""

    created_at: datetime
    failures: int
    reason: str = ""
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The move to perform. `next_at` is set for states that are claimed again by themselves,
    `sent_at` where the far end may have taken the call of that time. `erasure`: what a far end
    answered to one."""

    state: State
    reason: str
    detail: str = ""
    next_at: datetime | None = None
    reference: str | None = None
    link: str | None = None
    failures: int = 0
    sent_at: datetime | None = None
    erasure: ErasureAnswer | None = None


#: A delivery that failed so often is shown to a person, and still tried.
STUCK_FAILURES = 4
#: Seconds until a finished call is asked about: what the far end has just stored may show a little
#: later.
ASK_AFTER = 2.0
#: Seconds. A search that lags is repeated after half of the remaining time, or at its end if that
#: is near.
SOON = 60.0
#: Seconds of a far end's work on a call, where nothing bounds it.
TIMEOUT = 20.0


def decide(
    progress: Progress,
    outcome: Outcome,
    now: datetime,
    policy: RetryPolicy,
    chance: float,
    *,
    timeout: float = TIMEOUT,
) -> Settlement:
    """Decide the settlement of one attempt. Pure: `chance` in [0, 1) is the jitter's random number.

    `timeout` is how long the far end may work on a call, in seconds: a call of unknown result is
    not asked about before.
    """
    failures = progress.failures + 1
    match outcome:
        case Accepted(reference, link, erasure=erasure):
            return Settlement(
                State.DONE, "accepted", reference=reference, link=link, erasure=erasure
            )
        case Refused(reason, detail):
            return Settlement(State.PARKED, reason, detail, failures=failures)
        case Unsure(reason, detail, _, after):
            wait = timeout if outcome.at_work else ASK_AFTER
            wait = max(wait, min(after or 0.0, policy.retry_after_max))
            ask_at = now + timedelta(seconds=wait * (1 + policy.jitter * chance))
            return Settlement(
                State.UNSURE, reason, detail, next_at=ask_at, failures=failures, sent_at=now
            )
        case TryLater(reason, detail, after):
            return _later(progress, failures, now, policy, chance, reason, detail, after)
        case Misconfigured(reason, detail):
            return _later(progress, failures, now, policy, chance, reason, detail, None)


def decide_finding(
    progress: Progress, finding: Finding, now: datetime, policy: RetryPolicy, chance: float
) -> Settlement:
    """Decide the settlement of a question about an `unsure` delivery.

    Questions go on, however late, while the far end may have it. An absent one is sent again at
    once the first time, then at the policy's pace and within its limit: a far end that loses
    everything must not get it every other second. The far end's reason before the question counts
    too: that it had no time for us is believed if it cannot tell more, and what it would refuse
    again waits for a person.
    """
    sent_at, before = progress.sent_at, progress.reason
    match finding:
        case Found(reference, link):
            return Settlement(State.DONE, "found", reference=reference, link=link)
        case Absent(settle):
            left = _left(sent_at, settle, now)
            if left > 0:
                soon = now + timedelta(seconds=left if left <= SOON else left / 2)
                return Settlement(
                    State.UNSURE, before, next_at=soon, failures=progress.failures, sent_at=sent_at
                )
            if reasons.of(before).parks:
                return Settlement(State.PARKED, before, failures=progress.failures)
            return _again(progress, "absent", now, policy, chance)
        case CannotTell(reason, detail, forever, after):
            # No doubt exists where a person had it sent again, and it never was sent.
            if forever and (sent_at is None or reasons.of(before).believed):
                return _again(progress, before, now, policy, chance)
            failures = progress.failures + 1
            if forever:
                return Settlement(
                    State.QUESTION, reason, detail, failures=failures, sent_at=sent_at
                )
            ask_at = now + timedelta(seconds=policy.delay(failures, chance, after))
            return Settlement(
                State.UNSURE, reason, detail, next_at=ask_at, failures=failures, sent_at=sent_at
            )


def _again(
    progress: Progress, reason: str, now: datetime, policy: RetryPolicy, chance: float
) -> Settlement:
    """Send again: at once the first time, due as of its creation, so that deliveries that failed
    together leave in their order; then at the policy's pace."""
    if progress.failures > 1:
        return _later(progress, progress.failures, now, policy, chance, reason, "", None)
    due = min(now, progress.created_at)
    return Settlement(State.WAITING, reason, next_at=due, failures=progress.failures)


def _left(sent_at: datetime | None, settle: float, now: datetime) -> float:
    """Return the seconds for which the far end may still not show what it was sent."""
    if sent_at is None or settle <= 0:
        return 0.0
    return min(settle, settle - (now - sent_at).total_seconds())


def _later(
    progress: Progress,
    failures: int,
    now: datetime,
    policy: RetryPolicy,
    chance: float,
    reason: str,
    detail: str,
    after: float | None,
) -> Settlement:
    next_at = now + timedelta(seconds=policy.delay(failures, chance, after))
    end = progress.created_at + timedelta(seconds=policy.limit)
    if next_at > end:
        if after is None or now >= end:
            return Settlement(State.DEAD, reason, detail, failures=failures)
        next_at = end  # no more time than there is
    return Settlement(State.WAITING, reason, detail, next_at=next_at, failures=failures)
