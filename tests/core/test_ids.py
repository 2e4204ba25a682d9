"""The reference that agents read in their GRU."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import REFERENCE, event_id, identifier, reference, request_id

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


@given(st.binary(min_size=32, max_size=32), st.lists(st.text(), min_size=1, max_size=5))
def test_a_reference_is_its_names_for_ever_and_only_the_key_s(key: bytes, names: list[str]) -> None:
    made = reference(key, *names)
    assert REFERENCE.fullmatch(made)
    assert made == reference(key, *names)
    assert made != reference(key + b"x", *names)
    assert made != reference(key, *names, "")


def test_a_known_reference() -> None:
    names = ("toodego", "69029", "signalement-anomalie", "17", "a03cdbd5")
    assert reference(bytes(32), *names) == "TDG-C3NFN25P7E34MRRC"
    assert event_id("TDG-1", "transmitted") == "c2122ea71cc1779910eb1abd5b"


def test_an_identifier_is_its_parts_as_long_as_they_fit() -> None:
    assert identifier("a" * 60, "b" * 39) == f"{'a' * 60}-{'b' * 39}"
    longer = identifier("a" * 60, "b" * 40)
    assert (longer[:87], len(longer)) == (f"{'a' * 60}-{'b' * 26}", 100)
