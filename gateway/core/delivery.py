"""A delivery's states, the moves between them, and the one function that decides a move.

waiting --claim--> sending --Accepted--> done
   ^                  |------TryLater, Misconfigured--> waiting (later) or dead (time limit)
   |                  |------Refused, or a bug--------> parked
   |                  |------Unsure-------------------> unsure --claim, find--> sending
   |                  '------cannot ever be asked-----> question (a person's yes or no)
   '---replay (parked, dead), "no" (question)
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
    State.PARKED: frozenset({State.WAITING, State.DISCARDED}),
    State.DEAD: frozenset({State.WAITING, State.DISCARDED}),
    State.DONE: frozenset(),
    State.DISCARDED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """What `decide` needs to know of a delivery: when it began, how often it failed, and the
    reason of its last settlement."""

    created_at: datetime
    failures: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The move to perform. `next_at` is set for states that are claimed again by themselves."""

    state: State
    reason: str
    detail: str = ""
    next_at: datetime | None = None
    reference: str | None = None
    link: str | None = None
    failures: int = 0


#: What the far end is through with is asked about after so many seconds: what it has just kept
#: may show a little later.
ASK_AFTER = 2.0
#: What it may still be at work on, where nothing says how long a call may take, in seconds.
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
    """The settlement of one attempt. Pure: `chance` in [0, 1) is the jitter's random number.

    `timeout`: seconds that the far end may be at work on a call. Unless it is known to be through,
    what became of the call is asked no earlier than that.
    """
    failures = progress.failures + 1
    match outcome:
        case Accepted(reference, link):
            return Settlement(State.DONE, "accepted", reference=reference, link=link)
        case Refused(reason, detail):
            return Settlement(State.PARKED, reason, detail, failures=failures)
        case Unsure(reason, detail, busy, after):
            busy = reasons.of(reason).busy if busy is None else busy
            wait = max(timeout if busy else ASK_AFTER, min(after or 0.0, policy.retry_after_max))
            ask_at = now + timedelta(seconds=wait * (1 + policy.jitter * chance))
            return Settlement(State.UNSURE, reason, detail, next_at=ask_at, failures=failures)
        case TryLater(reason, detail, after):
            return _later(progress, failures, now, policy, chance, reason, detail, after)
        case Misconfigured(reason, detail):
            return _later(progress, failures, now, policy, chance, reason, detail, None)


def decide_finding(
    progress: Progress, finding: Finding, now: datetime, policy: RetryPolicy, chance: float
) -> Settlement:
    """The settlement of asking the far end about an `unsure` delivery.

    Nothing is given up for being late as long as the far end may hold it: asking goes on. What is
    absent is sent again at once the first time, then at the policy's pace and within its limit: a
    far end that loses everything it is sent must not be sent it every other second. What the far
    end said before it was asked counts too: that it had no time for us is believed where it can
    tell no more, and what it would refuse again waits for a person.
    """
    match finding:
        case Found(reference, link):
            return Settlement(State.DONE, "found", reference=reference, link=link)
        case Absent():
            failures = progress.failures
            if reasons.of(progress.reason).parks:
                return Settlement(State.PARKED, progress.reason, failures=failures)
            if failures > 1:
                return _later(progress, failures, now, policy, chance, "absent", "", None)
            return Settlement(State.WAITING, "absent", next_at=now, failures=failures)
        case CannotTell(reason, detail, forever, after):
            failures = progress.failures + 1
            if forever and reasons.of(progress.reason).believed:
                return _later(progress, failures, now, policy, chance, progress.reason, "", after)
            if forever:
                return Settlement(State.QUESTION, reason, detail, failures=failures)
            ask_at = now + timedelta(seconds=policy.delay(failures, chance, after))
            return Settlement(State.UNSURE, reason, detail, next_at=ask_at, failures=failures)


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
    if next_at > progress.created_at + timedelta(seconds=policy.limit):
        return Settlement(State.DEAD, reason, detail, failures=failures)
    return Settlement(State.WAITING, reason, detail, next_at=next_at, failures=failures)
