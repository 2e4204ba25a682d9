"""The stage: a GRU for each commune, a portal, an identity provider, and the daemon, which an
operator runs by its command line."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.errors import GatewayError
from gateway.demo.files import CANARY, write_secrets
from gateway.demo.metropole.files import (
    BackOffice,
    Member,
    far_ends_of,
    members,
    secrets_of,
    write_gateway,
    write_mappings,
    write_member,
)
from gateway.demo.samples import NEIGHBOURS, SUBMITTER, ZOE, neighbour
from gateway.demo.stage import DaemonApart, free_port, services, until_interrupted
from gateway.demo.story import Story
from gateway.demo.texts import say
from gateway.sim.faults import Faults
from gateway.sim.glc import SimulatedGlc
from gateway.sim.open311 import Open311
from gateway.sim.portal import SimulatedPortal
from gateway.sim.server import run_server
from gateway.sim.ticketing import Ticketing

#: Seconds for each commune that an operator needs between two acts: each act is watched for that
#: long, up to `LONGEST`.
EACH, LONGEST = 0.4, 20.0
#: Seconds after which a delivery dies, with few communes and with many.
LIMITS = (6, 25)
FEW = 12


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command. `cpu` is its processor time in seconds."""

    code: int
    seconds: float
    cpu: float
    out: str
    err: str

    @property
    def lines(self) -> int:
        """Return the number of lines that it printed."""
        return len(self.out.splitlines())

    def json(self) -> Any:
        """Return the JSON that it printed."""
        return json.loads(self.out)


class WatchedFarEnd:
    """A far end, and the times at which its read method was called."""

    def __init__(self, app: ASGIApp, method: str = "GET") -> None:
        self._app = app
        self._method = method
        self.reads: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == self._method:
            self.reads.append(time.monotonic())
        await self._app(scope, receive, send)


@dataclass(slots=True)
class SimulatedGru:
    """One commune's GRU, at an address of its own that can be closed."""

    sim: Open311 | Ticketing
    watched: WatchedFarEnd
    url: str = ""
    _listens: bool = False
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def faults(self) -> Faults:
        return self.sim.faults

    async def open(self) -> None:
        """Listen, at the same address as before."""
        if self._listens:
            return
        port = urlsplit(self.url).port or 0
        running = await self._open.enter_async_context(run_server(self.watched, port))
        self.url, self._listens = running.url, True

    async def shut(self) -> None:
        """Stop listening."""
        self._listens = False
        await self._open.aclose()

    def arrived(self) -> list[datetime]:
        """Return the time at which it got each of its requests."""
        if isinstance(self.sim, Open311):
            return [one.requested for one in self.sim.tickets]
        return [one.created for one in self.sim.tickets]

    def held(self) -> Counter[str]:
        """Return our references, with the number of tickets of each."""
        if isinstance(self.sim, Open311):
            found = (one.param("attribute[toodego_ref]") for one in self.sim.tickets)
        else:
            found = (one.external_id for one in self.sim.tickets)
        return Counter(reference for reference in found if reference)


