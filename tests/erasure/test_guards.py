"""The guards, pure: what a run is worth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.glc import BrakeEntry
from gateway.core.erasure import (
    Brake,
    Judgement,
    KnownAccounts,
    ProviderRun,
    Suspect,
    VoidRun,
    judge_run,
    over,
    same_person,
)

NOW = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
WAIT = timedelta(hours=6)
BRAKE = BrakeEntry().brake()
KNOWN = frozenset(f"a{n}" for n in range(100))


def suspect(account: str, hours: float) -> Suspect:
    at = NOW - timedelta(hours=hours)
    return Suspect(account, at, at)


def judged(
    gone: set[str],
    *suspects: Suspect,
    held: frozenset[str] = frozenset(),
    recent: int = 0,
    positive: bool = False,
    brake: Brake = BRAKE,
) -> Judgement:
    before = KnownAccounts(KNOWN, {one.account: one for one in suspects}, held, recent)
    found = judge_run(ProviderRun(frozenset(gone), False, positive), before, brake, WAIT, NOW)
    assert isinstance(found, Judgement)
    return found


def test_a_canary_that_is_gone_voids_the_run() -> None:
    before = KnownAccounts(KNOWN, {"a1": suspect("a1", 10)})
    found = judge_run(ProviderRun(frozenset({"a1"}), True), before, BRAKE, WAIT, NOW)
    assert isinstance(found, VoidRun)
    assert found.reason == "canary_gone"


def test_once_is_not_enough() -> None:
    found = judged({"a1"})
    assert found.erase == frozenset()
    assert [one.account for one in found.suspects] == ["a1"]


def test_twice_within_the_hour_is_not_enough() -> None:
    early = suspect("a1", 5.9)
    found = judged({"a1"}, early)
    assert (found.erase, found.suspects) == (frozenset(), (early,))


def test_twice_far_enough_apart_is() -> None:
    found = judged({"a1"}, suspect("a1", 6))
    assert (found.erase, found.suspects) == ({"a1"}, ())


def test_the_list_of_deletions_needs_no_second_word() -> None:
    assert judged({"a1"}, positive=True).erase == {"a1"}


def test_accounts_that_are_not_ours_are_nothing() -> None:
    assert judged({"stranger"}, positive=True) == Judgement()


def test_the_share_brakes() -> None:
    gone = {f"a{n}" for n in range(6)}
    found = judged(gone, *(suspect(a, 10) for a in gone))
    assert (found.hold, found.erase, found.reason) == (gone, frozenset(), "brake")
    assert judged({f"a{n}" for n in range(5)}).reason == ""


def test_the_count_brakes() -> None:
    gone = {f"a{n}" for n in range(4)}
    assert judged(gone, brake=Brake(1.0, 3), positive=True).hold == gone
    assert judged(gone, brake=Brake(1.0, 4), positive=True).erase == gone


def test_many_small_runs_brake_as_one_large() -> None:
    found = judged({"a1"}, suspect("a1", 10), recent=20)
    assert (found.hold, found.erase) == ({"a1"}, frozenset())
    assert found.detail == "1 of 100 accounts at once, 20 erased within a day"


def test_those_erased_of_late_count_among_the_known_too() -> None:
    """Five of a hundred and four are within a twentieth; of ninety-six they would not be."""
    found = judged({"a1"}, suspect("a1", 10), recent=4)
    assert (found.hold, found.erase) == (frozenset(), {"a1"})


def test_a_run_in_which_nobody_is_gone_brakes_nothing() -> None:
    found = judged(set(), suspect("a1", 10), recent=20)
    assert (found.reason, found.cleared) == ("contradiction", {"a1"})
    assert judged(set(), recent=20) == Judgement()


def test_a_brake_confirms_nothing() -> None:
    gone = {f"a{n}" for n in range(50)}
    found = judged(gone, suspect("a1", 10), suspect("a99", 10))
    assert found.suspects == (suspect("a1", 10),)
    assert found.cleared == {"a99"}


def test_who_is_known_again_is_cleared_and_the_others_begin_anew() -> None:
    found = judged({"a1"}, suspect("a1", 10), suspect("a2", 10))
    assert found.cleared == {"a2"}
    assert found.erase == frozenset()
    assert found.suspects == (Suspect("a1", NOW, NOW),)
    assert found.reason == "contradiction"


def test_a_held_account_that_is_known_again_is_cleared() -> None:
    assert judged(set(), held=frozenset({"a1"})).cleared == {"a1"}


def test_a_list_read_from_a_cursor_on_clears_nobody_and_frees_nobody() -> None:
    found = judged({"a1"}, suspect("a3", 10), held=frozenset({"a1", "a2"}), positive=True)
    assert found.cleared == frozenset()
    assert found.erase == frozenset()
    assert found.suspects == (suspect("a3", 10),)


ACCOUNTS = st.frozensets(st.sampled_from(sorted(KNOWN)))


@given(
    gone=ACCOUNTS,
    suspected=st.dictionaries(st.sampled_from(sorted(KNOWN)), st.floats(0, 100)),
    held=ACCOUNTS,
    recent=st.integers(0, 30),
    positive=st.booleans(),
    canary=st.booleans(),
    ratio=st.floats(0.001, 1),
    count=st.integers(0, 120),
)
def test_nobody_is_erased_against_a_guard(
    gone: frozenset[str],
    suspected: dict[str, float],
    held: frozenset[str],
    recent: int,
    positive: bool,
    canary: bool,
    ratio: float,
    count: int,
) -> None:
    brake = Brake(ratio, count)
    before = KnownAccounts(
        KNOWN, {account: suspect(account, age) for account, age in suspected.items()}, held, recent
    )
    found = judge_run(ProviderRun(gone, canary, positive), before, brake, WAIT, NOW)
    if isinstance(found, VoidRun):
        assert canary
        return
    assert not canary
    assert found.erase <= gone
    assert not found.erase & found.hold
    if over(brake, len(gone) + recent, len(KNOWN) + recent):
        assert not found.erase
    for account in found.erase:
        assert positive or suspected[account] >= 6
        assert not (positive and account in held)


def test_two_people_are_two() -> None:
    assert same_person("Anne Dupré", " anne  DUPRE ")
    for one, other in (
        ("Anne-Marie Dupré", "Dupre anne marie"),
        ("A. Dupré", "Anne Dupré"),
        ("Dupré A", "anne dupre"),
        ("Œuvrard, Søren", "soren OEUVRARD"),
        ("Anne\u200b Dupré", "Anne Dupré"),
        ("Anne Dupre\u0301", "Anne Dupré"),
    ):
        assert same_person(one, other)
        assert same_person(other, one)
    for one, other in (
        ("Anne Dupré", "Anna Dupré"),
        ("Anne Dupré", "Anne Dupré Martin"),
        ("Anne Dupré", "B. Dupré"),
        ("A. B.", "C. B."),
    ):
        assert not same_person(one, other)
        assert not same_person(other, one)
