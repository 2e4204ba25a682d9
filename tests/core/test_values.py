"""Numbers and times as forms and far ends write them: read, or refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.core.convert import CannotConvert, integer_of, number_of
from gateway.core.moments import EPOCH, EPOCH_MS, ISO, read_moment
from gateway.core.request import Json

PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("value", ["trois", "3,5", "3 4", "", True, None, 2.5, [3]])
def test_what_is_no_whole_number_is_refused(value: Json) -> None:
    assert [integer_of(one) for one in (3, 3.0, " 3 ")] == [3, 3, 3]
    with pytest.raises(CannotConvert):
        integer_of(value)


@pytest.mark.parametrize("value", ["trois", "3,5,1", "", True, None, float("nan"), [3]])
def test_what_is_no_number_is_refused(value: Json) -> None:
    assert [number_of(one) for one in (3, 2.5, " 2,5 ", "3")] == [3, 2.5, 2.5, 3]
    with pytest.raises(CannotConvert):
        number_of(value)


@pytest.mark.parametrize(
    ("value", "form", "found"),
    [
        ("2026-03-12T12:00:00Z", ISO, NOON),
        ("2026-03-12T13:00:00", ISO, NOON),
        ("12/03/2026 13:00", "%d/%m/%Y %H:%M", NOON),
        (NOON.timestamp(), EPOCH, NOON),
        (str(int(NOON.timestamp()) * 1000), EPOCH_MS, NOON),
        ("hier", ISO, None),
        (True, EPOCH, None),
        ("9" * 200, EPOCH, None),
        ("0" * 201, EPOCH, None),
    ],
)
def test_a_time_is_read_as_it_is_written(value: Json, form: str, found: datetime | None) -> None:
    """Without an offset, it is that of the place."""
    assert read_moment(value, form, PARIS) == found
