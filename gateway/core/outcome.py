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

from gateway.core import reasons


@dataclass(frozen=True, slots=True)
class Accepted:
    """The far end has it. `reference` is its own number, absent where it gives none.

    `called` False: nothing had to be sent, so this tells nothing of how the far end does.
    """

    reference: str | None = None
    link: str | None = None
    proof: Mapping[str, str] = field(default_factory=dict)
    called: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """The far end will never take this as it stands: a person must mend it.

    `reason` is a constant word of the table `gateway.core.reasons`, or of an adapter's own;
    `detail` is a sentence for an operator, on which nothing is decided, without personal data.
    """

    reason: str
    detail: str = ""
    answer: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TryLater:
    """Certainly not taken, and worth another try. `after` is the far end's Retry-After, seconds."""

    reason: str
    detail: str = ""
    after: float | None = None
    answer: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Unsure:
    """Sent, and not known to be taken or not: never sent again before the far end was asked.

    `busy`: the far end may still be at work on it, so it is asked no sooner than after a timeout;
    None: what the table says of the reason, True for a word that it does not hold. `after` is the
    far end's Retry-After, seconds.
    """

    reason: str
    detail: str = ""
    busy: bool | None = None
    after: float | None = None
    answer: str | None = field(default=None, repr=False, compare=False)

    @property
    def at_work(self) -> bool:
        """May the far end still be at work on it?"""
        return reasons.of(self.reason).busy if self.busy is None else self.busy


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Certainly not taken, because of a setting of ours (key, address, rights)."""

    reason: str
    detail: str = ""
    answer: str | None = field(default=None, repr=False, compare=False)


Outcome = Accepted | Refused | TryLater | Unsure | Misconfigured


@dataclass(frozen=True, slots=True)
class Found:
    """The far end holds what we asked about. `called` False: nobody had to be asked."""

    reference: str | None = None
    link: str | None = None
    called: bool = True


@dataclass(frozen=True, slots=True)
class Absent:
    """The far end answered, and does not hold it: sending again is safe.

    `settle`: what it took may show in this search so many seconds later, so it is asked again
    before it is believed of anything sent since. `called` False: sending twice is sending once,
    so nobody had to be asked.
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
