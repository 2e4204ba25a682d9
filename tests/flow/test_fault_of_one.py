"""A request's own fault, or one without a call, says nothing of the lane's far end."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import update

from gateway.core.breaker import BreakerPolicy, Breaking
from gateway.core.delivery import Kind, State
from gateway.ops.why import explain, lane_settings
from gateway.sim.faults import FaultCondition
from gateway.sim.open311 import Open311, Service
from gateway.store.outbox import lanes as memory
from gateway.store.tables import REQUEST
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, GRU_B, PORTAL_A, Rig

CODES = ("DS01", "VO01")


def geo(build_rig: Builder) -> Rig:
    sims = {}
    for lane in (GRU_A, GRU_B):
        sims[lane] = Open311(api_key="jeton-essai")
        sims[lane].services = {code: Service(code, code) for code in CODES}
    return build_rig(
        adapter="open311",
        grus=sims,
        options={"endpoint": "http://gru.invalid", "api_key": "env:GRU_KEY"},
    )


def breaker(rig: Rig, name: str = GRU_A) -> Breaking:
    lane = rig.engine.lanes.lane(name)
    assert lane is not None
    return lane.breaker.state


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        (400, "invalid", State.PARKED),
        # A wrong address says so too: mending it is enough.
        (404, "not_found", State.WAITING),
    ],
)
async def test_a_withdrawn_category_delays_no_other(
    build_rig: Builder, status: int, reason: str, state: State
) -> None:
    rig = geo(build_rig)
    async with rig.gateway():
        rig.grus[GRU_A].faults.fail(status, when=FaultCondition(method="POST"))
        bad = [(await rig.send(categorie_raw="depot-sauvage"))[1] for _ in range(8)]
        for request in bad:
            assert (await rig.failed(request, reason)).state is state
        rig.grus[GRU_A].faults.clear()
        good = [(await rig.send(categorie_raw="voirie"))[1] for _ in range(3)]
        await rig.rest(*good)
        assert breaker(rig) is Breaking.CLOSED
    assert len(rig.grus[GRU_A].tickets) == 3


async def test_what_calls_nobody_is_no_good_probe_of_a_dead_gru(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=3, pause=15), gru={"retry": {"delays": [600]}})
    rig.gru.faults.fail(500, when=FaultCondition(method="POST"))
    rig.gru.faults.fail(500, when=FaultCondition(method="GET"))
    async with rig.gateway():
        for _ in range(3):
            await rig.send()
        await rig.until(lambda: breaker(rig) is Breaking.OPEN)
        calls = len(rig.line.calls)
        _, unmappable = await rig.send(volume_m3="un texte")
        rig.advance(16)
        await rig.state(unmappable, State.PARKED)
        assert breaker(rig) is not Breaking.CLOSED
        lane = rig.engine.lanes.lane(GRU_A)
        assert lane is not None
        assert lane.breaker.trips >= 1
        assert len(rig.line.calls) <= calls + 1, "the next of them is the probe, and one alone"


async def stranger(rig: Rig) -> str:
    """A request whose address is of another host, from before such were refused."""
    _, request = await rig.send()
    elsewhere = update(REQUEST).values(api_url="http://ailleurs.invalid/api/forms/x/1/")
    await rig.database.write(lambda c: c.execute(elsewhere.where(REQUEST.c.id == request)))
    return request


async def test_a_formdata_of_another_host_is_its_own_fault(build_rig: Builder) -> None:
    """It is tried again at its own pace, and stops none of the commune's other reports."""
    rig = build_rig(breaker=BreakerPolicy(minimum=3, pause=15))
    async with rig.gateway(run=False):
        strangers = []
        for _ in range(6):
            strangers.append(await stranger(rig))
        rig.start()
        for request in strangers:
            await rig.failed(request, "foreign_address", Kind.REPORT)
        good = [await rig.send() for _ in range(5)]
        await rig.rest(*(request for _, request in good))
        assert breaker(rig, PORTAL_A) is Breaking.CLOSED
    assert all(len(rig.told(item)) == 1 for item, _ in good)


async def test_a_formdata_of_another_host_takes_no_probe_of_the_others(build_rig: Builder) -> None:
    """The portal is back: its first probe tells, though the oldest report can go nowhere."""
    rig = build_rig(breaker=BreakerPolicy(minimum=2, pause=15))
    portal = rig.lines["portal:toodego"]
    portal.raises = httpx.ConnectError("refused")
    async with rig.gateway(run=False):
        for _ in range(3):
            await stranger(rig)
        rig.start()
        good = [await rig.send() for _ in range(20)]
        await rig.until(lambda: breaker(rig, PORTAL_A) is Breaking.OPEN)
        await rig.until(rig.idle)  # a call that fails after the probe waits for the clock
        portal.raises = None
        rig.advance(16)
        await rig.rest(*(request for _, request in good))
    assert all(len(rig.told(item)) == 1 for item, _ in good)


@pytest.mark.parametrize("status", [502, 504, 500])
async def test_a_far_end_that_is_still_at_work_has_its_time(rig: Rig, status: int) -> None:
    """A proxy gave up, and the GRU behind it commits later: what it holds is found."""
    rig.gru.faults.answer_after(status, FaultCondition(method="POST", path="/api/tickets", first=1))
    async with rig.gateway():
        _, request = await rig.send()
        unsure = await rig.state(request, State.UNSURE)
        wait = (unsure.next_at - rig.clock()).total_seconds()
        assert wait == rig.gru_config.lane.timeout
        rig.advance(wait + 1)
        await rig.state(request, State.DONE)
    assert len(rig.gru.by_external_id(request)) == 1


async def test_why_names_the_portal_when_it_is_down(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=200))
    rig.lines["portal:toodego"].raises = httpx.ConnectError("refused")
    async with rig.gateway():
        _, request = await rig.send()
        await rig.failed(request, "unreachable", Kind.REPORT)

        async def kept() -> bool:
            return PORTAL_A in await rig.database.read(memory.recall)

        await rig.until(kept)
        lanes = await rig.database.read(memory.recall)
        causes = explain(await rig.trace(request), lanes, rig.clock(), lane_settings(rig.catalogue))
        assert [(cause.code, cause.who) for cause in causes] == [
            ("breaker", "portal"),
            ("retry", "portal"),
        ]
