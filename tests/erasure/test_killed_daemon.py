"""The daemon killed at every step of an erasure, and started again: the same end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, Table, select

from gateway.core.delivery import Kind, State
from gateway.core.erasure import Phase
from gateway.flow.crash_points import CRASH_VARIABLE
from gateway.sim.faults import FaultCondition
from gateway.sim.glc import SimulatedGlc
from gateway.sim.portal import SimulatedPortal
from gateway.sim.server import run_server
from gateway.sim.ticketing import Ticketing
from gateway.store import erasures
from gateway.store.engine import Database
from gateway.store.outbox import backlog
from gateway.store.tables import BLOB, PENDING_OBJECT
from tests.acceptance.plays import Outcomes, asked_for, long, side_by_side, tell
from tests.erasure.conftest import ERASE
from tests.erasure.following import CANARY, MARKER, uuid
from tests.erasure.test_killed import POINTS
from tests.flow.rig import BRON, OPTIONS, SAMPLE, SLUG, VILLEURBANNE, merged
from tests.flow.test_files import FIRST
from tests.life import ROOT, Life, begin
from tests.sealing import master
from tests.store.postgres import Server

#: Objects are deleted, and the database does not know it yet: files lie in an object store here.
DELETED = "attachments.deleted"
#: With PostgreSQL each of these is played each time, and all of them with EVERY_POINT=1 in the
#: environment.
EACH_TIME = ["erase.stopped", "erase.erased"]
AT_ONCE = 4


class Town:
    """Simulators on sockets, and the daemon's configuration.

    `database` is the address of an empty PostgreSQL; without one it is SQLite. With `apart`, files
    lie in `share` and go to the GRUs.
    """

    def __init__(self, folder: Path, database: str | None = None, *, apart: bool = False) -> None:
        self.folder = folder
        self.share = folder / "share"
        self.apart = apart
        self.database = database or f"sqlite:///{folder / 'var' / 'gateway.db'}"
        self.portal = SimulatedPortal(keys={"connecteur": "cle-portail"})
        self.portal.define(SLUG, hooks=["retour_commune", "document_commune"])
        self.grus = {BRON: Ticketing(), VILLEURBANNE: Ticketing()}
        self.glc = SimulatedGlc()
        self.glc.create(CANARY)
        self.url = ""

    async def write(self, addresses: dict[str, str], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        settings: dict[str, Any] = {
            "data_dir": str(self.folder / "var"),
            "database": "env:DATABASE",
            "listen": {"port": port},
            "shutdown_grace": 2,
            "log": {"format": "json", "level": "info"},
            "retry": {"delays": [1], "jitter": 0},
            "glc": {
                "base_url": addresses["glc"],
                "auth": {"username": "connecteur", "password": "env:GLC_KEY"},
                "poll": 1,
                "canary": CANARY,
                "brake": {"ratio": 0.5},
            },
            "portals": {
                "toodego": {
                    "base_url": addresses["portal"],
                    "environment": "test",
                    "orig": "connecteur",
                    "key": "env:PORTAL_KEY",
                    "report_delay": None,
                    "callers": [{"orig": "toodego", "key": "env:PUSH_KEY"}],
                    "teleservices": {SLUG: {"commune": "fields.commune_raw", "reconcile": 1}},
                }
            },
        }
        if self.database.startswith("postgresql"):
            settings["erasure_key"] = "env:ERASURE_KEY"
            settings["sealing"] = {"masters": ["env:MASTER_KEY"]}
        if self.apart:
            self.share.mkdir()
            settings["attachments"] = {"url": f"file://{self.share}"}
        communes = self.folder / "config" / "communes"
        communes.mkdir(parents=True)
        (self.folder / "config" / "gateway.yaml").write_text(json.dumps(settings))
        for insee in self.grus:
            options = merged(merged(OPTIONS, ERASE), {"base_url": addresses[insee]})
            if self.apart:
                options = merged(options, FIRST)
            options.pop("webhook")
            file = {
                "commune": insee,
                "name": f"Commune {insee}",
                "portal": "toodego",
                "gru": {
                    "outil": {
                        "adapter": "rest",
                        "environment": "test",
                        "poll": None,
                        "timeout": 2,
                        "options": options,
                    }
                },
                "routes": {SLUG: {"gru": "outil", "mapping": f"{SLUG}/rest"}},
            }
            (communes / f"{insee}.yaml").write_text(json.dumps(file))

    @asynccontextmanager
    async def daemon(self, crash: str | None = None) -> AsyncIterator[Life]:
        environ = {**os.environ, "PORTAL_KEY": "cle-portail", "PUSH_KEY": "cle-push"}
        environ |= {"DATABASE": self.database, "ERASURE_KEY": "cle-d-effacement-inventee"}
        environ |= {"MASTER_KEY": master().secret.hex()}
        environ |= {"GRU_KEY": "jeton-essai", "GLC_KEY": "secret-essai", "TMPDIR": str(self.folder)}
        environ.pop(CRASH_VARIABLE, None)
        if crash is not None:
            environ[CRASH_VARIABLE] = crash
        where = ("--config", str(self.folder / "config"), "--mappings", str(ROOT / "mappings"))
        life = await asyncio.to_thread(begin, ("serve", "--dev", *where), environ, self.log)
        try:
            yield life
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                if life.exit_code is None:
                    life.signal(number)
                    with contextlib.suppress(AssertionError):
                        await asyncio.to_thread(life.wait, 15)

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    async def ready(self, life: Life) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(1200):
                assert life.exit_code is None, self.log.read_text()
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/ops/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.05)
        raise AssertionError("never ready")

    async def push(self, account: str, insee: str, marker: str = "", photo: bool = False) -> str:
        sample = merged(SAMPLE, {})
        sample["user"]["NameID"] = [account]
        sample["fields"] |= {"commune_raw": insee, "description": f"x {marker}"}
        if photo:
            content = base64.b64encode(f"text {marker}".encode()).decode()
            sample["fields"]["photo"] |= {
                "filename": f"photo-{marker}.txt",
                "content_type": "text/plain",
                "content": content,
            }
        else:
            sample["fields"]["photo"] = None
        item = self.portal.submit_sample(sample)
        await self.again(item.id, insee)
        return item.id

    async def again(self, item: str, insee: str) -> int | None:
        where = f"{self.url}/portal/v1/communes/{insee}/teleservices/{SLUG}/requests"
        found = await self.portal.push(item, where, "cle-push", slug=SLUG, orig="toodego")
        return found.status

    def places(self) -> list[str]:
        found = [
            str(path)
            for path in self.folder.rglob("*")
            if path.is_file() and MARKER.encode() in path.read_bytes()
        ]
        return found + [
            insee
            for insee, gru in self.grus.items()
            if any(MARKER in str(ticket.as_json()) for ticket in gru.tickets)
        ]

    def objects(self) -> list[Path]:
        return sorted(path for path in self.share.rglob("*") if path.is_file())

    async def known(self) -> tuple[list[str], list[str]]:
        """Return the places of files by the database, and the objects waiting for deletion."""
        database = Database(self.database)
        try:
            return await database.read(_places, BLOB), await database.read(_places, PENDING_OBJECT)
        finally:
            database.close()

    async def states(self, kind: Kind) -> list[State]:
        database = Database(self.database)
        try:
            found = await database.read(backlog.listing, states=list(State))
            return [one.state for one in found if one.kind is kind]
        finally:
            database.close()

    async def live(self) -> list[erasures.Erasure]:
        database = Database(self.database)
        try:
            return await database.read(erasures.listing, everything=True)
        finally:
            database.close()


def _places(connection: Connection, table: Table) -> list[str]:
    return list(connection.execute(select(table.c.place)).scalars())


async def wait_for(what: Any, seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while True:
            found = what()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.1)


async def _killed_as_a_file_was_put(town: Town) -> None:
    """Its request was not accepted; the portal sends it again, and the file arrives once."""
    async with _served(town):
        account = uuid(1)
        people = [account, *(uuid(n) for n in range(2, 5))]
        town.glc.create(*people)
        async with town.daemon("attachments.put") as life:
            await town.ready(life)
            for one in people[1:]:
                await town.push(one, BRON)
            # Nothing is under way any more that the next process would have to wait for.
            await wait_for(lambda: len(town.portal.received) >= 3)
            item = await town.push(account, BRON, MARKER, photo=True)
            assert await asyncio.to_thread(life.wait, 30) == -signal.SIGKILL
        assert len(town.objects()) == 1
        taken, doomed = await town.known()
        assert (taken, len(doomed)) == ([], 1)
        async with town.daemon() as life:
            await town.ready(life)
            # By the portal's push or by what is read from its list, whichever is first.
            assert await town.again(item, BRON) in (200, 201)
            await wait_for(lambda: len(town.portal.received) >= 4)
            (ticket,) = (t for t in town.grus[BRON].tickets if t.documents)
            assert [d.content for d in ticket.documents] == [f"text {MARKER}".encode()]
            assert len(town.grus[BRON].tickets) == 4
            taken, doomed = await town.known()
            at = {str(path.relative_to(town.share)) for path in town.objects()}
            assert at <= {*taken, *doomed}, "what lies there is known"
            assert set(taken) <= at
            assert len(taken) == 1
            town.glc.delete(account)

            async def closed() -> bool:
                return [one.state for one in await town.live()] == [Phase.CLOSED]

            await wait_for(closed)
            assert town.objects() == []
            assert await town.known() == ([], [])
            assert town.places() == []


@asynccontextmanager
async def _served(town: Town) -> AsyncIterator[None]:
    async with (
        run_server(town.portal.app) as portal,
        run_server(town.grus[BRON].app) as bron,
        run_server(town.grus[VILLEURBANNE].app) as villeurbanne,
        run_server(town.glc.app) as glc,
    ):
        town.portal.base_url, town.glc.base_url = portal.url, glc.url
        async with run_server(SimulatedPortal().app) as free:
            port = free.port
        where = {"portal": portal.url, "glc": glc.url, BRON: bron.url}
        await town.write({**where, VILLEURBANNE: villeurbanne.url}, port)
        yield


async def _killed_at(point: str, town: Town) -> None:
    async with _served(town):
        people = [uuid(n) for n in range(1, 5)]
        town.glc.create(*people)
        async with town.daemon(f"{point}") as life:
            await town.ready(life)
            for account in people[1:]:
                await town.push(account, BRON)
            await town.push(people[0], BRON, MARKER, photo=True)
            await wait_for(lambda: len(town.portal.received) >= 4)
            # Of the person's three requests one is delivered, one parked, one in flight.
            created = FaultCondition(method="POST", path="/api/tickets", first=1)
            town.grus[BRON].faults.fail(422, when=created)
            await town.push(people[0], BRON, MARKER, photo=True)

            async def parked() -> bool:
                return State.PARKED in await town.states(Kind.SUBMIT)

            await wait_for(parked)
            town.grus[VILLEURBANNE].faults.slow(1.5, when=created)
            item = await town.push(people[0], VILLEURBANNE, MARKER, photo=True)
            assert town.places()
            assert bool(town.objects()) is town.apart
            town.glc.delete(people[0])
            assert await asyncio.to_thread(life.wait, 30) == -signal.SIGKILL
        async with town.daemon() as life:
            await town.ready(life)

            async def closed() -> bool:
                return [one.state for one in await town.live()] == [Phase.CLOSED]

            await wait_for(closed)
            # The one in flight was cut before it was created, or is there, once, and erased.
            in_flight = len(town.grus[VILLEURBANNE].tickets)
            assert in_flight <= 1
            assert len(town.grus[BRON].tickets) == 4
            assert await town.again(item, VILLEURBANNE) == 410
            late = await _late(town, people[0])
            assert late == 410
            await asyncio.sleep(1.5)  # a reconciliation passes over both
            assert town.places() == []
            assert town.objects() == []
            assert await town.known() == ([], [])
            erased = [t.erased for g in town.grus.values() for t in g.tickets]
            assert sum(erased) == 1 + in_flight
        assert town.places() == []


async def _late(town: Town, account: str) -> int | None:
    sample = merged(SAMPLE, {})
    sample["user"]["NameID"] = [account]
    sample["fields"] |= {"commune_raw": BRON, "photo": None, "description": MARKER}
    return await town.again(town.portal.submit_sample(sample).id, BRON)


Play = Callable[[Town], Awaitable[None]]
ON_SQLITE: dict[str, Play] = {
    **{point: partial(_killed_at, point) for point in (*POINTS, DELETED)},
    "attachments.put": _killed_as_a_file_was_put,
}
ON_POSTGRESQL: dict[str, Play] = {
    point: ON_SQLITE[point]
    for point in ((*POINTS, DELETED) if "EVERY_POINT" in os.environ else EACH_TIME)
}
PLAYS = {
    **{name: (play, False) for name, play in ON_SQLITE.items()},
    **{f"{name} with PostgreSQL": (play, True) for name, play in ON_POSTGRESQL.items()},
}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    asked = asked_for(request, PLAYS)

    async def one(name: str) -> None:
        play, elsewhere = asked[name]
        database = None
        if elsewhere:
            postgres: Server = request.getfixturevalue("postgres")
            database = postgres.fresh()
        apart = name.startswith("attachments.")
        await play(Town(tmp_path_factory.mktemp("town"), database, apart=apart))

    return side_by_side({name: partial(one, name) for name in asked}, AT_ONCE)


@long
@pytest.mark.parametrize("name", PLAYS)
def test_the_next_process_goes_on(name: str, outcomes: Outcomes) -> None:
    """Killed at the point; with PostgreSQL a dead one's claims outlive it."""
    tell(outcomes, name)
