"""A break that a far end asks for: bounded by how the other calls do, shown, lifted by a person."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr

from gateway.catalogue.settings import DEFAULT_LANE
from gateway.core.breaker import Breaker, BreakerPolicy, Breaking
from gateway.core.delivery import STUCK_FAILURES, Kind, State
from gateway.flow.lanes.state import BREAK, Lane
from gateway.ops.health import health
from gateway.ops.shapes import LaneState, Overall
from gateway.ops.why import explain, lane_settings
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import backlog
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.claiming import ClaimOrder
from tests.flow.conftest import Builder
from tests.flow.rig import BEGIN, BRON, GRU_A, PORTAL_A, Rig

POST = FaultCondition(method="POST", path="/api/tickets", first=1)
FOR_EVER = 999_999


async def kept(rig: Rig, lane: str = GRU_A) -> memory.LaneMemory:
    found = (await rig.database.read(memory.recall)).get(lane)
    return found or memory.LaneMemory(lane)


async def hold(rig: Rig) -> str:
    """One creation is sent away for eleven days; its request."""
    rig.gru.faults.fail(429, retry_after=FOR_EVER, when=POST)
    _, request = await rig.send()
    await rig.failed(request, "busy")

    async def held() -> bool:
        return (await kept(rig)).hold_until is not None

    await rig.until(held)
    return request


async def test_one_call_s_word_holds_the_others_for_a_bounded_time(rig: Rig) -> None:
    async with rig.gateway():
        first = await hold(rig)
        assert (await kept(rig)).hold_until == rig.clock() + timedelta(seconds=BREAK)
        _, second = await rig.send()
        rig.advance(BREAK - 1)
        assert (await rig.the(second)).attempts == 0
        rig.advance(2)
        await rig.state(second, State.DONE)
        assert (await rig.the(first)).state is State.UNSURE, "it waits as long as it was told"
        _, third = await rig.send()
        await rig.state(third, State.DONE)


async def test_a_hold_is_shown_with_its_end(rig: Rig) -> None:
    async with rig.gateway() as engine:
        await hold(rig)
        _, second = await rig.send()
        until = rig.clock() + timedelta(seconds=BREAK)
        part = (await health(engine, ready=True, started_at=BEGIN)).lanes[GRU_A]
        assert (part.state, part.reason, part.probe_at) == (LaneState.HELD, "busy", until)
        lanes = await rig.database.read(memory.recall)
        (cause,) = explain(
            await rig.trace(second), lanes, rig.clock(), lane_settings(rig.catalogue)
        )
        assert (cause.code, cause.next_at) == ("held", until)
        assert "commune resume" in cause.action


async def test_what_is_told_of_an_open_breaker_under_a_hold_is_not_past(
    build_rig: Builder,
) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=15))
    async with rig.gateway() as engine:
        request = await hold(rig)
        until = rig.clock() + timedelta(seconds=BREAK)
        rig.clock.now += timedelta(seconds=100)
        part = (await health(engine, ready=True, started_at=BEGIN)).lanes[GRU_A]
        assert (part.state, part.probe_at) == (LaneState.OPEN, until)
        lanes = await rig.database.read(memory.recall)
        causes = explain(await rig.trace(request), lanes, rig.clock(), lane_settings(rig.catalogue))
        assert [cause.code for cause in causes] == ["breaker", "held", "unsure"]


@pytest.mark.parametrize("restart", [False, True])
async def test_a_person_lifts_a_hold(rig: Rig, restart: bool) -> None:
    async with rig.gateway() as engine:
        first = await hold(rig)
        _, second = await rig.send()
        if not restart:
            await _resume(rig)
            await engine.lanes.supervisor.refresh()
            await rig.state(second, State.DONE)
    if restart:
        await _resume(rig)
        async with rig.gateway():
            await rig.state(second, State.DONE)
    assert (await kept(rig)).hold_until is None
    assert (await rig.the(first)).state is State.UNSURE


async def _resume(rig: Rig) -> None:
    now = rig.clock()
    await rig.database.write(memory.resume, GRU_A, now)
    await rig.database.write(backlog.hurry, GRU_A, now - timedelta(seconds=20))


async def test_a_person_has_an_open_breaker_probed_now(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=200))
    rig.gru.faults.fail(500, when=POST)
    async with rig.gateway() as engine:
        await rig.send()

        async def opened() -> bool:
            return (await kept(rig)).breaker == "open"

        await rig.until(opened)
        _, second = await rig.send()
        await _resume(rig)
        await engine.lanes.supervisor.refresh()
        await rig.state(second, State.DONE)


async def test_a_far_end_that_answers_a_poll_is_tried_at_once(build_rig: Builder) -> None:
    """It is healed: the breaker, which would wait up to five minutes, need not."""
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=200))
    async with rig.gateway() as engine:
        _, first = await rig.send()
        await rig.state(first, State.DONE)
        rig.gru.faults.fail(500, when=POST)
        await rig.send()

        async def opened() -> bool:
            return (await kept(rig)).breaker == "open"

        await rig.until(opened)
        await engine.lanes.supervisor.refresh()
        await engine.changes.poll(rig.gru_config)
        await engine.lanes.supervisor.refresh()
        _, second = await rig.send()
        await rig.state(second, State.DONE)


async def test_a_portal_that_is_called_with_another_key_is_tried_at_once(
    build_rig: Builder,
) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=200))
    portal = rig.catalogue.portals["toodego"]
    wrong = dataclasses.replace(portal, key=SecretStr("cle-perimee"))
    good, rig.catalogue = (
        rig.catalogue,
        dataclasses.replace(rig.catalogue, portals={"toodego": wrong}),
    )
    async with rig.gateway() as engine:
        _, request = await rig.send()

        async def opened() -> bool:
            return (await kept(rig, PORTAL_A)).breaker == "open"

        await rig.until(opened)
        await engine.lanes.supervisor.refresh()
        assert await engine.prove(good) == ["toodego"]
        await rig.state(request, State.DONE, Kind.REPORT)


async def test_a_gru_that_was_given_another_secret_is_tried_at_once(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=1, pause=200))
    rig.gru.faults.fail(401, when=POST)
    async with rig.gateway() as engine:
        _, request = await rig.send()

        async def opened() -> bool:
            return (await kept(rig)).breaker == "open"

        await rig.until(opened)
        await engine.lanes.supervisor.refresh()
        now = engine.catalogue.communes[BRON]
        gru = now.grus["outil"]
        gru = dataclasses.replace(gru, lane=dataclasses.replace(gru.lane, timeout=19))
        renewed = dataclasses.replace(now, grus={"outil": gru})
        communes = {**engine.catalogue.communes, BRON: renewed}
        await engine.follow(dataclasses.replace(engine.catalogue, communes=communes), 5)
        await rig.state(request, State.DONE)


def lane(breaker: BreakerPolicy | None = None) -> Lane:
    return Lane(GRU_A, DEFAULT_LANE, Breaker(breaker or BreakerPolicy()))


def seconds_of(made: Lane, now: datetime) -> float:
    assert made.hold_until is not None
    return (made.hold_until - now).total_seconds()


def test_breaks_grow_until_a_call_does_well() -> None:
    made, now, waits = lane(), BEGIN, []
    for _ in range(4):
        assert made.start_break(now, FOR_EVER)
        waits.append(seconds_of(made, now))
        now = made.hold_until or now
    assert waits == [300, 600, 1200, 2400]
    probing = [made.probing]
    made.well(now)
    assert [*probing, made.probing] == [True, False]
    made.start_break(now, 30)
    assert seconds_of(made, now) == 30, "no longer than was asked for"


def test_calls_that_are_sent_away_at_once_are_one_break() -> None:
    made = lane()
    assert made.start_break(BEGIN, FOR_EVER)
    assert not made.start_break(BEGIN, FOR_EVER)
    assert not made.start_break(BEGIN + timedelta(seconds=5), 10), "and none shortens it"
    assert seconds_of(made, BEGIN) == BREAK
    made.well(BEGIN + timedelta(seconds=6))
    assert made.probing, "what was under way before says nothing of it"


def test_of_four_claims_three_serve_what_has_just_come() -> None:
    made = lane()
    favours = []
    for turn in range(8):
        made.turn = turn
        favours.append(made.claim_order)
    assert favours == [*[ClaimOrder.NEWEST_FIRST] * 3, ClaimOrder.OLDEST_FIRST] * 2


async def test_neither_the_backlog_nor_what_has_just_come_starves(build_rig: Builder) -> None:
    """Twelve calls, one at a time: nine for citizens of now, three for those of this morning."""
    rig = build_rig(gru={"lane": {"concurrency": 1}})
    async with rig.gateway(run=False):
        old = [(await rig.send())[1] for _ in range(20)]
        rig.clock.now += timedelta(hours=2)
        new = [(await rig.send())[1] for _ in range(20)]
        served: list[str] = []
        rig.start()
        await rig.until(lambda: len(rig.gru.tickets) >= 12)
        served = [str(ticket.external_id) for ticket in rig.gru.tickets[:12]]
    of_old = [request in old for request in served]
    assert set(served) <= {*old, *new}
    assert of_old == [False, False, False, True] * 3


async def test_a_probe_is_one_that_has_not_failed(build_rig: Builder) -> None:
    """A ticket that the GRU refuses by 403 takes no probe while others can tell."""
    rig = build_rig(
        breaker=BreakerPolicy(minimum=2, pause=15),
        gru={"retry": {"delays": [20]}, "lane": {"concurrency": 1}},
    )
    rig.gru.faults.fail(403, when=FaultCondition(method="POST", path="/api/tickets", first=2))
    async with rig.gateway():
        bad = [(await rig.send())[1] for _ in range(2)]
        await rig.until(lambda: breaking(rig) is Breaking.OPEN)
        rig.line.before.clear()
        await rig.pause(GRU_A)  # nobody looks before all are there
        rig.clock.now += timedelta(seconds=25)  # the bad ones are due, and have been for longer
        good = [(await rig.send())[1] for _ in range(3)]
        await rig.pause(GRU_A, False)
        await rig.until(lambda: rig.line.in_flight == 1)
        sending = [r for r in [*bad, *good] if (await rig.the(r)).state is State.SENDING]
        assert sending == good[:1]
        rig.line.before.set()
        await rig.rest(*bad, *good)


def breaking(rig: Rig) -> Breaking:
    found = rig.engine.lanes.lane(GRU_A)
    assert found is not None
    return found.breaker.state


async def for_a_person(rig: Rig) -> Sequence[tuple[str, str]]:
    found = await rig.database.read(backlog.listing, now=rig.clock())
    return [(one.request_id, one.reason) for one in found]


async def test_one_that_goes_on_failing_while_the_others_do_well_is_told(
    build_rig: Builder,
) -> None:
    """A 403 on one ticket, tried for a week: a person sees it, and it goes on by itself."""
    rig = build_rig(gru={"retry": {"delays": [10]}})
    async with rig.gateway() as engine:
        refused = 1_000
        rig.gru.faults.fail(
            403, when=FaultCondition(method="POST", path="/api/tickets", first=refused)
        )
        _, bad = await rig.send()
        for n in range(1, STUCK_FAILURES + 1):

            async def failed(times: int = n) -> bool:
                one = await rig.the(bad)
                return one.failures == times and one.state is State.WAITING

            await rig.until(failed)
            if n < STUCK_FAILURES:
                assert await for_a_person(rig) == []
                rig.gru.faults.rules[0].seen = refused  # the others are taken
                _, good = await rig.send()
                await rig.state(good, State.DONE)
                rig.gru.faults.rules[0].seen = n
                rig.advance(11)
        assert await for_a_person(rig) == [], "it may pass yet"
        rig.clock.now += timedelta(minutes=15)

        async def told_to_a_person() -> bool:
            # It may be under way once more at this moment, and is then no person's.
            told = await health(engine, ready=True, started_at=BEGIN)
            return (
                await for_a_person(rig) == [(bad, "access_denied")]
                and told.lanes[GRU_A].needs_person == 1
                and told.status is Overall.DEGRADED
            )

        await rig.until(told_to_a_person)
        rig.gru.faults.clear()
        rig.advance(11)
        await rig.state(bad, State.DONE)
        assert await for_a_person(rig) == []


async def test_of_a_lane_that_fails_as_a_whole_no_single_one_is_told(build_rig: Builder) -> None:
    rig = build_rig(gru={"retry": {"delays": [1], "limit": "7d"}})
    rig.gru.faults.fail(403)
    async with rig.gateway():
        _, request = await rig.send()

        async def often() -> bool:
            rig.advance(301)
            return (await rig.the(request)).failures > STUCK_FAILURES

        await rig.until(often)
        await rig.until(rig.idle)  # the lane is judged once the delivery is
        assert breaking(rig) is not Breaking.CLOSED
        assert await for_a_person(rig) == []
