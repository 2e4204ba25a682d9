"""A text of megabytes where a word is due: what looks at it sign by sign looks at its begin."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from adapters.open311.georeport import parse_time
from adapters.rest.expression import status_word
from gateway.core.moments import read_moment
from gateway.core.outcome import Accepted, Refused
from gateway.flow.deliver import _storable
from gateway.flow.reading import news_of
from gateway.sdk import Change
from gateway.sdk.pivot_models import Instant
from gateway.wire.files import safe_filename
from tests.hostile.bounds import TRIES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Seconds of CPU; the event loop waits for so long.
MOST = 0.05
TEXTS = {
    "brackets": "[{" * 1_000_000,
    "U+0000": "\0" * 2_000_000,
    "lines": "\r\n" * 1_000_000,
    "figures": "1" * 2_000_000,
}


def _news(text: str) -> object:
    return news_of(Change(gru_reference="1", status=text, message=text), NOW, polled=True)


def _settled(text: str) -> object:
    return _storable(Accepted(text, text))


def _refused(text: str) -> object:
    return _storable(Refused("refused", text))


def _dated(text: str) -> object:
    return [read_moment(text, form, UTC) for form in ("iso", "epoch", "%d %m %Y")]


@pytest.mark.parametrize("read", [status_word, safe_filename, _news, _settled, _refused, _dated])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_it_is_read_in_no_time(read: Callable[[str], object], text: str) -> None:
    used = []
    for _ in range(TRIES):
        before = time.process_time()
        read(text)
        used.append(time.process_time() - before)
    assert min(used) < MOST


def test_a_number_or_a_link_that_is_too_long_is_none() -> None:
    assert _settled("x" * 2_001) == Accepted(None, None)
    assert _settled("\0" + "x" * 1_999) == Accepted("x" * 1_999, "x" * 1_999)
    assert _refused("x" * 3_000) == Refused("refused", "x" * 2_000)


def test_what_is_told_of_it_is_its_begin() -> None:
    assert status_word(" \u200eclos" + "x" * 2_000_000) == "clos" + "x" * 196
    assert safe_filename("a/" * 1_000_000 + "photo.jpg") == "photo.jpg"


@pytest.mark.parametrize(
    "told", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-01-01T00:00:00"]
)
def test_a_time_without_a_place_in_utc_is_no_time_and_nothing_fails(told: str) -> None:
    """The first moment of the calendar, in Paris: systems write it for a missing date."""
    news = news_of(
        Change(gru_reference="1", status="done", at=datetime.fromisoformat(told)), NOW, polled=True
    )
    assert (news.at, news.dated) == (NOW, False)
    assert parse_time(told) is None
    with pytest.raises(ValidationError):
        TypeAdapter(Instant).validate_json(f'"{told}"')
