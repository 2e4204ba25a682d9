"""A GRU's word about a request is news, or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.progress import CurrentStatus, ReportedStatus, judge_status
from gateway.core.status import FINAL, PORTAL_WORDS, Status

T = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)
EARLIER, LATER = T - timedelta(seconds=1), T + timedelta(seconds=1)
OPEN = CurrentStatus(Status.ACCEPTED, T, "ouvert", T, T)


@pytest.mark.parametrize(
    ("said", "why", "moves"),
    [
        (ReportedStatus("prévu", Status.PLANNED, LATER), "new_status", True),
        (ReportedStatus("prévu", Status.PLANNED, T), "new_status", True),
        (ReportedStatus("prévu", Status.PLANNED, None), "new_status", True),
        (ReportedStatus("prévu", Status.PLANNED, EARLIER), "out_of_order", False),
        (ReportedStatus("prévu", Status.PLANNED, EARLIER, present=True), "new_status", True),
        (ReportedStatus("ouvert", Status.ACCEPTED, LATER), "same_word", False),
        (ReportedStatus("ouvert", Status.PLANNED, LATER), "same_word", False),
        (ReportedStatus("ouvert", Status.PLANNED, LATER, again=True), "new_status", True),
        (ReportedStatus("pris", Status.ACCEPTED, LATER), "same_status", False),
        (ReportedStatus("bizarre", None, LATER), "no_status", False),
    ],
)
def test_judgements(said: ReportedStatus, why: str, moves: bool) -> None:
    verdict = judge_status(OPEN, said)
    assert (verdict.why, verdict.move) == (why, moves)
    assert verdict.keep == (why not in ("out_of_order", "same_word"))


@pytest.mark.parametrize("final", sorted(FINAL))
def test_a_final_status_may_be_reopened_later(final: Status) -> None:
    ended = CurrentStatus(final, T, "fini", T, T)
    assert judge_status(ended, ReportedStatus("rouvert", Status.IN_PROGRESS, LATER)).move


WITHDRAWN = CurrentStatus(Status.CANCELLED, T, "ouvert", EARLIER, EARLIER, withdrawn=True)
READ_SINCE = CurrentStatus(Status.CANCELLED, T, "ouvert", LATER, EARLIER, withdrawn=True)
SOON = T + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("standing", "said", "moves"),
    [
        # An end is what was asked for, whatever the commune calls it.
        (WITHDRAWN, ReportedStatus("clos", Status.DONE, SOON, present=True), False),
        (WITHDRAWN, ReportedStatus("refusé", Status.REFUSED, SOON), False),
        (READ_SINCE, ReportedStatus("clos", Status.DONE, SOON, present=True), False),
        # What may be from before it: the first word since, without a date that says otherwise.
        (WITHDRAWN, ReportedStatus("en cours", Status.IN_PROGRESS, None, present=True), False),
        (WITHDRAWN, ReportedStatus("en cours", Status.IN_PROGRESS, T, present=True), False),
        (
            WITHDRAWN,
            ReportedStatus("en cours", Status.IN_PROGRESS, SOON, present=True, doubtful=True),
            False,
        ),
        # The commune goes on with it, knowing.
        (WITHDRAWN, ReportedStatus("en cours", Status.IN_PROGRESS, SOON, present=True), True),
        (READ_SINCE, ReportedStatus("en cours", Status.IN_PROGRESS, None, present=True), True),
        (READ_SINCE, ReportedStatus("ouvert", Status.ACCEPTED, SOON, present=True), False),
    ],
)
def test_what_the_citizen_has_withdrawn(
    standing: CurrentStatus, said: ReportedStatus, moves: bool
) -> None:
    verdict = judge_status(standing, said)
    assert verdict.move == moves
    assert verdict.keep or verdict.why == "same_word"


@pytest.mark.parametrize(
    ("status", "withdrawn"), [(Status.CANCELLED, False), (Status.IN_PROGRESS, True)]
)
def test_only_what_is_withdrawn_and_stands_so_is_held_to_it(
    status: Status, withdrawn: bool
) -> None:
    """The GRU cancelled it of itself; or went on with it after the citizen's withdrawal."""
    standing = CurrentStatus(status, T, "avant", T, EARLIER, withdrawn=withdrawn)
    verdict = judge_status(standing, ReportedStatus("clos", Status.DONE, LATER))
    assert (verdict.move, verdict.why) == (True, "new_status")


NEVER_READ = CurrentStatus(Status.CANCELLED, T, None, None, None, withdrawn=True)


@pytest.mark.parametrize(
    ("standing", "said", "why"),
    [
        # A word that stands for no status moves nothing, withdrawn or not.
        (READ_SINCE, ReportedStatus("bizarre", None, SOON, present=True), "withdrawn"),
        (NEVER_READ, ReportedStatus("en cours", Status.IN_PROGRESS, None), "withdrawn"),
        (NEVER_READ, ReportedStatus("en cours", Status.IN_PROGRESS, SOON), "reopened"),
        # What was read in the very moment of the withdrawal is from before it.
        (
            CurrentStatus(Status.CANCELLED, T, "ouvert", T, T, withdrawn=True),
            ReportedStatus("en cours", Status.IN_PROGRESS, None, present=True),
            "withdrawn",
        ),
    ],
)
def test_why_what_was_withdrawn_stays_so(
    standing: CurrentStatus, said: ReportedStatus, why: str
) -> None:
    verdict = judge_status(standing, said)
    assert (verdict.move, verdict.keep, verdict.why) == (why == "reopened", True, why)


def test_the_word_that_stands_after_a_withdrawal_is_the_one_to_compare_with() -> None:
    same = ReportedStatus("ouvert", Status.ACCEPTED, EARLIER, present=True)
    assert judge_status(WITHDRAWN, same).keep
    assert not judge_status(READ_SINCE, same).keep


@given(
    st.builds(
        CurrentStatus,
        st.sampled_from(Status),
        st.just(T),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from([None, EARLIER, LATER]),
        st.sampled_from([None, EARLIER, T, LATER]),
    ),
    st.sampled_from(Status),
    st.sampled_from([None, EARLIER, T, LATER]),
    st.booleans(),
)
def test_what_a_poll_reads_is_told_whatever_its_date(
    standing: CurrentStatus, status: Status, at: datetime | None, doubtful: bool
) -> None:
    said = ReportedStatus("c", status, at, present=True, doubtful=doubtful)
    assert judge_status(standing, said).move == (status is not standing.status)


def test_each_status_has_a_word_of_its_own_for_the_workflows() -> None:
    assert set(PORTAL_WORDS) == set(Status)
    assert len(set(PORTAL_WORDS.values())) == len(Status)
    for word in PORTAL_WORDS.values():
        assert word.isascii()
        assert word.replace("_", "").isalpha()
        assert word == word.lower()
