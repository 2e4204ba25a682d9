"""A synthetic request goes the whole way, says where it stopped, and counts and stays nowhere."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
from sqlalchemy import Connection, func, select

from gateway.core.availability import CanaryRun, MinuteVerdict
from gateway.core.incident import Party
from gateway.flow.availability import month_figures
from gateway.flow.canaries import Canaries
from gateway.ops.availability_watch import AvailabilityWatch
from gateway.ops.incident_watch import IncidentWatch
from gateway.store import requests
from gateway.store.tables import ATTEMPT, CONDEMNED_KEY, DELIVERY, EVENT, REQUEST
from tests.web.harness import NOW, ORIG, Gateway, bundle, gateway

SLUG = "passerelle-canari"
CANARY = """\
commune: "00001"
name: Canari
portal: toodego
gru: {canari: {adapter: memo, options: {token: env:TOKEN}}}
routes: {passerelle-canari: {gru: canari, mapping: passerelle-canari/memo}}
"""
MAPPING = """\
mapping: 1
teleservice: passerelle-canari
adapter: memo
version: 1
submit: {canari: {constant: "oui"}}
statuses: {ouvert: accepted}
portal: {hook: retour_commune}
"""
HOOK = f"https://{ORIG}/api/forms/{SLUG}/1/hooks/retour_commune/"


@asynccontextmanager
async def town(folder: Path, template: Path) -> AsyncIterator[tuple[Gateway, Canaries]]:
    files = bundle(folder)
    settings = files["config/gateway.yaml"]
    settings = settings.replace("      voirie: {}\n", f"      voirie: {{}}\n      {SLUG}: {{}}\n")
    settings = settings.replace("  autre:\n", '    canary: {formdata: "1"}\n  autre:\n')
    files |= {"config/gateway.yaml": settings, "config/communes/canari.yaml": CANARY}
    files[f"mappings/{SLUG}/memo.yaml"] = MAPPING
    async with gateway(folder, template, files=files) as gw:
        work = asyncio.create_task(gw.engine.lanes.run(gw.engine.lane_names()))
        engine = gw.engine
        yield (
            gw,
            Canaries(
                engine.store,
                engine.far_ends,
                engine.environment,
                engine.lanes,
                lambda: httpx.ASGITransport(gw.app),
            ),
        )
        await engine.lanes.stop(1)
        work.cancel()


def _rows(connection: Connection) -> int:
    tables = (REQUEST, EVENT, DELIVERY, ATTEMPT, CONDEMNED_KEY)
    counts = (connection.execute(select(func.count()).select_from(t)).scalar() for t in tables)
    return sum(count or 0 for count in counts)


def counted(gw: Gateway) -> list[str]:
    """List what metrics say of the canary."""
    text = gw.app.state.web.metrics.registry
    return [
        sample.name
        for metric in text.collect()
        for sample in metric.samples
        if metric.name != "gru_gateway_part"  # of health
        and (SLUG in sample.labels.values() or any("00001" in v for v in sample.labels.values()))
    ]


async def test_it_goes_the_whole_way_each_time_and_leaves_nothing(
    tmp_path: Path, template: Path
) -> None:
    async with town(tmp_path, template) as (gw, canaries):
        hook = gw.portal.post(url__startswith=HOOK).mock(httpx.Response(200, json={"err": 0}))
        for count in (1, 2):
            assert await canaries.run("toodego") == CanaryRun(True, True, True)
            assert hook.call_count == count
            assert await gw.database.read(_rows) == 0
        assert await canaries.run("autre") is None
        await gw.client.get("/ops/metrics")
        assert counted(gw) == []
        assert (await gw.client.get("/ops/health")).json()["requests"] == {}


async def test_what_stops_it_is_told_by_whose_it_is(tmp_path: Path, template: Path) -> None:
    async with town(tmp_path, template) as (gw, canaries):
        hook = gw.portal.post(url__startswith=HOOK)
        gw.portal.get(url__startswith=f"https://{ORIG}/").mock(httpx.Response(500))
        hook.mock(httpx.Response(500))
        run = await canaries.run("toodego")
        assert run == CanaryRun(True, True, False, Party.PORTAL)
        # It waits, and counts nowhere.
        assert await gw.database.read(requests.counts) == {}
        assert await gw.database.read(requests.listing) == []
        assert len(await gw.database.read(requests.listing, commune="00001")) == 1
        engine = gw.engine
        watch = AvailabilityWatch(IncidentWatch(engine, NOW), canaries)
        await watch.observe()
        calls = hook.call_count
        found = await month_figures(gw.database, NOW.date(), _later(), engine.incidents.rules)
        told = {
            (one.scope.service, one.scope.commune): dict(one.minutes.down) for one in found.services
        }
        assert told == {("portal:toodego", ""): {MinuteVerdict.PORTAL: 1}, ("portal:autre", ""): {}}
        assert "00001" not in {one.scope.commune for one in found.communes}
        # A later look of the same minute may see it up, and none looks after that.
        hook.mock(httpx.Response(200, json={"err": 0}))
        gw.advance(seconds=15)
        await watch.observe()
        await watch.observe()
        assert hook.call_count == calls + 1
        found = await month_figures(gw.database, NOW.date(), _later(), engine.incidents.rules)
        assert [dict(one.minutes.down) for one in found.services] == [{}, {}]


async def test_what_the_intake_does_not_take_is_ours(tmp_path: Path, template: Path) -> None:
    async with town(tmp_path, template) as (gw, canaries):

        def refuse(request: httpx.Request) -> httpx.Response:
            return httpx.Response(503, json={"err_code": "unavailable"})

        for transport in (refuse, _broken, _senseless):
            made = partial(httpx.MockTransport, transport)
            closed = dataclasses.replace(canaries, transport=made)
            assert await closed.run("toodego") == CanaryRun(accepted=False)
        assert await gw.database.read(_rows) == 0


def _broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def _senseless(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"data": {"id": 7}})


def _later() -> datetime:
    return NOW + timedelta(minutes=1)
