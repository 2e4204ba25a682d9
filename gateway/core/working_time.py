"""The clocks by which incidents are solved: the convention's working hours, and wall-clock time.

Working hours are Monday to Friday, 9:00 to 17:00 in Paris, without the public holidays of article
L3133-1 of the Code du travail and without closures. There are no local holidays in Lyon: those of
Alsace-Moselle do not hold there. Arguments and results are aware; results are UTC. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
OPENS, CLOSES = time(9), time(17)
_NONE = timedelta()
_DAY = timedelta(days=1)
_SATURDAY = 5
#: Days on which it is a holiday every year: month and day.
_FIXED = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
#: Easter Monday, Ascension, Whit Monday: days after Easter Sunday.
_AFTER_EASTER = (1, 39, 50)


class SolvingClock(Protocol):
    """A clock that may stand still for a while."""

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return the time that counts from `start` to `end`; none where `end` is earlier."""

    def after(self, start: datetime, spent: timedelta) -> datetime:
        """Return the first moment at which `spent` has counted since `start`."""


@dataclass(frozen=True, slots=True)
class WallTime:
    """Every hour counts."""

    def between(self, start: datetime, end: datetime) -> timedelta:
        return max(end - start, _NONE)

    def after(self, start: datetime, spent: timedelta) -> datetime:
        return start.astimezone(UTC) + spent


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """Working hours count. `closures` are further days on which nobody works."""

    closures: frozenset[date] = frozenset()

    def is_worked(self, day: date) -> bool:
        """Does anybody work on this day?"""
        return (
            day.weekday() < _SATURDAY
            and day not in public_holidays(day.year)
            and day not in self.closures
        )

    def between(self, start: datetime, end: datetime) -> timedelta:
        total = _NONE
        for opens, closes in self._days(start):
            if opens >= end:
                break
            total += max(min(closes, end) - max(opens, start), _NONE)
        return total

    def after(self, start: datetime, spent: timedelta) -> datetime:
        if spent <= _NONE:
            return start.astimezone(UTC)
        left = spent
        for opens, closes in self._days(start):
            begins = max(opens, start.astimezone(UTC))
            here = closes - begins
            if here > _NONE and left <= here:
                return begins + left
            left -= max(here, _NONE)
        raise ValueError("the calendar has no such day")

    def _days(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the opening and closing of each day that is worked, from that of `start` on."""
        day = start.astimezone(PARIS).date()
        while day < date.max:
            if self.is_worked(day):
                yield _moment(day, OPENS), _moment(day, CLOSES)
            day += _DAY


def _moment(day: date, hour: time) -> datetime:
    return datetime.combine(day, hour, PARIS).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Pause:
    """A time during which a clock stands still; `end` None: it still does."""

    start: datetime
    end: datetime | None = None


def spent(
    clock: SolvingClock, start: datetime, pauses: Sequence[Pause], now: datetime
) -> timedelta:
    """Return the time that has counted from `start` to `now`, without pauses."""
    return sum((clock.between(*one) for one in _running(start, pauses, now)), _NONE)


def deadline(
    clock: SolvingClock, start: datetime, budget: timedelta, pauses: Sequence[Pause] = ()
) -> datetime | None:
    """Return the moment at which `budget` will have counted since `start`, without pauses; None
    while the clock stands still before that."""
    left, begin = budget, start
    for pause in _merged(start, pauses):
        here = clock.between(begin, pause.start)
        if left <= here:
            break
        left -= here
        if pause.end is None:
            return None
        begin = pause.end
    return clock.after(begin, left)


def _running(
    start: datetime, pauses: Sequence[Pause], now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the stretches from `start` to `now` in which the clock runs."""
    begin = start
    for pause in _merged(start, pauses):
        yield begin, min(pause.start, now)
        if pause.end is None or pause.end >= now:
            return
        begin = pause.end
    yield begin, now


def _merged(start: datetime, pauses: Sequence[Pause]) -> list[Pause]:
    """Return the pauses after `start` in order, those that touch as one."""
    found: list[Pause] = []
    for one in sorted(pauses, key=lambda pause: pause.start):
        if one.end is not None and one.end <= max(start, one.start):
            continue
        last = found[-1] if found else None
        if last is None or (last.end is not None and one.start > last.end):
            found.append(Pause(max(one.start, start), one.end))
        elif last.end is not None:
            end = None if one.end is None else max(last.end, one.end)
            found[-1] = Pause(last.start, end)
    return found


@lru_cache(maxsize=64)
def public_holidays(year: int) -> frozenset[date]:
    """Return the public holidays of France in a year."""
    easter = _easter(year)
    moving = {easter + timedelta(days=days) for days in _AFTER_EASTER}
    return frozenset({date(year, month, day) for month, day in _FIXED} | moving)


def _easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar, as Butcher reckons it (1876)."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - century // 4 - moon + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


__all__ = ["CLOSES", "OPENS", "PARIS", "Pause", "SolvingClock", "WallTime", "WorkingTime"]
__all__ += ["deadline", "public_holidays", "spent"]
