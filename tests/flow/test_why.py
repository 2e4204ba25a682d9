"""Each state a request can wait in has its explanation, and somebody who can act."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.core.breaker import BreakerPolicy
from gateway.core.delivery import Kind, State
from gateway.flow import why
from gateway.flow.why import Cause, explain
from gateway.sim.faults import When
from gateway.store import lanes as memory
from gateway.store import outbox
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, Rig


async def ask(rig: Rig, request: str) -> tuple[Cause, ...]:
    return explain(await rig.trace(request), await rig.database.read(memory.recall), rig.clock())


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
    [(503, "gru", "come back later"), (401, "operator", "credentials")],
)
async def test_retry(rig: Rig, status: int, who: str, words: str) -> None:
    rig.gru.faults.fail(status)
    async with rig.gateway():
        _, request = await rig.send()
        failed = await rig.failed(request, "busy" if status == 503 else "access_denied")
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who, cause.next_at) == ("retry", who, failed.next_at)
        assert words in cause.text
        assert cause.action


async def test_unsure_and_question(build_rig: Builder) -> None:
    rig = build_rig(options={"find": None})
    rig.gru.faults.cut_after(When(method="POST"))
    async with rig.gateway():
        _, request = await rig.send()
        unsure = await rig.state(request, State.UNSURE)
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who, cause.next_at) == ("unsure", "gateway", unsure.next_at)
        assert "asked before anything is sent again" in cause.text
        rig.advance(3)
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
    rig.gru.faults.fail(503)
    async with rig.gateway():
        _, request = await rig.send()
        dead = await rig.state(request, State.DEAD)
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who) == ("dead", "gru")
        assert f"outbox replay {dead.id}" in cause.action


async def test_paused(rig: Rig) -> None:
    async with rig.gateway() as engine:
        await engine.lanes.pause(GRU_A, True)
        _, request = await rig.send()
        (cause,) = await ask(rig, request)
        assert (cause.code, cause.who, cause.action) == ("paused", "operator", "commune resume")


async def test_breaker(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=200))
    rig.gru.faults.fail(503)
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
        await rig.database.write(outbox.claim, GRU_A, 1, owner="mort", now=rig.clock(), lease=90.0)
        rig.start()
        await rig.state(request, State.UNSURE)
        (cause,) = await ask(rig, request)
        assert cause.code == "unsure"
        assert "the process that was sending it died" in cause.text


def test_every_reason_names_somebody_known() -> None:
    known = {"gateway", "gru", "portal", "operator", "integrator"}
    for what, who, action in why._REASONS.values():
        assert who in known
        assert what
        assert action or who in ("gateway", "operator")
