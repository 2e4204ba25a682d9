"""The daemon's timers. Each one calls one use case, nearly all on one replica at a time."""

from __future__ import annotations

import asyncio
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from gateway.catalogue.catalogue import Gru
from gateway.contracts.drift import read_forms
from gateway.flow import (
    alerts,
    attachments,
    decommission,
    erase,
    erasure_reminders,
    retention,
    tickets,
    warning,
)
from gateway.flow.canaries import Canaries
from gateway.flow.certificates import ending
from gateway.flow.engine import Engine, grus
from gateway.flow.identity import IdentityWatch
from gateway.ops import availability_watch, incident_watch
from gateway.ops.availability_watch import AvailabilityWatch
from gateway.ops.incident_watch import IncidentWatch
from gateway.store import intake, linked, nonces, ticks

log = structlog.get_logger()

DAY = 86400.0
#: Seconds between two looks at what a form's portal anonymised.
ANONYMISED = 1800.0


def schedule(engine: Engine) -> AsyncIOScheduler:
    """Add the timers. A timer that still runs is not started a second time."""
    scheduler = AsyncIOScheduler(
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    plan_polls(engine, scheduler)
    _every(engine, scheduler, 60, "review", _review, engine)
    for portal in engine.catalogue.portals.values():
        for teleservice in portal.teleservices.values():
            if teleservice.reconcile is not None and teleservice.due:
                _every(
                    engine,
                    scheduler,
                    teleservice.reconcile,
                    f"reconcile {portal.name} {teleservice.slug}",
                    engine.reconciler.reconcile,
                    portal.name,
                    teleservice,
                    first=2 * engine.reconciler.settle.total_seconds(),
                )
            _every(
                engine,
                scheduler,
                ANONYMISED,
                f"anonymised {portal.name} {teleservice.slug}",
                engine.anonymisations.follow,
                portal.name,
                teleservice,
            )
        if portal.drift is not None:
            _every(
                engine,
                scheduler,
                portal.drift,
                f"drift {portal.name}",
                read_forms,
                engine,
                portal.name,
            )
    _every(engine, scheduler, 60, "forget nonces", _forget_nonces, engine)
    glc = engine.catalogue.settings.glc
    if engine.identity is not None and glc is not None:
        _every(engine, scheduler, glc.poll, "glc", _follow, engine.identity, engine.eraser)
    if engine.attachments.objects is not None:
        _every(engine, scheduler, attachments.EVERY, "objects", engine.attachments.sweep)
    _every(engine, scheduler, DAY, "certificates", warn_of_certificates, engine, first=60)
    _every(engine, scheduler, DAY, "mailboxes", engine.mailbox.warn, first=60)
    _every(engine, scheduler, warning.EVERY, "warnings", engine.warner.warn, first=60)
    every = erasure_reminders.EVERY
    _every(engine, scheduler, every, "reminders", engine.reminders.remind, first=60)
    _every(engine, scheduler, 3600.0, "heartbeats", engine.heartbeats.ask, first=60)
    _every(engine, scheduler, retention.EVERY, "retention", engine.retention.run, first=600)
    _every(engine, scheduler, erase.EVERY, "erasures", engine.eraser.advance)
    _every(engine, scheduler, erase.WRITE_DOWN, "ledger", engine.eraser.write_down, each=True)
    every = decommission.EVERY
    _every(engine, scheduler, every, "decommissions", engine.decommissioner.advance)
    _watch(engine, scheduler)
    return scheduler


def _watch(engine: Engine, scheduler: AsyncIOScheduler) -> None:
    """Add the timers of incidents. Each replica looks: one may see that the database is away."""
    watch = IncidentWatch(engine, engine.environment.now())
    every = engine.incidents.rules.every
    looks = Every(seconds=max(1, int(every)))
    scheduler.add_job(_guarded, looks, args=("incidents", watch.observe), id="incidents")
    canaries = Canaries(engine.store, engine.far_ends, engine.environment, engine.lanes)
    minutes = AvailabilityWatch(watch, canaries)
    trigger = Every(seconds=int(availability_watch.EVERY))
    begin = datetime.now(UTC) + timedelta(seconds=1)  # a short stop costs no minute
    args = ("availability", minutes.observe)
    scheduler.add_job(_guarded, trigger, args=args, id="availability", next_run_time=begin)
    budget = availability_watch.BURNS_EVERY
    _every(engine, scheduler, budget, "availability budget", minutes.check_budget)
    _every(engine, scheduler, every, "incident notes", engine.incidents.send_notes)
    _every(engine, scheduler, alerts.EVERY, "alerts", engine.alerts.owe_by_clock)
    telling = engine.catalogue.settings.telling
    if telling.heartbeat is not None:
        beat = telling.heartbeat_every
        _every(engine, scheduler, beat, "switch", engine.alerts.call_switch)
    ticketing = engine.catalogue.settings.ticketing
    if ticketing is not None:
        often = min(tickets.EVERY, every)
        _every(engine, scheduler, often, "tickets", engine.tickets.send)
        if ticketing.tool.poll is not None:
            _every(engine, scheduler, ticketing.tool.poll, "ticket answers", engine.tickets.poll)
    every = incident_watch.TRAIL_EVERY
    _every(engine, scheduler, every, "trail", watch.check_trail, first=300)


def schedule_counts(engine: Engine) -> AsyncIOScheduler:
    """Return the timers of a replica that takes calls alone: it stores how many it refused."""
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "misfire_grace_time": None})
    every = Every(seconds=int(incident_watch.EVERY))
    args = ("refusals", engine.refusals.store_counts)
    scheduler.add_job(_guarded, every, args=args, id="refusals")
    return scheduler