@dataclass(slots=True)
class Town:
    """All parts of the play. `keys` are the portal's signature keys by commune."""

    folder: Path
    config: Path
    mappings: Path
    url: str
    members: Sequence[Member]
    portal: SimulatedPortal
    glc: WatchedFarEnd
    grus: Mapping[str, Mapping[BackOffice, SimulatedGru]]
    keys: dict[str, str]
    daemon: DaemonApart
    dice: random.Random
    story: Story
    stop: asyncio.Event

    @property
    def pause(self) -> float:
        """Return the least number of seconds for which each act is watched."""
        return min(LONGEST, EACH * len(self.members))

    def file_of(self, member: Member) -> Path:
        """Return a commune's file."""
        return self.config / "communes" / f"{member.insee}.yaml"

    async def command(self, *arguments: str) -> CommandResult:
        """Run `gru-gateway` in a separate process with the town's files, and print its progress.

        Raises GatewayError when somebody interrupts.
        """
        begun, worked = time.monotonic(), _worked()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            *arguments,
            "--config",
            str(self.config),
            "--mappings",
            str(self.mappings),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        said = asyncio.gather(_whole(process.stdout), self._echo(process.stderr))
        stopping = asyncio.create_task(self.stop.wait())
        try:
            waited_for: set[asyncio.Future[Any]] = {said, stopping}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                raise GatewayError(say("interrupted"))
            out, err = await said
            code = await process.wait()
        finally:
            stopping.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
            with suppress(asyncio.CancelledError):
                await said
        seconds = time.monotonic() - begun
        cpu = round(_worked() - worked, 1)
        done = CommandResult(code, round(seconds, 1), cpu, out.decode("utf-8"), err)
        shown = " ".join(arguments[:4]) + (" ..." if len(arguments) > 4 else "")
        self.story.say(
            "operator",
            say(
                "command_done",
                command=shown,
                seconds=done.seconds,
                cpu=cpu,
                code=code,
                lines=done.lines,
            ),
        )
        return done

    async def _echo(self, stream: asyncio.StreamReader | None) -> str:
        lines = []
        while stream is not None and (line := (await stream.readline()).decode("utf-8")):
            lines.append(line)
            self.story.say("", line.rstrip())
        return "".join(lines)

    def held(self) -> Counter[str]:
        """Return our references at all GRUs, with the number of tickets of each."""
        found: Counter[str] = Counter()
        for grus in self.grus.values():
            for gru in grus.values():
                found.update(gru.held())
        for ledger in sorted((self.folder / "ledgers").glob("*.json")):
            for reference, entry in json.loads(ledger.read_bytes())["entries"].items():
                found[reference] += len(entry["numbers"])
        return found


@asynccontextmanager
async def open_town(seed: int, port: int, count: int, story: Story) -> AsyncIterator[Town]:
    """Start everything in a temporary folder, with no commune connected; remove the folder at the
    end.

    Raises GatewayError when the daemon does not start.
    """
    async with AsyncExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="gru-gateway-demo-"))
        folder, all_of_them = Path(name), members(count)
        keys = write_secrets(folder, secrets_of(all_of_them))
        portal = SimulatedPortal(keys={"gru-gateway": keys["portal-key"]})
        glc = SimulatedGlc(clients={"passerelle": keys["glc-password"]})
        glc.create(CANARY, ZOE, SUBMITTER, *(neighbour(n) for n in range(NEIGHBOURS)))
        watched = WatchedFarEnd(glc.app, "POST")
        portal.base_url = (await stack.enter_async_context(run_server(portal.app))).url
        glc.base_url = (await stack.enter_async_context(run_server(watched))).url
        port = port or free_port()
        config = write_gateway(
            folder,
            port=port,
            portal=portal.base_url,
            glc=glc.base_url,
            limit=LIMITS[count > FEW],
        )
        grus: dict[str, dict[BackOffice, SimulatedGru]] = {}
        for member in all_of_them:
            own = grus[member.insee] = {}
            for kind in far_ends_of(member):
                own[kind] = _gru(kind, keys[f"{member.insee}-{kind}"])
                await own[kind].open()
                stack.push_async_callback(own[kind].shut)
            write_member(folder, member, {kind: gru.url for kind, gru in own.items()})
        mappings = write_mappings(folder)
        url = f"http://127.0.0.1:{port}"
        town = Town(
            folder=folder,
            config=config,
            mappings=mappings,
            url=url,
            members=all_of_them,
            portal=portal,
            glc=watched,
            grus=grus,
            keys={member.insee: keys[f"{member.insee}-key"] for member in all_of_them},
            daemon=DaemonApart(url, config, mappings, folder / "errors", dev=False),
            dice=random.Random(seed),
            story=story,
            stop=asyncio.Event(),
        )
        until_interrupted(town.stop, stack)
        stack.push_async_callback(town.daemon.stop)
        await town.daemon.start()
        yield town


def _worked() -> float:
    """Return the processor time of all commands so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _whole(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


def _gru(kind: BackOffice, secret: str) -> SimulatedGru:
    sim: Open311 | Ticketing = (
        Open311(api_key=secret, extended=True, services=services())
        if kind is BackOffice.OPEN311
        else Ticketing(token=secret)
    )
    return SimulatedGru(sim, WatchedFarEnd(sim.app))
