"""Faults on real sockets: what is cut is cut, what is committed stays."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from starlette.responses import PlainTextResponse

from gateway.sim.faults import FaultCondition, FaultKind, Faults
from gateway.sim.glc import SimulatedGlc
from gateway.sim.server import run_server
from gateway.sim.ticketing import Ticketing

KEY = {"X-Api-Key": "jeton-essai"}


async def _post(client: httpx.AsyncClient, reference: str) -> bool:
    try:
        answer = await client.post("/api/tickets", json={"external_id": reference})
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return False
    assert answer.status_code == 201
    return True


async def test_each_third_post_is_committed_then_cut() -> None:
    gru = Ticketing()
    gru.faults.cut_after(FaultCondition(method="POST", path="/api/tickets", every=3))
    async with (
        run_server(gru.app) as running,
        httpx.AsyncClient(base_url=running.url, headers=KEY) as client,
    ):
        answered = [await _post(client, f"TDG-{n}") for n in range(1, 7)]
        found = await client.get("/api/tickets", params={"external_id": "TDG-3"})
    assert answered == [True, True, False, True, True, False]
    assert len(gru.tickets) == 6
    assert found.json()["total"] == 1


async def test_cut_before_does_nothing() -> None:
    gru = Ticketing()
    gru.faults.cut_before(FaultCondition(first=1))
    async with (
        run_server(gru.app) as running,
        httpx.AsyncClient(base_url=running.url, headers=KEY) as client,
    ):
        assert not await _post(client, "TDG-1")
        assert gru.tickets == []
        assert await _post(client, "TDG-1")


async def test_cut_with_a_large_body_still_unread_is_a_cut() -> None:
    gru = Ticketing()
    gru.faults.cut_before()
    async with (
        run_server(gru.app) as running,
        httpx.AsyncClient(base_url=running.url, headers=KEY) as client,
    ):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
            await client.post("/api/uploads", content=b"x" * 5_000_000)


async def test_without_a_socket_the_client_sees_the_same_error() -> None:
    gru = Ticketing()
    gru.faults.cut_after(FaultCondition(first=1))
    transport = httpx.ASGITransport(gru.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gru", headers=KEY) as client:
        assert not await _post(client, "TDG-1")
        assert await _post(client, "TDG-2")
    assert len(gru.tickets) == 2


async def test_slow_then_fail_with_retry_after() -> None:
    gru = Ticketing()
    gru.faults.slow(0.2, FaultCondition(first=1))
    gru.faults.fail(503, retry_after=7, when=FaultCondition(first=1))
    async with (
        run_server(gru.app) as running,
        httpx.AsyncClient(base_url=running.url, headers=KEY) as client,
    ):
        begun = time.monotonic()
        answer = await client.get("/api/tickets")
        assert time.monotonic() - begun >= 0.2
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
        assert (await client.get("/api/tickets")).status_code == 200


async def test_a_held_call_is_treated_when_it_is_let_go() -> None:
    gru = Ticketing()
    gone = asyncio.Event()
    gru.faults.wait_for(gone, FaultCondition(method="POST", first=1))
    async with (
        run_server(gru.app) as running,
        httpx.AsyncClient(base_url=running.url, headers=KEY) as client,
    ):
        held = asyncio.create_task(_post(client, "TDG-1"))
        while not gru.faults.injected:  # noqa: ASYNC110 (the plan has no event)
            await asyncio.sleep(0.01)
        assert await _post(client, "TDG-2")
        assert not held.done()
        gone.set()
        assert await held
    assert [ticket.external_id for ticket in gru.tickets] == ["TDG-2", "TDG-1"]


async def test_control_over_http_arms_reports_and_clears() -> None:
    glc = SimulatedGlc()
    async with run_server(glc.app) as running, httpx.AsyncClient(base_url=running.url) as client:
        plan = {"faults": [{"kind": "fail", "status": 500, "path": "/api/"}]}
        assert (await client.post("/_sim/faults", json=plan)).json()["rules"] == 1
        assert (await client.get("/api/deletions/")).status_code == 500
        state = (await client.get("/_sim/state")).json()
        assert state["faults"]["injected"]["fail"] == 1
        await client.post("/_sim/faults", json={"clear": True})
        assert (await client.get("/api/deletions/")).status_code == 401
        wrong = await client.post("/_sim/faults", json={"faults": [{"kind": "burn"}]})
        assert wrong.status_code == 422
        assert (await client.post("/_sim/faults", content=b"{")).status_code == 400


def test_the_plan_selects_as_it_says() -> None:
    faults = Faults()
    faults.fail(500, when=FaultCondition(path="/a", method="post", after=1, first=2))
    calls = [("GET", "/a"), ("POST", "/b"), *[("POST", "/a")] * 4]
    hits = [faults.consult(*call)[1] is not None for call in calls]
    assert hits == [False, False, False, True, True, False]


def test_a_seeded_ratio_is_the_same_each_run() -> None:
    def run(seed: int) -> list[bool]:
        faults = Faults()
        faults.cut_after(FaultCondition(ratio=0.3, seed=seed))
        return [faults.consult("POST", "/")[1] is not None for _ in range(1000)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 240 < sum(run(1)) < 360


def test_delays_add_up_and_the_first_other_fault_wins() -> None:
    faults = Faults()
    faults.slow(1.0)
    faults.fail(503)
    faults.slow(0.5)
    faults.cut_before()
    delays, other = faults.consult("GET", "/")
    assert [delay.seconds for delay in delays] == [1.0, 0.5]
    assert other is not None
    assert other.kind is FaultKind.FAIL


async def test_stopping_does_not_wait_for_a_hanging_call() -> None:
    gru = Ticketing()
    gru.faults.slow(3600)
    async with httpx.AsyncClient(headers=KEY) as client:
        async with run_server(gru.app) as running:
            hanging = asyncio.create_task(client.get(f"{running.url}/api/tickets"))
            while not gru.faults.injected:  # noqa: ASYNC110 (the plan has no event)
                await asyncio.sleep(0.01)
        with pytest.raises(httpx.HTTPError):
            (await hanging).raise_for_status()


async def test_a_taken_port_is_said() -> None:
    async with run_server(SimulatedGlc().app) as running:
        with pytest.raises(OSError, match="in use"):
            async with run_server(SimulatedGlc().app, running.port):
                pass


@pytest.mark.parametrize("done", [False, True])
async def test_something_else_is_said_with_or_without_the_work(done: bool) -> None:
    gru = Ticketing()
    gru.faults.say(PlainTextResponse("?", 418), FaultCondition(method="POST", first=1), done=done)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(gru.app), base_url="http://gru.invalid"
    ) as client:
        headers = {"X-Api-Key": gru.token}
        answer = await client.post("/api/tickets", json={"title": "x"}, headers=headers)
        assert (answer.status_code, answer.text) == (418, "?")
        assert len(gru.tickets) == done
        again = await client.post("/api/tickets", json={"title": "x"}, headers=headers)
        assert again.status_code == 201
        order = {"faults": [{"kind": "say"}]}
        assert (await client.post("/_sim/faults", json=order)).status_code == 422
