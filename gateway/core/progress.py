"""The meaning of a GRU's word for a request that already stands somewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.core.status import FINAL, Status


@dataclass(frozen=True, slots=True)
class CurrentStatus:
    """The status of a request, `since` when by our clock.

    `word` is the last that its GRU said of it and `heard_at` when, by our clock; `changed_at` is
    when it says so itself, never later than it was heard. `withdrawn`: the citizen has cancelled
    it, and the GRU was told.
    """

    status: Status
    since: datetime
    word: str | None = None
    heard_at: datetime | None = None
    changed_at: datetime | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class ReportedStatus:
    """A GRU's word, and what it means (None: nothing for the citizen, or it is not known).

    `present`: so it stands now, as a poll has just read. Otherwise it is how it stood at `at`, by
    the GRU's clock, no later than now; None when it gives no date. `doubtful`: its date cannot be.
    `again`: it was heard before, and could not be judged then.
    """

    word: str
    status: Status | None
    at: datetime | None
    present: bool = False
    doubtful: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """`move`: the request's status becomes the new one, and the portal is to hear of it.

    `keep`: the word is the last one heard from now on.
    """

    move: bool
    keep: bool
    why: str


def judge_status(standing: CurrentStatus, said: ReportedStatus) -> Verdict:
    """Decide whether a word is news.

    The far end's clock orders what it said in the past and nothing else: what a poll reads now
    counts whatever its date. A word is news when it is another than the last one, so that neither a
    date that moves nor a list that repeats itself tells anything twice. A final status may be
    reopened; but one that the citizen has withdrawn stays so, unless the commune goes on with it
    after it has learned of that.
    """
    changed_at = standing.changed_at
    older = said.at is not None and changed_at is not None and said.at < changed_at
    if older and not said.present:
        return Verdict(False, False, "out_of_order")
    repeated = said.word == standing.word and not said.again
    if standing.withdrawn and standing.status is Status.CANCELLED:
        return _after_withdrawal(standing, said, repeated=repeated)
    if repeated:
        return Verdict(False, False, "same_word")
    if said.status is None:
        return Verdict(False, True, "no_status")
    if said.status is standing.status:
        return Verdict(False, True, "same_status")
    return Verdict(True, True, "new_status")


def _after_withdrawal(standing: CurrentStatus, said: ReportedStatus, *, repeated: bool) -> Verdict:
    """The first word after it may be from before it, and an end is what was asked for."""
    read_since = standing.heard_at is not None and standing.heard_at > standing.since
    if repeated:
        return Verdict(False, not read_since, "same_word")
    if said.status is None or said.status in FINAL:
        return Verdict(False, True, "withdrawn")
    dated = said.at is not None and not said.doubtful and said.at > standing.since
    if read_since or dated:
        return Verdict(True, True, "reopened")
    return Verdict(False, True, "withdrawn")


__all__ = ["CurrentStatus", "ReportedStatus", "Verdict", "judge_status"]
