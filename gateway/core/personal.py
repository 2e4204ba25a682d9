"""The purpose, ground and kind of a mapping's data, as the register of the RGPD tells them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LegalBasis(StrEnum):
    """The grounds of article 6(1) of the RGPD, in its order."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class DataCategory(StrEnum):
    """The kinds of personal data that the CNIL's register tells apart."""

    IDENTITY = "identity"
    CONTACT = "contact"
    LOCATION = "location"
    FAMILY = "family"
    WORK = "work"
    FINANCE = "finance"
    HEALTH = "health"
    DOCUMENT = "document"
    REQUEST = "request"


#: The kinds of article 9, which the register names apart.
SENSITIVE = frozenset({DataCategory.HEALTH})


@dataclass(frozen=True, slots=True)
class FieldPurpose:
    """The purpose of the fields of a pattern. `basis` None: that of the whole mapping."""

    pattern: str
    purpose: str
    category: DataCategory = DataCategory.REQUEST
    basis: LegalBasis | None = None
    line: int = 0
    file: str = ""


@dataclass(frozen=True, slots=True)
class PersonalData:
    """One mapping's data, as the RGPD sees them.

    `persons` are those whom they are about, `law` the text that the basis rests on, `kept` the
    commune's own time of keeping, where it tells one.
    """

    purpose: str
    basis: LegalBasis
    persons: tuple[str, ...]
    fields: tuple[FieldPurpose, ...]
    law: str = ""
    kept: str = ""

    def of(self, path: str) -> FieldPurpose | None:
        """Return the purpose of a path that the mapping sends: the longest pattern that fits."""
        fitting = (one for one in self.fields if _fits(one.pattern, path))
        return max(fitting, key=lambda one: len(one.pattern), default=None)


def _fits(pattern: str, path: str) -> bool:
    """Does a path lie at or below a pattern? A `*` at its end stands for anything."""
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return path == pattern or path.startswith((f"{pattern}.", f"{pattern}["))
