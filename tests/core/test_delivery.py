"""A delivery's moves: what may follow what, and that every decision is such a move."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import reasons
from gateway.core.delivery import (
    CLAIMABLE,
    FINAL,
    MOVES,
    NEEDS_A_PERSON,
    Progress,
    Settlement,
    State,
    decide,
    decide_finding,
)
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
)
from gateway.core.retry import RetryPolicy

S = State
#: Written out a second time on purpose: a change of the table is to be a decision.
ALLOWED = {
    (S.WAITING, S.SENDING),
    (S.WAITING, S.DISCARDED),
    (S.SENDING, S.DONE),
    (S.SENDING, S.WAITING),
    (S.SENDING, S.UNSURE),
    (S.SENDING, S.QUESTION),
    (S.SENDING, S.PARKED),
    (S.SENDING, S.DEAD),
    (S.SENDING, S.DISCARDED),
    (S.UNSURE, S.SENDING),
    (S.UNSURE, S.DISCARDED),
    (S.QUESTION, S.DONE),
    (S.QUESTION, S.WAITING),
    (S.QUESTION, S.DISCARDED),
    (S.PARKED, S.WAITING),
    (S.PARKED, S.UNSURE),
    (S.PARKED, S.DISCARDED),
    (S.DEAD, S.WAITING),
    (S.DEAD, S.UNSURE),
    (S.DEAD, S.DISCARDED),
}
NOW = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)
POLICY = RetryPolicy(delays=(10, 100), jitter=0.5, retry_after_max=600, limit=3600)

words = st.sampled_from(["busy", "no_answer", "refused"])
after = st.none() | st.floats(0, 1e7)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Accepted, st.none() | st.text(max_size=5)),
    st.builds(Refused, words),
    st.builds(TryLater, words, st.just(""), after),
    st.builds(Unsure, words),
    st.builds(Misconfigured, words),
)
findings: st.SearchStrategy[Finding] = st.one_of(
    st.builds(Found, st.none() | st.text(max_size=5)),
    st.builds(Absent, st.sampled_from([0.0, 300.0])),
    st.builds(CannotTell, words, st.just(""), st.booleans(), after),
)
progresses = st.builds(
    Progress,
    st.floats(0, 30 * 86_400).map(lambda age: NOW - timedelta(seconds=age)),
    st.integers(0, 1000),
    st.sampled_from(["replayed", "busy", "no_answer", "bug"]),
    st.none() | st.floats(0, 1e6).map(lambda age: NOW - timedelta(seconds=age)),
)
policies = st.builds(
    RetryPolicy,
    delays=st.lists(st.floats(0.1, 86_400), min_size=1, max_size=8).map(tuple),
    jitter=st.floats(0, 1),
    retry_after_max=st.floats(1, 86_400),
    limit=st.floats(1, 30 * 86_400),
)
chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("end", State)
def test_moves_are_these_and_no_others(start: State, end: State) -> None:
    assert (end in MOVES[start]) == ((start, end) in ALLOWED)


def test_the_groups_of_states_agree_with_the_moves() -> None:
    assert set(MOVES) == set(State)
    assert {s for s in State if not MOVES[s]} == FINAL
    assert {s for s in State if S.SENDING in MOVES[s]} == CLAIMABLE
    assert all(MOVES[s] >= CLAIMABLE for s in (S.PARKED, S.DEAD)), "a replay asks first"
    assert FINAL | CLAIMABLE | NEEDS_A_PERSON | {S.SENDING} == set(State)


def sound(settlement: Settlement, progress: Progress, policy: RetryPolicy) -> None:
    assert settlement.state in MOVES[S.SENDING]
    assert (settlement.next_at is not None) == (settlement.state in CLAIMABLE)
    at_once = settlement.next_at == min(NOW, progress.created_at)
    if settlement.next_at is not None:
        assert settlement.next_at >= NOW or at_once
    if settlement.state is S.WAITING and not at_once:
        limit = progress.created_at + timedelta(seconds=policy.limit)
        assert settlement.next_at is not None
        assert settlement.next_at <= limit
    assert settlement.reason
    assert settlement.state is S.DONE or settlement.failures >= progress.failures
    assert settlement.reference is None or settlement.state is S.DONE


@given(progresses, outcomes, policies, chances)
def test_every_outcome_is_settled_by_an_allowed_move(
    progress: Progress, outcome: Outcome, policy: RetryPolicy, chance: float
) -> None:
    settlement = decide(progress, outcome, NOW, policy, chance)
    sound(settlement, progress, policy)
    expected = {
        Accepted: {S.DONE},
        Refused: {S.PARKED},
        Unsure: {S.UNSURE},
        TryLater: {S.WAITING, S.DEAD},
        Misconfigured: {S.WAITING, S.DEAD},
    }
    assert settlement.state in expected[type(outcome)]


@given(progresses, findings, policies, chances)
def test_every_finding_is_settled_by_an_allowed_move(
    progress: Progress, finding: Finding, policy: RetryPolicy, chance: float
) -> None:
    settlement = decide_finding(progress, finding, NOW, policy, chance)
    sound(settlement, progress, policy)
    match finding:
        case Found(reference, _):
            assert (settlement.state, settlement.reference) == (S.DONE, reference)
        case Absent(settle):
            late = progress.sent_at is None or progress.sent_at + timedelta(seconds=settle) <= NOW
            # It is proven that nothing is there: sent again, or given up; never asked again.
            proven = {S.PARKED} if progress.reason == "bug" else {S.WAITING, S.DEAD}
            assert settlement.state in (proven if late else {S.UNSURE})
            assert settlement.sent_at == (None if late else progress.sent_at)
        case CannotTell(forever=forever):
            # However long ago: what may be there is never given up, and never sent again.
            if not forever:
                assert settlement.state is S.UNSURE
            elif progress.reason == "busy" or progress.sent_at is None:
                assert settlement.state in {S.WAITING, S.DEAD}
            else:
                assert settlement.state is S.QUESTION
            if settlement.state in (S.UNSURE, S.QUESTION):
                assert settlement.sent_at == progress.sent_at


def test_an_unsure_delivery_is_asked_about_after_the_far_end_had_its_time() -> None:
    progress = Progress(NOW, 0)
    for outcome, chance, seconds in (
        (Unsure("timeout"), 0.0, 30),
        (Unsure("timeout"), 0.5, 37.5),
        (Unsure("far_end_error"), 0.0, 30),
        (Unsure("a_word_of_somebody_s_yaml"), 0.0, 30),
        (Unsure("no_reference"), 0.0, 2),
        (Unsure("timeout", busy=False), 0.0, 2),
        (Unsure("no_reference", busy=True), 0.0, 30),
        (Unsure("busy", after=100), 0.0, 100),
        (Unsure("busy", after=1), 0.0, 30),
        (Unsure("busy", after=1e9), 0.0, 600),
    ):
        made = decide(progress, outcome, NOW, POLICY, chance, timeout=30)
        assert made.next_at == NOW + timedelta(seconds=seconds), outcome


@given(st.text(max_size=30), st.sampled_from(sorted(r.word for r in reasons.BUILT_IN)))
def test_the_words_of_a_detail_decide_nothing(detail: str, reason: str) -> None:
    plain = decide(Progress(NOW, 0), Unsure(reason), NOW, POLICY, 0.5)
    worded = decide(Progress(NOW, 0), Unsure(reason, detail), NOW, POLICY, 0.5)
    assert dataclasses.replace(worded, detail="") == plain


def test_what_the_far_end_said_counts_once_it_was_asked() -> None:
    """It had no time for us, and cannot be asked; it would refuse it again; an adapter's bug."""
    never = CannotTell("no_find", forever=True)
    for reason, finding, state in (
        ("busy", never, S.WAITING),
        ("no_answer", never, S.QUESTION),
        ("busy", Absent(), S.WAITING),
        ("conflict", Absent(), S.PARKED),
        ("bug", Absent(), S.PARKED),
        ("bug", never, S.QUESTION),
    ):
        made = decide_finding(Progress(NOW, 1, reason, NOW), finding, NOW, POLICY, 0.0)
        assert made.state is state, reason
        assert made.reason == reason or state in (S.QUESTION, S.WAITING)


