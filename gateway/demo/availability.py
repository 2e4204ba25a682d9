"""The scenario of the availability ledger: an outage of ours, a commune's, and an announced one.

Hours pass in seconds: gateway, portal and GRUs have one clock, which the scenario moves. The calls
are real.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.core.availability import MinuteVerdict
from gateway.core.breaker import BreakerPolicy
from gateway.core.lane_name import GruLane
from gateway.demo.samples import ANOMALY, anomaly, sample
from gateway.demo.scenarios import scenario
from gateway.demo.stage import BRON, VILLEURBANNE, Stage
from gateway.demo.story import Story
from gateway.demo.texts import say
from gateway.flow import announcements
from gateway.flow.announcements import AnnouncementPlan
from gateway.flow.availability import month_figures
from gateway.flow.engine import Engine, grus, open_engine
from gateway.flow.environment import Environment
from gateway.flow.sealing import open_sealer
from gateway.ops.availability_watch import AvailabilityWatch
from gateway.ops.incident_watch import IncidentWatch
from gateway.ops.metrics import Metrics
from gateway.sim.faults import FaultCondition
from gateway.sim.server import run_server
from gateway.store.engine import Database
from gateway.web import connection
from gateway.web.application import application
from gateway.web.state import DaemonCondition

#: Minutes of each outage, and of calm before and after them.
_OURS, _THEIRS, _ANNOUNCED, _CALM = 10, 6, 8, 20
_REQUESTS = 3
_MINUTE = timedelta(minutes=1)
_LANE = str(GruLane(BRON, "voirie"))
#: Seconds that something real may take, and in which a lane that may try has tried.
_PATIENCE, _SOON = 30.0, 0.5


@dataclass(slots=True)
class VirtualClock:
    """A clock that the scenario moves."""

    now: datetime
    begun: datetime

    def __call__(self) -> datetime:
        return self.now

    def steady(self) -> float:
        """The clock that nobody sets, in seconds."""
        return time.monotonic() + (self.now - self.begun).total_seconds()


@dataclass(frozen=True, slots=True)
class _Life:
    """A gateway from its start to its stop."""

    stage: Stage
    clock: VirtualClock
    engine: Engine
    watch: AvailabilityWatch
    url: str

    async def minutes(self, count: int) -> None:
        """Let minutes pass: GRUs are polled, and each minute is written down."""
        for _ in range(count):
            for gru in grus(self.engine.catalogue):
                await self.engine.changes.poll(gru)
            await self.watch.observe()
            self.pass_time(_MINUTE)

    def pass_time(self, time_passed: timedelta) -> None:
        self.clock.now += time_passed
        self.engine.lanes.wake(*self.engine.lane_names())

    async def push(self) -> None:
        """Have a citizen of Bron send a form."""
        stage = self.stage
        item = stage.portal.submit_sample(anomaly(sample(ANOMALY), stage.dice, photo=False))
        address = f"{self.url}/portal/v1/communes/{BRON}/teleservices/{ANOMALY}/requests"
        await stage.portal.push(item.id, address, stage.caller_key, slug=ANOMALY, orig="toodego")

    def is_open(self) -> bool:
        """Does Bron's lane hold calls back?"""
        return bool(self.engine.lanes.view(_LANE, {}).breaker.reason)


@scenario("availability", say("availability"))
async def availability(stage: Stage, story: Story) -> dict[str, Any]:
    await stage.daemon.stop()
    clock = _clock(stage)
    announced = await _announce(stage, clock)
    story.title(say("two_days_told"))
    clock.now = announced - (4 * _CALM) * _MINUTE
    async with _life(stage, clock) as life:
        await life.minutes(_CALM)
        story.say("gateway", say("minutes_up", count=_CALM))
        theirs = await _their_outage(life, story)
        await life.minutes(_CALM)
    story.say("gateway", say("stopped_for", count=_OURS))
    clock.now += _OURS * _MINUTE
    async with _life(stage, clock) as life:
        await life.minutes(round((announced - clock.now) / _MINUTE))
    story.say("gateway", say("stopped_as_announced", count=_ANNOUNCED))
    clock.now += _ANNOUNCED * _MINUTE
    async with _life(stage, clock) as life:
        await life.minutes(_CALM)
        return await _sum_up(life, theirs)


