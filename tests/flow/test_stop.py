"""A stop lets calls end, and forgets none that it must cut."""

from __future__ import annotations

import asyncio

from gateway.core.delivery import State
from tests.flow.rig import Rig


async def test_a_stop_waits_for_the_calls_under_way(rig: Rig) -> None:
    rig.line.after.clear()
    async with rig.gateway() as engine:
        _, request = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        stopping = asyncio.create_task(engine.lanes.stop(5))
        await asyncio.sleep(0.02)
        _, later = await rig.send()
        rig.line.after.set()
        await stopping
        assert (await rig.the(request)).state is State.DONE
        assert (await rig.the(later)).attempts == 0, "nothing more is claimed"


async def test_a_call_cut_by_a_stop_is_asked_about_at_the_next_start(rig: Rig) -> None:
    rig.line.after.clear()
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.until(lambda: len(rig.gru.tickets) == 1)
        await engine.lanes.stop(0.01)
        cut = await rig.the(request)
        assert (cut.state, cut.reason) == (State.UNSURE, "stopped")
    async with rig.gateway():
        await rig.rest_in_time(request)
    assert len(rig.gru.tickets) == 1
    assert len(rig.told(item)) == 1


async def test_a_call_cut_by_a_stop_is_given_its_time_before_it_is_asked_about(rig: Rig) -> None:
    """The GRU was still at work on it: it was asked too early, had not got it, and was sent it
    again."""
    rig.line.before.clear()
    async with rig.gateway() as engine:
        _, request = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        await engine.lanes.stop(0.01)
        cut = await rig.the(request)
        assert (cut.state, cut.reason) == (State.UNSURE, "stopped")
        assert (cut.next_at - rig.clock()).total_seconds() == rig.gru_config.lane.timeout


async def test_many_cut_calls_say_nothing_of_the_gru(rig: Rig) -> None:
    rig.line.before.clear()
    async with rig.gateway() as engine:
        for _ in range(8):
            await rig.send()
        await rig.until(lambda: rig.line.in_flight == 4)
        await engine.lanes.stop(0.01)
        lane = engine.lanes.lane(rig.gru_config.lane_name)
        assert lane is not None
        assert not lane.breaker.recent


async def test_a_stop_does_not_wait_when_nothing_is_under_way(rig: Rig) -> None:
    async with rig.gateway() as engine:
        await asyncio.sleep(0.02)
        async with asyncio.timeout(60):
            await engine.lanes.stop(3600)


async def test_a_claim_that_comes_back_after_the_stop_is_given_back(rig: Rig) -> None:
    async with rig.gateway() as engine:
        await asyncio.sleep(0.02)  # the lanes are at rest
        _, request = await rig.send()  # woken, and not yet looking
        await engine.lanes.stop(5)
    one = await rig.the(request)
    assert (one.state, one.attempts) in {(State.WAITING, 0), (State.DONE, 1)}
    assert rig.line.count("POST") == one.attempts
