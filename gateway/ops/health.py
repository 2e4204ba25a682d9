"""The gateway's health: each part, then one word for the whole. No personal data. `down`: requests
cannot be taken. `degraded`: somebody should look; the portal notices nothing."""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Awaitable, Collection
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from gateway.core import reasons
from gateway.core.breaker import Breaking
from gateway.core.erasure import BRAKED
from gateway.core.errors import NotFound
from gateway.core.reasons import About
from gateway.flow import anonymised, erasure_reminders, retention, warning
from gateway.flow.certificates import ending
from gateway.flow.due import cursor_name
from gateway.flow.engine import Engine, grus
from gateway.flow.heartbeat import EVERY as PING_EVERY
from gateway.flow.heartbeat import heartbeat_name
from gateway.flow.identity import ENTRIES_SKIPPED, watch_state
from gateway.ops.keys_part import vault_part
from gateway.ops.shapes import (
    AntivirusPart,
    AttachmentsPart,
    CertificatePart,
    CertificatesPart,
    CommuneHealth,
    DiskPart,
    GlcPart,
    Health,
    LanePart,
    LaneState,
    Overall,
    Part,
    PassedOverGroup,
    PassedOverPart,
    ReleasesPart,
    SecretsPart,
    TimerPart,
    parts,
)
from gateway.ops.stored_parts import drift_part, incidents_part, telling_part, ticketing_part
from gateway.ops.why import who_acts
from gateway.store import cursors, decommissions, erasures, intake, object_gc, requests, ticks
from gateway.store.outbox import backlog
from gateway.store.outbox import lanes as memory

#: Seconds that the database has to answer.
PATIENCE = 2.0
#: Free bytes of the data directory: below `LOW` somebody should look, below `FULL` it is down.
LOW = 1024 * 1024 * 1024
FULL = 64 * 1024 * 1024
#: A timer is late after this many of its intervals, and a minute.
LATE = 3
_TOLD = 5  # names listed at once
#: Cursors that are shown while they fail.
_FAILING = (
    warning.NAME,
    erasure_reminders.NAME,
    anonymised.NAME,
    retention.NAME,
    decommissions.WAITING,
)
_BELIEVED = {
    ENTRIES_SKIPPED: "entries of the provider's list could not be read and were passed over",
    BRAKED: "the last run found more accounts gone at once than the brake allows",
}
_T = TypeVar("_T")


async def database_writable(engine: Engine) -> bool:
    """Does the database answer within `PATIENCE`, and can it store a request of the largest size?

    Writes to it only when the last write failed: a full disk can still be read. A failing object
    store does not count: it stops pushes with files alone, which get a 503, and another replica
    would fail as well.
    """
    store = engine.store
    try:
        async with asyncio.timeout(PATIENCE):
            await store.read(memory.recall)
            if store.trouble:
                return False
            if not store.writable:
                await store.write(ticks.probe, engine.environment.now())
                store.writable = True
    except Exception:
        return False
    if not engine.alone:
        return True  # a PostgreSQL's disk is not ours to look at
    free = (await asyncio.to_thread(_disk, engine.catalogue.settings.data_dir)).free
    return free is None or free >= engine.limits.max_bytes


async def health(
    engine: Engine, *, ready: bool, started_at: datetime, counting: bool = True
) -> Health:
    """Look at every part. Never raises for a part that is not well. Without `counting`, `requests`
    is None: counting reads every row."""
    now = engine.environment.now()
    database, lanes, timers = await _looked_at(engine, started_at)
    answers = database.state is not Overall.DOWN
    found = Health(
        status=Overall.OK if ready else Overall.DOWN,
        ready=ready,
        started_at=started_at,
        now=now,
        database=database,
        disk=await asyncio.to_thread(_disk, engine.catalogue.settings.data_dir),
        lanes=lanes,
        timers=timers,
        # They may be too many to count in time; nothing else depends on it.
        requests=await _in_time(engine.store.read(requests.counts))
        if counting and answers
        else None,
        secrets=_secrets(engine),
        certificates=_certificates(engine, now),
        glc=await _glc(engine, now) if answers else None,
        releases=_released(engine),
        drift=await _in_time(drift_part(engine)) if answers else None,
        attachments=await _attachments(engine, now),
        antivirus=await _antivirus(engine),
        passed_over=await _passed_over(engine) if answers else None,
        incidents=await _in_time(incidents_part(engine, now)) if answers else None,
        telling=await _in_time(telling_part(engine, now)) if answers else None,
        ticketing=await _in_time(ticketing_part(engine, now)) if answers else None,
        vault=vault_part(engine.masters, now),
    )
    return replace(found, status=_worst(found))


