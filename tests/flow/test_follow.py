"""Another catalogue is followed while everything runs: what did not change goes on."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gc
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from apscheduler.job import Job
from pydantic import SecretStr

from adapters.rest import RestAdapter
from gateway import timers
from gateway.catalogue.catalogue import Catalogue, Commune
from gateway.core.delivery import Kind, State
from gateway.core.errors import Rejected
from gateway.flow.engine import Engine
from gateway.flow.intake import Sender
from gateway.flow.lanes.state import Lane
from gateway.ops.health import health
from gateway.ops.metrics import Metrics
from gateway.sdk import Adapter
from gateway.store.outbox import lanes as memory
from gateway.store.outbox.claiming import Claimed
from gateway.wire.event import CREATION
from tests.catalogue.config_samples import BUNDLE
from tests.catalogue.config_samples import make as sample
from tests.flow.rig import (
    BEGIN,
    BRON,
    GRU_A,
    GRU_B,
    PORTAL_A,
    SLUG,
    VILLEURBANNE,
    Rig,
    catalogue,
    request_id,
)

#: Bron's file says something else.
OPEN311 = {"endpoint": "http://gru.invalid/open311/v2", "api_key": "env:GRU_KEY"}
ELSEWHERE = {"gru": {"outil": {"options": {"headers": {"X-Version": "2"}}}}}


def other(**bron: Any) -> Catalogue:
    return catalogue(commune=bron)


@asynccontextmanager
async def hanging(rig: Rig) -> AsyncIterator[tuple[Engine, str]]:
    """A gateway, one call of which hangs at Bron's GRU."""
    async with rig.gateway() as engine:
        rig.line.before.clear()
        _, request = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        yield engine, request


def test_what_is_built_again_is_the_same() -> None:
    """Else every release would change every commune."""
    builds: tuple[Callable[[], Catalogue], ...] = (
        catalogue,
        lambda: catalogue(adapter="open311", options=OPEN311),
        lambda: sample(BUNDLE),
    )
    for build in builds:
        one, again = build(), build()
        assert one.communes == again.communes
        assert (one.settings, one.portals) == (again.settings, again.portals)
    assert catalogue().communes != other(**ELSEWHERE).communes


async def test_a_hanging_commune_holds_up_nobody_else_at_a_release(rig: Rig) -> None:
    async with hanging(rig) as (engine, request):
        kept = engine.adapters[GRU_B]
        following = asyncio.create_task(engine.follow(other(**ELSEWHERE), 60))
        for _ in range(3):
            _, there = await rig.send(VILLEURBANNE)
            await rig.state(there, State.DONE)
        assert not following.done(), "Bron's call has its time"
        _, later = await rig.send()
        rig.line.before.set()
        assert await following == [BRON]
        await rig.state(request, State.DONE)
        await rig.state(later, State.DONE)
        assert engine.adapters[GRU_B] is kept
    headers = [one.get("x-version") for one in rig.line.headers]
    assert headers[0] is None, "the call under way was the old release's"
    assert headers[-1] == "2"


async def test_of_two_changed_communes_each_changes_by_itself(rig: Rig) -> None:
    async with hanging(rig) as (engine, _):
        both = other(**ELSEWHERE)
        paused = dataclasses.replace(both.communes[VILLEURBANNE], name="Villeurbanne Fictive")
        both = dataclasses.replace(both, communes={**both.communes, VILLEURBANNE: paused})
        following = asyncio.create_task(engine.follow(both, 60))
        await rig.until(
            lambda: engine.catalogue.communes[VILLEURBANNE].name == "Villeurbanne Fictive"
        )
        assert engine.catalogue.communes[BRON] != both.communes[BRON]
        _, there = await rig.send(VILLEURBANNE)
        await rig.state(there, State.DONE)
        rig.line.before.set()
        assert sorted(await following) == [BRON, VILLEURBANNE]
        assert engine.catalogue.communes == both.communes


