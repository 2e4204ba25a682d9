"""The composition root: database, catalogue, use cases, timers and HTTP.

The order of a shutdown: readiness goes off and timers stop; no new claims; calls under way end, or
are cut after the grace time; HTTP closes; the database closes.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from fastapi import FastAPI

from gateway import timers
from gateway.catalogue.catalogue import Catalogue, Settings
from gateway.contracts.running import CatalogueSource
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.system_errors import system_error
from gateway.flow import departures, masters
from gateway.flow.departures import without
from gateway.flow.engine import Engine, open_engine
from gateway.flow.reconcile import SETTLE
from gateway.flow.sealing import bind, open_sealer, seal_what_was_before
from gateway.flow.texts import say
from gateway.following import Following, log_refused
from gateway.ops import supervisor
from gateway.ops.at_rest import open_to_others
from gateway.ops.metrics import Metrics
from gateway.store import decommissions, installation, renewals, schema
from gateway.store.engine import Database
from gateway.store.notices import MEMORY, Notices
from gateway.store.postgres import require_sessions
from gateway.store.sealer import Sealer
from gateway.telemetry import sparingly
from gateway.web import connection
from gateway.web.application import application, operations
from gateway.web.serving import come_again, listeners, serving_http, serving_operations
from gateway.web.state import DaemonCondition
from gateway.wire.budget import raise_file_limit
from gateway.wire.spool import Spool
from gateway.wire.vault import VaultFailure

log = structlog.get_logger()

#: Seconds between two questions to a key service that is away at the start.
WAIT = 5.0
#: Seconds after which a thread yields to the loop, which asks several times in one turn while
#: others read large bodies. Python's default is 5 ms.
SWITCH = 0.0005


class Role(StrEnum):
    """The part of the work that this replica does. Several replicas need PostgreSQL."""

    ALL = "all"
    INTAKE = "intake"
    DISPATCH = "dispatch"


class AlreadyRunning(GatewayError):
    """Another process uses this SQLite database."""


def _lock(file: IO[str]) -> None:
    """Take the lock of the data directory. A command that tests the lock holds it for a moment."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        time.sleep(0.1)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def only_process(data_dir: Path) -> Any:
    """Reserve the data directory for this process. Raises AlreadyRunning."""
    try:
        data_dir.mkdir(0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        file: IO[str] = os.fdopen(lock, "a+")
    except OSError as error:
        place, why = str(data_dir), system_error(error)
        raise GatewayError(say("data_dir", place=place, error=why)) from None
    try:
        _lock(file)
    except OSError:
        file.seek(0)
        pid = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunning(say("already_running", pid=pid, place=str(data_dir))) from None
    try:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
    finally:
        file.close()


async def serve(
    catalogue: Catalogue,
    *,
    source: CatalogueSource | None = None,
    role: Role = Role.ALL,
    ready: asyncio.Event | None = None,
    stop: asyncio.Event | None = None,
    settle: timedelta = SETTLE,
) -> None:
    """Run the daemon until SIGTERM, SIGINT or `stop`. `ready` is set once the daemon takes
    requests.

    Changes at the portal that are younger than `settle` are left to their push.

    `source` says which releases run, and is followed; `catalogue` then gives the settings only.
    Without a source, `catalogue` runs as it is, unsigned.

    Raises GatewayError for a fault that an operator must repair: the database, an address in use,
    releases that cannot run.
    """
    raise_file_limit()
    sys.setswitchinterval(SWITCH)
    url = catalogue.settings.database.get_secret_value()
    data_dir = catalogue.settings.data_dir
    alone = url.startswith("sqlite")
    if alone and role is not Role.ALL:
        raise GatewayError(say("role_needs_postgresql", role=role.value))
    with only_process(data_dir) if alone else nullcontext():
        try:
            Spool(data_dir).close()
        except Unavailable as error:
            place = str(data_dir)
            raise GatewayError(say("data_dir", place=place, error=error.said)) from None
        if not alone:
            await asyncio.to_thread(require_sessions, url)
        stop = stop or asyncio.Event()
        sealer = await _open_sealer(catalogue.settings, stop)
        if stop.is_set():  # while it waited
            return
        if (await asyncio.to_thread(schema.status, url)).current is None:
            # Shows an operator who mistyped the place of another database.
            log.warning(
                "database.new",
                database=url.removeprefix("sqlite:///") if alone else "PostgreSQL",
                what="there is nothing in it: its tables are made now",
                remedy="where there should be requests: stop, and look at data_dir and database",
            )
        await asyncio.to_thread(schema.upgrade, url)
        log.info("gateway.data", data_dir=str(data_dir.absolute()))
        for found in open_to_others(catalogue.settings):
            log.warning("data.open", place=found.file, what=found.what, remedy=found.remedy)
        database = Database(url, sealer)
        database.first = installation.notice_move
        try:
            await bind(database, catalogue.settings)
            await _serve(catalogue, source, role, database, ready or asyncio.Event(), stop, settle)
        finally:
            database.close()


async def _open_sealer(settings: Settings, stop: asyncio.Event) -> Sealer | None:
    """Return the Sealer once its keys can be had. Until then every call is answered 503, and what
    was pushed comes again. None when `stop` is set meanwhile."""
    try:
        return await asyncio.to_thread(open_sealer, settings)
    except VaultFailure as error:
        away = [error]
    loop = asyncio.get_running_loop()
    ends = (signal.SIGTERM, signal.SIGINT)
    for number in ends:
        loop.add_signal_handler(number, stop.set)
    try:
        waits = come_again(lambda: away[0])
        with listeners(settings) as (listener, ops_listener):
            async with serving_http(waits, listener), serving_operations(waits, ops_listener):
                supervisor.notify_supervisor(supervisor.READY)
                while True:
                    sparingly(log.error, "sealing.waiting", why=str(away[0]))
                    with suppress(TimeoutError):
                        async with asyncio.timeout(WAIT):
                            await stop.wait()
                        return None
                    try:
                        return await asyncio.to_thread(open_sealer, settings)
                    except VaultFailure as error:
                        away[0] = error
    finally:
        for number in ends:
            loop.remove_signal_handler(number)


async def _serve(
    catalogue: Catalogue,
    source: CatalogueSource | None,
    role: Role,
    database: Database,
    ready: asyncio.Event,
    stop: asyncio.Event | None,
    settle: timedelta,
) -> None:
    stop, renew = stop or asyncio.Event(), asyncio.Event()
    asked = await database.read(renewals.last_order)  # read before the secrets are
    if source is not None:
        catalogue = await source.catalogue(database)
        log_refused(catalogue)
    elif catalogue.communes:
        log.warning("release.unsigned", communes=sorted(catalogue.communes))
    catalogue = without(catalogue, await database.read(decommissions.gone))
    loop = asyncio.get_running_loop()
    signals = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: renew}
    with listeners(catalogue.settings) as (listener, ops_listener):
        for number, event in signals.items():
            loop.add_signal_handler(number, event.set)
        try:
            alone = database.dialect == "sqlite"
            condition = DaemonCondition()
            metrics = Metrics(condition.stalls, connection.refused)
            async with open_engine(
                catalogue, database, alone=alone, settle=settle, observer=metrics
            ) as engine:
                await engine.eraser.begin()
                await engine.reconciler.connect()
                await engine.attachments.check_reach()
                if alone:
                    await engine.attachments.adopt_orphans()
                following = None
                if source is not None:
                    following = Following(engine, source, asked, renew)
                app = _application(engine, condition, metrics, role)
                ops = operations(engine, condition, metrics)
                with _notices(engine, alone):
                    async with serving_operations(ops, ops_listener):
                        await _run(engine, app, condition, following, role, listener, ready, stop)
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
    log.info("gateway.stopped")


