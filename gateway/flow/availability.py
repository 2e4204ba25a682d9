"""The availability ledger as it is read: a month of each service and commune."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gateway.core.availability import (
    SOLVED_TARGET,
    Availability,
    add_up,
    burns,
    minute_of,
    month_of,
    window_of,
)
from gateway.core.incident import IncidentKind, IncidentRules, Party
from gateway.core.working_time import PARIS
from gateway.store import announcements, availability, incidents
from gateway.store.announcements import Announcement
from gateway.store.availability import Scope
from gateway.store.engine import Store
from gateway.store.incidents import Incident


@dataclass(frozen=True, slots=True)
class JudgedIncident:
    """An incident of a month. `kept` None: its time is not over, or there is none. `counts`: it is
    the Métropole's to solve, and so counts for the share that is solved in time."""

    incident: Incident
    deadline: datetime | None
    kept: bool | None
    counts: bool


@dataclass(frozen=True, slots=True)
class ScopeMonth:
    """A service's month, or a commune's. `solved` and `judged` count incidents."""

    scope: Scope
    minutes: Availability
    incidents: tuple[JudgedIncident, ...] = ()

    @property
    def judged(self) -> int:
        """The incidents that count and whose time is over or that are solved."""
        return sum(one.counts and one.kept is not None for one in self.incidents)

    @property
    def solved(self) -> int:
        """Those of them that were solved in time."""
        return sum(one.counts and one.kept is True for one in self.incidents)

    @property
    def solved_kept(self) -> bool | None:
        """Were 95 % solved in time? None where there was none to judge."""
        return None if not self.judged else self.solved >= SOLVED_TARGET * self.judged


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """The figures of a month, up to `until`, which is now in the current one. `announced` are the
    maintenances that touched it."""

    month: date
    since: datetime
    until: datetime
    services: tuple[ScopeMonth, ...]
    communes: tuple[ScopeMonth, ...]
    announced: tuple[Announcement, ...]


async def month_figures(
    store: Store, month: date, now: datetime, rules: IncidentRules, commune: str | None = None
) -> MonthFigures:
    """Return the figures of a month of Paris: of every service, and of all communes or of one.
    Raises Unavailable."""
    since, end = month_of(month)
    until = max(since, min(end, now))
    first, last = minute_of(since), minute_of(until)
    found = await store.read(availability.stretches, first, last)
    announced = await store.read(announcements.maintenances, since, until)
    begun = await store.read(incidents.begun_between, since, until)
    judged = [_judged(one, rules, now) for one in begun]
    return MonthFigures(
        month=month.replace(day=1),
        since=since,
        until=until,
        services=tuple(
            ScopeMonth(scope, add_up(found[scope], _windows(announced, within), first, last))
            for scope in sorted(found)
            if not scope.commune
            for within in [[one.commune for one in _communes_of(scope, found)]]
        ),
        communes=tuple(
            ScopeMonth(
                scope,
                add_up(
                    found[scope],
                    _windows(announced, [scope.commune]),
                    first,
                    last,
                    found.get(Scope(scope.service), ()),
                ),
                tuple(one for one in judged if scope.commune in one.incident.communes),
            )
            for scope in sorted(found, key=lambda one: (one.commune, one.service))
            if scope.commune and commune in (None, scope.commune)
        ),
        announced=tuple(announced),
    )


async def burning_services(store: Store, now: datetime, rules: IncidentRules) -> list[str]:
    """List the services that use up this month's budget too fast, by themselves or for one of their
    communes. Raises Unavailable."""
    found = await month_figures(store, now.astimezone(PARIS).date(), now, rules)
    _, end = month_of(found.month)
    whole = minute_of(end) - minute_of(found.since)
    elapsed = minute_of(found.until) - minute_of(found.since)
    every = (*found.services, *found.communes)
    return sorted({one.scope.service for one in every if burns(one.minutes, whole, elapsed)})


def _communes_of(service: Scope, found: Iterable[Scope]) -> list[Scope]:
    return [one for one in found if one.commune and one.service == service.service]


def _windows(announced: Sequence[Announcement], communes: Sequence[str]) -> list[tuple[int, int]]:
    """Return the maintenances that all of these communes were told of in time."""
    return [
        window_of(one.starts_at, one.until)
        for one in announced
        if one.until is not None and communes and {*communes} <= {*one.in_time}
    ]


def _judged(one: Incident, rules: IncidentRules, now: datetime) -> JudgedIncident:
    left = one.left(rules, now)
    over = left is not None and left < timedelta()
    kept = None if left is None or (one.solved_at is None and not over) else not over
    counts = one.kind is IncidentKind.SERVICE and one.party is not Party.COMMUNE
    return JudgedIncident(one, one.deadline(rules), kept, counts)


__all__ = ["JudgedIncident", "MonthFigures", "ScopeMonth", "burning_services", "month_figures"]
