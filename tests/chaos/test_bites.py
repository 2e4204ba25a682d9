"""The checker finds what it is there to find: each promise is broken on purpose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from gateway.core.delivery import State
from gateway.core.delivery import decide as real_decide
from gateway.core.outcome import TryLater, Unsure
from gateway.flow import judging
from gateway.store.rows import Acceptance, Reception
from tests.chaos import simulation, store
from tests.chaos.simulation import simulate


@pytest.fixture(autouse=True)
def _shorter_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits: a broken gateway stays broken."""
    monkeypatch.setattr(simulation, "CALM_AT_MOST", 1800.0)


def _kinds(
    template: str, enough: Callable[[set[str]], bool], seeds: int = 12, first: int = 1
) -> set[str]:
    """Yield the reports of seeds until they suffice."""
    kinds: set[str] = set()
    for seed in range(first, first + seeds):
        kinds |= {kind for kind, _ in simulate(seed, template).breaches}
        if enough(kinds):
            break
    return kinds


def test_sending_again_what_may_have_arrived_is_seen(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(progress: Any, outcome: Any, now: Any, *rest: Any, **more: Any) -> Any:
        settlement = real_decide(progress, outcome, now, *rest, **more)
        if isinstance(outcome, Unsure):
            return dataclasses.replace(settlement, state=State.WAITING)
        return settlement

    monkeypatch.setattr(judging, "decide", decide)
    # Here and below a short seed that shows it is tried first; the others are tried if it does not.
    assert "twice" in _kinds(template, lambda kinds: "twice" in kinds, first=2)


def test_taking_a_redirect_or_a_503_at_its_word_is_seen(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(progress: Any, outcome: Any, now: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(outcome, Unsure) and outcome.reason in ("busy", "see_other", "redirected"):
            outcome = TryLater(outcome.reason, outcome.detail, outcome.after)
        return real_decide(progress, outcome, now, *rest, **more)

    monkeypatch.setattr(judging, "decide", decide)
    assert "twice" in _kinds(template, lambda kinds: "twice" in kinds, seeds=20, first=10)


def test_asking_a_far_end_that_is_still_at_work_is_seen(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(progress: Any, outcome: Any, now: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(outcome, Unsure):
            outcome = dataclasses.replace(outcome, busy=False)
        return real_decide(progress, outcome, now, *rest, **more)

    monkeypatch.setattr(judging, "decide", decide)
    assert "twice" in _kinds(template, lambda kinds: "twice" in kinds, seeds=20, first=5)


def test_giving_up_what_may_not_have_arrived_is_seen(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(progress: Any, outcome: Any, now: Any, *rest: Any, **more: Any) -> Any:
        settlement = real_decide(progress, outcome, now, *rest, **more)
        if settlement.state is not State.DONE:
            return dataclasses.replace(settlement, state=State.DONE, next_at=None)
        return settlement

    monkeypatch.setattr(judging, "decide", decide)
    assert "lost" in _kinds(template, lambda kinds: "lost" in kinds, first=5)


def test_serving_a_request_out_of_order_is_seen(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By the database itself, whichever statement it is that owes a report.
    ahead = "request_id = NEW.request_id AND lane = NEW.lane AND id <> NEW.id"
    ahead += " AND state = 'waiting' AND head"
    overtake = f"""CREATE TRIGGER chaos_overtake AFTER INSERT ON delivery
        WHEN NEW.lane LIKE 'portal:%' AND EXISTS (SELECT 1 FROM delivery WHERE {ahead})
        BEGIN
          UPDATE delivery SET head = 0 WHERE {ahead};
          UPDATE delivery SET head = 1 WHERE id = NEW.id;
        END"""
    watches = [*store.watching("sqlite"), overtake]
    monkeypatch.setattr(store, "watching", lambda dialect: watches)
    found = _kinds(template, lambda kinds: "disordered" in kinds, seeds=20, first=8)
    assert "disordered" in found


def test_keeping_something_of_an_erased_person_is_seen(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.store import scrub

    real = scrub.erased

    def erased(connection: Any, erasure_id: str, now: Any) -> bool:
        moved = real(connection, erasure_id, now)
        connection.execute(
            text(
                "UPDATE event SET body = '{}' WHERE origin = 'portal' AND request_id IN"
                " (SELECT request_id FROM erasure_target WHERE erasure_id = :id)"
            ),
            {"id": erasure_id},
        )
        return moved

    monkeypatch.setattr(scrub, "erased", erased)
    # Those before erase nobody.
    assert "revived" in _kinds(template, lambda kinds: "revived" in kinds, seeds=20, first=21)


def test_answering_2xx_to_what_was_not_kept_is_seen(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.store import accepting, requests

    real = accepting.accept

    def accept(connection: Any, incoming: Any) -> Acceptance:
        if incoming.request.event.kind.value == "message":
            known = requests.find(
                connection, incoming.request.portal, incoming.request.teleservice,
                incoming.request.ref,
            )  # fmt: skip
            return Acceptance(Reception.NEW, known)
        return real(connection, incoming)

    monkeypatch.setattr(accepting, "accept", accept)
    assert "lost" in _kinds(template, lambda kinds: "lost" in kinds, first=5)
