"""Delays and deadlines are lengths of time: a day of 23 or 25 hours makes them no shorter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.core.decommission import announcement
from gateway.core.erasure import DEADLINE
from gateway.core.retention import RetentionPolicy, cutoff
from gateway.flow.erasure_reminders import WEEK, step_due
from tests.builders import leaving

PARIS = ZoneInfo("Europe/Paris")
#: Noon of the days before both changes of 2026.
BEFORE = [datetime(2026, 3, 28, 12, tzinfo=PARIS), datetime(2026, 10, 24, 12, tzinfo=PARIS)]


@pytest.mark.parametrize("begun", BEFORE)
def test_what_is_over_goes_after_as_many_hours(begun: datetime) -> None:
    ended = begun.astimezone(UTC)
    policy = RetentionPolicy(ended=86400.0, silent=7 * 86400.0)
    for after, due in ((timedelta(hours=23, minutes=59), False), (timedelta(hours=24), True)):
        assert (ended <= policy.cutoffs(ended + after).of("done")) is due
        assert (ended <= cutoff(ended + after, 86400.0)) is due
    assert ended > policy.cutoffs(ended + timedelta(days=7, seconds=-1)).of("accepted")
    assert ended <= policy.cutoffs(ended + timedelta(days=7)).of("accepted")


@pytest.mark.parametrize("begun", BEFORE)
def test_a_commune_is_reminded_after_as_many_hours(begun: datetime) -> None:
    found = begun.astimezone(UTC)
    due = found + DEADLINE
    second = timedelta(seconds=1)
    steps = [
        (due - WEEK - second, "first"),
        (due - WEEK, "week"),
        (due - second, "week"),
        (due, "late0"),
        (due + WEEK - second, "late0"),
        (due + WEEK, "late1"),
    ]
    assert [step_due(due, at) for at, _ in steps] == [step for _, step in steps]


@pytest.mark.parametrize("begun", BEFORE)
def test_a_step_of_a_decommission_is_given_its_time(begun: datetime) -> None:
    closed = begun.astimezone(UTC)
    one = leaving(closed_at=closed, settled_at=closed, drain=86400, tell=3 * 86400)
    assert one.drain_until - closed == timedelta(hours=24)
    assert one.tell_until - closed == timedelta(hours=72)
    # Communes read the clock on their wall.
    _, text = announcement("Bron", one.drain_until, "Fin")
    hour = 13 if begun.month == 3 else 11
    assert f"à {hour:02}:00 (heure de Paris)" in text
