"""A gateway as an operator runs it, a process of its own, between far ends that keep the score.

The far ends live in the test's process, so they outlive whatever is done to the gateway. Whether
anything was lost, doubled or put out of order is read off them: our own tables prove nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.core.breaker import BreakerPolicy
from gateway.core.ids import REFERENCE
from gateway.core.status import PORTAL_WORDS, Status
from gateway.demo.agents import INTERNAL, Agents
from gateway.demo.files import Addresses, write_configuration, write_secrets
from gateway.demo.samples import ANOMALY, SCHOOL, anomaly, registration, sample
from gateway.demo.stage import VILLEURBANNE, Stage, webhook
from gateway.demo.story import Story
from gateway.flow.crash_points import CRASH_VARIABLE
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.open311 import Attribute, Open311, Service
from gateway.sim.portal import SimulatedPortal
from gateway.sim.server import run_server
from gateway.sim.ticketing import Ticketing
from gateway.sim.wscall import CALL_FAILURES
from tests.acceptance.clock import MachineClock
from tests.files import edit
from tests.life import ROOT, Life, begin
from tests.sealing import master

MAPPINGS = ROOT / "mappings"
#: Of one call, in seconds, so that what a dead process sent is asked about soon.
TIMEOUT = 1.0
#: GRUs are polled about every second: a change that would be told twice is told within this.
TWO_POLLS = 2.5
#: The order in which a citizen may be told things.
_ORDER = {
    PORTAL_WORDS[status]: n
    for n, status in enumerate(
        (Status.TRANSMITTED, Status.ACCEPTED, Status.IN_PROGRESS, Status.DONE)
    )
}
#: Where a ticket at Bron holds our reference.
_ATTRIBUTE = "attribute[toodego_ref]"
#: The daemon closes a connection that was silent for 5 seconds. A request sent on it at that moment
#: gets no answer, so that none is sent on one that was silent for longer than this.
REUSED_WITHIN = 3
_DONE = PORTAL_WORDS[Status.DONE]
#: What the samples' invented people are called: no log may hold it.
#: Seconds after which a wait is given up: a breaker's longest pause and some more. It is far less
#: than the two hours that a clock is set by. No test passes or fails by how long a wait took.
PATIENCE = BreakerPolicy().pause_max + 60
_PERSONAL = ("Fictive", "exemple.invalid")


class Gateway:
    """The daemon of one configuration and role, started as often as needed."""

    def __init__(
        self,
        config: Path,
        url: str,
        errors: Path,
        client: httpx.AsyncClient,
        role: str = "all",
    ) -> None:
        self.config = config
        self.url = url
        self.errors = errors
        self.role = role
        self.client = client
        self.process: Life | None = None
        #: The machine's, where a test sets it.
        self.clock: MachineClock | None = None
        #: The address of a PostgreSQL, where it is not to be SQLite.
        self.database: str | None = None

    @property
    def life(self) -> Life:
        """The present or last one."""
        assert self.process is not None, "not started"
        return self.process

    @property
    def lives(self) -> bool:
        """True while the process runs."""
        return self.process is not None and self.process.exit_code is None

    @property
    def said(self) -> str:
        """The standard error of all its lives."""
        return self.errors.read_text("utf-8") if self.errors.exists() else ""

    @property
    def environ(self) -> dict[str, str]:
        """The environment that it starts in."""
        environ = {name: value for name, value in os.environ.items() if name != CRASH_VARIABLE}
        if self.database is None:
            return environ
        return {**environ, "DATABASE": self.database, "MASTER_KEY": master().secret.hex()}

    @property
    def where(self) -> tuple[str, ...]:
        """The options that name its configuration, for any command."""
        return ("--config", str(self.config), "--mappings", str(MAPPINGS))

    async def start(self, crash: str | None = None, *, until_ready: bool = True) -> None:
        """Start it; `crash` as in the environment variable: "point" or "point:nth"."""
        environ = self.environ
        if crash is not None:
            environ[CRASH_VARIABLE] = crash
        arguments = ["serve", "--dev", "--role", self.role, *self.where]
        self.process = await asyncio.to_thread(
            begin, arguments, environ, self.errors, clock=self.clock
        )
        if until_ready:
            await until(self.ready_or_gone, "the gateway starts")
            assert self.lives, self.said

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.life.signal(number)

    async def ready_or_gone(self) -> bool:
        return not self.lives or await self.readiness() == 200

    async def readiness(self) -> int:
        """The status of `/ops/ready`; 0 when nobody answers."""
        try:
            return (await self.client.get(f"{self.url}/ops/ready")).status_code
        except CALL_FAILURES:
            return 0

    async def turned_away(self) -> bool:
        """Return whether it answers that it is not ready."""
        return await self.readiness() == 503

    async def health(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"{self.url}/ops/health")).json()
        return found

    async def owes(self) -> int:
        """Return the number of open deliveries by its own account, to know when to count."""
        try:
            health = await self.health()
        except CALL_FAILURES:
            return -1
        return sum(lane["waiting"] for lane in health["lanes"].values())

    async def dies(self) -> int:
        """Wait for its end; the exit code (negative: the signal)."""
        await until(lambda: not self.lives, f"it ends:\n{self.said}")
        code = self.life.exit_code
        assert code is not None
        return code

    async def kill(self) -> None:
        """SIGKILL, if it lives, and its end."""
        if self.lives:
            self.signal(signal.SIGKILL)
            await self.dies()


@dataclass(slots=True)
class Town:
    """Everybody who takes part."""

    stage: Stage
    gateway: Gateway
    sent: dict[tuple[str, str], SimulatedFormdata] = field(default_factory=dict)
    pushing: list[asyncio.Task[None]] = field(default_factory=list)

    def send(self, streets: int, schools: int) -> None:
        """Citizens send their forms, and the portal pushes each until it is taken."""
        dice = self.stage.dice
        forms = [anomaly(sample(ANOMALY), dice, photo=n % 2 == 0) for n in range(streets)]
        forms += [registration(sample(SCHOOL), dice) for _ in range(schools)]
        dice.shuffle(forms)
        for form in forms:
            item = self.stage.portal.submit_sample(form)
            self.sent[item.form.slug, item.id] = item
            self.pushing.append(asyncio.create_task(self.push(item)))

    async def push(self, item: SimulatedFormdata) -> None:
        """Push, signed anew each time, until the gateway has it, as a designed workflow does."""
        while True:
            await self.stage.push(item)
            if 200 <= (self.answer(item) or 0) < 300:
                return
            await asyncio.sleep(0.2)

    def answer(self, item: SimulatedFormdata) -> int | None:
        """The HTTP status of the formdata's last push; None when its answer was cut."""
        mine = [p for p in self.stage.portal.pushes if (p.slug, p.id) == (item.form.slug, item.id)]
        return mine[-1].verdict.status

    async def settle(self) -> None:
        """Wait until all is told and owed no more, and long enough for a repeat to show.

        Raises AssertionError with everything that is wrong.
        """
        with contextlib.suppress(AssertionError):  # what is wrong is told below
            await until(self._over, "everything settles")
        await asyncio.sleep(TWO_POLLS)
        wrong = list(self.wrong())
        said = self.gateway.said
        lines = [line for line in said.splitlines() if "changes.taken" not in line]
        assert not wrong, "\n".join([*wrong, *lines[-40:]])
        assert "Traceback" not in said
        assert not [word for word in _PERSONAL if word in said]

    async def wrongs(self) -> str:
        """Settle; everything that is wrong then, empty where nothing is."""
        try:
            await self.settle()
        except AssertionError as error:
            return str(error)
        return ""

    async def _over(self) -> bool:
        if any(True for _ in self.wrong()):
            return False
        return await self.nothing_owed()

    async def nothing_owed(self) -> bool:
        return await self.gateway.owes() == 0

    def wrong(self) -> Iterator[str]:
        """Everything that is not as it must be in the end, by what the far ends hold."""
        yield from (f"a push failed: {task.exception()}" for task in self.pushing if _broke(task))
        names = [(t.param(_ATTRIBUTE) or "", t.id) for t in self.stage.bron.tickets]
        names += [(t.external_id or "", t.id) for t in self.stage.villeurbanne.tickets]
        held = Counter(reference for reference, _ in names)
        told = {key: self.references(key) for key in self.sent}
        for key, references in told.items():
            if len(references) != 1:
                yield f"{key}: the portal was told {len(references)} references, not 1"
        known = Counter(reference for references in told.values() for reference in references)
        for reference in known | held:
            if known[reference] != 1 or held[reference] != 1:
                yield f"{reference}: {held[reference]} tickets of {known[reference]} requests"
        for key in self.sent:
            mine = {ticket for reference, ticket in names if reference in told[key]}
            yield from self._wrong_news(key, mine)

    def disordered(self) -> int:
        """Return the number of requests whose citizen was told in the wrong order."""
        return sum(not _in_order(_words(self._told(key))) for key in self.sent)

    def _told(self, key: tuple[str, str]) -> list[dict[str, Any]]:
        """The reports that the portal was given of a formdata."""
        given = self.stage.portal.events(*key)
        return [e for e in given if isinstance(e, dict) and "evenement" in e]

    def references(self, key: tuple[str, str]) -> set[str]:
        """Return the gateway's references of a formdata in all its answers."""
        return {
            found
            for push in self.stage.portal.pushes
            if (push.slug, push.id) == key
            for found in REFERENCE.findall(json.dumps(push.verdict.body))
        }

    def _wrong_news(self, key: tuple[str, str], tickets: set[str]) -> Iterator[str]:
        events = self._told(key)
        words = _words(events)
        if len({event["evenement"] for event in events}) != len(events):
            yield f"{key}: an event was executed twice: {words}"
        if len({(event["statut"], event["message"]) for event in events}) != len(events):
            yield f"{key}: the citizen was told the same twice: {words}"
        if not _in_order(words):
            yield f"{key}: told out of order: {words}"
        if words.count(PORTAL_WORDS[Status.ACCEPTED]) != 1 or words[-1:] != [_DONE]:
            yield f"{key}: news are missing or doubled: {words}"
        for note in self._notes(tickets):
            if sum(event["message"] == note for event in events) != 1:
                yield f"{key}: not told once: {note}"
        if {event["reference"] for event in events} - tickets:
            yield f"{key}: told of another's ticket"
        if any(event["message"] == INTERNAL for event in events):
            yield f"{key}: an internal note was told"

    def _notes(self, tickets: set[str]) -> Iterator[str]:
        """Return the agents' texts for the citizen in these tickets."""
        for update in self.stage.bron.updates:
            if update.ticket_id in tickets and update.sender_id is None:
                yield update.description
        for ticket in self.stage.villeurbanne.tickets:
            if ticket.id in tickets:
                yield from (c.text for c in ticket.comments if c.by_agent and not c.internal)


