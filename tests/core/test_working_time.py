"""The convention's clock. `deadlines.csv` has 200 incidents: sixty were reasoned by hand, each with
its reason; the others were walked minute by minute, over holidays and clock changes that are
written down here and not computed."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.core.working_time import (
    PARIS,
    Pause,
    SolvingClock,
    WallTime,
    WorkingTime,
    deadline,
    public_holidays,
    spent,
)

TABLE = Path(__file__).with_name("deadlines.csv")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

#: As the Service-Public site lists them for 2025 to 2028.
LISTED = """
2025-01-01 2025-04-21 2025-05-01 2025-05-08 2025-05-29 2025-06-09 2025-07-14 2025-08-15
2025-11-01 2025-11-11 2025-12-25
2026-01-01 2026-04-06 2026-05-01 2026-05-08 2026-05-14 2026-05-25 2026-07-14 2026-08-15
2026-11-01 2026-11-11 2026-12-25
2027-01-01 2027-03-29 2027-05-01 2027-05-06 2027-05-08 2027-05-17 2027-07-14 2027-08-15
2027-11-01 2027-11-11 2027-12-25
2028-01-01 2028-04-17 2028-05-01 2028-05-08 2028-05-25 2028-06-05 2028-07-14 2028-08-15
2028-11-01 2028-11-11 2028-12-25
"""
HOLIDAYS = {date.fromisoformat(day) for day in LISTED.split()}
#: Summers: from and to 1:00 UTC of these days the clocks of Paris are two hours ahead.
SUMMERS = [
    (datetime(2025, 3, 30, 1), datetime(2025, 10, 26, 1)),
    (datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1)),
    (datetime(2027, 3, 28, 1), datetime(2027, 10, 31, 1)),
    (datetime(2028, 3, 26, 1), datetime(2028, 10, 29, 1)),
]


class Incident(NamedTuple):
    """A row of the table; `due` None: never, as the clock stands still."""

    opened: datetime
    wall: bool
    hours: int
    pauses: list[Pause]
    closures: frozenset[date]
    due: datetime | None
    because: str

    @property
    def clock(self) -> SolvingClock:
        return WallTime() if self.wall else WorkingTime(self.closures)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _read(row: list[str]) -> Incident:
    opened, hours, pauses, closures, due, because = row
    return Incident(
        _moment(opened),
        hours.startswith("wall"),
        int(hours.split()[-1]),
        [
            Pause(_moment(begin), _moment(end) if end else None)
            for begin, end in (one.split("/") for one in pauses.split())
        ],
        frozenset(map(date.fromisoformat, closures.split())),
        None if due == "never" else _moment(due),
        because,
    )


with TABLE.open(encoding="utf-8", newline="") as file:
    INCIDENTS = [_read(row) for row in csv.reader(file, delimiter="|")]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def walked(one: Incident) -> datetime | None:
    """Walk from minute to minute until enough of them have counted; None after 60 days."""
    left = one.hours * 60
    moment = _utc(one.opened)
    pauses = [(_utc(p.start), p.end and _utc(p.end)) for p in one.pauses]
    for _ in range(60 * 24 * 60):
        summer = any(begin <= moment < end for begin, end in SUMMERS)
        local = moment + timedelta(hours=2 if summer else 1)
        day = local.date()
        counts = one.wall or (
            9 <= local.hour < 17
            and local.weekday() < 5
            and day not in HOLIDAYS
            and day not in one.closures
        )
        if counts and not any(b <= moment and (e is None or moment < e) for b, e in pauses):
            left -= 1
        moment += MINUTE
        if left == 0:
            return moment.replace(tzinfo=UTC)
    return None


def test_there_are_two_hundred_incidents() -> None:
    assert len(INCIDENTS) == 200
    assert sum(one.because != "walked" for one in INCIDENTS) >= 60
    said = " ".join(one.because for one in INCIDENTS)
    for case in ("11 November", "Friday 16:59", "closure", "lacks an hour", "an hour twice"):
        assert case in said


@pytest.mark.parametrize("n", range(0, 200, 25))
def test_deadlines_agree_with_those_reckoned_by_hand(n: int) -> None:
    for one in INCIDENTS[n : n + 25]:
        found = deadline(one.clock, one.opened, one.hours * HOUR, one.pauses)
        assert found == one.due, one


@pytest.mark.parametrize("n", range(0, 200, 8))
def test_the_table_agrees_with_a_walk_from_minute_to_minute(n: int) -> None:
    assert walked(INCIDENTS[n]) == INCIDENTS[n].due, INCIDENTS[n]


@pytest.mark.parametrize("year", [2025, 2026, 2027, 2028])
def test_the_public_holidays_are_those_of_the_official_list(year: int) -> None:
    assert public_holidays(year) == {day for day in HOLIDAYS if day.year == year}


def test_easter_is_where_it_was_and_will_be() -> None:
    mondays = ["2000-04-24", "2008-03-24", "2011-04-25", "2024-04-01", "2038-04-26", "2049-04-19"]
    for text in mondays:
        day = date.fromisoformat(text)
        assert day in public_holidays(day.year)


def test_what_is_spent_at_the_deadline_is_the_budget() -> None:
    for one in INCIDENTS:
        if one.due is not None:
            assert spent(one.clock, one.opened, one.pauses, one.due) == one.hours * HOUR, one
            before = spent(one.clock, one.opened, one.pauses, one.due - MINUTE)
            assert before == one.hours * HOUR - MINUTE, one


def test_a_clock_that_stands_still_counts_nothing_more() -> None:
    monday = datetime(2026, 3, 16, 9, tzinfo=PARIS)
    pauses = [Pause(monday + 2 * HOUR)]
    seen = [spent(WorkingTime(), monday, pauses, monday + n * HOUR) for n in range(5)]
    assert seen == [0 * HOUR, HOUR, 2 * HOUR, 2 * HOUR, 2 * HOUR]


def test_time_never_runs_backwards() -> None:
    start = datetime(2026, 3, 27, 8, tzinfo=PARIS)
    clock = WorkingTime()
    seen = [clock.between(start, start + n * HOUR) for n in range(-3, 120)]
    assert all(one <= other for one, other in pairwise(seen))
    assert seen[0] == timedelta()