@pytest.mark.parametrize(("age", "state"), [(3589, S.WAITING), (3591, S.DEAD)])
def test_the_time_limit_counts_from_the_creation(age: float, state: State) -> None:
    progress = Progress(NOW - timedelta(seconds=age), 0)
    assert decide(progress, TryLater("busy"), NOW, POLICY, 0.0).state is state
    assert decide(progress, Misconfigured("denied"), NOW, POLICY, 0.0).state is state


def test_a_break_longer_than_the_time_limit_leaves_one_more_try_at_the_limit() -> None:
    policy = RetryPolicy(delays=(10,), retry_after_max=7200, limit=3600)
    made = decide(Progress(NOW, 0), TryLater("busy", after=86_400), NOW, policy, 0.5)
    end = NOW + timedelta(seconds=3600)
    assert (made.state, made.next_at) == (S.WAITING, end)
    made = decide(Progress(NOW, 1), TryLater("busy", after=86_400), end, policy, 0.5)
    assert made.state is S.DEAD


def test_a_search_that_lags_is_asked_again_before_absent_is_believed() -> None:
    asked, now = [], NOW + timedelta(seconds=20)
    while True:
        made = decide_finding(Progress(NOW, 1, "timeout", NOW), Absent(300), now, POLICY, 0.0)
        if made.state is not S.UNSURE:
            break
        assert (made.reason, made.failures, made.sent_at) == ("timeout", 1, NOW)
        assert made.next_at is not None
        asked.append((made.next_at - now).total_seconds())
        now = made.next_at
    assert asked == [140, 70, 35, 35]
    assert (made.state, made.reason, made.sent_at) == (S.WAITING, "absent", None)