async def test_a_later_release_of_another_commune_does_not_wait_for_one_that_hangs(
    rig: Rig,
) -> None:
    async with hanging(rig) as (engine, request):
        first = other(**ELSEWHERE)
        following = asyncio.create_task(engine.follow(first, 60))
        await asyncio.sleep(0)
        renamed = dataclasses.replace(first.communes[VILLEURBANNE], name="Villeurbanne Fictive")
        second = dataclasses.replace(first, communes={**first.communes, VILLEURBANNE: renamed})
        later = asyncio.create_task(engine.follow(second, 60))
        await rig.until(lambda: engine.catalogue.communes[VILLEURBANNE] == renamed)
        assert engine.catalogue.communes[BRON] != first.communes[BRON]
        third = asyncio.create_task(engine.follow(rig.catalogue, 60))
        await rig.until(lambda: engine.catalogue.communes[VILLEURBANNE] != renamed)
        rig.line.before.set()
        await asyncio.gather(following, later, third)
        assert engine.catalogue.communes == rig.catalogue.communes, "the last one counts"
        await rig.state(request, State.DONE)


async def test_a_call_that_takes_longer_than_its_grace_is_cut_and_asked_about(rig: Rig) -> None:
    async with hanging(rig) as (engine, request):
        assert await engine.follow(other(**ELSEWHERE), 0.01) == [BRON]
        cut = await rig.the(request)
        assert (cut.state, cut.reason) == (State.UNSURE, "stopped")
        rig.line.before.set()
        await rig.rest_in_time(request)
    assert len(rig.gru.tickets) == 1


async def test_what_a_lane_knew_of_its_far_end_stays_known(rig: Rig) -> None:
    async with rig.gateway() as engine:
        _, request = await rig.send()
        await rig.state(request, State.DONE)
        lane = engine.lanes.lane(GRU_A)
        assert lane is not None
        # As an attempt does it: what is not remembered yet would be taken for lifted.
        async with engine.lanes.registry.lock:
            assert lane.start_break(rig.clock.now, 3600)
            await engine.store.write(memory.remember, lane.memory())
        await engine.follow(other(**ELSEWHERE), 5)
        fresh = engine.lanes.lane(GRU_A)
        assert fresh is not None
        assert fresh is not lane
        assert fresh.hold_until == lane.hold_until


async def test_a_commune_that_goes_and_one_that_comes(rig: Rig) -> None:
    full = rig.catalogue
    communes = {BRON: full.communes[BRON]}
    rig.catalogue = dataclasses.replace(full, communes=communes)
    async with rig.gateway() as engine:
        assert await engine.follow(full, 5) == [VILLEURBANNE]
        _, there = await rig.send(VILLEURBANNE)
        await rig.state(there, State.DONE)
        rig.line.before.clear()
        _, here = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        left = dataclasses.replace(full, communes={VILLEURBANNE: full.communes[VILLEURBANNE]})
        following = asyncio.create_task(engine.follow(left, 60))
        rig.line.before.set()
        assert await following == [BRON]
        assert (await rig.the(here)).state is State.DONE, "what was under way came to its end"
        assert GRU_A not in engine.adapters
        report = await rig.failed(here, "no_route", Kind.REPORT)
        assert report.state is not State.DONE


async def test_a_portal_that_goes_leaves_its_reports_without_a_route(rig: Rig) -> None:
    """After a restart without it; they wait until it is configured again."""
    full = rig.catalogue
    rig.lines["portal:toodego"].raises = httpx.ConnectError("refused")
    async with rig.gateway():
        _, request = await rig.send()
        report = await rig.failed(request, "unreachable", Kind.REPORT)
    rig.catalogue = dataclasses.replace(full, portals={}, communes={})
    rig.clock.now += timedelta(hours=1)
    async with rig.gateway():
        report = await rig.failed(request, "no_route", Kind.REPORT)
    assert report.state is not State.DONE


async def test_what_did_not_change_is_the_same_objects(rig: Rig) -> None:
    """No lane, no client, no timer, no series of the others is touched."""
    async with rig.gateway() as engine:
        scheduler = timers.schedule(engine)
        scheduler.start(paused=True)
        metrics = Metrics()
        counted: list[Claimed] = []

        def count(claimed: Claimed, outcome: str, seconds: float) -> None:
            metrics.attempted(claimed, outcome, seconds)
            counted.append(claimed)

        engine.lanes.attempts.on_attempt = count
        for insee in (BRON, VILLEURBANNE):
            _, request = await rig.send(insee)
            await rig.state(request, State.DONE, Kind.REPORT)
        # An attempt counts after it was recorded.
        await rig.until(lambda: len(counted) == 4)

        def things() -> dict[str, Any]:
            lanes = {one.name: (one, one.loop) for one in engine.lanes.views()}
            jobs = {job.id: (job, job.next_run_time) for job in scheduler.get_jobs()}
            return {
                "commune": engine.catalogue.communes[VILLEURBANNE],
                "adapter": engine.adapters[GRU_B],
                "client": engine.adapters[GRU_B].context.client,
                "portal": engine.portals["toodego"],
                "budget": engine.far_ends.shared,
                **{name: one for name, one in lanes.items() if name != GRU_A},
                **{name: one for name, one in jobs.items() if GRU_A not in name},
            }

        before, series = things(), samples(metrics)
        lane_a = engine.lanes.lane(GRU_A)
        assert await engine.follow(other(**ELSEWHERE), 5) == [BRON]
        timers.plan_polls(engine, scheduler)
        assert engine.lanes.lane(GRU_A) is not lane_a
        assert things() == before
        assert all(things()[name] is one for name, one in before.items() if name in ALONE)
        assert samples(metrics) == series
        assert any(GRU_B in str(one) for one in series)
        scheduler.shutdown(wait=False)