def _application(
    engine: Engine, condition: DaemonCondition, metrics: Metrics, role: Role
) -> FastAPI:
    intake = role is not Role.DISPATCH
    if engine.console is None:
        return application(engine, condition, metrics, intake=intake)
    from gateway.console.opening import console_application  # few have it

    return console_application(engine, engine.console, condition, metrics, intake=intake)


async def _run(
    engine: Engine,
    app: FastAPI,
    condition: DaemonCondition,
    following: Following | None,
    role: Role,
    listener: socket.socket,
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Run the timers, the lanes and HTTP until `stop`."""
    settings = engine.catalogue.settings
    async with serving_http(app, listener) as port, asyncio.TaskGroup() as group:
        work: asyncio.Task[None] | None = None
        sealing: asyncio.Task[None] | None = None
        scheduler = timers.schedule_counts(engine)
        if role is not Role.INTAKE:
            work = group.create_task(engine.lanes.run(), name="lanes")
            sealing = group.create_task(_seal(engine), name="sealing")
            scheduler = timers.schedule(engine)
            engine.lanes.supervisor.on_clock_step = lambda: timers.restart(scheduler)
        keeping = group.create_task(_keep_masters(engine), name="masters")
        leaving = group.create_task(_follow_departures(engine, scheduler), name="departures")
        scheduler.start()
        spare_the_collector()
        condition.ready = True
        supervisor.notify_supervisor(supervisor.READY)
        log.info(
            "gateway.started",
            host=settings.host,
            port=port,
            role=role.value,
            communes=len(engine.catalogue.communes),
            calls=engine.far_ends.shared.turns.most,
        )
        if following is not None:
            await following.begin(scheduler)
        ready.set()
        with condition.stalls:
            if following is None:
                await stop.wait()
            else:
                await following.until(stop)
        if following is not None:
            await following.end()
        log.info("gateway.stopping", grace=settings.shutdown_grace)
        condition.ready = False
        supervisor.notify_supervisor(supervisor.STOPPING)
        timers.end(scheduler)
        await engine.lanes.stop(settings.shutdown_grace)
        for task in (work, sealing, keeping, leaving):
            if task is not None:
                task.cancel()


async def _follow_departures(engine: Engine, scheduler: AsyncIOScheduler) -> None:
    """Serve communes no more that are gone, and ask their GRUs nothing."""
    while True:
        await asyncio.sleep(departures.REFRESH)
        with suppress(Unavailable):  # health reports it
            if await engine.follow_departures(engine.catalogue.settings.shutdown_grace):
                timers.plan_polls(engine, scheduler)


async def _keep_masters(engine: Engine) -> None:
    """Learn the keys of periods that others make, and look whether the key service is there."""
    keeper = engine.masters
    while keeper is not None:
        await engine.environment.sleep(masters.REFRESH)
        try:
            await keeper.refresh_or_log()
        except Unavailable:
            pass  # health reports it
        except Exception as error:  # what runs goes on
            log.error("sealing.failed", error=type(error).__name__)


async def _seal(engine: Engine) -> None:
    """Seal what was stored before the sealing. Replicas may do it together."""
    while True:
        try:
            await seal_what_was_before(engine.store, engine.environment)
            return
        except Unavailable:
            await asyncio.sleep(10)
        except Exception as error:  # what runs goes on
            log.error("sealing.failed", error=type(error).__name__)
            return


def spare_the_collector() -> None:
    """Exclude all present objects from garbage collection, and run the collector less often.

    By default it took an eighth of the time of a delivery. Requests and deliveries leave few
    reference cycles, so rarer runs cost hardly any memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@contextmanager
def _notices(engine: Engine, alone: bool) -> Iterator[None]:
    """On PostgreSQL, wake a lane when any replica queues a delivery on it."""
    if alone:
        yield
        return
    loop = asyncio.get_running_loop()

    def heard(lane: str | None) -> None:
        if lane is None:
            loop.call_soon_threadsafe(engine.lanes.wake_all)
        elif lane == MEMORY:
            loop.call_soon_threadsafe(engine.lanes.refresh)
        else:
            loop.call_soon_threadsafe(engine.lanes.wake, lane)

    notices = Notices(engine.catalogue.settings.database.get_secret_value(), heard)
    try:
        yield
    finally:
        notices.close()
