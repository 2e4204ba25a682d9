"""Minutes and whose they are, by hand; and what months come to."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from gateway.core.availability import (
    STOPPING,
    Availability,
    CanaryRun,
    MinuteVerdict,
    Stretch,
    add_up,
    begin_of_minute,
    burns,
    commune_verdict,
    glc_verdict,
    minute_of,
    month_of,
    service_verdict,
    window_of,
)
from gateway.core.incident import Party, Symptom, SymptomWord

BRON, LYON = "69029", "69123"
UP, GATEWAY, PORTAL = MinuteVerdict.UP, MinuteVerdict.GATEWAY, MinuteVerdict.PORTAL
COMMUNE, GLC, ANNOUNCED = MinuteVerdict.COMMUNE, MinuteVerdict.GLC, MinuteVerdict.ANNOUNCED
HERE = frozenset({BRON})

AWAY = Symptom("portal:toodego", SymptomWord.PORTAL_AWAY, HERE, Party.PORTAL)
BAD_KEY = Symptom("portal:toodego", SymptomWord.PORTAL_AWAY, HERE, Party.GATEWAY)
OTHER = Symptom("portal:autre", SymptomWord.PORTAL_AWAY, frozenset({LYON}), Party.PORTAL)
GRU = Symptom("gru:69029:voirie", SymptomWord.GRU_AWAY, HERE, Party.COMMUNE)
GRU_KEY = Symptom("gru:69029:voirie", SymptomWord.GRU_AWAY, HERE, Party.GATEWAY)
POLL = Symptom("gru:69029:voirie", SymptomWord.POLL_FAILS, HERE, Party.COMMUNE)
NETWORK = Symptom("network", SymptomWord.NETWORK_AWAY, HERE, Party.NETWORK)
DISK = Symptom("disk", SymptomWord.DISK_FULL, frozenset({BRON, LYON}))
RELEASE = Symptom("release:69029", SymptomWord.RELEASE_REFUSED, HERE)
LATE = Symptom("gru:69029:voirie", SymptomWord.LATE, HERE, Party.COMMUNE)
PARKED = Symptom("gru:69029:voirie", SymptomWord.PARKED, HERE, Party.GATEWAY)
DRIFT = Symptom("form:toodego:voirie", SymptomWord.FORM_DRIFT, HERE, Party.PORTAL)
LIST = Symptom("portal:toodego", SymptomWord.RECONCILE_FAILS, HERE, Party.PORTAL)
ACCOUNTS = Symptom("glc", SymptomWord.GLC_AWAY, frozenset(), Party.GLC)

WHOLE = CanaryRun(accepted=True, delivered=True, told=True)


@pytest.mark.parametrize(
    ("seen", "canary", "whose"),
    [
        # Nothing is amiss, with and without a synthetic request.
        ((), None, UP),
        ((), WHOLE, UP),
        # It is not taken, or does not leave us: ours, whatever else is away.
        ((), CanaryRun(accepted=False), GATEWAY),
        ((AWAY,), CanaryRun(accepted=False), GATEWAY),
        ((), CanaryRun(accepted=True), GATEWAY),
        # It left us, and the portal was not told.
        ((), CanaryRun(True, True, False, Party.PORTAL), PORTAL),
        ((), CanaryRun(True, True, False, Party.GATEWAY), GATEWAY),
        ((), CanaryRun(True, True, False, Party.NETWORK), GATEWAY),
        # It went all the way: the portal answers, although a commune's own lane waits for it.
        ((AWAY,), WHOLE, UP),
        # Without one, the real traffic says.
        ((AWAY,), None, PORTAL),
        ((BAD_KEY,), None, GATEWAY),
        ((OTHER,), None, UP),
        # What is ours counts although the request passed: files do not, or nothing else does.
        ((DISK,), WHOLE, GATEWAY),
        ((NETWORK,), None, GATEWAY),
        ((NETWORK, AWAY), None, GATEWAY),
        # One commune's trouble, lateness and what is no outage are not the service's.
        ((GRU, POLL, GRU_KEY, RELEASE, LATE, PARKED, DRIFT, LIST, ACCOUNTS), None, UP),
    ],
)
def test_a_minute_of_a_service(seen: Any, canary: CanaryRun | None, whose: MinuteVerdict) -> None:
    assert service_verdict("portal:toodego", seen, canary) is whose


@pytest.mark.parametrize(
    ("service", "seen", "paused", "whose"),
    [
        (UP, (), None, UP),
        # What stops the service stops the commune, and is not hidden behind its own outage.
        (GATEWAY, (), None, GATEWAY),
        (GATEWAY, (GRU,), None, GATEWAY),
        (PORTAL, (), None, PORTAL),
        (PORTAL, (GRU,), None, PORTAL),
        # Its own lanes, by who can mend them.
        (UP, (GRU,), None, COMMUNE),
        (UP, (POLL,), None, COMMUNE),
        (UP, (GRU_KEY,), None, GATEWAY),
        (UP, (GRU, GRU_KEY), None, GATEWAY),
        (UP, (AWAY,), None, PORTAL),
        (UP, (AWAY, GRU), None, PORTAL),
        (UP, (BAD_KEY,), None, GATEWAY),
        (UP, (RELEASE,), None, GATEWAY),
        (UP, (NETWORK, GRU), None, GATEWAY),
        # Another commune's are nothing to it.
        (UP, (OTHER,), None, UP),
        # Somebody keeps it still: the commune by its file, an operator by a command.
        (UP, (), COMMUNE, COMMUNE),
        (UP, (), GATEWAY, GATEWAY),
        (PORTAL, (), COMMUNE, PORTAL),
        # What waits is no outage by itself, and GLC is on no request's way.
        (UP, (LATE, PARKED, DRIFT, LIST, ACCOUNTS), None, UP),
    ],
)
def test_a_minute_of_a_commune(
    service: MinuteVerdict, seen: Any, paused: MinuteVerdict | None, whose: MinuteVerdict
) -> None:
    assert commune_verdict(BRON, service, seen, paused) is whose


def test_a_minute_of_glc() -> None:
    assert glc_verdict([AWAY, GRU]) is UP
    assert glc_verdict([AWAY, ACCOUNTS]) is GLC


def test_no_sign_of_an_attack_and_no_forecast_stops_anything() -> None:
    assert SymptomWord.CERTIFICATE_ENDS not in STOPPING
    assert not STOPPING & {SymptomWord.FORGED_WEBHOOKS, SymptomWord.DISK_LOW, SymptomWord.LATE}


def runs(*given: tuple[int, int, MinuteVerdict]) -> list[Stretch]:
    return [Stretch(*one) for one in given]


def down(found: Availability) -> tuple[int, dict[str, int]]:
    return found.total, {verdict.value: count for verdict, count in found.down.items()}


DAY = runs((0, 100, UP), (100, 130, COMMUNE), (130, 200, UP), (210, 300, UP), (300, 320, PORTAL))


@pytest.mark.parametrize(
    ("windows", "since", "until", "total", "minutes"),
    [
        ((), 0, 320, 320, {"commune": 30, "gateway": 10, "portal": 20}),
        # After the last record nobody was there.
        ((), 0, 350, 350, {"commune": 30, "gateway": 40, "portal": 20}),
        # Before the first one there was nothing to be there.
        ((), -500, 100, 100, {}),
        ((), 110, 120, 10, {"commune": 10}),
        ((), 203, 207, 4, {"gateway": 4}),
        ((), 320, 330, 10, {"gateway": 10}),
        # What was announced covers what was down in it, whoever's, and nothing more.
        (((205, 310),), 0, 320, 320, {"commune": 30, "gateway": 5, "portal": 10, "announced": 15}),
        # Maintenances that overlap do not count twice.
        (((95, 115), (110, 120), (112, 113)), 0, 200, 200, {"commune": 10, "announced": 20}),
        (((130, 200),), 0, 200, 200, {"commune": 30}),
        (((40, 40), (60, 50)), 0, 100, 100, {}),
    ],
)
def test_a_time_is_added_up(
    windows: Any, since: int, until: int, total: int, minutes: dict[str, int]
) -> None:
    assert down(add_up(DAY, windows, since, until)) == (total, minutes)


def test_without_the_service_a_commune_was_not_served_and_with_it_it_was_not_connected() -> None:
    service = runs((0, 100, UP), (110, 200, UP), (220, 300, UP))
    # Connected at 50, away from 150 on: it left.
    assert down(add_up(runs((50, 100, UP), (110, 150, UP)), (), 0, 300, service)) == (
        100,
        {"gateway": 10},
    )
    # Connected all the time, and told of a later month as well.
    stays = runs((50, 100, UP), (110, 200, UP))
    assert down(add_up(stays, (), 0, 300, service)) == (170, {"gateway": 30})
    assert down(add_up(stays, (), 205, 215, service)) == (10, {"gateway": 10})
    # It left before an outage that a month begins with.
    assert down(add_up(runs((50, 90, UP)), (), 102, 108, service)) == (0, {})
    assert add_up([], (), 0, 300, service) == Availability(0)


def test_minutes_are_shares_by_whose_they_are() -> None:
    found = Availability(10_100, {GATEWAY: 6, PORTAL: 3, GLC: 1, COMMUNE: 90, ANNOUNCED: 100})
    assert (found.counted, found.ours) == (10_000, 10)
    assert found.share == pytest.approx(0.999)
    assert found.seen_share == pytest.approx(0.99)
    assert found.kept
    assert Availability(10_000, {GATEWAY: 11}).kept is False
    assert Availability(10, {ANNOUNCED: 10}).share is None
    assert Availability(0).kept is None


def test_a_budget_burns_when_half_of_it_went_faster_than_the_month() -> None:
    month = 43_200  # a budget of 43.2 minutes
    assert not burns(Availability(month, {GATEWAY: 21}), month, 10_000)
    assert burns(Availability(month, {GATEWAY: 22}), month, 10_000)
    assert burns(Availability(month, {PORTAL: 22}), month, 10_000)
    assert not burns(Availability(month, {COMMUNE: 500}), month, 10_000)
    # 22 of 43.2 after two thirds of the month will do.
    assert not burns(Availability(month, {GATEWAY: 22}), month, 28_800)
    assert burns(Availability(month, {GATEWAY: 44}), month, month)


def test_minutes_and_months_of_paris() -> None:
    at = datetime(2026, 11, 28, 4, 14, 59, tzinfo=UTC)
    assert begin_of_minute(minute_of(at)) == at.replace(second=0)
    start, end = window_of(at, at.replace(minute=20))
    assert (begin_of_minute(start).minute, begin_of_minute(end).minute) == (15, 20)
    # The clocks change in October: an hour more than 31 days.
    since, until = month_of(date(2026, 10, 17))
    assert since == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert (until - since).total_seconds() == (31 * 24 + 1) * 3600
