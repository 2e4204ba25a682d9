"""Whether what a GRU tells is news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.progress import Verdict, judge
from gateway.core.status import FINAL, PORTAL_WORDS, Status

T = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)
EARLIER, LATER = T - timedelta(seconds=1), T + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("changed_at", "new", "at", "has_news", "expected"),
    [
        (None, Status.PLANNED, T, False, Verdict(True, True, "new_status")),
        (T, Status.PLANNED, LATER, False, Verdict(True, True, "new_status")),
        (T, Status.PLANNED, T, False, Verdict(True, True, "new_status")),
        (T, Status.PLANNED, EARLIER, False, Verdict(False, False, "out_of_order")),
        (T, Status.PLANNED, EARLIER, True, Verdict(True, False, "out_of_order")),
        (T, Status.ACCEPTED, LATER, False, Verdict(False, False, "same_status")),
        (T, Status.ACCEPTED, LATER, True, Verdict(True, False, "same_status")),
        (T, None, EARLIER, True, Verdict(True, False, "note")),
        (T, None, LATER, False, Verdict(False, False, "nothing_public")),
    ],
)
def test_judgements(
    changed_at: datetime | None,
    new: Status | None,
    at: datetime,
    has_news: bool,
    expected: Verdict,
) -> None:
    assert judge(Status.ACCEPTED, changed_at, new, at, has_news=has_news) == expected


@pytest.mark.parametrize("final", sorted(FINAL))
def test_a_final_status_may_be_reopened_later(final: Status) -> None:
    assert judge(final, T, Status.IN_PROGRESS, LATER, has_news=False).move


@given(
    st.sampled_from(Status),
    st.none() | st.sampled_from([EARLIER, T, LATER]),
    st.none() | st.sampled_from(Status),
    st.sampled_from([EARLIER, T, LATER]),
    st.booleans(),
)
def test_what_moves_is_told_and_news_are_never_swallowed(
    current: Status, changed_at: datetime | None, new: Status | None, at: datetime, news: bool
) -> None:
    verdict = judge(current, changed_at, new, at, has_news=news)
    assert verdict.tell or not verdict.move
    assert verdict.tell or not news
    assert verdict.tell == (verdict.move or news)
    assert not verdict.move or new is not current


def test_each_status_has_a_word_of_its_own_for_the_workflows() -> None:
    assert set(PORTAL_WORDS) == set(Status)
    assert len(set(PORTAL_WORDS.values())) == len(Status)
    for word in PORTAL_WORDS.values():
        assert word.isascii()
        assert word.replace("_", "").isalpha()
        assert word == word.lower()
