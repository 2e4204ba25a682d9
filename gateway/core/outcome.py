"""What a call to a far end came to.

Expected results of a far end are returned values, never exceptions. They are grouped by what the
caller does next: an exception that escapes an adapter is a bug and parks the delivery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Accepted:
    """The far end has it. `reference` is its own number, absent where it gives none."""

    reference: str | None = None
    link: str | None = None
    proof: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The far end will never take this as it stands: a person must mend it.

    `reason` is a constant word (`unmappable`, `invalid`, `unknown_reference`...); `detail` is a
    sentence for an operator and holds no personal data.
    """

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TryLater:
    """Certainly not taken, and worth another try. `after` is the far end's Retry-After, seconds."""

    reason: str
    detail: str = ""
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Unsure:
    """Sent, and the answer is lost: it may or may not have been taken. Never re-send blindly."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Certainly not taken, because of a setting of ours (key, address, rights)."""

    reason: str
    detail: str = ""


Outcome = Accepted | Refused | TryLater | Unsure | Misconfigured


@dataclass(frozen=True, slots=True)
class Found:
    """The far end holds what we asked about."""

    reference: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """The far end answered, and does not hold it: sending again is safe."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The far end could not be asked now (`forever=False`) or can never be asked (`True`)."""

    reason: str
    detail: str = ""
    forever: bool = False
    after: float | None = None


Finding = Found | Absent | CannotTell
