"""An event that is seen again is told from another event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.sighting import RETRIED, SKEW, Sighting, same_event

T = datetime(2026, 3, 12, 8, tzinfo=UTC)
SECOND, HOUR, DAY, WEEK = (timedelta(seconds=n) for n in (1, 3600, 86_400, 7 * 86_400))


@pytest.mark.parametrize(
    ("known", "new", "same"),
    [
        # A retry of the portal's call, with the workflow's key.
        (Sighting("x", T, key="m-1"), Sighting("x", T + WEEK, key="m-1"), True),
        (Sighting("x", T, key="m-1"), Sighting("x", T + HOUR, key="m-2"), False),
        (Sighting("x", T, key="m-1"), Sighting("y", T + HOUR, key="m-1"), False),
        # No key, and no history with it.
        (Sighting("x", T), Sighting("x", T + HOUR), True),
        (Sighting("x", T), Sighting("x", T + WEEK), False),
        (Sighting("x", T), Sighting("x", T + HOUR, key="m-1"), True),
        # Both with the instant of the history: it decides, not the key.
        (Sighting("x", T, T), Sighting("x", T + HOUR, T), True),
        (Sighting("x", T, T, "m-1"), Sighting("x", T + HOUR, T, "random"), True),
        (Sighting("x", T, T, "m-9"), Sighting("x", T + WEEK, T + WEEK, "m-9"), False),
        # Taken from the history, then pushed; days later, since the portal waited.
        (Sighting("x", T + HOUR, T), Sighting("x", T + 3 * DAY, key="m-1"), True),
        (Sighting("x", T + HOUR, T, "m-1"), Sighting("x", T + 3 * DAY, key="m-2"), False),
        (Sighting("x", T + HOUR, T), Sighting("x", T + WEEK), False),
        (Sighting("x", T + HOUR, T), Sighting("x", T - HOUR, key="m-1"), False),
        # Pushed, then seen in the history: not before it was written there.
        (Sighting("x", T + HOUR, key="m-1"), Sighting("x", T + DAY, T), True),
        (Sighting("x", T, key="m-1"), Sighting("x", T + WEEK, T + WEEK - HOUR), False),
        # Kept before instants were: its key alone is known.
        (Sighting("old", T, name="m-1"), Sighting("x", T + WEEK, key="m-1"), True),
        (Sighting("old", T, name="m-1"), Sighting("x", T + WEEK, key="m-2"), False),
        (Sighting("old", T), Sighting("x", T + WEEK), False),
        (Sighting("old", T, T, name="m-1"), Sighting("x", T + HOUR, T + DAY, "m-1"), False),
        (Sighting("old", T, key="m-2", name="m-1"), Sighting("x", T + HOUR, key="m-1"), False),
        # The bounds: of a repeated call, and of a portal's clock that is ahead.
        (Sighting("x", T), Sighting("x", T + DAY - SECOND), True),
        (Sighting("x", T), Sighting("x", T + DAY), False),
        (Sighting("x", T, T), Sighting("x", T + DAY - SECOND), True),
        (Sighting("x", T, T), Sighting("x", T + DAY), False),
        (Sighting("x", T, T), Sighting("x", T - SKEW, key="m-1"), True),
        (Sighting("x", T, T), Sighting("x", T - SKEW - SECOND, key="m-1"), False),
        (Sighting("x", T - SKEW, key="m-1"), Sighting("x", T + HOUR, T), True),
        (Sighting("x", T - SKEW - SECOND, key="m-1"), Sighting("x", T + HOUR, T), False),
    ],
)
def test_sightings(known: Sighting, new: Sighting, same: bool) -> None:
    assert same_event([known], new) == (known if same else None)


def test_a_push_that_words_it_otherwise_is_the_latest_entry_not_pushed_yet() -> None:
    first, second = Sighting("x", T + HOUR, T, id="1"), Sighting("y", T + DAY, T + DAY, id="2")
    pushed = Sighting("z", T + DAY + HOUR, key="m-2")
    assert same_event([first, second], pushed) == second
    assert same_event([first], Sighting("z", T + DAY, key="m-1")) == first
    # Not when it was pushed, nor much later, nor without a key.
    assert same_event([Sighting("x", T, T, "m-1")], pushed) is None
    assert same_event([first], Sighting("z", T + 2 * WEEK, key="m-3")) is None
    assert same_event([first], Sighting("z", T + DAY)) is None
    # Nor when the push tells its own instant, or came before the entry.
    assert same_event([first], Sighting("z", T + DAY, T + HOUR, "m-1")) is None
    assert same_event([first], Sighting("z", T + RETRIED, key="m-1")) == first
    assert same_event([first], Sighting("z", T + RETRIED + SECOND, key="m-1")) is None
    assert same_event([first], Sighting("z", T - SKEW, key="m-1")) == first
    assert same_event([first], Sighting("z", T - SKEW - SECOND, key="m-1")) is None


def test_the_same_words_twice_are_paired_in_the_order_of_time() -> None:
    first = Sighting("x", T + HOUR, key="m-1", id="1")
    second = Sighting("x", T + WEEK + HOUR, key="m-2", id="2")
    assert same_event([second, first], Sighting("x", T + 2 * WEEK, T)) == first
    later = Sighting("x", T + 2 * WEEK, T + WEEK)
    assert same_event([second, first], later) == second