#: Of what is compared above, what is no pair.
ALONE = ("commune", "adapter", "client", "portal", "budget")


def samples(metrics: Metrics) -> list[Any]:
    return [
        (one.name, one.labels, one.value)
        for family in metrics.registry.collect()
        for one in family.samples
        if "created" not in one.name
    ]


async def test_what_only_callers_and_people_see_of_a_commune_stops_no_lane(rig: Rig) -> None:
    """A key, a name, contacts: while a call of its hangs, its key is another at once."""
    async with hanging(rig) as (engine, request):
        lane, adapter = engine.lanes.lane(GRU_A), engine.adapters[GRU_A]
        renamed = other(name="Bron-les-Essais", contacts={"technical": "dsi@exemple.invalid"})
        assert await engine.follow(renamed, 60) == [BRON]
        assert engine.catalogue.communes[BRON].name == "Bron-les-Essais"
        assert engine.lanes.lane(GRU_A) is lane
        assert engine.adapters[GRU_A] is adapter
        rig.line.before.set()
        await rig.state(request, State.DONE)


async def test_a_hundred_releases_leave_nothing_behind(rig: Rig) -> None:
    async with rig.gateway() as engine:
        scheduler = timers.schedule(engine)
        scheduler.start(paused=True)
        for insee in (BRON, VILLEURBANNE):
            _, request = await rig.send(insee)
            await rig.state(request, State.DONE, Kind.REPORT)
        both = [
            catalogue(commune={**ELSEWHERE, "name": "Bron"}),
            catalogue(
                commune={**ELSEWHERE, "name": "Bron", "contacts": {"dpo": "a@b.invalid"}},
                gru={"timeout": 19},
            ),
        ]

        async def swap(times: int) -> dict[str, int]:
            for n in range(times):
                await engine.follow(both[n % 2], 5)
                timers.plan_polls(engine, scheduler)
            await rig.until(lambda: not engine.far_ends.closing)
            gc.collect()
            kinds = (Adapter, Lane, httpx.AsyncClient, asyncio.Task, Job, Commune, asyncio.Event)
            every = gc.get_objects()
            return {one.__name__: sum(isinstance(o, one) for o in every) for one in kinds}

        few = await swap(10)
        assert await swap(100) == few
        scheduler.shutdown(wait=False)


async def test_a_portal_s_key_is_exchanged_under_its_calls(rig: Rig) -> None:
    """Nobody waits: the call under way ends as it began, the next is signed by the other key."""
    line = rig.lines["portal:toodego"]
    line.before.clear()
    async with rig.gateway() as engine:
        client, lane = engine.portals["toodego"], None
        _, first = await rig.send()
        await rig.until(lambda: line.in_flight == 1)
        lane = engine.lanes.lane(PORTAL_A)
        portal = engine.catalogue.portals["toodego"]
        following = dataclasses.replace(
            engine.catalogue,
            portals={"toodego": dataclasses.replace(portal, key=SecretStr("cle-neuve"))},
        )
        assert await engine.prove(following) == ["toodego"]
        assert await engine.prove(following) == []
        assert await engine.follow(following, 5) == []
        assert engine.catalogue.portals == following.portals
        assert engine.portals["toodego"] is client
        assert engine.lanes.lane(PORTAL_A) is lane
        assert len(engine.far_ends.closing) == 1, "the line of before has a call under way"
        line.before.set()
        await rig.state(first, State.DONE, Kind.REPORT)
        await rig.until(lambda: not engine.far_ends.closing)
        _, second = await rig.send()
        await rig.failed(second, "access_denied", Kind.REPORT)
    keys = [key for url in line.urls for key in ("cle-portail", "cle-neuve") if proven(url, key)]
    assert (keys[0], keys[-1]) == ("cle-portail", "cle-neuve")