async def commune_health(engine: Engine, insee: str, *, started_at: datetime) -> CommuneHealth:
    """Return one commune's health. Raises NotFound for a commune that is not connected."""
    commune = engine.catalogue.communes.get(insee)
    if commune is None:
        raise NotFound("no such commune is connected")
    database, lanes, timers = await _looked_at(engine, started_at)
    own = {gru.lane_name for gru in commune.grus.values()}
    portal = engine.catalogue.portals[commune.portal].lane_name(insee)
    lanes = {name: part for name, part in lanes.items() if name in own or name == portal}
    asked = {f"poll:{name}" for name in own} | {heartbeat_name(name) for name in own}
    warned = tuple(f"{kind}{name}:" for kind in _FAILING for name in own)
    warned = (*warned, decommissions.waiting_name(insee))
    timers = {
        name: part for name, part in timers.items() if name in asked or name.startswith(warned)
    }
    slugs = tuple(sorted(commune.routes))
    found = CommuneHealth(insee, commune.portal, Overall.OK, database, slugs, lanes, timers)
    return replace(found, status=_worst(found))


async def _looked_at(
    engine: Engine, started_at: datetime
) -> tuple[Part, dict[str, LanePart], dict[str, TimerPart]]:
    waiting: dict[str, tuple[int, int, datetime]] = {}
    known: dict[str, memory.LaneMemory] = {}
    unfetched: Collection[str] = ()
    positions: dict[str, cursors.CursorValue] | None = None
    try:
        async with asyncio.timeout(PATIENCE):
            known = await engine.store.read(memory.recall)
            positions = await engine.store.read(cursors.get_all)
            waiting = await engine.store.read(backlog.waiting_by_lane, engine.environment.now())
            unfetched = await engine.mailbox.late()
        database = Part(Overall.OK)
    except Exception as error:
        if positions is None:
            database = Part(Overall.DOWN, f"does not answer ({type(error).__name__})")
        else:
            database = Part(Overall.DEGRADED, "is slow to count what waits")
    now = engine.environment.now()
    return (
        database,
        _lanes(engine, waiting, known, unfetched, now),
        _timers(engine, positions, started_at, now),
    )


def _lanes(
    engine: Engine,
    waiting: dict[str, tuple[int, int, datetime]],
    known: dict[str, memory.LaneMemory],
    unfetched: Collection[str],
    now: datetime,
) -> dict[str, LanePart]:
    parts: dict[str, LanePart] = {}
    for name in sorted({*engine.lane_names(), *waiting}):
        count, person, oldest = waiting.get(name, (0, 0, None))
        age = None if oldest is None else max(0.0, (now - oldest).total_seconds())
        lane = engine.lanes.view(name, known)
        breaker = lane.breaker
        state, reason, probe_at = LaneState.OK, breaker.reason, breaker.probe_at
        if lane.paused or lane.policy.paused:
            state = LaneState.PAUSED
        elif breaker.state is not Breaking.CLOSED:
            state = LaneState(breaker.state.value)
        elif lane.hold_until is not None and lane.hold_until > now:
            state, reason = LaneState.HELD, "busy"
        elif name in unfetched:
            state = LaneState.HELD
            reason = "not_fetched"
        if lane.hold_until is not None and lane.hold_until > now:
            probe_at = max(probe_at or now, lane.hold_until)
        rate, end = None, None
        if count > person and state in (LaneState.OK, LaneState.HALF_OPEN):
            clock = engine.environment.monotonic()
            rate = round(lane.pace.throughput(clock), 2) or None
            left = lane.pace.estimate(count - person, clock)
            end = None if left is None else now + timedelta(seconds=left)
        parts[name] = LanePart(
            state,
            lane.running,
            count - person,
            person,
            age,
            reason,
            probe_at,
            reasons.of(reason, About.FAR_END).en if reason else "",
            who_acts(reason, name) if reason else "",
            rate,
            end,
        )
    return parts


def _timers(
    engine: Engine,
    positions: dict[str, cursors.CursorValue] | None,
    started_at: datetime,
    now: datetime,
) -> dict[str, TimerPart]:
    expected: dict[str, float] = {}
    for gru in grus(engine.catalogue):
        if gru.poll is not None and gru.capabilities.statuses:
            expected[f"poll:{gru.lane_name}"] = gru.poll
    for portal in engine.catalogue.portals.values():
        for teleservice in portal.teleservices.values():
            if teleservice.reconcile is not None and teleservice.due:
                name = cursor_name(portal.name, teleservice.slug)
                expected[name] = teleservice.reconcile
    if engine.catalogue.settings.glc is not None:
        expected[erasures.CURSOR] = engine.catalogue.settings.glc.poll
    for gru in engine.heartbeats.asked():
        expected[heartbeat_name(gru.lane_name)] = PING_EVERY.total_seconds()
    parts: dict[str, TimerPart] = {}
    for name, every in sorted(expected.items()):
        cursor = None if positions is None else positions.get(name)
        last = None if cursor is None else cursor.updated_at
        # Nothing could run while we were stopped, or before the GRU was opened.
        begun = engine.far_ends.since(name.partition(":")[2]) or started_at
        since = max(last or started_at, started_at, begun)
        late = positions is not None and (now - since).total_seconds() > every * LATE + 60
        failure = None if cursor is None else cursor.failure
        state = Overall.DEGRADED if late or failure else Overall.OK
        fault = None if cursor is None else cursor.fault
        meant = None if failure is None else reasons.of(failure, About.FAR_END)
        says = "" if meant is None else "; ".join(filter(None, (meant.en, meant.do)))
        parts[name] = TimerPart(state, every, last, failure, late, fault, says)
    for name, cursor in (positions or {}).items():
        if name.startswith(_FAILING) and cursor.failure is not None:
            parts[name] = _untold(cursor)
    return parts


