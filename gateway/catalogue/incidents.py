"""Incidents: their part of `gateway.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from gateway.catalogue.mail import MailAddress
from gateway.catalogue.scalars import StrictModel
from gateway.catalogue.texts import say
from gateway.core.incident import AFTER, SEVERITIES, IncidentRules, Severity, SymptomWord
from gateway.core.working_time import WorkingTime
from gateway.sdk.duration import Duration
from gateway.sdk.refusing import refuse

#: Days of one closure.
_LONGEST: Final = 62
_DAY: Final = timedelta(days=1)
_DEFAULT: Final = IncidentRules()


def _closure(value: str) -> str:
    try:
        days = closed_days(value)
    except ValueError:
        raise refuse(say("no_closure")) from None
    if not 0 < len(days) <= _LONGEST:
        raise refuse(say("closure_length", most=_LONGEST))
    return value


def closed_days(text: str) -> frozenset[date]:
    """Return the days of a closure: `2026-12-24`, or `2026-12-28/2026-12-31`, both included. Raises
    ValueError for what is no date; none where the end comes first, or is far away."""
    begin, _, end = text.partition("/")
    first = date.fromisoformat(begin.strip())
    last = date.fromisoformat(end.strip()) if end else first
    count = (last - first).days + 1
    return frozenset(first + n * _DAY for n in range(count if count <= _LONGEST else 0))


Closure = Annotated[str, Field(max_length=24), AfterValidator(_closure)]


class IncidentsEntry(StrictModel):
    """The rules by which incidents open, are grave, and end. The deadlines are the convention's:
    *bloquant* 8 and *majeur* 24 working hours; an attack is notified within 8 hours."""

    severity: dict[SymptomWord, Severity] = Field(
        default_factory=lambda: dict(SEVERITIES),
        description="How grave a symptom is: bloquant (the service or an essential function is"
        " down), majeur (another function, or there is a way around it), mineur. What is left out"
        " is as shown.",
    )
    late: Duration = Field(
        _DEFAULT.late.total_seconds(),
        description="Age at which a delivery that goes by itself is late.",
    )
    parked: int = Field(
        _DEFAULT.parked,
        ge=1,
        le=100_000,
        description="So many deliveries of one lane that wait for a person.",
    )
    burst: int = Field(
        _DEFAULT.burst,
        ge=1,
        le=1_000_000,
        description="So many calls of one kind refused within ten minutes: bad signatures, calls"
        " played again, webhooks without a proof.",
    )
    settle: Duration = Field(
        _DEFAULT.settle.total_seconds(),
        description="How long the symptoms are gone before it is over; doubled each time that they"
        " came back, to four hours.",
    )
    warn: Duration = Field(
        _DEFAULT.warn.total_seconds(),
        description="People are warned when so little of the time is left.",
    )
    after: dict[SymptomWord, Duration] = Field(
        default_factory=lambda: {word: one.total_seconds() for word, one in AFTER.items()},
        description="How long a symptom shows before it is an incident; at once where nothing is"
        " written. What is left out is as shown.",
    )
    every: Duration = Field(
        _DEFAULT.every, description="Time between two looks at all that may be amiss."
    )
    closures: tuple[Closure, ...] = Field(
        (),
        max_length=200,
        description="Days without working hours, beside week-ends and public holidays: 2026-12-24"
        " or 2026-12-28/2026-12-31.",
    )
    operators: tuple[MailAddress, ...] = Field(
        (),
        max_length=10,
        description="Who is told of each incident at the Métropole, by `mail`. Communes are told"
        " by their `contacts`.",
    )

    def rules(self) -> IncidentRules:
        """Return the rules."""
        days: Iterable[frozenset[date]] = map(closed_days, self.closures)
        return IncidentRules(
            severities={**SEVERITIES, **self.severity},
            late=timedelta(seconds=self.late),
            parked=self.parked,
            burst=self.burst,
            settle=timedelta(seconds=self.settle),
            warn=timedelta(seconds=self.warn),
            after={**AFTER, **{w: timedelta(seconds=s) for w, s in self.after.items()}},
            every=self.every,
            working=WorkingTime(frozenset[date]().union(*days)),
            operators=self.operators,
        )


__all__ = ["IncidentsEntry", "closed_days"]
