"""Each state a request can wait in has its explanation, and somebody who can act."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from gateway.core.breaker import BreakerPolicy
from gateway.core.delivery import Kind, State
from gateway.ops.why import Cause, LaneSetting, explain, lane_settings
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import lanes as memory
from tests.builders import take
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, Rig, request_id


async def ask(rig: Rig, request: str) -> tuple[Cause, ...]:
    lanes = await rig.database.read(memory.recall)
    return explain(await rig.trace(request), lanes, rig.clock(), lane_settings(rig.catalogue))


async def test_settled_and_erased(rig: Rig) -> None:
    async with rig.gateway():
        _, request = await rig.send()
        await rig.rest(request)
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who) == ("settled", "gateway")
        trace = await rig.trace(request)
        erased = dataclasses.replace(
            trace, request=dataclasses.replace(trace.request, erased_at=rig.clock())
        )
        (cause,) = explain(erased, {}, rig.clock())
        assert (cause.code, cause.since) == ("erased", rig.clock())


async def test_queued_and_not_due(rig: Rig) -> None:
    async with rig.gateway(run=False):
        _, request = await rig.send()
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who) == ("queued", "gateway")
        assert "free place" in cause.text


async def test_sending_and_order(rig: Rig) -> None:
    rig.line.before.clear()
    async with rig.gateway():
        item, request = await rig.send()
        await rig.push(item, action="message", evenement="m1", message="Bonjour")
        await rig.until(lambda: rig.line.in_flight == 1)
        causes = await ask(rig, request)
        assert [c.code for c in causes] == ["order", "sending"]
        assert causes[1].next_at == (await rig.the(request)).lease_until
        assert causes[0].delivery == (await rig.the(request, Kind.AMEND)).id


@pytest.mark.parametrize(
    ("status", "who", "words"),
    [(425, "gru", "come back later"), (401, "operator", "credentials")],
)
async def test_retry(rig: Rig, status: int, who: str, words: str) -> None:
    rig.gru.faults.fail(status)
    async with rig.gateway():
        _, request = await rig.send()
        failed = await rig.failed(request, "busy" if status == 425 else "access_denied")
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who, cause.next_at) == ("retry", who, failed.next_at)
        assert words in cause.text
        assert cause.action


async def test_unsure_and_question(build_rig: Builder) -> None:
    rig = build_rig(options={"find": None})
    rig.gru.faults.cut_after(FaultCondition(method="POST"))
    async with rig.gateway():
        _, request = await rig.send()
        unsure = await rig.state(request, State.UNSURE)
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who, cause.next_at) == ("unsure", "gateway", unsure.next_at)
        assert "asked before anything is sent again" in cause.text
        rig.advance(21)
        await rig.state(request, State.QUESTION)
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who) == ("question", "operator")
        assert f"outbox resolve {unsure.id}" in cause.action


async def test_parked(rig: Rig) -> None:
    rig.gru.required = ("sector",)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.PARKED)
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who) == ("parked", "integrator")
        assert "replay" in cause.action


async def test_dead(build_rig: Builder) -> None:
    rig = build_rig(gru={"retry": {"delays": [60], "limit": 30}})
    rig.gru.faults.fail(425)
    async with rig.gateway():
        _, request = await rig.send()
        dead = await rig.state(request, State.DEAD)
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who) == ("dead", "gru")
        assert f"outbox replay {dead.id}" in cause.action


async def test_paused(rig: Rig) -> None:
    async with rig.gateway():
        await rig.pause(GRU_A)
        _, request = await rig.send()
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who, cause.action) == ("paused", "operator", "commune resume")


async def test_breaker(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=200))
    rig.gru.faults.fail(425)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.failed(request, "busy")

        async def opened() -> bool:
            return GRU_A in await rig.database.read(memory.recall)

        await rig.until(opened)
        breaker, retry = await ask(rig, request)
        assert (breaker.code, breaker.who, retry.code) == ("breaker", "gru", "retry")
        assert breaker.since == rig.clock()
        assert retry.next_at == breaker.next_at, "the delay ends, and the lane still waits"
        assert breaker.next_at is not None
        assert (breaker.next_at - rig.clock()).total_seconds() == 200


async def test_a_dead_process_s_delivery(rig: Rig) -> None:
    async with rig.gateway(run=False):
        _, request = await rig.send()
        await rig.database.write(take, GRU_A, 1, owner="mort", now=rig.clock(), lease=90.0)
        rig.start()
        await rig.state(request, State.UNSURE)
        (cause,) = await ask(rig, request)
        assert cause.code == "unsure"
        assert "the process that was sending it died" in cause.text


async def test_the_chain_from_order_over_the_breaker_to_its_cause(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=200))
    rig.line.raises = httpx.ConnectError("refused")
    async with rig.gateway():
        _, first = await rig.send()
        await rig.failed(first, "unreachable")
        await until_kept(rig, lambda kept: kept.breaker == "open")
        since = rig.clock()
        rig.advance(10)
        item, request = await rig.send()
        await rig.push(item, action="message", evenement="m1", message="Bonjour")
        causes = await ask(rig, request)
        assert [c.code for c in causes] == ["order", "breaker", "unreachable"]
        submit = await rig.the(request)
        assert submit.id in causes[0].text
        assert (causes[1].since, causes[1].delivery) == (since, submit.id)
        assert causes[1].next_at == since + timedelta(seconds=200)
        assert (causes[2].who, causes[2].action) == ("gru", "restore the service")


async def test_held_by_retry_after_is_known_beside_the_process_too(rig: Rig) -> None:
    rig.gru.faults.fail(429, retry_after=120, when=FaultCondition(first=1))
    async with rig.gateway():
        _, first = await rig.send()
        await rig.failed(first, "busy")
        await until_kept(rig, lambda kept: kept.hold_until is not None)
        _, second = await rig.send()
        (cause,) = await ask(rig, second)
        assert (cause.code, cause.who) == ("held", "gru")
        assert cause.next_at == rig.clock() + timedelta(seconds=120)
        held, unsure = await ask(rig, first)
        assert (held.code, unsure.code) == ("held", "unsure")
        rig.advance(121)
        await rig.rest(first, second)
        assert [c.code for c in await ask(rig, second)] == ["settled"]


async def test_paused_in_its_file(build_rig: Builder) -> None:
    rig = build_rig(commune={"paused": True})
    async with rig.gateway():
        _, request = await rig.send()
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who, cause.next_at) == ("paused_in_file", "operator", None)
        assert "commune's file" in cause.action


async def test_no_release_of_its_commune_is_active(rig: Rig) -> None:
    async with rig.gateway(run=False):
        _, request = await rig.send()
        trace = await rig.trace(request)
        none = dataclasses.replace(rig.catalogue, communes={})
        (cause,) = explain(trace, {}, rig.clock(), lane_settings(none))
        assert (cause.code, cause.who) == ("no_release", "operator")
        assert "release apply" in cause.action
        assert lane_settings(rig.catalogue)(GRU_A) == LaneSetting()


async def test_not_due_then_hurried(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=30), gru={"retry": {"delays": [600]}})
    rig.gru.faults.fail(425, when=FaultCondition(first=1))
    async with rig.gateway():
        _, first = await rig.send()
        failed = await rig.failed(first, "busy")
        assert (await ask(rig, first))[-1].next_at == failed.next_at
        await until_kept(rig, lambda kept: kept.breaker == "open")
        _, second = await rig.send()
        rig.advance(31)  # the second is the probe; it closes the breaker and hurries the first
        await rig.rest(first, second)
        assert [c.code for c in await ask(rig, first)] == ["settled"]
    trace = await rig.trace(first)
    (one,) = [d for d in trace.deliveries if d.kind is Kind.SUBMIT]
    later = dataclasses.replace(
        one, state=State.WAITING, next_at=rig.clock() + timedelta(seconds=60), failures=0
    )
    (cause,) = explain(dataclasses.replace(trace, deliveries=(later,)), {}, rig.clock())
    assert (cause.code, cause.next_at) == ("not_due", later.next_at)


async def test_being_asked_about(rig: Rig) -> None:
    rig.gru.faults.cut_after(FaultCondition(method="POST", first=1))
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.line.only, rig.line.before = "GET", asyncio.Event()
        rig.advance(21)
        await rig.until(lambda: rig.line.in_flight == 1)
        (cause,) = await ask(rig, request)
        assert cause.code == "sending"
        # Also why that is.
        lost = "the call was sent and its answer was lost"
        assert cause.text == f"asking the far end about it now; before that: {lost}"
        rig.line.before.set()


async def test_an_unmappable_request_names_the_integrator(rig: Rig) -> None:
    async with rig.gateway():
        item = rig.submit()
        item.fields["volume_m3"] = "un texte"  # where a number is due
        request = request_id(await rig.push(item))
        await rig.state(request, State.PARKED)
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who) == ("parked", "integrator")
        assert "the mapping cannot render this request" in cause.text


async def until_kept(rig: Rig, true: Callable[[memory.LaneMemory], bool]) -> None:
    async def kept() -> bool:
        found = (await rig.database.read(memory.recall)).get(GRU_A)
        return found is not None and true(found)

    await rig.until(kept)
