"""Opens a sandbox: its configuration, the gateway, the simulated far ends, the first requests."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.registry import GROUP, installed
from gateway.demo.files import shipped_mappings
from gateway.demo.stage import import_workflows
from gateway.flow.engine import Engine, open_engine
from gateway.flow.sealing import bind, open_sealer
from gateway.ops.metrics import Metrics
from gateway.sandbox.acts import LANE, CitizenActs
from gateway.sandbox.clock import FastClock
from gateway.sandbox.exchanges import ExchangeLog
from gateway.sandbox.files import (
    GLC,
    PORTAL,
    SandboxSecrets,
    pivot_teleservices,
    sandbox_secrets,
    write_sandbox,
)
from gateway.sandbox.gate import PivotGate
from gateway.sandbox.memory import SandboxMemory
from gateway.sandbox.pushing import PushLine
from gateway.sandbox.sandbox import Sandbox, SandboxOptions
from gateway.sim.glc import SimulatedGlc
from gateway.sim.portal import SimulatedPortal
from gateway.store import schema
from gateway.store.engine import Database
from gateway.web import connection
from gateway.web.application import application
from gateway.web.state import DaemonCondition
from gateway.wire.clients import ConnectorTransport


@asynccontextmanager
async def open_sandbox(
    options: SandboxOptions, *, line: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[Sandbox]:
    """Set a sandbox up, file its first requests, and run it until the block ends.

    `line` is the transport to the half-connector; None: the network. Raises GatewayError.
    """
    mappings = shipped_mappings()
    teleservices = pivot_teleservices(mappings)
    async with AsyncExitStack() as stack:
        folder = _folder(stack, options)
        secrets = sandbox_secrets(folder)
        memory = SandboxMemory(folder if options.keep is not None else None)
        clock = FastClock(options.speed, memory.begin())
        portal, glc = _simulated(secrets, clock)
        config = write_sandbox(
            folder, public_url=options.public_url, teleservices=teleservices, push=options.push
        )
        points = (p for p in entry_points(group=GROUP) if p.name == "pivot")
        catalogue = build(read_bundle(config, mappings), environ={}, adapters=installed(points))
        import_workflows(catalogue, portal)
        ledger = ExchangeLog()
        pushing = PushLine(line or ConnectorTransport(8), secrets.signing, ledger, clock.now)
        stack.push_async_callback(pushing.close_line)
        engine, app = await _gateway(stack, catalogue, clock, _transports(portal, glc, pushing))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app))
        portal.client = await stack.enter_async_context(client)
        sandbox = Sandbox(
            options=options,
            folder=folder,
            mappings=mappings,
            teleservices=teleservices,
            secrets=secrets,
            clock=clock,
            engine=engine,
            app=app,
            portal=portal,
            glc=glc,
            line=pushing,
            gate=PivotGate(app, ledger, clock.now),
            ledger=ledger,
            memory=memory,
            acts=CitizenActs(engine, portal, glc),
            dice=random.Random(options.seed),
        )
        sandbox.gate.claimed, sandbox.gate.ending = sandbox.followed, sandbox.before_the_end
        sandbox.recall()
        if options.seeded and not sandbox.requests:
            await _seed(sandbox)
        ticking = asyncio.create_task(sandbox.run_clock(), name="sandbox")
        try:
            yield sandbox
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking


def _folder(stack: AsyncExitStack, options: SandboxOptions) -> Path:
    """Return the folder of the options, or a temporary one that goes with the stack."""
    folder = options.keep
    if folder is None:
        made = tempfile.TemporaryDirectory(prefix="gru-gateway-sandbox-")
        folder = Path(stack.enter_context(made))
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _simulated(secrets: SandboxSecrets, clock: FastClock) -> tuple[SimulatedPortal, SimulatedGlc]:
    portal = SimulatedPortal(keys={"gru-gateway": secrets.portal_key}, clock=clock.now)
    portal.base_url = PORTAL
    glc = SimulatedGlc(clients={"passerelle": secrets.glc_password}, clock=clock.now)
    glc.base_url = GLC
    return portal, glc


async def _seed(sandbox: Sandbox) -> None:
    """File the first requests: one for each teleservice, and one of each kind."""
    for teleservice in sandbox.teleservices:
        await sandbox.perform("plain", teleservice)
        await sandbox.perform("large_file", teleservice)
    for word in ("emoji", "right-to-left", "long", "message", "erasure", "history"):
        await sandbox.perform(word)


async def _gateway(
    stack: AsyncExitStack, catalogue: Catalogue, clock: FastClock, transports: Any
) -> tuple[Engine, FastAPI]:
    """Start the gateway in this process; closing the stack stops it."""
    url = catalogue.settings.database.get_secret_value()
    catalogue.settings.data_dir.mkdir(0o700, parents=True, exist_ok=True)
    await asyncio.to_thread(schema.upgrade, url)
    database = Database(url, open_sealer(catalogue.settings))
    stack.callback(database.close)
    await bind(database, catalogue.settings)
    condition = DaemonCondition(ready=True, started_at=clock.now())
    metrics = Metrics(condition.stalls, connection.refused)
    opened = open_engine(
        catalogue,
        database,
        environment=clock.environment(),
        transport=transports,
        observer=metrics,
    )
    engine = await stack.enter_async_context(opened)
    await engine.reconciler.connect()
    working = asyncio.create_task(engine.lanes.run(engine.lane_names()), name="lanes")

    async def stop() -> None:
        await engine.lanes.stop(catalogue.settings.shutdown_grace)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    stack.push_async_callback(stop)
    return engine, application(engine, condition, metrics)


def _transports(portal: SimulatedPortal, glc: SimulatedGlc, line: PushLine) -> Any:
    """Return the transports by lane: only the half-connector is outside this process."""
    inside = httpx.ASGITransport(portal.app)
    identity = httpx.ASGITransport(glc.app)

    def transport(lane: str) -> httpx.AsyncBaseTransport:
        if lane == LANE:
            return line
        return identity if lane == "glc" else inside

    return transport
