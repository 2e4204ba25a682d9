"""The meaning of an attempt for each kind of delivery."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core.delivery import FINAL, Kind, Progress, Settlement, State
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
from gateway.core.request import EventKind
from gateway.core.retry import RetryPolicy
from gateway.core.status import Status
from gateway.flow.judging import (
    FILE_EMPTY,
    FILE_REFUSED,
    WHILE_PROCESSING,
    health_sign,
    lane_health,
    reports,
    settlement,
    status_after,
)
from gateway.flow.lanes.state import HealthSign
from gateway.store.outbox.rows import NewReport

NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
WEEK = RetryPolicy(delays=(5, 30), limit=7 * 86_400)


def claimed(kind: Kind, days: float = 0, failures: int = 0, file: str | None = None) -> Any:
    """A claim of a delivery that was made so many days ago."""
    progress = Progress(NOW - timedelta(days=days), failures)
    return SimpleNamespace(
        delivery=SimpleNamespace(kind=kind, progress=progress, attachment_id=file)
    )


@pytest.mark.parametrize("outcome", [TryLater("busy"), Misconfigured("denied")])
@pytest.mark.parametrize("kind", Kind)
def test_only_an_erasure_is_tried_for_longer_than_the_policy_says(
    kind: Kind, outcome: Outcome
) -> None:
    made = settlement(claimed(kind, days=30), outcome, NOW, WEEK, 0.0, 20.0)
    assert made.state is (State.WAITING if kind is Kind.ERASE else State.DEAD)


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_what_the_portal_still_works_on_is_tried_again_within_seconds(failures: int) -> None:
    again = claimed(Kind.REPORT, failures=failures)
    made = settlement(again, TryLater("processing"), NOW, WEEK, 0.0, 20.0)
    assert made.next_at == NOW + timedelta(seconds=WHILE_PROCESSING[failures])
    other = settlement(again, TryLater("busy"), NOW, WEEK, 0.0, 20.0)
    assert other.next_at == NOW + timedelta(seconds=WEEK.delays[min(failures, 1)])


@pytest.mark.parametrize(
    ("kind", "file", "outcome", "state"),
    [
        (Kind.AMEND, "att-1", Refused("file_refused"), State.DISCARDED),
        (Kind.AMEND, None, Refused("file_refused"), State.PARKED),
        (Kind.SUBMIT, "att-1", Refused("file_refused"), State.PARKED),
        (Kind.AMEND, "att-1", Refused("bug"), State.PARKED),
        (Kind.AMEND, "att-1", TryLater("busy"), State.WAITING),
    ],
)
def test_a_file_that_the_gru_refuses_is_given_up_and_the_rest_goes_on(
    kind: Kind, file: str | None, outcome: Outcome, state: State
) -> None:
    assert settlement(claimed(kind, file=file), outcome, NOW, WEEK, 0.0, 20.0).state is state


def test_asking_is_judged_as_asking_and_sending_by_its_timeout() -> None:
    found = settlement(claimed(Kind.SUBMIT), Absent(), NOW, WEEK, 0.0, 20.0)
    assert (found.state, found.reason) == (State.WAITING, "absent")
    unsure = settlement(claimed(Kind.SUBMIT), Unsure("timeout"), NOW, WEEK, 0.0, 45.0)
    assert unsure.next_at == NOW + timedelta(seconds=45)


@pytest.mark.parametrize(
    ("kind", "event", "status"),
    [
        (Kind.SUBMIT, EventKind.CREATION, Status.TRANSMITTED),
        (Kind.AMEND, EventKind.CANCELLATION, Status.CANCELLED),
        (Kind.AMEND, EventKind.MESSAGE, None),
        (Kind.REPORT, EventKind.CANCELLATION, None),
    ],
)
def test_a_request_s_status_follows_what_reached_its_gru(
    kind: Kind, event: EventKind, status: Status | None
) -> None:
    one: Any = SimpleNamespace(delivery=SimpleNamespace(kind=kind), event_kind=event.value)
    for state in State:
        decided: Any = SimpleNamespace(state=state)
        assert status_after(one, decided) is (status if state is State.DONE else None)


# --- what the portal is told -------------------------------------------------------------------


def sent(
    kind: Kind = Kind.SUBMIT, *, pushed: datetime = NOW, sizes: tuple[int, ...] = (), n: int = 1
) -> Any:
    """A claim of a request that the portal has pushed then, with files of these sizes."""
    return SimpleNamespace(
        delivery=SimpleNamespace(id=f"dlv-{n}", kind=kind, created_at=pushed),
        request=SimpleNamespace(id="rqst", portal_lane="portal:toodego:69029"),
        attachments=[SimpleNamespace(size=size) for size in sizes],
    )


def told(claimed: Any, state: State = State.DONE, reason: str = "", **how: Any) -> list[NewReport]:
    return list(reports(claimed, Settlement(state, reason), NOW, lambda: "new", **how))


@pytest.mark.parametrize(
    ("ago", "due"),
    [(0, 20), (5, 15), (20, 0), (3600, 0), (-7200, 20)],
    ids=["just now", "a moment ago", "by then", "long ago", "by a clock that was ahead"],
)
def test_a_report_leaves_once_the_portal_can_be_through_with_its_push(ago: int, due: int) -> None:
    """It leaves `delay` after the push, never in the past, nor by a clock that was ahead."""
    (one,) = told(sent(pushed=NOW - timedelta(seconds=ago)), delay=20.0)
    assert one.due == NOW + timedelta(seconds=due)


def test_a_report_waits_for_nothing_where_no_delay_is_set() -> None:
    (one,) = told(sent())
    assert one.due == NOW


def test_the_portal_is_told_once_that_the_request_is_transmitted() -> None:
    (one,) = told(sent())
    assert (one.request_id, one.lane, one.delivery_id) == ("rqst", "portal:toodego:69029", "new")
    assert (one.origin, one.key, one.at) == ("gateway", "transmitted", NOW)
    assert one.status is Status.TRANSMITTED
    assert one.body == {"status": "transmitted", "message": None}
    (again,) = told(sent(n=2))
    assert again.event_id == one.event_id, "sent again after a loss, the portal knows it"


@pytest.mark.parametrize("state", [one for one in State if one not in FINAL])
@pytest.mark.parametrize("kind", Kind)
def test_the_portal_is_told_nothing_of_what_is_not_over(kind: Kind, state: State) -> None:
    assert told(sent(kind), state) == []


@pytest.mark.parametrize("kind", [Kind.AMEND, Kind.REPORT, Kind.ERASE])
def test_what_reached_the_gru_later_is_no_second_transmission(kind: Kind) -> None:
    assert told(sent(kind, sizes=(0,))) == []


@pytest.mark.parametrize(("reason", "asks"), [("found", True), ("accepted", False)])
def test_the_portal_is_asked_first_where_it_may_have_been_told(reason: str, asks: bool) -> None:
    (one,) = told(sent(), reason=reason)
    assert one.asks is asks


def test_the_citizen_is_told_of_an_empty_file_and_of_no_other() -> None:
    (whole,) = told(sent(sizes=(1, 7)))
    assert whole.body["message"] is None
    (empty,) = told(sent(sizes=(7, 0)))
    assert empty.body == {"status": "transmitted", "message": FILE_EMPTY}


@pytest.mark.parametrize(
    ("reason", "message"), [("file_refused", FILE_REFUSED), ("empty_file", FILE_EMPTY)]
)
def test_the_citizen_is_told_of_each_file_that_was_given_up(reason: str, message: str) -> None:
    """Its status stays as it is, and two files are two reports."""
    first, second = (told(sent(Kind.AMEND, n=n), State.DISCARDED, reason) for n in (1, 2))
    (one,), (other,) = first, second
    assert one.body == {"status": None, "message": message}
    assert one.status is None
    assert one.event_id != other.event_id
    assert one.key != other.key


# --- what it tells of the lane -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "good"),
    [
        (Accepted("1"), True),
        (Found("1"), True),
        (Absent(), True),
        (Accepted(called=False), None),
        (Found(called=False), None),
        (Absent(called=False), None),
        (Refused("a word of the GRU"), True),
        (TryLater("unreachable"), False),
        (TryLater("a word of the GRU"), False),
        (Unsure("timeout"), False),
        (CannotTell("timeout"), False),
        (CannotTell("no_find", forever=True), None),
        (CannotTell("filter_ignored", forever=True), True),
        (CannotTell("no_proof", forever=True), True),
        (CannotTell("no_proof"), None),
        (TryLater("file_refused"), None),
        (Misconfigured("a word of the GRU"), False),
        (Misconfigured("no_route"), None),
        (Refused("unmappable"), None),
        (Unsure("bug"), None),
    ],
)
def test_a_call_tells_how_its_far_end_does_or_nothing(
    outcome: Outcome | Finding, good: bool | None
) -> None:
    assert lane_health(outcome) is good
    sign = health_sign(outcome, 1.5)
    assert (None if sign is None else sign.good) is good


def test_a_sign_says_why_and_how_long_the_far_end_asks_to_be_left_alone() -> None:
    assert health_sign(TryLater("busy", after=30.0), 1.5) == HealthSign(False, "busy", 1.5, 30.0)
    assert health_sign(Misconfigured("denied"), 1.5) == HealthSign(False, "denied", 1.5)
    assert health_sign(Refused("no_such_street"), 1.5) == HealthSign(True, "", 1.5)