async def test_a_portal_that_knows_one_of_two_keys_is_called_by_it(rig: Rig) -> None:
    """Whichever end changes first, no report is refused while a key is replaced."""
    portal = rig.catalogue.portals["toodego"]
    new = dataclasses.replace(portal, key=SecretStr("cle-neuve"), former=portal.key)
    rig.catalogue = dataclasses.replace(rig.catalogue, portals={"toodego": new})
    line = rig.lines["portal:toodego"]
    async with rig.gateway():
        for _ in range(2):
            _, request = await rig.send()
            assert (await rig.state(request, State.DONE, Kind.REPORT)).attempts == 1
    keys = [key for url in line.urls for key in ("cle-portail", "cle-neuve") if proven(url, key)]
    assert keys[:2] == ["cle-neuve", "cle-portail"]
    assert set(keys[1:]) == {"cle-portail"}, "it is known from then on"


def proven(url: str, key: str) -> bool:
    digest = base64.b64decode(httpx.URL(url).params["signature"])
    signed = str(url).partition("?")[2].rpartition("&signature=")[0]
    return hmac.new(key.encode(), signed.encode(), "sha256").digest() == digest


async def test_an_adapter_that_cannot_be_made_costs_its_commune_alone(rig: Rig) -> None:
    class Broken(RestAdapter):
        def __init__(self, options: Any, context: Any) -> None:
            raise RuntimeError("no library for it")

    async with rig.gateway() as engine:
        engine.far_ends.catalogue = dataclasses.replace(
            engine.catalogue, adapters={**engine.catalogue.adapters, "casse": Broken}
        )
        now = engine.catalogue.communes[BRON]
        gru = dataclasses.replace(now.grus["outil"], adapter="casse")
        broken = dataclasses.replace(now, grus={"outil": gru})
        following = dataclasses.replace(
            engine.catalogue, communes={**engine.catalogue.communes, BRON: broken}
        )
        assert await engine.follow(following, 5) == [BRON]
        assert engine.catalogue.communes[BRON] == now
        _, request = await rig.send()
        await rig.state(request, State.DONE)


async def test_what_is_replaced_is_closed_once_nobody_uses_it(rig: Rig) -> None:
    async with rig.gateway() as engine:
        before = engine.adapters[GRU_A]
        client = before.context.client
        with engine.far_ends.using(GRU_A):
            await engine.follow(other(**ELSEWHERE), 5)
            assert engine.adapters[GRU_A] is not before
            await asyncio.sleep(0.01)
            assert not client.is_closed, "a poll that began with it goes on with it"
        await rig.until(lambda: client.is_closed)
        assert not engine.adapters[GRU_A].context.client.is_closed


