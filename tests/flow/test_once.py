"""Invariant 2: at the far end once, never twice, never none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.catalogue.settings import DEFAULT_LANE
from gateway.core.delivery import Kind, Settlement, State
from gateway.core.errors import Unavailable
from gateway.core.lane_policy import CALLS
from gateway.core.outcome import Accepted, Finding, Outcome, Unsure
from gateway.flow.deliver import Deliverer
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import leases, operator, settling
from gateway.store.outbox.claiming import Claimed
from gateway.store.outbox.rows import AttemptRecord, SettlementWrite
from tests.builders import take
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, PORTAL_A, Rig
from tests.flow.scripted import Script
from tests.flow.test_clock import looks as a_while

POST = FaultCondition(method="POST", path="/api/tickets", first=1)


async def test_a_lost_reply_is_asked_about_and_not_sent_again(rig: Rig) -> None:
    rig.gru.faults.cut_after(POST)
    async with rig.gateway():
        _, request = await rig.send()
        unsure = await rig.state(request, State.UNSURE)
        assert (unsure.reason, unsure.failures) == ("no_answer", 1)
        rig.advance(19)
        assert rig.line.count("GET") == 0, "asked too early: the GRU may still be at work on it"
        rig.advance(2)
        done = await rig.state(request, State.DONE)
    assert done.reason == "found"
    assert (rig.line.count("POST"), rig.line.count("GET")) == (1, 1)
    trace = await rig.trace(request)
    assert trace.request.gru_reference == rig.ticket(request).id
    assert [(a.action, a.outcome) for a in trace.attempts[done.id]] == [
        ("send", "unsure"),
        ("find", "found"),
    ]


async def test_what_is_absent_is_sent_once_more(rig: Rig) -> None:
    rig.gru.faults.fail(500, when=POST)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.advance(21)
        await rig.state(request, State.DONE)
    assert [m for m, _ in rig.line.calls] == ["POST", "GET", "POST"]
    assert len(rig.gru.tickets) == 1


async def test_a_gru_that_loses_everything_is_not_hammered(rig: Rig) -> None:
    rig.gru.faults.fail(500, when=FaultCondition(method="POST"))
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.advance(21)
        await rig.until(lambda: rig.line.count("POST") == 2)
        await rig.state(request, State.UNSURE)
        rig.advance(21)
        waiting = await rig.failed(request, "absent")
        assert (waiting.state, waiting.failures) == (State.WAITING, 2)
        assert waiting.next_at is not None
        assert (waiting.next_at - rig.clock()).total_seconds() == 60
        rig.advance(50)
        assert rig.line.count("POST") == 2


@pytest.mark.parametrize(("there", "posts"), [(True, 1), (False, 2)])
async def test_what_can_never_be_asked_is_a_question_to_a_person(
    build_rig: Builder, there: bool, posts: int
) -> None:
    rig = build_rig(options={"find": None})
    rig.gru.faults.cut_after(POST)
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.advance(21)
        question = await rig.state(request, State.QUESTION)
        rig.advance(10_000_000)
        assert (await rig.the(request)).state is State.QUESTION
        reference = "4711" if there else None
        await rig.database.write(
            operator.resolve, question.id, there, rig.clock(), reference=reference
        )
        engine.lanes.wake(question.lane, PORTAL_A)
        await rig.state(request, State.DONE)
        await rig.state(request, State.DONE, Kind.REPORT)
    assert rig.line.count("POST", "/api/tickets") == posts
    (told,) = rig.told(item)
    assert told["statut"] == "transmise"
    if there:
        assert told["reference"] == reference


@pytest.mark.parametrize(
    "point",
    [
        "deliver.claimed",
        "deliver.answered",
        "deliver.settled",
        "report.claimed",
        "report.answered",
        "report.settled",
    ],
)
async def test_a_process_that_dies_loses_and_repeats_nothing(rig: Rig, point: str) -> None:
    rig.crash_at = point
    async with rig.gateway(stop=False):
        item, request = await rig.send()
        await rig.until(lambda: point in rig.passed)
    async with rig.gateway():
        await rig.rest_in_time(request)
    assert [d.state for d in await rig.deliveries(request)] == [State.DONE, State.DONE]
    assert len(rig.gru.by_external_id(request)) == 1
    assert len(rig.told(item)) == 1


async def test_a_death_while_asking_changes_nothing(rig: Rig) -> None:
    rig.gru.faults.cut_after(POST)
    rig.crash_at = "find.answered"
    async with rig.gateway(stop=False):
        item, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.advance(21)
        await rig.until(lambda: "find.answered" in rig.passed)
    assert (await rig.the(request)).state is State.SENDING
    async with rig.gateway():
        reaped = await rig.state(request, State.UNSURE)
        assert reaped.reason == "owner_died"
        await rig.rest_in_time(request)
    assert rig.line.count("POST", "/api/tickets") == 1
    assert len(rig.told(item)) == 1


async def test_a_dead_process_s_call_is_given_its_time_before_it_is_asked_about(rig: Rig) -> None:
    rig.crash_at = "deliver.answered"
    async with rig.gateway(stop=False):
        _, request = await rig.send()
        await rig.until(lambda: "deliver.answered" in rig.passed)
    async with rig.gateway():
        reaped = await rig.state(request, State.UNSURE)
        wait = (reaped.next_at - rig.clock()).total_seconds()
        assert wait == rig.gru_config.lane.timeout
        assert rig.line.count("GET") == 0


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_start_takes_none_of_its_own_claims_for_a_dead_one_s(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The look for a dead process's claims failed at first and came after the first claim: a live
    call was asked about while the GRU was at work on it, and sent again."""
    write, looks = rig.database.write, []

    async def failing(unit: Any, *args: Any, **kwargs: Any) -> Any:
        if unit is not leases.reap_all:
            return await write(unit, *args, **kwargs)
        looks.append(lost)
        if len(looks) == 1 and lost == "before":
            raise Unavailable("the database does not answer")
        result = await write(unit, *args, **kwargs)
        if len(looks) == 1:
            raise Unavailable("the database does not answer")
        return result

    monkeypatch.setattr(rig.database, "write", failing)
    rig.line.only = "POST"
    rig.line.before.clear()
    async with rig.gateway():
        _, request = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        await rig.until(lambda: len(looks) == 2)
        await a_while(rig)
        assert (await rig.the(request)).state is State.SENDING
        rig.line.before.set()
        await rig.state(request, State.DONE)
    assert len(looks) == 2
    assert [m for m, _ in rig.line.calls] == ["POST"]