def _untold(cursor: cursors.CursorValue) -> TimerPart:
    """Return what failed: a note to a commune, or a look at the portal's anonymised requests."""
    meant = reasons.of(cursor.failure or "")
    says = "; ".join(filter(None, (meant.en, meant.do)))
    shown = (cursor.updated_at, cursor.failure, False)
    return TimerPart(Overall.DEGRADED, warning.EVERY, *shown, says=says)


async def _glc(engine: Engine, now: datetime) -> GlcPart | None:
    """Return None when GLC is not followed and nothing of it is left, or without database."""
    state = await _in_time(watch_state(engine.store, now))
    if state is None:
        return None
    last, counts = state.last, state.counts
    followed = engine.catalogue.settings.glc is not None
    waits = [f"erasures wait: {one}" for one in engine.eraser.faults]
    if not (followed or waits or counts.held or counts.open or counts.telling):
        return None
    failure = last.failure if last is not None and followed else None
    if failure is not None:
        waits.append(_BELIEVED.get(failure, f"the last run was not believed: {failure}"))
    if counts.held:
        waits.append(f"{counts.held} erasures wait for two people: erasure approve")
    if counts.overdue:
        waits.append(f"{counts.overdue} erasures are past their deadline: erasure list")
    at = None if last is None else last.updated_at
    numbers = (counts.suspects, counts.held, counts.open, counts.telling, counts.overdue)
    whole = Overall.DEGRADED if waits else Overall.OK
    return GlcPart(whole, "; ".join(waits), at, failure, *numbers)


def _released(engine: Engine) -> ReleasesPart:
    running = engine.catalogue.releases
    unreleased = tuple(sorted(engine.catalogue.unreleased))
    refused = {
        insee: tuple(map(str, one.faults))
        for insee, one in sorted(engine.catalogue.refused.items())
    }
    state = Overall.DEGRADED if unreleased or refused else Overall.OK
    return ReleasesPart(state, None if running is None else dict(running), unreleased, refused)


def _secrets(engine: Engine) -> SecretsPart:
    refused = tuple(map(str, engine.secrets.refused))
    return SecretsPart(Overall.DEGRADED if refused else Overall.OK, engine.secrets.read_at, refused)


def _certificates(engine: Engine, now: datetime) -> CertificatesPart:
    parts = tuple(
        CertificatePart(one.far_end, one.which, one.ends, math.floor(one.days_left(now)))
        for one in ending(engine.far_ends, now)
    )
    told = [f"{one.far_end} {one.which}: {one.days_left} days left" for one in parts]
    return CertificatesPart(
        Overall.DEGRADED if parts else Overall.OK, "; ".join(told[:_TOLD]), parts
    )


async def _passed_over(engine: Engine) -> PassedOverPart | None:
    """Return None when the database is away."""
    counts = await _in_time(engine.store.read(intake.passed_counts))
    if counts is None:
        return None
    found = tuple(PassedOverGroup(*astuple(one)) for one in counts)
    amiss = any(not (one.later and one.code == intake.OTHER_COMMUNE) for one in found)
    return PassedOverPart(Overall.DEGRADED if amiss else Overall.OK, found)


async def _attachments(engine: Engine, now: datetime) -> AttachmentsPart | None:
    """Return None where files are in the database. The store is tried only after a failed call."""
    attachments = engine.attachments
    if attachments.objects is None:
        return None
    await _in_time(attachments.retry())
    doomed = await _in_time(engine.store.read(object_gc.waiting, now))
    failing = attachments.health.failing
    if not failing:
        return AttachmentsPart(Overall.OK, "", None, doomed)
    what = f"does not answer: {', '.join(sorted(failing))}"
    return AttachmentsPart(Overall.DEGRADED, what, min(failing.values()), doomed)


async def _antivirus(engine: Engine) -> AntivirusPart | None:
    """Return None where files are not looked at. The scanner is tried only after a failed call."""
    if engine.antivirus.clamd is None:
        return None
    await _in_time(engine.antivirus.retry())
    return AntivirusPart.of(engine.antivirus.failing_since)


def _disk(data_dir: Path) -> DiskPart:
    there = data_dir
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        usage = shutil.disk_usage(there)
    except OSError:
        return DiskPart(Overall.DEGRADED, None, None)
    state = Overall.DEGRADED if usage.free < LOW else Overall.OK
    return DiskPart(Overall.DOWN if usage.free < FULL else state, usage.free, usage.total)


async def _in_time(answer: Awaitable[_T]) -> _T | None:
    """Return the answer if it comes within `PATIENCE`; None otherwise, or for an error."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await answer
    except Exception:
        return None


def _worst(found: Health | CommuneHealth) -> Overall:
    states = [found.status, *(state for _, _, state in parts(found))]
    return max(states, key=list(Overall).index)
