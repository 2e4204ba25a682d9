"""One person's marker, with a daemon killed at each step of the erasure and a backup of before put
back: it is found nowhere, and no key of today opens what the backup holds of the person.

One delivery of theirs went through, one is parked, one is in flight, in two communes; their files
lie in an object store, of which the backup has a copy, too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, select

from gateway.core.delivery import Kind, State
from gateway.core.erasure import Phase
from gateway.core.sealing import read_masters
from gateway.sim.faults import FaultCondition
from gateway.store import accounts, blobs, person, requests
from gateway.store.engine import Database
from gateway.store.keys import DatabaseKeys, WrappedKey
from gateway.store.sealer import Sealer
from gateway.store.tables import ATTACHMENT, BLOB, REQUEST
from tests.acceptance.plays import Outcomes, asked_for, long, side_by_side, tell
from tests.erasure.following import MARKER, uuid
from tests.erasure.test_killed import POINTS
from tests.erasure.test_killed_daemon import Town, _served, wait_for
from tests.flow.rig import BRON, VILLEURBANNE
from tests.life import ROOT, begin
from tests.sealing import master
from tests.store.postgres import Server

Dump = dict[str, bytes]


class Archive:
    """A backup as an operator has it: the database without its keys, and the objects."""

    def __init__(self, town: Town, server: Server | None) -> None:
        self.town = town
        self.server = server
        self.folder = town.folder / "archive"
        self._dump: Dump = {}

    async def make(self) -> None:
        """Back up, while the daemon works."""
        shutil.copytree(self.town.share, self.folder / "share")
        if self.server is None:
            await self._command("backup", str(self.folder / "monday"))
            return
        with psycopg.connect(self.town.database, autocommit=True) as connection:
            for table in _tables(connection):
                with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
                    self._dump[table] = b"".join(bytes(part) for part in copy)

    async def put_back(self) -> None:
        """Restore, with the daemon stopped. The keys are in place: they are the newest."""
        shutil.rmtree(self.town.share)
        shutil.copytree(self.folder / "share", self.town.share)
        if self.server is None:
            await self._command("restore", str(self.folder / "monday"), "--replace")
            return
        with psycopg.connect(self.town.database) as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            for table, rows in self._dump.items():
                connection.execute(f"DELETE FROM {table}".encode())
                with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(rows)
        await self._command("db", "restored")

    async def _command(self, *words: str) -> None:
        environ = {**os.environ, "PORTAL_KEY": "x", "PUSH_KEY": "x", "GRU_KEY": "x", "GLC_KEY": "x"}
        environ |= {"DATABASE": self.town.database, "ERASURE_KEY": "cle-d-effacement-inventee"}
        environ |= {"MASTER_KEY": master().secret.hex()}
        config = str(self.town.folder / "config")
        where = ("--config", config, "--mappings", str(ROOT / "mappings"))
        life = await asyncio.to_thread(begin, (*words, *where), environ, self.town.log)
        assert await asyncio.to_thread(life.wait, 60) == 0, self.town.log.read_text()

    def sealer(self) -> Sealer:
        """Open the keys of today."""
        if self.server is not None:
            return Sealer(DatabaseKeys(self.town.database), [master()])
        var = self.town.folder / "var"
        keys = DatabaseKeys(f"sqlite:///{var / 'keys.db'}")
        return Sealer(keys, read_masters((var / "sealing.key").read_text()))

    def files(self) -> Iterable[Path]:
        """Return all files in which bytes of ours may lie, but those of what was backed up."""
        if self.server is not None:
            with psycopg.connect(self.town.database, autocommit=True) as connection:
                connection.execute("CHECKPOINT")
            yield from self.server.folder.rglob("base/**/*")
        for path in self.town.folder.rglob("*"):
            if self.folder not in path.parents:
                yield path


def _tables(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [str(name) for (name,) in found if name not in ("sealing_key", "alembic_version")]


def _keys_of(connection: Connection, account: str) -> list[tuple[str, str]]:
    theirs = REQUEST.c.id.in_(person.requests_of(connection, account))
    asked = select(REQUEST.c.id, REQUEST.c.key_id).where(theirs)
    return [(row.id, row.key_id) for row in connection.execute(asked)]


def _unerased(connection: Connection) -> list[str]:
    asked = select(REQUEST.c.id).where(REQUEST.c.erased_at.is_(None))
    return list(connection.execute(asked).scalars())


def _files(connection: Connection) -> list[str]:
    return list(connection.execute(select(ATTACHMENT.c.address)).scalars())


def _is_in(files: Iterable[Path], wanted: bytes) -> list[Path]:
    return [path for path in files if path.is_file() and wanted in path.read_bytes()]


async def _play(town: Town, server: Server | None, points: Sequence[str]) -> None:
    archive = Archive(town, server)
    zoe, *others = people = [uuid(n) for n in range(1, 5)]
    async with _served(town):
        town.glc.create(*people)
        async with town.daemon(points[0]) as life:
            await town.ready(life)
            for account in others:
                await town.push(account, BRON)
            await town.push(zoe, BRON, MARKER, photo=True)
            await wait_for(lambda: len(town.portal.received) >= 4)
            created = FaultCondition(method="POST", path="/api/tickets", first=1)
            town.grus[BRON].faults.fail(422, when=created)
            await town.push(zoe, BRON, MARKER, photo=True)

            async def parked() -> bool:
                return State.PARKED in await town.states(Kind.SUBMIT)

            await wait_for(parked)
            town.grus[VILLEURBANNE].faults.slow(20, when=created)
            item = await town.push(zoe, VILLEURBANNE, MARKER, photo=True)
            await archive.make()
            theirs, wrapped = await _known(town, archive, zoe)
            assert (len(theirs), len(town.objects())) == (3, 3)
            assert town.places()
            town.glc.delete(zoe)
            assert await asyncio.to_thread(life.wait, 60) == -signal.SIGKILL
        for point in points[1:]:
            async with town.daemon(point) as life:
                assert await asyncio.to_thread(life.wait, 120) == -signal.SIGKILL, point
        async with town.daemon() as life:
            await town.ready(life)
            await _over(town)
            assert await town.again(item, VILLEURBANNE) == 410
        _nowhere(town, archive, wrapped)

        await archive.put_back()
        await _unreadable(town, archive, theirs, others)
        async with town.daemon() as life:
            await town.ready(life)
            await _over(town)
        database = Database(town.database)
        try:
            assert len(await database.read(_unerased)) == len(others)
            assert await database.read(_files) == []
        finally:
            database.close()
        _nowhere(town, archive, wrapped)


async def _known(town: Town, archive: Archive, account: str) -> tuple[list[str], list[WrappedKey]]:
    """Return the person's requests, and their keys as they lie there."""
    database = Database(town.database, archive.sealer())
    try:
        rows = await database.read(_keys_of, account)
        assert database.sealer is not None
        return [one for one, _ in rows], database.sealer.keys.read([key for _, key in rows])
    finally:
        database.close()