async def test_a_death_in_the_last_of_many_calls_gives_that_one_its_time(rig: Rig) -> None:
    """The first of them had used up the timeout since the claim."""
    async with rig.gateway(run=False):
        _, request = await rig.send()
    policy = replace(DEFAULT_LANE, timeout=rig.gru_config.lane.timeout)
    (_,) = await rig.database.write(
        take, GRU_A, 1, owner="dead", now=rig.clock(), lease=policy.lease
    )
    rig.clock.now += timedelta(seconds=3 * policy.timeout)
    async with rig.gateway():
        reaped = await rig.state(request, State.UNSURE)
    assert (reaped.next_at - rig.clock()).total_seconds() == policy.timeout


async def test_what_was_slept_of_a_lease_is_taken_off_the_attempt(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt ends, and its last call has had its time, before another may ask about it."""
    slept, given = 40.0, []

    def sleep(point: str) -> None:
        if point == "deliver.claimed":
            rig.advance(slept)

    async def attempt(
        self: Deliverer, claimed: Claimed, timeout: float, within: float
    ) -> Outcome | Finding:
        given.append((timeout, within))
        return Accepted("4711")

    monkeypatch.setattr(rig, "crash", sleep)
    monkeypatch.setattr(Deliverer, "attempt", attempt)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.DONE)
    policy = replace(DEFAULT_LANE, timeout=rig.gru_config.lane.timeout)
    timeout, within = given[0]
    assert timeout == policy.timeout
    assert within == pytest.approx(policy.lease - slept - timeout, abs=1)
    assert within < CALLS * timeout


async def test_a_report_s_reply_lost_by_timeout_has_the_portal_s_time(build_rig: Builder) -> None:
    rig = build_rig(portal={"timeout": 45})
    async with rig.gateway():
        rig.lines["portal:toodego"].raises = httpx.ReadTimeout("simulated")
        _, request = await rig.send()
        unsure = await rig.state(request, State.UNSURE, Kind.REPORT)
        assert (unsure.next_at - rig.clock()).total_seconds() == 45
        rig.lines["portal:toodego"].raises = None


async def test_a_late_settlement_changes_nothing(rig: Rig) -> None:
    rig.line.only = "POST"
    rig.line.after.clear()
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.until(lambda: len(rig.gru.tickets) == 1)
        first = await rig.the(request)
        # A claim is watched from the first look at it on: a lease counts from there.
        await a_while(rig)
        rig.advance(engine.lanes.lane(first.lane).policy.lease + 1)  # type: ignore[union-attr]
        done = await rig.state(request, State.DONE)
        assert (done.reason, done.fence) == ("found", first.fence + 1)
        rig.line.after.set()

        async def late() -> bool:
            attempts = (await rig.trace(request)).attempts[done.id]
            return [a.state for a in attempts] == ["done", "late"]

        await rig.until(late)
        assert await rig.the(request) == done
        await rig.state(request, State.DONE, Kind.REPORT)
    assert len(rig.told(item)) == 1
    assert rig.line.count("POST", "/api/tickets") == 1


async def test_a_report_whose_reply_is_lost_is_told_once(rig: Rig) -> None:
    rig.portal.faults.cut_after(FaultCondition(path="/hooks/", first=1))
    async with rig.gateway():
        item, request = await rig.send()
        await rig.state(request, State.UNSURE, Kind.REPORT)
        rig.advance(21)
        await rig.state(request, State.DONE, Kind.REPORT)
    assert len(rig.told(item)) == 1


async def test_a_gru_that_takes_repeats_is_sent_again_and_the_portal_is_asked(
    scripted: Rig, script: Script
) -> None:
    """A GRU that counts a repeated call once says nothing of the portal."""
    script.repeatable = True
    script.outcomes = [Unsure("timeout")]
    scripted.portal.faults.cut_after(FaultCondition(path="/hooks/", first=1))
    async with scripted.gateway():
        item, request = await scripted.send()
        await scripted.state(request, State.UNSURE)
        scripted.advance(21)
        await scripted.state(request, State.UNSURE, Kind.REPORT)
        scripted.advance(21)
        await scripted.state(request, State.DONE, Kind.REPORT)
    assert len(script.submitted) == 2
    assert len(scripted.told(item)) == 1


async def test_a_message_whose_reply_is_lost_is_added_once(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        await rig.state(request, State.DONE)
        rig.gru.faults.cut_after(FaultCondition(path="/comments", first=1))
        await rig.push(item, action="message", evenement="m1", message="Toujours là")
        await rig.state(request, State.UNSURE, Kind.AMEND)
        rig.advance(21)
        await rig.state(request, State.DONE, Kind.AMEND)
    assert [c.external_id for c in rig.ticket(request).comments] == ["m1"]


async def test_two_processes_never_hold_the_same_delivery(rig: Rig) -> None:
    async with rig.gateway(run=False):
        _, request = await rig.send()
    now, lane = rig.clock(), GRU_A
    claims = [
        await rig.database.write(take, lane, 4, owner=owner, now=now, lease=90.0)
        for owner in ("un", "deux")
    ]
    assert [len(c) for c in claims] == [1, 0]
    assert (await rig.the(request)).lease_owner == "un"


async def test_an_owner_that_lost_its_claim_cannot_settle_over_the_next_one(rig: Rig) -> None:
    async with rig.gateway(run=False):
        _, request = await rig.send()
    now, write = rig.clock(), rig.database.write
    (old,) = await write(take, GRU_A, 1, owner="un", now=now, lease=90.0)
    then = now + timedelta(seconds=91)
    await write(leases.reap, {old.delivery.id: old.delivery.fence}, then)
    (new,) = await write(take, GRU_A, 1, owner="deux", now=then, lease=90.0)
    assert new.delivery.asking
    late = SettlementWrite(
        old.delivery.id,
        request,
        GRU_A,
        old.delivery.fence,
        Settlement(State.DONE, "accepted", reference="9"),
        AttemptRecord("send", now, 1, "accepted"),
        then,
    )
    assert await write(settling.settle, late) is False
    assert await rig.the(request) == new.delivery
    assert (await rig.trace(request)).request.gru_reference is None


@pytest.mark.parametrize(
    ("steady", "told"),
    [(60, 60), (0, 60), (60, 0)],
    ids=["all clocks tell", "the steady one stood still", "the other one was set back"],
)
async def test_a_slept_over_claim_is_given_back_unsent(rig: Rig, steady: int, told: int) -> None:
    """The machine was suspended between the claim and the call."""

    def sleep(point: str) -> None:
        if point == "deliver.claimed" and point not in rig.passed:
            rig.clock.wrong += timedelta(seconds=told - steady)
            rig.advance(steady)
        rig.passed.append(point)

    rig.crash = sleep  # type: ignore[method-assign]
    async with rig.gateway():
        _, request = await rig.send()
        done = await rig.state(request, State.DONE)
    assert rig.line.count("POST") == 1
    assert (done.attempts, done.fence) == (1, 2)
