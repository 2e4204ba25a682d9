"""Outcomes: the results of a call to a far end.

Expected results of a far end are returned values, never exceptions. They are grouped by what the
caller does next: an exception that escapes an adapter is a bug and parks the delivery.

`reason` and `detail` are ours. `answer` is what the far end said in its own words, masked and
bounded (`gateway.sdk.answered`): it may still tell of a person, so that it is shown on demand
alone, and goes into no representation, log, metric or `detail`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.core import reasons


class ErasureResult(StrEnum):
    """The end of a person's data at a far end that was asked to erase them.

    anonymised: what remains names nobody. kept: a law asks for it (GDPR, art. 17(3)). absent: there
    was nothing of this request.
    """

    ERASED = "erased"
    ANONYMISED = "anonymised"
    KEPT = "kept"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class ErasureAnswer:
    """The answer to an erasure.

    What is kept needs its `ground` (the law or rule); `until` (aware) is the end, where it is
    known, `by` who decided. None of them names the person who is erased.
    """

    result: ErasureResult = ErasureResult.ERASED
    ground: str | None = None
    until: datetime | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The far end has it. `reference` is its own number, if it gives one. `called` False: nothing
    had to be sent, so this says nothing of the far end's health. `erasure`: the answer to an
    erasure; None means that it is erased."""

    reference: str | None = None
    link: str | None = None
    proof: Mapping[str, str] = field(default_factory=dict)
    called: bool = True
    erasure: ErasureAnswer | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The far end will never accept this as it is: a person must mend it.

    `reason` is a constant word of `gateway.core.reasons` or of an adapter; `detail` is a sentence
    for an operator, without personal data, on which no decision hangs.
    """

    reason: str
    detail: str = ""
    answer: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TryLater:
    """Surely not taken, and worth another try. `after` is the far end's Retry-After, in seconds."""

    reason: str
    detail: str = ""
    after: float | None = None
    answer: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Unsure:
    """Sent, with an unknown result: the far end is asked before it is sent again.

    `busy`: the far end may still work on it, so it is not asked before a timeout has passed; None:
    as the reason's row says, True for an unknown reason. `after` is the far end's Retry-After, in
    seconds.
    """

    reason: str
    detail: str = ""
    busy: bool | None = None
    after: float | None = None
    answer: str | None = field(default=None, repr=False, compare=False)

    @property
    def at_work(self) -> bool:
        """May the far end still work on it?"""
        return reasons.of(self.reason).busy if self.busy is None else self.busy


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Surely not taken, because of a setting of ours (key, address, rights)."""

    reason: str
    detail: str = ""
    answer: str | None = field(default=None, repr=False, compare=False)


Outcome = Accepted | Refused | TryLater | Unsure | Misconfigured


@dataclass(frozen=True, slots=True)
class Found:
    """The far end has what we asked about. `called` False: no question was needed."""

    reference: str | None = None
    link: str | None = None
    called: bool = True


@dataclass(frozen=True, slots=True)
class Absent:
    """The far end answered, and does not have it: sending again is safe.

    `settle`: seconds until what it took shows in this search; it is asked again before it is
    believed of anything sent since. `called` False: a second sending changes nothing, so no
    question was needed.
    """

    settle: float = 0.0
    called: bool = True


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The far end could not be asked now (`forever=False`) or can never be asked (`True`)."""

    reason: str
    detail: str = ""
    forever: bool = False
    after: float | None = None
    answer: str | None = field(default=None, repr=False, compare=False)


Finding = Found | Absent | CannotTell
