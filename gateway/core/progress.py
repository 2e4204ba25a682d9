"""Judges a GRU's word for a request that already has a status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.core.status import FINAL, Status


@dataclass(frozen=True, slots=True)
class CurrentStatus:
    """The status of a request, `since` when by our clock.

    `word` is its GRU's last word and `heard_at` when it came, by our clock; `changed_at` is the
    GRU's own time of it, never later. `withdrawn`: the citizen has cancelled it, and the GRU was
    told.
    """

    status: Status
    since: datetime
    word: str | None = None
    heard_at: datetime | None = None
    changed_at: datetime | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class ReportedStatus:
    """A GRU's word, and its meaning (None: unknown, or nothing for the citizen).

    `present`: a poll has just read it. Otherwise it is of the time `at` by the GRU's clock, not
    later than now; None without a date. `doubtful`: the date is impossible. `again`: it was heard
    before, and could not be judged then.
    """

    word: str
    status: Status | None
    at: datetime | None
    present: bool = False
    doubtful: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """`move`: the request takes the new status, and the portal is told. `keep`: the word becomes
    the last one heard."""

    move: bool
    keep: bool
    why: str


def judge_status(standing: CurrentStatus, said: ReportedStatus) -> Verdict:
    """Decide whether a word is news.

    The far end's clock orders its past words only: what a poll reads now counts whatever its date.
    A word is news when it differs from the last one, so a moving date or a repeating list tells
    nothing twice. A final status may be reopened; one that the citizen has withdrawn stays, unless
    the commune goes on with it after it was told.
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
    """Judge a word after a withdrawal: the first may be older, and an end was asked for."""
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
