"""The rules of incidents: what a symptom weighs, when it opens one, when one is over, and by when
it must be solved (the convention of the Métropole with its communes). Pure.

One cause has one live incident: all symptoms of a far end are one. A cause that comes and goes is
one as well: a symptom must have shown for a while, and been gone for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from gateway.core.working_time import Pause, SolvingClock, WallTime, WorkingTime, deadline, spent

if TYPE_CHECKING:
    from gateway.core.alerting import Hearing

_HOUR = timedelta(hours=1)
#: The longest that a cause which keeps coming back must have been gone.
LONGEST_SETTLE = 4 * _HOUR


class Severity(StrEnum):
    """The convention's words, the worst first."""

    BLOQUANT = "bloquant"
    MAJEUR = "majeur"
    MINEUR = "mineur"

    @property
    def weight(self) -> int:
        """The worse, the more."""
        return -list(Severity).index(self)


class IncidentKind(StrEnum):
    SERVICE = "service"
    SECURITY = "securite"


class Party(StrEnum):
    """The party that caused it."""

    GATEWAY = "gateway"
    PORTAL = "portal"
    GLC = "glc"
    COMMUNE = "commune"
    NETWORK = "network"


class IncidentState(StrEnum):
    """suspected: a symptom shows, not for long enough. resolved: the symptoms are gone, a person
    may have a word to add. closed: nobody has anything to do."""

    SUSPECTED = "suspected"
    OPEN = "open"
    RESOLVED = "resolved"
    CLOSED = "closed"


class SymptomWord(StrEnum):
    """A thing that the gateway sees by itself."""

    PORTAL_AWAY = "portal_away"
    GRU_AWAY = "gru_away"
    LATE = "deliveries_late"
    PARKED = "deliveries_parked"
    POLL_FAILS = "poll_fails"
    RECONCILE_FAILS = "reconcile_fails"
    NOT_FETCHED = "not_fetched"
    NETWORK_AWAY = "network_away"
    GLC_AWAY = "glc_away"
    DATABASE_AWAY = "database_away"
    DISK_FULL = "disk_full"
    DISK_LOW = "disk_low"
    OBJECTS_AWAY = "objects_away"
    ANTIVIRUS_AWAY = "antivirus_away"
    VAULT_AWAY = "vault_away"
    FORM_DRIFT = "form_drift"
    CERTIFICATE_ENDS = "certificate_ends"
    REFERENCE_UNREAD = "reference_unread"
    RELEASE_REFUSED = "release_refused"
    NOBODY_TOLD = "nobody_told"
    DECOMMISSION_LATE = "decommission_late"
    TICKETS_WAIT = "tickets_wait"
    AVAILABILITY_BURNS = "availability_burns"
    REFUSED_SIGNATURES = "refused_signatures"
    REPLAYED_CALLS = "replayed_calls"
    FORGED_WEBHOOKS = "forged_webhooks"
    REFUSED_SIGN_INS = "refused_sign_ins"
    FORGED_FORMS = "forged_forms"
    MASS_DELETION = "mass_deletion"
    BROKEN_TRAIL = "broken_trail"


