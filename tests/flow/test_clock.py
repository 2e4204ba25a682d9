"""The machine's clock is set, back or forward, while requests wait and calls are under way.

Each of these was a delivery frozen for hours, sent twice, or a status never told.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

from gateway.catalogue.settings import DEFAULT_LANE
from gateway.core.breaker import BreakerPolicy
from gateway.core.delivery import Kind, State
from gateway.core.status import Status
from gateway.flow.lanes.leases import REAP_EVERY
from gateway.flow.lanes.ownership import SILENT, lane_weight
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import lanes as memory
from gateway.store.outbox import replicas
from tests.builders import take
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, SLUG, Rig

HOURS = timedelta(hours=2)
POST = FaultCondition(path="/api/tickets", method="POST")


async def looks(rig: Rig, times: int = 30) -> None:
    """Give reaper and lanes time for many looks: under the rig each sleeps 10 ms at most."""
    assert REAP_EVERY >= 1
    await asyncio.sleep(0.01 * times)


def lease_of(rig: Rig) -> float:
    """The lease of the first GRU's claims, in seconds."""
    return replace(DEFAULT_LANE, timeout=rig.gru_config.lane.timeout).lease


async def test_forward_a_call_under_way_is_not_taken_for_a_dead_one(rig: Rig) -> None:
    """By the wall clock its lease is over: it would be asked about, absent, and sent again."""
    rig.line.before.clear()
    rig.line.only = "POST"
    async with rig.gateway():
        _, request = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        rig.clock.wrong = HOURS
        await looks(rig)
        assert (await rig.the(request)).state is State.SENDING
        assert rig.line.count("GET", "/api/tickets") == 0
        rig.line.before.set()
        await rig.rest(request)
    assert len(rig.gru.by_external_id(request)) == 1


async def test_forward_what_is_unsure_is_asked_about_no_earlier(rig: Rig) -> None:
    """It was asked about at once, while the GRU was at work on it: absent, and sent again."""
    rig.gru.faults.cut_after(FaultCondition(path="/api/tickets", method="POST", first=1))
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.clock.wrong = HOURS
        await asked_about_in_its_time(rig, request)


async def test_forward_over_a_death_what_is_unsure_is_asked_about_no_earlier(rig: Rig) -> None:
    rig.gru.faults.cut_after(FaultCondition(path="/api/tickets", method="POST", first=1))
    async with rig.gateway(stop=False):
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
    rig.clock.wrong = HOURS
    async with rig.gateway():
        await asked_about_in_its_time(rig, request)


async def asked_about_in_its_time(rig: Rig, request: str) -> None:
    await looks(rig)
    assert rig.line.count("GET", "/api/tickets") == 0
    unsure = await rig.the(request)
    assert unsure.state is State.UNSURE
    # Whoever asks why it waits is told when it goes on, by the clock of now.
    timeout = timedelta(seconds=rig.gru_config.lane.timeout)
    assert timedelta() < unsure.next_at - rig.clock() <= timeout
    rig.advance(timeout.total_seconds())
    await rig.rest(request)
    assert rig.line.count("POST", "/api/tickets") == 1


async def test_back_what_waits_does_not_wait_for_the_old_hour(rig: Rig) -> None:
    rig.gru.faults.fail(503, when=FaultCondition(path="/api/tickets", method="POST", first=1))
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.WAITING)
        rig.clock.wrong = -HOURS
        await rig.rest_in_time(request)
    assert len(rig.gru.by_external_id(request)) == 1


async def test_back_what_is_behind_something_else_goes_on_after_it(rig: Rig) -> None:
    """It was queued by the old clock, and came to the head of its request after the change."""
    rig.line.before.clear()
    async with rig.gateway():
        item, request = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        await rig.push(item, action="message", evenement="m1", message="Encore une chose")
        rig.clock.wrong = -HOURS
        await looks(rig)
        rig.line.before.set()
        await rig.rest_in_time(request)
    kinds = [d.kind for d in await rig.deliveries(request) if d.state is State.DONE]
    assert kinds.count(Kind.AMEND) == 1


async def test_back_what_is_unsure_is_asked_about_in_its_time_and_no_earlier(rig: Rig) -> None:
    rig.gru.faults.cut_after(FaultCondition(path="/api/tickets", method="POST", first=1))
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.clock.wrong = -HOURS
        await looks(rig)
        unsure = await rig.the(request)
        assert unsure.state is State.UNSURE
        lease = lease_of(rig)
        assert unsure.next_at == rig.clock() + timedelta(seconds=lease)
        rig.advance(lease)
        await rig.rest(request)
    assert rig.line.count("POST", "/api/tickets") == 1


