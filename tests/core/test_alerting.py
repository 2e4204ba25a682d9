"""Quiet hours, digests, and which channel hears of what."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from gateway.core.alerting import Hearing, QuietHours, digest_due, parse_audience
from gateway.core.incident import IncidentKind, Severity
from gateway.core.working_time import PARIS

NIGHT = QuietHours(time(20), time(7, 30))
WEEKENDS = QuietHours(time(20), time(7, 30), weekends=True)
SERVICE, SECURITY = IncidentKind.SERVICE, IncidentKind.SECURITY


def at(text: str) -> datetime:
    """Return a time of Paris."""
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).astimezone(UTC)


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NIGHT, "2026-03-12T19:59", None),
        (NIGHT, "2026-03-12T20:00", "2026-03-13T07:30"),
        (NIGHT, "2026-03-13T03:00", "2026-03-13T07:30"),
        (NIGHT, "2026-03-13T07:30", None),
        (QuietHours(time(12), time(14)), "2026-03-12T13:00", "2026-03-12T14:00"),
        (QuietHours(time(12), time(14)), "2026-03-12T14:00", None),
        (NIGHT, "2026-03-14T12:00", None),
        # From Friday evening to Monday morning; the clock is changed on Sunday 29.
        (WEEKENDS, "2026-03-27T21:00", "2026-03-30T07:30"),
        (WEEKENDS, "2026-03-28T12:00", "2026-03-30T07:30"),
        (WEEKENDS, "2026-03-29T23:00", "2026-03-30T07:30"),
        (WEEKENDS, "2026-03-30T09:00", None),
        (NIGHT, "2026-10-25T02:30", "2026-10-25T07:30"),
        (QuietHours(time(8), time(8)), "2026-03-12T08:00", None),
    ],
)
def test_nobody_is_told_in_quiet_hours(hours: QuietHours, now: str, until: str | None) -> None:
    assert hours.until(at(now)) == (None if until is None else at(until))


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, "2026-03-12T07:59", None),
        (None, "2026-03-12T08:00", "2026-03-12"),
        ("2026-03-12", "2026-03-12T23:00", None),
        ("2026-03-11", "2026-03-13T00:10", None),
        ("2026-03-10", "2026-03-13T09:00", "2026-03-13"),
    ],
)
def test_a_digest_is_due_once_a_day(last: str | None, now: str, due: str | None) -> None:
    assert digest_due(time(8), last, at(now)) == due


HIT = ("69029", "69266")


@pytest.mark.parametrize(
    ("hearing", "kind", "severity", "audiences"),
    [
        (Hearing("a"), SERVICE, Severity.MINEUR, ["#a"]),
        (Hearing("a", least=Severity.MAJEUR), SERVICE, Severity.MINEUR, []),
        (Hearing("a", least=Severity.MAJEUR), SERVICE, Severity.BLOQUANT, ["#a"]),
        (Hearing("a", least=None), SERVICE, Severity.BLOQUANT, []),
        (Hearing("a"), SECURITY, Severity.MAJEUR, ["#a"]),
        (Hearing("a", security=False), SECURITY, Severity.BLOQUANT, []),
        (Hearing("a", frozenset({"69029"})), SERVICE, Severity.MAJEUR, ["#a:69029"]),
        (Hearing("a", frozenset({"69029"})), SECURITY, Severity.MAJEUR, []),
        (Hearing("a", frozenset({"69123"})), SERVICE, Severity.MAJEUR, []),
        (
            Hearing("a", frozenset(), everywhere=True),
            SERVICE,
            Severity.MAJEUR,
            ["#a:69029", "#a:69266"],
        ),
    ],
)
def test_a_channel_hears_of_what_is_its_own(
    hearing: Hearing, kind: IncidentKind, severity: Severity, audiences: list[str]
) -> None:
    assert hearing.audiences(kind, severity, HIT) == audiences


def test_an_audience_is_read_as_it_was_written() -> None:
    assert parse_audience("#salon") == ("salon", "")
    assert parse_audience("#salon:69029") == ("salon", "69029")