def _words(events: list[dict[str, Any]]) -> list[str]:
    """The statuses told; a note alone names none."""
    return [str(event["statut"]) for event in events if event["statut"] is not None]


def _in_order(words: list[str]) -> bool:
    return words == sorted(words, key=lambda word: _ORDER.get(word, -1))


def _broke(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def new_client() -> httpx.AsyncClient:
    """Return a client that asks daemons on this machine."""
    limits = httpx.Limits(keepalive_expiry=REUSED_WITHIN)
    return httpx.AsyncClient(verify=False, timeout=3, limits=limits)


@asynccontextmanager
async def open_town(
    folder: Path, *, seed: int = 1, database: str | None = None
) -> AsyncIterator[Town]:
    """Far ends that listen, agents at work, and a gateway that is configured but not started.

    `database` is the address of an empty PostgreSQL; without one it is SQLite.
    """
    async with AsyncExitStack() as stack:
        keys = write_secrets(folder)
        portal = SimulatedPortal(keys={"gru-gateway": keys["portal-key"]})
        bron = Open311(api_key=keys["open311-key"], extended=True, services=_services())
        school = Ticketing(token=keys["ticketing-token"], webhook_key=keys["webhook-key"])
        at = [
            await stack.enter_async_context(run_server(end.app)) for end in (portal, bron, school)
        ]
        portal.base_url, bron.base_url = at[0].url, at[1].url
        addresses = Addresses(at[0].url, at[1].url, at[2].url, free_port())
        config = write_configuration(folder, addresses)
        _hasten(config)
        if database is not None:
            with (config / "gateway.yaml").open("a", encoding="utf-8") as settings:
                settings.write("database: env:DATABASE\nsealing: {masters: [env:MASTER_KEY]}\n")
        environ = {"DATABASE": database or "", "MASTER_KEY": master().secret.hex()}
        catalogue = build(read_bundle(config, MAPPINGS), environ=environ)
        url = catalogue.settings.public_url
        school.webhook_url = webhook(url, VILLEURBANNE, "education")
        stage = Stage(
            folder=folder,
            config=config,
            mappings=MAPPINGS,
            catalogue=catalogue,
            url=url,
            portal=portal,
            bron=bron,
            villeurbanne=school,
            addresses=addresses,
            caller_key=keys["caller-key"],
            dice=random.Random(seed),
        )
        # Making a client takes longer than most of what is asked with it.
        client = await stack.enter_async_context(new_client())
        town = Town(stage, Gateway(config, url, folder / "gateway.log", client))
        town.gateway.database = database
        agents = asyncio.create_task(Agents(stage, Story(silent=True)).run(), name="agents")
        try:
            yield town
        finally:
            for task in (agents, *town.pushing):
                task.cancel()
            await asyncio.gather(agents, *town.pushing, return_exceptions=True)
            await town.gateway.kill()


def _hasten(config: Path) -> None:
    """Short waits, and a log that tells what happened when a test fails."""
    for name, old, new in (
        ("gateway.yaml", "timeout: 5", f"timeout: {TIMEOUT}"),
        ("gateway.yaml", "[1, 2, 4]", "[0.5, 1, 2]"),
        ("gateway.yaml", "{format: console, level: error}", "{format: json, level: info}"),
        ("communes/69029-bron.yaml", "timeout: 5", f"timeout: {TIMEOUT}"),
        ("communes/69266-villeurbanne.yaml", "timeout: 5", f"timeout: {TIMEOUT}"),
    ):
        edit(config / name, old, new)


async def until(done: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait until `done`. Raises AssertionError when that takes too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        answer = done()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert loop.time() < end, f"not within {PATIENCE} s: {what}"
        await asyncio.sleep(0.1)


def _services() -> dict[str, Service]:
    attributes = (Attribute("toodego_ref", "Référence Toodego", required=True),)
    return {code: Service(code, code, "Rue", attributes) for code in ("DS01", "VO01", "EC01")}


def free_port() -> int:
    """One that the kernel gives to nobody's outgoing connection while the gateway is dead."""
    while True:
        port = random.SystemRandom().randrange(15_000, 30_000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