async def _sum_up(life: _Life, theirs: int) -> dict[str, Any]:
    """Read the ledger as `sla report` does."""
    store, now = life.engine.store, life.clock.now
    rules = life.engine.incidents.rules
    found = await month_figures(store, now.date(), now, rules, BRON)
    (bron,) = found.communes
    minutes = bron.minutes
    counted = tuple(
        map(
            minutes.of,
            (MinuteVerdict.GATEWAY, MinuteVerdict.COMMUNE, MinuteVerdict.ANNOUNCED),
        )
    )
    return {
        "scenario": "availability",
        "gateway_minutes": counted[0],
        "commune_minutes": counted[1],
        "excluded_minutes": counted[2],
        "availability": None if minutes.share is None else round(minutes.share, 5),
        "minutes": minutes.total,
        "ok": counted == (_OURS, theirs, _ANNOUNCED),
    }


async def _their_outage(life: _Life, story: Story) -> int:
    """Have Bron's GRU fail for some minutes, and wait for it to be back. Return the minutes in
    which nothing of Bron passed."""
    bron, tickets = life.stage.bron, len(life.stage.bron.tickets)
    bron.faults.fail(503, when=FaultCondition(path="/requests"))
    for _ in range(_REQUESTS):
        await life.push()
    await _until(life.is_open, _PATIENCE)
    await life.minutes(_THEIRS)
    bron.faults.clear()
    down = _THEIRS
    # The lane tries by its own pace: its pauses are over as minutes pass.
    while not await _until(lambda: not life.is_open(), _SOON) and down < 4 * _THEIRS:
        await life.minutes(1)
        down += 1
    story.say("bron", say("gru_failed_for", count=down))
    await life.minutes(1)
    await _until(lambda: len(bron.tickets) == tickets + _REQUESTS, _PATIENCE)
    story.say("bron", say("gru_is_back"))
    return down


async def _announce(stage: Stage, clock: VirtualClock) -> datetime:
    """Announce a maintenance in four days, which both communes read of at once. Return its
    start."""
    starts = clock.now + timedelta(days=4)
    plan = AnnouncementPlan(
        title="Mise à jour de la base",
        body="",
        starts_at=starts,
        ends_at=starts + 20 * _MINUTE,
        communes=(BRON, VILLEURBANNE),
        by="Agent Inventé",
    )
    rules = stage.catalogue.settings.announcements
    with _database(stage) as database:
        one = await announcements.announce(database, Environment(now=clock), rules, plan)
        for insee in plan.communes:
            await announcements.note_read(database, one.id, insee, "lien", now=clock.now)
    return starts


@asynccontextmanager
async def _life(stage: Stage, clock: VirtualClock) -> AsyncIterator[_Life]:
    """Run a gateway by the virtual clock, on the stage's database and far ends."""
    environment = Environment(
        now=clock,
        monotonic=clock.steady,
        sleep=lambda seconds: asyncio.sleep(min(seconds, 0.02)),
    )
    condition = DaemonCondition(ready=True, started_at=clock.now)
    metrics = Metrics(condition.stalls, connection.refused)
    with _database(stage) as database:
        async with (
            open_engine(
                stage.catalogue,
                database,
                environment=environment,
                observer=metrics,
                breaker=BreakerPolicy(minimum=2),
            ) as engine,
            run_server(application(engine, condition, metrics)) as web,
        ):
            work = asyncio.create_task(engine.lanes.run(), name="lanes")
            watch = AvailabilityWatch(IncidentWatch(engine, clock.now))
            try:
                yield _Life(stage, clock, engine, watch, web.url)
            finally:
                await engine.lanes.stop(2)
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work


@contextmanager
def _database(stage: Stage) -> Iterator[Database]:
    settings = stage.catalogue.settings
    database = Database(settings.database.get_secret_value(), open_sealer(settings))
    try:
        yield database
    finally:
        database.close()


def _clock(stage: Stage) -> VirtualClock:
    """Return a clock for all, some days ahead, from which no month ends soon."""
    now = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
    if now.day > 20:
        now = (now.replace(day=1) + timedelta(days=32)).replace(day=3)
    clock = VirtualClock(now, datetime.now(UTC))
    stage.portal.clock = stage.bron.clock = stage.villeurbanne.clock = clock
    return clock


async def _until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until it holds; False where it takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True