#: The signs of an attack. Each is notified, whatever its severity.
SECURITY = frozenset(
    {
        SymptomWord.REFUSED_SIGNATURES,
        SymptomWord.REPLAYED_CALLS,
        SymptomWord.FORGED_WEBHOOKS,
        SymptomWord.REFUSED_SIGN_INS,
        SymptomWord.FORGED_FORMS,
        SymptomWord.MASS_DELETION,
        SymptomWord.BROKEN_TRAIL,
    }
)
_BLOQUANT = (
    SymptomWord.PORTAL_AWAY,
    SymptomWord.NETWORK_AWAY,
    SymptomWord.DATABASE_AWAY,
    SymptomWord.DISK_FULL,
    SymptomWord.RELEASE_REFUSED,
    SymptomWord.BROKEN_TRAIL,
    SymptomWord.MASS_DELETION,
)
_MINEUR = (
    SymptomWord.NOT_FETCHED,
    SymptomWord.CERTIFICATE_ENDS,
    SymptomWord.DISK_LOW,
    SymptomWord.TICKETS_WAIT,
    SymptomWord.AVAILABILITY_BURNS,
)
#: *bloquant*: the service or an essential function is down. *majeur*: a function that is not
#: essential, or there is a way around it: what a dead GRU is owed waits here, and nothing is lost.
SEVERITIES: Mapping[SymptomWord, Severity] = MappingProxyType(
    dict.fromkeys(SymptomWord, Severity.MAJEUR)
    | dict.fromkeys(_BLOQUANT, Severity.BLOQUANT)
    | dict.fromkeys(_MINEUR, Severity.MINEUR)
)
#: The time in which the convention wants it solved; *mineur* has none.
BUDGETS: Mapping[Severity, timedelta] = MappingProxyType(
    {Severity.BLOQUANT: 8 * _HOUR, Severity.MAJEUR: 24 * _HOUR}
)
#: The time in which an attack is notified to the Métropole, by the clock on the wall.
NOTIFY_WITHIN = 8 * _HOUR
#: The time for which a symptom shows before it is an incident; others open one at once.
_FIVE = timedelta(minutes=5)
AFTER: Mapping[SymptomWord, timedelta] = {
    SymptomWord.PORTAL_AWAY: _FIVE,
    SymptomWord.GRU_AWAY: _FIVE,
    SymptomWord.NETWORK_AWAY: timedelta(minutes=2),
    SymptomWord.GLC_AWAY: 3 * _FIVE,
    SymptomWord.POLL_FAILS: 3 * _FIVE,
    SymptomWord.RECONCILE_FAILS: 3 * _FIVE,
    SymptomWord.DATABASE_AWAY: timedelta(minutes=1),
    SymptomWord.OBJECTS_AWAY: _FIVE,
    SymptomWord.ANTIVIRUS_AWAY: _FIVE,
    SymptomWord.VAULT_AWAY: _FIVE,
    SymptomWord.NOBODY_TOLD: _HOUR,
    SymptomWord.TICKETS_WAIT: _HOUR,
}


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that is amiss. `cause` names what it comes of: a far end or a part of the gateway.

    `communes` are hit by it, `party` is to blame as far as we can tell. `since`: when it began,
    where that is known. `part_of`: a wider cause that explains it; it opens no incident of its own
    while that is seen. `rehearsal`: its far end is a test one, whose failure is *mineur*.
    """

    cause: str
    word: SymptomWord
    communes: frozenset[str] = frozenset()
    party: Party = Party.GATEWAY
    reason: str = ""
    since: datetime | None = None
    part_of: str | None = None
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """All symptoms of one cause, at one look. `worst` is the word that weighs most."""

    cause: str
    kind: IncidentKind
    severity: Severity
    party: Party
    worst: SymptomWord
    words: frozenset[SymptomWord]
    communes: frozenset[str]
    reason: str
    since: datetime | None
    part_of: str | None
    after: timedelta


@dataclass(frozen=True, slots=True)
class IncidentRules:
    """The configuration of incidents.

    `late`: the age at which a delivery that goes by itself is late. `parked`: so many deliveries of
    one lane wait for a person. `burst`: refused calls of one kind within ten minutes.
    `settle`: how long symptoms are gone before it is over. `warn`: so long before the deadline
    people are warned. `operators` are mail addresses of the Métropole. `ticketing`: each has a
    ticket in its tool. `hearings` are the channels by which people are told. `after`: how long a
    symptom shows before it is one. `every`: seconds between two looks.
    """

    severities: Mapping[SymptomWord, Severity] = field(default_factory=lambda: SEVERITIES)
    late: timedelta = 2 * _HOUR
    parked: int = 5
    burst: int = 30
    settle: timedelta = timedelta(minutes=10)
    warn: timedelta = 2 * _HOUR
    working: WorkingTime = field(default_factory=WorkingTime)
    operators: tuple[str, ...] = ()
    ticketing: bool = False
    hearings: tuple[Hearing, ...] = ()
    after: Mapping[SymptomWord, timedelta] = field(default_factory=lambda: AFTER)
    every: float = 30.0

    def severity(self, symptom: Symptom) -> Severity:
        """Return how grave a symptom is."""
        return Severity.MINEUR if symptom.rehearsal else self.severities[symptom.word]

    def clock(self, kind: IncidentKind) -> SolvingClock:
        """Return the clock of a kind: an attack has no working hours."""
        return WallTime() if kind is IncidentKind.SECURITY else self.working

    def settle_after(self, returns: int) -> timedelta:
        """Return how long the symptoms are gone before it is over. It doubles each time it came
        back."""
        doubled = self.settle * float(2 ** min(returns, 16))
        return max(min(doubled, LONGEST_SETTLE), self.settle)

    def budget(self, kind: IncidentKind, severity: Severity) -> timedelta | None:
        """Return the time in which it must be solved, or an attack notified; None: no bound."""
        return NOTIFY_WITHIN if kind is IncidentKind.SECURITY else BUDGETS.get(severity)

    def deadline(
        self, kind: IncidentKind, severity: Severity, opened: datetime, pauses: Sequence[Pause]
    ) -> datetime | None:
        """Return by when; None without a bound, and while its clock stands still."""
        budget = self.budget(kind, severity)
        return None if budget is None else deadline(self.clock(kind), opened, budget, pauses)

    def left(
        self,
        kind: IncidentKind,
        severity: Severity,
        opened: datetime,
        pauses: Sequence[Pause],
        now: datetime,
    ) -> timedelta | None:
        """Return the time left of the budget, below zero once it is spent; None without one."""
        budget = self.budget(kind, severity)
        return None if budget is None else budget - spent(self.clock(kind), opened, pauses, now)


def observe(symptoms: Iterable[Symptom], rules: IncidentRules) -> list[Observation]:
    """Put the symptoms of each cause together. An attack is never mixed with a failure."""
    groups: dict[tuple[str, bool], list[Symptom]] = {}
    for one in symptoms:
        groups.setdefault((one.cause, one.word in SECURITY), []).append(one)
    return [_together(cause, group, rules) for (cause, _), group in sorted(groups.items())]


def _together(cause: str, group: Sequence[Symptom], rules: IncidentRules) -> Observation:
    order = list(SymptomWord)
    worst = max(group, key=lambda one: (rules.severity(one).weight, -order.index(one.word)))
    known = [one.since for one in group if one.since is not None]
    return Observation(
        cause=cause,
        kind=IncidentKind.SECURITY if worst.word in SECURITY else IncidentKind.SERVICE,
        severity=rules.severity(worst),
        party=worst.party,
        worst=worst.word,
        words=frozenset(one.word for one in group),
        communes=frozenset().union(*(one.communes for one in group)),
        reason=worst.reason,
        since=min(known, default=None),
        # What has a symptom of its own besides is not explained by the wider cause.
        part_of=None if any(one.part_of is None for one in group) else group[0].part_of,
        after=min(rules.after.get(one.word, timedelta()) for one in group),
    )


__all__ = ["AFTER", "BUDGETS", "LONGEST_SETTLE", "NOTIFY_WITHIN", "SECURITY", "SEVERITIES"]
__all__ += ["IncidentKind", "IncidentRules", "IncidentState", "Observation", "Party", "Severity"]
__all__ += ["Symptom", "SymptomWord", "observe"]