async def test_back_a_break_and_an_open_breaker_are_over(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=2, pause=60))
    rig.gru.faults.fail(503, 1800, when=POST)
    async with rig.gateway():
        sent = [(await rig.send())[1] for _ in range(2)]

        async def remembered() -> bool:
            kept = (await rig.database.read(memory.recall)).get(GRU_A)
            return kept is not None and kept.breaker == "open" and kept.hold_until is not None

        await rig.until(remembered)
        rig.gru.faults.clear()
        rig.clock.wrong = -HOURS
        await rig.rest_in_time(*sent)
    assert len(rig.gru.tickets) == 2


async def test_back_over_a_restart(build_rig: Builder) -> None:
    """The next process sees it by what the dead one has written."""
    rig = build_rig(breaker=BreakerPolicy(minimum=2, pause=60))
    rig.gru.faults.fail(503, 1800, when=POST)
    async with rig.gateway():
        sent = [(await rig.send())[1] for _ in range(3)]
        for one in sent[:2]:
            await rig.until(partial(_failed, rig, one))
    rig.gru.faults.clear()
    rig.clock.wrong = -HOURS
    async with rig.gateway():
        await rig.rest_in_time(*sent)
    assert len(rig.gru.tickets) == 3


async def test_back_over_a_death_lanes_that_become_ours_later_wait_for_no_old_hour(
    rig: Rig,
) -> None:
    """They were still the dead one's when the next process looked, and nobody looked again."""
    rig.alone = False
    rig.gru.faults.fail(503, when=FaultCondition(path="/api/tickets", method="POST", first=1))
    async with rig.gateway(stop=False):
        _, request = await rig.send()
        await rig.until(lambda: _failed(rig, request))
    rig.clock.wrong = -HOURS
    # A name that the lane would hardly leave for another's.
    dead = max((f"dead-{n}" for n in range(10_000)), key=lambda name: lane_weight(name, GRU_A))
    await rig.database.write(replicas.beat, dead, rig.clock(), SILENT)
    async with rig.gateway():
        await looks(rig)
        rig.advance(SILENT + 1)
        await rig.rest_in_time(request)
    assert len(rig.gru.by_external_id(request)) == 1


async def _failed(rig: Rig, request: str) -> bool:
    return (await rig.the(request)).failures > 0


async def test_back_over_a_death_the_claim_is_not_held_for_hours(rig: Rig) -> None:
    rig.crash_at = "deliver.answered"
    async with rig.gateway(stop=False):
        _, request = await rig.send()
        await rig.until(lambda: "deliver.answered" in rig.passed)
    rig.clock.wrong = -HOURS
    async with rig.gateway():
        unsure = await rig.state(request, State.UNSURE)
        assert unsure.next_at - rig.clock() <= timedelta(seconds=lease_of(rig))
        await rig.rest_in_time(request)
    assert rig.line.count("POST", "/api/tickets") == 1


async def test_a_replica_s_claim_is_watched_and_not_reckoned(rig: Rig) -> None:
    """Set back or forward, a dead replica's claim is taken away after its lease, and no earlier."""
    async with rig.gateway(run=False):
        _, request = await rig.send()
    lease = lease_of(rig)
    (_,) = await rig.database.write(
        take, GRU_A, 1, owner="dead", now=rig.clock() + HOURS, lease=lease
    )
    rig.alone = False
    async with rig.gateway():
        await looks(rig)
        rig.clock.wrong = -HOURS
        await looks(rig)
        rig.clock.wrong = 2 * HOURS
        await looks(rig)
        assert (await rig.the(request)).lease_owner == "dead"
        rig.advance(lease + 1)
        await rig.rest_in_time(request)


async def test_an_undated_change_is_not_put_in_order_by_our_clock(build_rig: Builder) -> None:
    """Told while our clock was ahead, it made each later change of the GRU an old one."""
    each = {"each": True, "path": "/api/tickets/{gru_reference}", "query": None, "list": "[ticket]"}
    rig = build_rig(options={"statuses": {**each, "item": {"at": None}}})
    async with rig.gateway() as engine:
        _, request = await rig.send()
        await rig.rest(request)
        (ticket,) = rig.gru.by_external_id(request)
        rig.clock.wrong = HOURS
        rig.gru.advance(ticket.id, "in_progress")
        await engine.changes.poll(rig.gru_config)
        assert (await rig.trace(request)).request.status is Status.IN_PROGRESS
        rig.clock.wrong = timedelta()
        rig.gru.advance(ticket.id, "resolved")
        await engine.changes.poll(rig.gru_config)
        assert (await rig.trace(request)).request.status is Status.DONE


async def test_a_reconciliation_that_had_read_the_future_reads_it_again(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        teleservice = engine.catalogue.portals["toodego"].teleservices[SLUG]
        rig.clock.wrong = HOURS
        await engine.reconciler.reconcile("toodego", teleservice)
        rig.clock.wrong = timedelta()
        rig.submit()
        rig.advance(15 * 60)
        assert await engine.reconciler.reconcile("toodego", teleservice) == 1