def plan_polls(engine: Engine, scheduler: AsyncIOScheduler) -> None:
    """Plan the poll of each GRU that is configured now. Timers that did not change go on."""
    planned = {job.id: job for job in scheduler.get_jobs() if job.id.startswith("poll ")}
    for gru in grus(engine.catalogue):
        if gru.poll is None or not engine.adapters[gru.lane_name].capabilities.statuses:
            continue
        name = f"poll {gru.lane_name}"
        job = planned.pop(name, None)
        if job is not None and job.args[-1].poll == gru.poll:
            if job.args[-1] != gru:
                job.modify(args=(engine, gru))  # at the time planned
            continue
        if job is not None:
            job.remove()
        _every(engine, scheduler, gru.poll, name, _poll, engine, gru)
    for job in planned.values():
        job.remove()


def end(scheduler: AsyncIOScheduler) -> None:
    """Cancel the timers that run, and start no more."""
    # A timer that is just due would be cut before it begins, which the scheduler calls an error.
    scheduler.pause()
    scheduler.shutdown(wait=False)


class Every(IntervalTrigger):  # type: ignore[misc]
    """An interval after which all missed runs count as one.

    The scheduler first makes a list of the missed runs. After a clock was set forward by a year
    that list would have millions of entries.
    """

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        missed = previous is not None and now - previous >= self.interval
        due: datetime | None = super().get_next_fire_time(now if missed else previous, now)
        return due


def _every(
    engine: Engine,
    scheduler: AsyncIOScheduler,
    seconds: float,
    name: str,
    job: Any,
    *args: Any,
    first: float | None = None,
    each: bool = False,
) -> None:
    """Add a timer. `first` is the time to its first run in seconds, if that is less than an
    interval. `each`: every replica does it, not one of them."""

    async def run(*args: Any) -> None:
        now = engine.environment.now()
        try:
            # Replicas have the same timers: the row of this tick lets one of them win.
            tick = int(now.timestamp() // max(1, int(seconds)))
            if each or engine.alone or await engine.store.write(ticks.win, name, tick, now):
                await job(*args)
        except asyncio.CancelledError:
            # The scheduler stops. It would log this as a failure of the job.
            log.info("timer.cut", timer=name)
        except Exception as error:
            log.error("timer.failed", timer=name, error=type(error).__name__)

    trigger = Every(seconds=max(1, int(seconds)), jitter=min(30, seconds * 0.1))
    when = {}
    if first is not None and first < seconds:
        # Work that a stop interrupted does not wait for a whole interval.
        when["next_run_time"] = datetime.now(UTC) + timedelta(seconds=first)
    scheduler.add_job(run, trigger, args=args, id=name, name=name, **when)


async def _guarded(name: str, job: Any) -> None:
    """Run a job of every replica."""
    try:
        await job()
    except asyncio.CancelledError:
        log.info("timer.cut", timer=name)
    except Exception as error:
        log.error("timer.failed", timer=name, error=type(error).__name__)


def restart(scheduler: AsyncIOScheduler) -> None:
    """Give every timer a new time after the clock was set.

    The next runs are spread over one interval each, as after a start.
    """
    now = datetime.now(UTC)
    for job in scheduler.get_jobs():
        wait = job.trigger.interval.total_seconds() * random.random()
        job.modify(next_run_time=now + timedelta(seconds=wait))


async def warn_of_certificates(engine: Engine) -> None:
    """Log once a day the certificates that end soon or have ended."""
    now = engine.environment.now()
    for one in ending(engine.far_ends, now):
        log.warning(
            "certificate.ends",
            far_end=one.far_end,
            which=one.which,
            ends=one.ends.isoformat(),
            days_left=math.floor(one.days_left(now)),
        )


async def _follow(identity: IdentityWatch, eraser: erase.Eraser) -> None:
    await identity.poll()
    await eraser.advance()


async def _poll(engine: Engine, gru: Gru) -> None:
    if engine.far_ends.departures.is_settled(gru.commune):
        return
    with engine.far_ends.using(gru.lane_name):
        await engine.changes.poll(gru)


async def _review(engine: Engine) -> None:
    """Judge again the changes that were not told: a number or a mapping may have come since."""
    for gru in grus(engine.catalogue):
        if engine.far_ends.departures.is_settled(gru.commune):
            continue
        with engine.far_ends.using(gru.lane_name):
            await engine.changes.review(gru)


async def _forget_nonces(engine: Engine) -> None:
    await engine.store.write(nonces.forget, engine.environment.now())
    await engine.store.write(intake.forget, engine.environment.now())
    await engine.store.write(linked.forget, engine.environment.now())
    if engine.console is not None:
        await engine.console.sessions.forget()
