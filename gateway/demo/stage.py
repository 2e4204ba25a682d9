"""The stage: simulated far ends on loopback sockets, and the real daemon between them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path

import httpx

from gateway import app
from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.registry import GROUP, installed
from gateway.catalogue.relays import relay_of
from gateway.core.errors import ConfigurationFault, GatewayError
from gateway.core.ids import REFERENCE
from gateway.demo.files import (
    CANARY,
    Addresses,
    shipped_mappings,
    write_configuration,
    write_secrets,
)
from gateway.demo.samples import NEIGHBOURS, SUBMITTER, ZOE, neighbour
from gateway.demo.texts import say
from gateway.flow.reconcile import SETTLE
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.glc import SimulatedGlc
from gateway.sim.open311 import Attribute, Open311, Service
from gateway.sim.portal import SimulatedPortal
from gateway.sim.server import run_server
from gateway.sim.ticketing import Ticketing
from gateway.sim.workflow import read_workflow
from gateway.wire.wcs_workflow import workflow_of

#: The adapters of the two communes; other plugins have no part in the demo.
ADAPTERS = frozenset({"open311", "rest"})
#: Seconds for a separate daemon to be ready, and to stop.
START, STOP = 60.0, 20.0
BRON = "69029"
VILLEURBANNE = "69266"


@dataclass(slots=True)
class Daemon:
    """The daemon as `serve` runs it. A scenario may stop and start it.

    `fell` is set when the daemon ends by itself; the play is then over.
    """

    fell: asyncio.Event
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def start(self, catalogue: Catalogue, settle: timedelta = SETTLE) -> None:
        """Start it. Raises GatewayError when it does not become ready."""
        ready, self._stop = asyncio.Event(), asyncio.Event()
        serving = app.serve(catalogue, ready=ready, stop=self._stop, settle=settle)
        self._task = task = asyncio.create_task(serving, name="daemon")
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
            raise GatewayError(say("ended_early"))
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop it in order."""
        task, self._task = self._task, None
        if task is not None:
            self._stop.set()
            await task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task is self._task:  # by a signal or a fault: nobody here asked for it
            self.fell.set()


