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
    """The part of a delivery that `decide` needs: when it began, how often it failed, the reason of
    its last settlement, and when what the far end may have taken was sent (None: nothing was)."""

    created_at: datetime
    failures: int
    reason: str = ""
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The move to perform. `next_at` is set for states that are claimed again by themselves,
    `sent_at` where the far end may have taken what was sent then."""

    state: State
    reason: str
    detail: str = ""
    next_at: datetime | None = None
    reference: str | None = None
    link: str | None = None
    failures: int = 0
    sent_at: datetime | None = None


#: A delivery that failed so often by itself is shown to a person, and still tried.
STUCK_FAILURES = 4
#: What the far end is through with is asked about after so many seconds: what it has just kept
#: may show a little later.
ASK_AFTER = 2.0
#: A search that lags is asked again in half of the time it has left, at its end if that is near.
SOON = 60.0
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
    """Decide the settlement of one attempt. Pure: `chance` in [0, 1) is the jitter's random number.

    `timeout`: seconds that the far end may be at work on a call. Unless it is known to be through,
    what became of the call is asked no earlier than that.
    """
    failures = progress.failures + 1
    match outcome:
        case Accepted(reference, link):
            return Settlement(State.DONE, "accepted", reference=reference, link=link)
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
    """Decide the settlement of asking the far end about an `unsure` delivery.

    Nothing is given up for being late as long as the far end may hold it: asking goes on. What is
    absent is sent again at once the first time, then at the policy's pace and within its limit: a
    far end that loses everything it is sent must not be sent it every other second. What the far
    end said before it was asked counts too: that it had no time for us is believed where it can
    tell no more, and what it would refuse again waits for a person.
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
            # Nothing of it is in doubt where a person had it sent again, and it never was.
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
    """Nothing was done: it is sent at once the first time, as due since it was made, so that those
    which failed together leave in the order in which they came; then at the policy's pace."""
    if progress.failures > 1:
        return _later(progress, progress.failures, now, policy, chance, reason, "", None)
    due = min(now, progress.created_at)
    return Settlement(State.WAITING, reason, next_at=due, failures=progress.failures)


def _left(sent_at: datetime | None, settle: float, now: datetime) -> float:
    """Return for how many seconds more the far end may not show what it was sent."""
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
        next_at = end  # a far end that asks for more time than there is gets all that there is
    return Settlement(State.WAITING, reason, detail, next_at=next_at, failures=failures)
