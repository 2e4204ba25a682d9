"""What an attempt means for its delivery, by what kind of delivery it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core.delivery import Kind, Progress, State
from gateway.core.outcome import Absent, Misconfigured, Outcome, Refused, TryLater, Unsure
from gateway.core.request import EventKind
from gateway.core.retry import RetryPolicy
from gateway.core.status import Status
from gateway.flow.judging import WHILE_PROCESSING, settlement, status_after

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
