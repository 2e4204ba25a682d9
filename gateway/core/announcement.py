"""Announcements: planned maintenance and technical changes, told to communes beforehand. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_DAY = timedelta(days=1)


class AnnouncementKind(StrEnum):
    """maintenance: the gateway is away for a while. change: something is other from then on."""

    MAINTENANCE = "maintenance"
    CHANGE = "change"


class AnnouncementState(StrEnum):
    """ended: a change holds, a maintenance is over."""

    PLANNED = "planned"
    UNDER_WAY = "under_way"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class AnnouncementRules:
    """The notice periods: so long before it begins a commune must have been told."""

    maintenance: timedelta = 3 * _DAY
    change: timedelta = 30 * _DAY

    def notice(self, kind: AnnouncementKind) -> timedelta:
        """Return the notice period of a kind."""
        return self.change if kind is AnnouncementKind.CHANGE else self.maintenance


def in_time(
    starts_at: datetime, notice: timedelta, told_at: datetime | None, read_at: datetime | None
) -> bool:
    """Was a commune told so long beforehand? Told is who has read it, or whose mail the relay
    took: that somebody meant to tell them counts for nothing."""
    last = starts_at - notice
    return any(at is not None and at <= last for at in (told_at, read_at))


__all__ = ["AnnouncementKind", "AnnouncementRules", "AnnouncementState", "in_time"]
