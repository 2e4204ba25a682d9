"""The channels by which people are told of incidents, quiet hours, and the daily digest. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from gateway.core.incident import IncidentKind, Severity
from gateway.core.working_time import PARIS

#: Before the name of a channel in the audience of a note; what follows `:` is a commune.
MARK = "#"
_DAY = timedelta(days=1)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of Paris in which nobody is told: `begin` to `end`, over midnight where `end` comes
    first; whole Saturdays and Sundays as well with `weekends`."""

    begin: time
    end: time
    weekends: bool = False

    def until(self, now: datetime) -> datetime | None:
        """Return when people may be told again; None: now."""
        moment = now
        for _ in range(4):  # a night, a Saturday, a Sunday, the night after
            later = self._next(moment)
            if later is None:
                break
            moment = later
        return moment if moment > now else None

    def _next(self, now: datetime) -> datetime | None:
        local = now.astimezone(PARIS)
        if self.weekends and local.weekday() >= _SATURDAY:
            return _at(local + _DAY, time())
        hour = local.time()
        if self.begin <= self.end:
            return _at(local, self.end) if self.begin <= hour < self.end else None
        if hour >= self.begin:
            return _at(local + _DAY, self.end)
        return _at(local, self.end) if hour < self.end else None


def _at(day: datetime, hour: time) -> datetime:
    """Return an hour of that day of Paris."""
    return datetime.combine(day.date(), hour, PARIS).astimezone(UTC)


def digest_due(at: time, last: str | None, now: datetime) -> str | None:
    """Return the day for which a digest is due, as its date; None: that one was made."""
    day = now.astimezone(PARIS)
    today = day.date().isoformat()
    return today if now >= _at(day, at) and (last is None or last < today) else None


@dataclass(frozen=True, slots=True)
class Hearing:
    """Says of what a channel is told. `communes` None: it is the Métropole's; `everywhere`: it is
    that of all communes. `least`: the least severity that is told at once, None for none.
    `security`: of attacks as well."""

    name: str
    communes: frozenset[str] | None = None
    least: Severity | None = Severity.MINEUR
    security: bool = True
    everywhere: bool = False

    def hears(self, severity: Severity) -> bool:
        """Is it told at once of what is as grave?"""
        return self.least is not None and severity.weight >= self.least.weight

    def audiences(
        self, kind: IncidentKind, severity: Severity, communes: Collection[str]
    ) -> list[str]:
        """Return the audiences of a note about an incident that hits these communes."""
        if not self.hears(severity):
            return []
        if kind is IncidentKind.SECURITY and not self.security:
            return []
        if self.communes is None:
            return [f"{MARK}{self.name}"]
        if kind is IncidentKind.SECURITY:
            return []  # of an attack, a person tells the communes
        mine = [one for one in communes if self.everywhere or one in self.communes]
        return [f"{MARK}{self.name}:{insee}" for insee in mine]


def parse_audience(audience: str) -> tuple[str, str]:
    """Return the channel of an audience, and its commune, or nothing."""
    name, _, commune = audience.removeprefix(MARK).partition(":")
    return name, commune


__all__ = ["MARK", "Hearing", "QuietHours", "digest_due", "parse_audience"]