async def test_polls_are_as_the_communes_say_now(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        scheduler = timers.schedule(engine)
        jobs = {job.id: job for job in scheduler.get_jobs()}
        await engine.follow(other(gru={"outil": {"poll": "5m"}}), 5)
        timers.plan_polls(engine, scheduler)
        then = {job.id: job for job in scheduler.get_jobs()}
        assert set(then) == set(jobs)
        assert then[f"poll {GRU_B}"] is jobs[f"poll {GRU_B}"]
        assert then[f"poll {GRU_A}"].trigger.interval.total_seconds() == 300
        # Otherwise configured, and polled as often: at the hour at which it was to be.
        await engine.follow(other(gru={"outil": {"poll": "5m", "timeout": 19}}), 5)
        timers.plan_polls(engine, scheduler)
        job = next(one for one in scheduler.get_jobs() if one.id == f"poll {GRU_A}")
        assert job is then[f"poll {GRU_A}"]
        assert job.args[-1] is engine.catalogue.communes[BRON].grus["outil"]
        bron = engine.catalogue.communes[BRON]
        gru = dataclasses.replace(bron.grus["outil"], poll=None)
        silent = dataclasses.replace(bron, grus={"outil": gru})
        communes = {**engine.catalogue.communes, BRON: silent}
        await engine.follow(dataclasses.replace(engine.catalogue, communes=communes), 5)
        timers.plan_polls(engine, scheduler)
        assert set(jobs) - {job.id for job in scheduler.get_jobs()} == {f"poll {GRU_A}"}


async def test_a_gru_that_has_just_come_is_not_late(rig: Rig) -> None:
    full = rig.catalogue
    rig.catalogue = dataclasses.replace(full, communes={BRON: full.communes[BRON]})
    async with rig.gateway(run=False) as engine:
        rig.clock.now += timedelta(days=3)
        await engine.follow(full, 5)
        timers_of = (await health(engine, ready=True, started_at=BEGIN)).timers
        assert timers_of[f"poll:{GRU_A}"].late
        assert not timers_of[f"poll:{GRU_B}"].late
        rig.clock.now += timedelta(days=1)
        timers_of = (await health(engine, ready=True, started_at=BEGIN)).timers
        assert timers_of[f"poll:{GRU_B}"].late


async def test_what_a_stop_left_is_looked_for_soon_after_the_start(rig: Rig) -> None:
    """And not an interval later, which may be hours."""
    async with rig.gateway(run=False) as engine:
        portal = engine.catalogue.portals["toodego"]
        form = dataclasses.replace(portal.teleservices[SLUG], reconcile=7200.0)
        portal = dataclasses.replace(portal, teleservices={SLUG: form})
        engine.far_ends.catalogue = dataclasses.replace(
            engine.catalogue, portals={"toodego": portal}
        )
        scheduler = timers.schedule(engine)
        scheduler.start(paused=True)
        (job,) = [one for one in scheduler.get_jobs() if one.id.startswith("reconcile")]
        settle = engine.reconciler.settle
        wait = job.next_run_time - datetime.now(UTC)
        assert settle < wait <= 2 * settle
        scheduler.shutdown(wait=False)


@pytest.mark.parametrize("communes", [40])
async def test_waiting_for_a_turn_at_the_portal_counts_for_nothing(rig: Rig, communes: int) -> None:
    """The whole portal takes two calls at once: its lanes take turns, and no claim waits."""
    bron = rig.catalogue.communes[BRON]
    every = {}
    for n in range(communes):
        insee = f"{69100 + n}"
        gru = dataclasses.replace(bron.grus["outil"], commune=insee)
        route = dataclasses.replace(bron.routes[SLUG], commune=insee, gru=gru)
        every[insee] = dataclasses.replace(
            bron, insee=insee, grus={"outil": gru}, routes={SLUG: route}
        )
        rig.lines[gru.lane_name] = rig.line
    portal = dataclasses.replace(rig.catalogue.portals["toodego"], calls=2)
    rig.catalogue = dataclasses.replace(rig.catalogue, communes=every, portals={"toodego": portal})
    line = rig.lines["portal:toodego"]
    line.before.clear()
    async with rig.gateway() as engine:
        sent = []
        for insee in every:
            item = rig.submit(insee)
            sent.append(request_id(await rig.push(item)))

        async def all_wait() -> bool:
            told = [await rig.deliveries(one, Kind.REPORT) for one in sent]
            return all(told) and engine.far_ends.shared.turns.waiting >= communes - 2

        await rig.until(all_wait)
        assert line.in_flight == 2
        waiting = [await rig.the(one, Kind.REPORT) for one in sent]
        assert sum(one.state is State.SENDING for one in waiting) == 2, "none else is claimed"
        line.before.set()
        for one in sent:
            assert (await rig.state(one, State.DONE, Kind.REPORT)).attempts == 1
    assert line.most == 2


async def test_what_runs_once_a_body_is_here_decides_where_it_goes(rig: Rig) -> None:
    """A route is found before the body is read, which may take a minute."""
    sender = Sender("toodego", None, None)
    async with rig.gateway() as engine:
        full = engine.catalogue
        first, second = rig.formdata(rig.submit(BRON)), rig.formdata(rig.submit(BRON))
        target = engine.intake.target(sender, BRON, SLUG)
        taken = await engine.intake.push(target, first, CREATION)
        assert taken.created
        target = engine.intake.target(sender, BRON, SLUG)
        left = dataclasses.replace(full, communes={VILLEURBANNE: full.communes[VILLEURBANNE]})
        assert await engine.follow(left, 60) == [BRON]
        with pytest.raises(Rejected) as refusal:
            await engine.intake.push(target, second, CREATION)
        assert (refusal.value.status, refusal.value.code) == (404, "unknown_commune")
