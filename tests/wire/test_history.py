"""Later events in a formdata's history, as a running w.c.s. writes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway.core.request import EventKind
from gateway.sdk.publik.localtime import parse_aware
from gateway.wire.event import AnnouncedEvent, read_event
from gateway.wire.history import MAX_ENTRIES, events_in, instant_of, read_history, words_of
from tests.recorded.recordings import exchange

STATUSES = {
    "evtmsg": EventKind.MESSAGE,
    "evtmod": EventKind.CHANGE,
    "evtann": EventKind.CANCELLATION,
}
TEXT = "Où en est-on ? 😱 vite\nDeuxième ligne"


def history(n: int) -> Any:
    """The history of formdata 18, as it was recorded in `02-list.json`."""
    return exchange("02-list", n).answered[0]["evolution"]


def test_the_events_of_a_recorded_history() -> None:
    found = events_in(read_history(history(7)), STATUSES)
    assert [(event.kind, event.key, event.message) for _, event in found] == [
        (EventKind.MESSAGE, None, TEXT),
        (EventKind.CHANGE, None, None),
    ]
    assert found[0][0].at == parse_aware("2026-11-26T23:35:24.664933+00:00")


def test_a_push_has_the_instant_of_the_list() -> None:
    """Offsets differ between the two: the instant does not."""
    pushed = exchange("01-pushes", 3).body
    announced = read_event(pushed["extra"])
    assert announced.kind is EventKind.CHANGE
    entries = read_history(pushed["evolution"])
    at = instant_of(entries, announced, STATUSES)
    assert at == events_in(read_history(history(7)), STATUSES)[1][0].at
    message = AnnouncedEvent(EventKind.MESSAGE, None, "Où en est-on ? 😱  vite Deuxième ligne")
    assert instant_of(entries, message, {}) == parse_aware("2026-11-26T23:35:24.664933+00:00")
    assert instant_of(entries, AnnouncedEvent(EventKind.MESSAGE, None, "Autre"), STATUSES) is None
    assert instant_of(entries, AnnouncedEvent(EventKind.MESSAGE), STATUSES) is None
    assert instant_of(entries, AnnouncedEvent(EventKind.CANCELLATION), STATUSES) is None


def test_the_workflows_own_messages_are_no_words_of_the_citizen() -> None:
    time = "2026-11-26T23:35:24+00:00"
    ours = {"type": "workflow-comment", "to": None, "content": "<div>Une équipe passera.</div>"}
    empty = {"type": "workflow-comment", "comment": "", "comment_plain_text": ""}
    evolution = [{"time": time, "status": "evtmsg", "parts": [part]} for part in (ours, empty)]
    evolution += [{"time": time, "status": "evtmsg"}, {"time": time}]
    entries = read_history(evolution)
    assert len(entries) == 4
    # What leads to the status may hold a file, though it has no words.
    assert [told.message for _, told in events_in(entries, STATUSES)] == [None] * 3


@pytest.mark.parametrize(
    "evolution",
    [None, {}, "x", [None], [{}], [{"time": "hier"}], [{"time": 3}], [{"time": "2026-11-26"}]],
)
def test_what_is_no_history_tells_nothing(evolution: Any) -> None:
    assert read_history(evolution) == ()


def test_a_long_history_is_read_from_its_end() -> None:
    start = parse_aware("2026-11-26T00:00:00Z")
    assert start is not None
    times = [(start + timedelta(seconds=n)).isoformat() for n in range(MAX_ENTRIES + 5)]
    entries = read_history([{"time": time, "status": "x"} for time in times])
    assert len(entries) == MAX_ENTRIES
    assert entries[-1].at == parse_aware(times[-1])


def test_words() -> None:
    assert words_of(" Toujours\n rien ?") == words_of("toujours rien") == "toujours rien"
    assert words_of("😱") == "😱"
    # What a citizen types is taken for rich text on one way and not on the other.
    assert words_of("<b>x</b> & y") == words_of("x & y") == "x y"
    assert words_of(None) == words_of("  ") == ""