@pytest.mark.parametrize(("left", "wait"), [(0.5, 0.5), (60, 60), (60.1, 30.05)])
def test_what_a_search_has_left_is_waited_for_whole_where_it_is_short(
    left: float, wait: float
) -> None:
    sent = Progress(NOW, 1, "timeout", NOW - timedelta(seconds=300 - left))
    made = decide_finding(sent, Absent(300), NOW, POLICY, 0.0)
    assert (made.state, made.next_at) == (S.UNSURE, NOW + timedelta(seconds=wait))


def test_what_is_absent_leaves_in_the_order_in_which_it_came() -> None:
    made = decide_finding(Progress(NOW - timedelta(hours=1), 1), Absent(), NOW, POLICY, 0.0)
    assert made.next_at == NOW - timedelta(hours=1)
    ahead = decide_finding(Progress(NOW + timedelta(hours=1), 1), Absent(), NOW, POLICY, 0.0)
    assert ahead.next_at == NOW, "by a clock that was set back since"


@pytest.mark.parametrize("forever", [True, False])
def test_a_far_end_that_cannot_tell_counts_as_one_failure(forever: bool) -> None:
    sent = Progress(NOW, 2, "no_answer", NOW)
    made = decide_finding(sent, CannotTell("busy", forever=forever), NOW, POLICY, 0.0)
    assert made.failures == 3


def test_a_try_at_the_very_limit_is_made() -> None:
    policy = RetryPolicy(delays=(10,), limit=10)
    made = decide(Progress(NOW, 0), TryLater("busy"), NOW, policy, 0.0)
    assert (made.state, made.next_at) == (S.WAITING, NOW + timedelta(seconds=10))


def test_a_clock_that_was_set_back_makes_no_search_lag_longer() -> None:
    ahead = Progress(NOW, 1, "timeout", NOW + timedelta(days=1))
    made = decide_finding(ahead, Absent(300), NOW, POLICY, 0.0)
    assert made.next_at == NOW + timedelta(seconds=150)


def test_what_is_absent_is_sent_at_once_the_first_time_and_at_the_policy_s_pace_after() -> None:
    waits = []
    for failures in (0, 1, 2, 3):
        made = decide_finding(Progress(NOW, failures), Absent(), NOW, POLICY, 0.0)
        assert made.next_at is not None
        assert made.failures == failures
        waits.append((made.next_at - NOW).total_seconds())
    assert waits == [0, 0, 100, 100]