async def _over(town: Town) -> None:
    async def closed() -> bool:
        return {one.state for one in await town.live()} == {Phase.CLOSED}

    await wait_for(closed)


async def _unreadable(town: Town, archive: Archive, theirs: list[str], others: list[str]) -> None:
    """The database that was put back holds the person's rows; no key of today opens them."""
    database = Database(town.database, archive.sealer())
    try:
        held = await database.read(_unerased)
        assert set(theirs) < set(held)
        assert set(await database.read(person.requests_of, uuid(1))) == set(theirs)
        assert await database.read(accounts.of_requests, theirs) == {}
        readable = [one for one in held if await database.read(requests.first_body, one)]
        assert len(readable) == len(others)
        assert set(theirs).isdisjoint(readable)
        addresses = await database.read(_files)
        assert len(addresses) == 3
        assert [await database.read(blobs.find, one) for one in addresses] == [None] * 3
        assert await database.read(lambda c: len(c.execute(select(BLOB.c.n)).all())) == 3
    finally:
        database.close()


def _nowhere(town: Town, archive: Archive, wrapped: list[WrappedKey]) -> None:
    assert len(wrapped) == 3
    assert _is_in(archive.files(), MARKER.encode()) == []
    for one in wrapped:
        assert _is_in(archive.files(), one.wrapped) == []
    assert town.objects() == []
    assert town.places() == []


PLAYS = ("SQLite", "PostgreSQL")
#: With PostgreSQL; all of them with EVERY_POINT=1 in the environment.
EACH_TIME = ("erase.scrubbed", "erase.keys_destroyed")


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    asked = asked_for(request, {name: name for name in PLAYS})

    async def one(name: str) -> None:
        server: Server | None = None
        if name == "PostgreSQL":
            server = request.getfixturevalue("postgres")
        database = None if server is None else server.fresh()
        every = server is None or "EVERY_POINT" in os.environ
        town = Town(tmp_path_factory.mktemp("town"), database, apart=True)
        await _play(town, server, POINTS if every else EACH_TIME)

    return side_by_side({name: partial(one, name) for name in asked}, len(PLAYS))


@long
@pytest.mark.parametrize("name", PLAYS)
def test_the_marker_of_an_erased_person_is_nowhere(name: str, outcomes: Outcomes) -> None:
    tell(outcomes, name)
