"""The reference that agents read in their GRU."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import REFERENCE, request_id

moments = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2200, 1, 1),
    timezones=st.just(UTC),
)
entropies = st.integers(0, 2**32 - 1)


@given(moments, st.integers(0, 2**64))
def test_format(now: datetime, entropy: int) -> None:
    made = request_id(now, entropy)
    assert REFERENCE.fullmatch(made)
    assert not set("ILOU") & set(made[4:]), "letters that are misread on the telephone"


@given(moments, st.integers(1, 10**12), entropies, entropies)
def test_later_sorts_later(now: datetime, ms: int, one: int, other: int) -> None:
    then = now + timedelta(milliseconds=min(ms, 10**11))
    assert request_id(now, one) < request_id(then, other)


@given(moments, entropies, entropies)
def test_the_same_millisecond_is_told_apart_by_chance(now: datetime, one: int, other: int) -> None:
    assert (request_id(now, one) == request_id(now, other)) == (one == other)


def test_a_known_one() -> None:
    assert request_id(datetime(2026, 3, 12, 8, 0, tzinfo=UTC), 0) == "TDG-06EE23T400000000"


def test_the_pattern_refuses_what_is_no_reference() -> None:
    good = "TDG-01JD3M7W2K9XQ4ZB"
    assert REFERENCE.fullmatch(good)
    for bad in (good[:-1], good + "0", good.lower(), "TDG-01JD3M7W2K9XQ4ZI", good[4:]):
        assert not REFERENCE.fullmatch(bad)
