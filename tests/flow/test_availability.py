"""The ledger over the real flow: outages of a commune, of ours, of nobody, and the month's sum."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta

import httpx

from gateway.core.availability import MinuteVerdict
from gateway.core.breaker import BreakerPolicy
from gateway.core.incident import IncidentRules
from gateway.flow.announcements import AnnouncementPlan, announce, note_read
from gateway.flow.availability import MonthFigures, burning_services, month_figures
from gateway.flow.engine import grus
from gateway.ops.availability_watch import AvailabilityWatch, judge
from gateway.ops.incident_watch import IncidentWatch
from gateway.ops.shapes import LaneState
from gateway.store.availability import Scope
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, GRU_A, VILLEURBANNE, Rig

MARCH = date(2026, 3, 1)
RULES = IncidentRules()
HERE = "portal:toodego"


@dataclasses.dataclass
class Ledger:
    """A gateway whose minutes are written."""

    rig: Rig
    minutes: AvailabilityWatch

    async def lives(self, count: int) -> None:
        """Let minutes pass, each of which is looked at."""
        for _ in range(count):
            for gru in grus(self.rig.engine.catalogue):
                await self.rig.engine.changes.poll(gru)
            await self.minutes.observe()
            self.rig.clock.now += timedelta(minutes=1)

    async def month(self) -> MonthFigures:
        return await month_figures(self.rig.database, MARCH, self.rig.clock.now, RULES)

    async def down(self, insee: str = "") -> dict[str, int]:
        found = await self.month()
        (one,) = [s for s in (*found.services, *found.communes) if s.scope == Scope(HERE, insee)]
        return {verdict.value: count for verdict, count in one.minutes.down.items()}


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Ledger]:
    async with rig.gateway() as engine:
        yield Ledger(rig, AvailabilityWatch(IncidentWatch(engine, rig.clock.now)))


async def test_a_gru_that_is_away_is_its_communes_and_a_stop_is_ours(build_rig: Builder) -> None:
    rig = build_rig(breaker=BreakerPolicy(minimum=2))
    async with running(rig) as ledger:
        await ledger.lives(3)
        rig.lines[GRU_A].raises = httpx.ConnectError("refused")
        for _ in range(3):
            await rig.send()
        engine = rig.engine
        await rig.until(lambda: bool(engine.lanes.view(GRU_A, {}).breaker.reason), "never broke")
        await ledger.lives(4)
        assert await ledger.down(BRON) == {"commune": 4}
        assert await ledger.down(VILLEURBANNE) == await ledger.down() == {}
    rig.clock.now += timedelta(minutes=10)  # nobody is there
    rig.lines[GRU_A].raises = None
    async with running(rig) as ledger:
        await ledger.lives(1)
        assert await ledger.down() == await ledger.down(VILLEURBANNE) == {"gateway": 10}
        found = await ledger.month()
        (service,) = found.services
        assert service.minutes.total == 18
        assert [one.scope.commune for one in found.communes] == [BRON, VILLEURBANNE]
        assert await burning_services(rig.database, rig.clock.now, RULES) == []
        rig.clock.now += timedelta(minutes=30)
        await ledger.minutes.check_budget()
        evidence = await ledger.minutes.watch.evidence()
        assert list(evidence.burning) == [HERE]
        words = [one.word for one in ledger.minutes.watch.symptoms(evidence)]
        assert "availability_burns" in words


async def test_what_was_announced_in_time_counts_for_nobody(build_rig: Builder) -> None:
    rig = build_rig()
    now = rig.clock.now
    starts = now + timedelta(days=4)
    plan = AnnouncementPlan(
        "Mise à jour", "", starts, starts + timedelta(minutes=20), (BRON, VILLEURBANNE), "Ana"
    )
    async with running(rig) as ledger:
        engine = rig.engine
        rules = engine.catalogue.settings.announcements
        one = await announce(rig.database, engine.environment, rules, plan)
        await note_read(rig.database, one.id, BRON, "lien", now=now)
        rig.clock.now = starts - timedelta(minutes=1)
        await ledger.lives(1)
    rig.clock.now += timedelta(minutes=10)
    async with running(rig) as ledger:
        await ledger.lives(1)
        assert await ledger.down(BRON) == {"announced": 10}
        # Nobody told Villeurbanne, and so not all of the service's communes.
        assert await ledger.down(VILLEURBANNE) == await ledger.down() == {"gateway": 10}
        await note_read(rig.database, one.id, VILLEURBANNE, "lien", now=rig.clock.now)
        assert await ledger.down(VILLEURBANNE) == {"gateway": 10}, "it read of it too late"


async def test_a_lane_that_somebody_keeps_still_is_down_and_theirs(build_rig: Builder) -> None:
    rig = build_rig()
    async with running(rig) as ledger:
        await rig.pause(GRU_A)
        await ledger.lives(1)
        assert await ledger.down(BRON) == {"gateway": 1}
        lanes = (await ledger.minutes.watch.evidence()).health.lanes
        assert lanes[GRU_A].state is LaneState.PAUSED
        catalogue = rig.engine.catalogue
        theirs = dataclasses.replace(catalogue.communes[BRON], paused=True)
        catalogue = dataclasses.replace(catalogue, communes={**catalogue.communes, BRON: theirs})
        assert judge(catalogue, [], lanes, {})[Scope(HERE, BRON)] is MinuteVerdict.COMMUNE