class DaemonApart:
    """A daemon in a separate process, whose use of the machine can be measured."""

    def __init__(
        self, url: str, config: Path, mappings: Path, errors: Path, *, dev: bool = True
    ) -> None:
        """`dev`: it runs the files as they are, signed or not."""
        self._url = url
        how = ("--dev",) if dev else ()
        self._command = ("serve", *how, "--config", str(config), "--mappings", str(mappings))
        self._errors = errors
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Return its process id. Raises GatewayError when it does not run."""
        if self._process is None or self._process.returncode is not None:
            raise GatewayError(say("not_running"))
        return self._process.pid

    def memory(self, name: str = "VmRSS") -> int:
        """Return its resident bytes now (`VmHWM`: at most so far). Raises GatewayError."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii", "replace")
        found = re.search(rf"^{name}:\s*(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def worked(self) -> float:
        """Return its processor seconds since the start. Raises GatewayError."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii", "replace").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    async def start(self, catalogue: Catalogue | None = None, settle: timedelta = SETTLE) -> None:
        """Start it. Raises GatewayError when it does not become ready."""
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway",
                *self._command,
                stderr=errors,
                start_new_session=True,
            )
        deadline = time.monotonic() + START
        async with httpx.AsyncClient(trust_env=False) as client:
            while time.monotonic() < deadline and self._process.returncode is None:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{self._url}/ops/ready")).is_success:
                        return
                await asyncio.sleep(0.1)
        raise GatewayError(say("not_ready", errors=self._errors.read_text()[-2000:]))

    async def stop(self) -> None:
        """Stop it in order, or at once when that takes too long."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@dataclass(slots=True)
class Stage:
    """All parts of the play. `dice` is seeded. `stop` is set by Ctrl-C, and ends the daemon."""

    folder: Path
    config: Path
    mappings: Path
    catalogue: Catalogue
    url: str
    portal: SimulatedPortal
    bron: Open311
    villeurbanne: Ticketing
    addresses: Addresses
    caller_key: str
    dice: random.Random
    glc: SimulatedGlc = field(default_factory=SimulatedGlc)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    #: Number of requests, for scenarios that ask; None: the scenario's own.
    size: int | None = None
    #: The key of Villeurbanne's own workflows.
    commune_key: str = ""
    daemon: Daemon | DaemonApart = field(init=False)

    def __post_init__(self) -> None:
        self.daemon = Daemon(self.stop)

    async def push(self, item: SimulatedFormdata) -> None:
        """Push a formdata once, signed, as the portal's workflow does."""
        insee = str(item.fields["commune_raw"])
        slug = item.form.slug
        await self.portal.push(
            item.id, intake(self.url, insee, slug), self.caller_key, slug=slug, orig="toodego"
        )

    def reference_of(self, slug: str, formdata_id: str) -> str | None:
        """Return our id of a formdata, as our answer told the portal."""
        for one in self.portal.pushes:
            if (one.slug, one.id) == (slug, formdata_id):
                found = REFERENCE.search(json.dumps(one.verdict.body))
                if found is not None:
                    return found.group()
        return None


def intake(url: str, insee: str, slug: str) -> str:
    """Return the address for requests of one commune and one teleservice."""
    return f"{url}/portal/v1/communes/{insee}/teleservices/{slug}/requests"


def webhook(url: str, insee: str, gru: str) -> str:
    """Return the address for a GRU's webhook."""
    return f"{url}/gru/v1/communes/{insee}/webhooks/{gru}"


@asynccontextmanager
async def open_stage(
    seed: int, port: int, size: int | None = None, *, apart: bool = False, console: bool = False
) -> AsyncIterator[Stage]:
    """Start everything in a temporary folder, which is removed at the end.

    `port` is the daemon's, 0 for any free one. `apart`: the daemon is a separate process, and the
    two communes share a form. `console`: it has one. Raises GatewayError.
    """
    mappings = shipped_mappings()
    async with AsyncExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="gru-gateway-demo-"))
        folder = Path(name)
        keys = write_secrets(folder)
        portal = SimulatedPortal(keys={"gru-gateway": keys["portal-key"]})
        bron = Open311(api_key=keys["open311-key"], extended=True, services=services())
        villeurbanne = Ticketing(token=keys["ticketing-token"], webhook_key=keys["webhook-key"])
        glc = SimulatedGlc(clients={"passerelle": keys["glc-password"]})
        glc.create(CANARY, ZOE, SUBMITTER, *(neighbour(n) for n in range(NEIGHBOURS)))
        portal_at = await stack.enter_async_context(run_server(portal.app))
        bron_at = await stack.enter_async_context(run_server(bron.app))
        villeurbanne_at = await stack.enter_async_context(run_server(villeurbanne.app))
        glc_at = await stack.enter_async_context(run_server(glc.app))
        portal.base_url, bron.base_url, glc.base_url = portal_at.url, bron_at.url, glc_at.url
        addresses = Addresses(
            portal_at.url, bron_at.url, villeurbanne_at.url, port or free_port(), glc_at.url
        )
        config = write_configuration(folder, addresses, shared=apart, console=console)
        points = (p for p in entry_points(group=GROUP) if p.name in ADAPTERS)
        catalogue = build(read_bundle(config, mappings), environ={}, adapters=installed(points))
        import_workflows(catalogue, portal)
        url = catalogue.settings.public_url
        villeurbanne.webhook_url = webhook(url, VILLEURBANNE, "education")
        stage = Stage(
            folder=folder,
            config=config,
            mappings=mappings,
            catalogue=catalogue,
            url=url,
            portal=portal,
            bron=bron,
            villeurbanne=villeurbanne,
            addresses=addresses,
            caller_key=keys["caller-key"],
            commune_key=keys["villeurbanne-key"],
            dice=random.Random(seed),
            glc=glc,
            size=size,
        )
        if apart:
            stage.daemon = DaemonApart(url, config, mappings, folder / "errors")
            until_interrupted(stage.stop, stack)
        await stage.daemon.start(catalogue)
        stack.push_async_callback(stage.daemon.stop)
        yield stage


def import_workflows(catalogue: Catalogue, simulated: SimulatedPortal) -> None:
    """Have the portal follow what `portal workflow` writes, as its designer has it; where no one
    workflow can serve all communes, it follows the shipped one."""
    for name, portal in catalogue.portals.items():
        for slug in portal.teleservices:
            with suppress(ConfigurationFault):
                made, _ = relay_of(catalogue, slug, portal=name)
                simulated.define(slug, workflow=read_workflow(workflow_of(made)))


def until_interrupted(stop: asyncio.Event, stack: AsyncExitStack) -> None:
    """Let Ctrl-C and SIGTERM set `stop`, as a daemon in this process would."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
        stack.callback(loop.remove_signal_handler, number)


def services() -> dict[str, Service]:
    """Return the services of the demo's Open311 server."""
    attributes = (
        Attribute("toodego_ref", "Référence Toodego", required=True),
        Attribute("toodego_numero", "Numéro affiché à l'usager"),
    )
    services = (
        Service("DS01", "Dépôt sauvage", "Propreté", attributes),
        Service("VO01", "Voirie", "Espace public", attributes),
        Service("EC01", "Éclairage", "Espace public", attributes),
    )
    return {service.code: service for service in services}


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
