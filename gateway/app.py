"""The composition root: database, catalogue, use cases, timers and HTTP under one roof.

Shutdown, in order: readiness off and timers stopped; no new claims; calls under way finish or are
cut after the grace time; the HTTP side closes; the database closes last.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from socket import socket as Socket
from typing import IO, Any

import structlog
import uvicorn
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway import timers
from gateway.catalogue.catalogue import Catalogue, Settings
from gateway.contracts.running import Source
from gateway.core.errors import ConfigurationFault, GatewayError, Unavailable
from gateway.flow.engine import Engine, open_engine
from gateway.flow.reconcile import SETTLE
from gateway.ops.at_rest import open_to_others
from gateway.store import installation, said
from gateway.store.engine import Database
from gateway.store.notices import MEMORY, Notices
from gateway.store.postgres import require_sessions
from gateway.store.schema import upgrade
from gateway.web.application import application
from gateway.web.connection import BoundedConnection
from gateway.web.state import Condition
from gateway.wire.budget import raise_file_limit
from gateway.wire.spool import Spool

log = structlog.get_logger()

#: How often the daemon looks whether another release is active, in seconds.
FOLLOW = 3.0


#: Seconds for which a thread may keep the interpreter from the loop, which asks for it several
#: times in one turn while large bodies are read beside it. Python's own are 5 ms.
SWITCH = 0.0005


class Role(StrEnum):
    """What one replica does. Several need PostgreSQL."""

    ALL = "all"
    INTAKE = "intake"
    DISPATCH = "dispatch"


class AlreadyRunning(GatewayError):
    """Another process works on this SQLite database."""


@contextmanager
def only_process(data_dir: Path) -> Any:
    """Hold the data directory for this process alone. Raises AlreadyRunning."""
    try:
        data_dir.mkdir(0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        file: IO[str] = os.fdopen(lock, "a+")
    except OSError as error:
        raise GatewayError(f"data_dir {data_dir} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        pid = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunning(
            f"another gateway (process {pid}) works on {data_dir}; with SQLite there is one"
        ) from None
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
    source: Source | None = None,
    role: Role = Role.ALL,
    ready: asyncio.Event | None = None,
    stop: asyncio.Event | None = None,
    settle: timedelta = SETTLE,
) -> None:
    """Run the daemon until SIGTERM, SIGINT or `stop`. `ready` is set once it takes requests.

    `settle`: what changed so lately at the portal is left to its push.

    What runs is what `source` says, followed as it changes; `catalogue` then gives the settings
    alone. Without one, `catalogue` is run as it stands, which is unsigned.

    Raises GatewayError for what an operator must mend (database, address in use, releases that are
    not fit to run).
    """
    raise_file_limit()
    sys.setswitchinterval(SWITCH)
    url = catalogue.settings.database.get_secret_value()
    data_dir = catalogue.settings.data_dir
    alone = url.startswith("sqlite")
    if alone and role is not Role.ALL:
        raise GatewayError(f"role {role.value} needs PostgreSQL; with SQLite there is one process")
    with only_process(data_dir) if alone else nullcontext():
        try:
            Spool(data_dir).close()
        except Unavailable as error:
            raise GatewayError(f"data_dir {data_dir} cannot be used: {error.text}") from None
        if not alone:
            await asyncio.to_thread(require_sessions, url)
        await asyncio.to_thread(upgrade, url)
        log.info("gateway.data", data_dir=str(data_dir.absolute()))
        for found in open_to_others(catalogue.settings):
            log.warning("data.open", place=found.file, what=found.what, remedy=found.remedy)
        database = Database(url)
        database.first = installation.look
        try:
            await _serve(catalogue, source, role, database, ready or asyncio.Event(), stop, settle)
        finally:
            database.close()


async def _serve(
    catalogue: Catalogue,
    source: Source | None,
    role: Role,
    database: Database,
    ready: asyncio.Event,
    stop: asyncio.Event | None,
    settle: timedelta,
) -> None:
    """One engine after another over one socket: what connects in between waits in its queue."""
    stop = stop or asyncio.Event()
    running: Catalogue | None = catalogue
    if source is not None:
        running = await source.catalogue(database)
        tell_refused(running)
    elif catalogue.communes:
        log.warning("release.unsigned", communes=sorted(catalogue.communes))
    loop = asyncio.get_running_loop()
    with _listening(catalogue.settings) as socket:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            condition = Condition()
            while running is not None:
                alone = database.dialect == "sqlite"
                async with open_engine(running, database, alone=alone, settle=settle) as engine:
                    await engine.eraser.check_key()
                    await engine.reconciler.connect()
                    await engine.attachments.check_reach()
                    if alone:
                        await engine.attachments.inherit()
                    with _notices(engine, alone):
                        running = await _run(engine, source, role, socket, condition, ready, stop)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
    log.info("gateway.stopped")


async def _run(
    engine: Engine,
    source: Source | None,
    role: Role,
    socket: Socket,
    condition: Condition,
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> Catalogue | None:
    """Work until `stop` (None), or until another catalogue is to run (which it gives)."""
    settings = engine.catalogue.settings
    async with _http(engine, role, condition, socket) as port, asyncio.TaskGroup() as group:
        work: asyncio.Task[None] | None = None
        scheduler = AsyncIOScheduler()
        if role is not Role.INTAKE:
            work = group.create_task(engine.lanes.run(), name="lanes")
            scheduler = timers.plan(engine)
            engine.lanes.watch.on_step = lambda: timers.restart(scheduler)
        scheduler.start()
        spare_the_collector()
        condition.ready = True
        log.info(
            "gateway.started",
            host=settings.host,
            port=port,
            role=role.value,
            communes=len(engine.catalogue.communes),
            calls=engine.far_ends.shared.turns.most,
        )
        await _say(engine)
        ready.set()
        with condition.stalls:
            following = await _until(engine, source, stop, scheduler)
        await _say_nothing(engine)
        if following is None:
            log.info("gateway.stopping", grace=settings.shutdown_grace)
            condition.ready = False
        else:
            log.info("release.taken", communes=len(following.communes), anew=True)
        timers.end(scheduler)
        await engine.lanes.stop(settings.shutdown_grace)
        if work is not None:
            work.cancel()
    return following


def spare_the_collector() -> None:
    """What a process has built to work with stays: garbage is not looked for in it again and again.

    By default an eighth of the work on a delivery was such looking. Little of what a request or a
    delivery leaves is in cycles, so that rarer looks cost no memory to speak of.
    """
    gc.unfreeze()  # what the releases before left
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _until(
    engine: Engine, source: Source | None, stop: asyncio.Event, scheduler: AsyncIOScheduler
) -> Catalogue | None:
    """None at a stop. Releases are followed meanwhile; what cannot be, since settings of ours
    changed as well, is returned: an engine is to be opened for it.

    Releases that are not fit to run are told once, and what runs goes on.
    """
    taking: set[asyncio.Task[None]] = set()
    try:
        while True:
            try:
                async with asyncio.timeout(None if source is None else FOLLOW):
                    await stop.wait()
            except TimeoutError:
                pass
            else:
                return None
            following = None if source is None else await _released(engine, source)
            if following is None:
                continue
            if not engine.fits(following):
                return following
            # A commune that hangs must not hold up the next release of another.
            task = asyncio.create_task(_take_release(engine, following, scheduler))
            taking.add(task)
            task.add_done_callback(taking.discard)
    finally:
        for task in taking:
            task.cancel()
        await asyncio.gather(*taking, return_exceptions=True)


async def _released(engine: Engine, source: Source) -> Catalogue | None:
    """What is to run from now on; None when that is what runs."""
    try:
        # Held against what is to run: a commune may still be on its way there.
        if await source.changed(engine.store, engine.far_ends.aimed):
            following = await source.catalogue(engine.store)
            tell_refused(following, engine.catalogue)
            return following.keeping(engine.catalogue)
    except Unavailable:
        pass  # health says so already
    except ConfigurationFault as error:
        for fault in error.faults:
            log.error("release.refused", where=fault.file, line=fault.line, what=fault.what)
    return None


async def _say(engine: Engine) -> None:
    """Have the commands know what runs, and what does not."""
    catalogue = engine.catalogue
    words: dict[str, tuple[str, str | None]] = {
        insee: (digest, None) for insee, digest in (catalogue.releases or {}).items()
    }
    for insee, refused in catalogue.refused.items():
        words[insee] = (refused.digest, "; ".join(map(str, refused.faults)))
    with suppress(Unavailable):  # it is said of the next release again
        await engine.store.write(said.say, words, engine.world.now())


async def _say_nothing(engine: Engine) -> None:
    with suppress(Unavailable):
        await engine.store.write(said.say, {}, engine.world.now())


def tell_refused(catalogue: Catalogue, before: Catalogue | None = None) -> None:
    """Say which communes wait, since their release is not fit to run; once."""
    for insee, refused in catalogue.refused.items():
        if before is not None and before.refused.get(insee) == refused:
            continue
        for fault in refused.faults:
            log.error(
                "release.refused",
                commune=insee,
                where=fault.file,
                line=fault.line,
                what=fault.what,
                remedy=fault.remedy,
            )


async def _take_release(engine: Engine, following: Catalogue, scheduler: AsyncIOScheduler) -> None:
    try:
        changed = await engine.follow(following, engine.catalogue.settings.shutdown_grace)
    finally:
        timers.plan_polls(engine, scheduler)
    await _say(engine)
    with suppress(Unavailable):  # each reconcile does the same
        await engine.reconciler.connect()
    log.info("release.taken", communes=len(following.communes), changed=len(changed))


@contextmanager
def _listening(settings: Settings) -> Iterator[Socket]:
    async def nothing(*_: object) -> None: ...

    config = uvicorn.Config(nothing, host=settings.host, port=settings.port, log_config=None)
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise GatewayError(
            f"cannot listen on {settings.host}:{settings.port}: the address is in use or not ours"
        ) from None
    try:
        yield socket
    finally:
        socket.close()


@asynccontextmanager
async def _http(
    engine: Engine, role: Role, condition: Condition, socket: Socket
) -> AsyncIterator[int]:
    config = uvicorn.Config(
        application(engine, condition, intake=role is not Role.DISPATCH),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        http=BoundedConnection,
        ws="none",
        proxy_headers=False,  # nothing is decided on who is said to have called
        server_header=False,
    )
    server = uvicorn.Server(config)
    # The gateway handles the signals itself, to stop in its own order.
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[socket.dup()]), name="http")
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    try:
        yield socket.getsockname()[1]
    finally:
        server.should_exit = True
        await task


@contextmanager
def _notices(engine: Engine, alone: bool) -> Iterator[None]:
    """With PostgreSQL, wake a lane when any replica has queued something on it."""
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


@contextmanager
def _no_signals() -> Any:
    yield
