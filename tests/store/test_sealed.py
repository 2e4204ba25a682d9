"""The store, sealed: nothing in clear in its files, no value out of its place, and keys apart."""

from __future__ import annotations

import ast
import itertools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Select, select, text, update

from gateway.core.delivery import Settlement, State
from gateway.core.errors import Unavailable
from gateway.core.sealing import NotOpened, Place
from gateway.flow.environment import Environment
from gateway.flow.sealing import seal_what_was_before
from gateway.store import (
    accepting,
    blobs,
    condemned,
    installation,
    requests,
    resealing,
    sealed,
    untold,
)
from gateway.store.engine import Database
from gateway.store.keys import DatabaseKeys, WrappedKey
from gateway.store.outbox import settling
from gateway.store.outbox.rows import AttemptRecord, SettlementWrite
from gateway.store.rows import Reception, WithheldPart
from gateway.store.sealer import HASHES, KEPT_OPEN, SPARE, Sealer
from gateway.store.tables import ATTACHMENT, BLOB, EVENT, REQUEST
from tests.builders import NOW, file_of, incoming
from tests.sealing import MemoryKeys, in_file, in_memory, master
from tests.store.acts import accept, amend, claim_one
from tests.store.postgres import Server

MARK = "Marqueur-Zoe-73105"
PHOTO = f"JPEG {MARK} ".encode() * 30_000


@contextmanager
def opened(url: str, sealer: Sealer | None) -> Iterator[Database]:
    database = Database(url, sealer)
    try:
        yield database
    finally:
        database.close()


async def fill(store: Database) -> str:
    """A request with a photo, an answer of its GRU and a change that waits; its id."""
    told = incoming(ref="7", fields={"description": MARK}, files={"photo": PHOTO})
    acceptance = await store.write(accepting.accept, told)
    assert acceptance.request is not None
    claimed = await claim_one(store)
    tried = AttemptRecord("send", NOW, 12, "try_later", answer=f"<p>{MARK}</p>")
    await store.write(
        settling.settle,
        SettlementWrite(
            claimed.delivery.id,
            claimed.request.id,
            claimed.delivery.lane,
            claimed.delivery.fence,
            Settlement(State.WAITING, "busy", next_at=NOW),
            tried,
            NOW,
        ),
    )
    withheld = WithheldPart("note", "unknown_status", {"message": MARK})
    await store.write(untold.record, acceptance.request, withheld, "rules", NOW, NOW, "UNT-1")
    await store.write(
        untold.record_early, claimed.request.commune, "mairie", "T-9", {"m": MARK}, NOW, "UNT-2"
    )
    return acceptance.request.id


async def read_all(store: Database, request_id: str) -> list[Any]:
    """Return what `fill` has stored, as it is read."""
    body = await store.read(requests.first_body, request_id)
    answers = await store.read(requests.answers, request_id)
    ready = await store.read(untold.ready, "69029", "mairie", ["other"], 10)
    claimed = await claim_one(store)
    (file,) = claimed.attachments
    kept = await store.read(blobs.find, file.address)
    data = b""
    for n in range(3):
        assert kept is not None
        piece: bytes | None = await store.read(blobs.piece, kept, n, file.size)
        data += b"" if piece is None else piece
    return [
        body and body["fields"]["description"],
        *(one.answer for one in answers),
        *(one.body["message"] for one in ready),
        file.filename,
        data,
    ]


def _value(connection: Connection, statement: Select[str]) -> str:
    return connection.execute(statement).scalar_one()


def found_in(folder: Path) -> list[str]:
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and MARK.encode() in path.read_bytes()
    ]


async def test_nothing_of_a_person_is_in_clear_in_any_file(tmp_path: Path, template: Path) -> None:
    shutil.copyfile(template, tmp_path / "gateway.db")
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    with opened(url, None) as store:
        await fill(store)
        assert found_in(tmp_path), "the test sees what is in clear"
    shutil.copyfile(template, tmp_path / "gateway.db")
    with opened(url, in_file(tmp_path)) as store:
        request_id = await fill(store)
        assert found_in(tmp_path) == []
        assert (tmp_path / "keys.db").stat().st_mode & 0o777 == 0o600
        assert await read_all(store, request_id) == [
            MARK,
            f"<p>{MARK}</p>",
            MARK,
            "photo.jpg",
            PHOTO,
        ]
    assert found_in(tmp_path) == []


async def test_a_value_that_was_moved_to_another_row_does_not_open(url: str) -> None:
    with opened(url, in_memory()) as store:
        one, other = await accept(store, ref="1"), await accept(store, ref="2")

        def swap(connection: Connection) -> None:
            ids = [one.event_id, other.event_id]
            bodies = [
                connection.execute(select(EVENT.c.body).where(EVENT.c.id == id_)).scalar()
                for id_ in ids
            ]
            for id_, body in zip(ids, reversed(bodies), strict=True):
                connection.execute(update(EVENT).where(EVENT.c.id == id_).values(body=body))

        await store.write(swap)
        with pytest.raises(NotOpened):
            await store.read(requests.event_body, one.event_id or "")
        claimed = await claim_one(store)
        assert claimed.body is None, "its lane goes on, and a person is told"


async def test_a_destroyed_key_makes_a_copy_of_before_unreadable(
    tmp_path: Path, template: Path
) -> None:
    shutil.copyfile(template, tmp_path / "gateway.db")
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    with opened(url, in_file(tmp_path)) as store:
        request_id = await fill(store)
        await accept(store, ref="8")
        key = await store.read(_value, select(REQUEST.c.key_id).where(REQUEST.c.id == request_id))
        wrapped = in_file(tmp_path).keys.read([key])[0].wrapped
        await store.alone(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
        shutil.copyfile(tmp_path / "gateway.db", tmp_path / "before.db")
        await store.write(sealed.condemn, [request_id])
        assert await condemned.destroy(store) == 1
        assert await store.clean()
    for path in (tmp_path / "keys.db", tmp_path / "keys.db-wal"):
        assert not path.exists() or wrapped not in path.read_bytes()
    with opened(f"sqlite:///{tmp_path / 'before.db'}", in_file(tmp_path)) as copy:
        assert await copy.read(requests.first_body, request_id) is None
        assert [one.answer for one in await copy.read(requests.answers, request_id)] == [""]
        assert await copy.read(untold.ready, "69029", "mairie", ["other"], 10) == []
        address = await copy.read(_value, select(ATTACHMENT.c.address))
        assert await copy.read(blobs.find, address) is None
        claimed = await claim_one(copy)
        assert (claimed.body, claimed.attachments[0].filename) == (None, "")
        other = await copy.read(requests.find, "toodego-test", "signalement-anomalie", "8")
        assert other is not None
        assert await copy.read(requests.first_body, other.id), "others can be read"


async def test_a_transaction_that_fails_destroys_no_key(url: str) -> None:
    """The erasure of it may be withdrawn still, and then it goes to its commune."""

    def condemn_and_fail(connection: Connection, request_id: str) -> None:
        sealed.condemn(connection, [request_id])
        raise LookupError

    with opened(url, in_memory()) as store:
        first = await accept(store, ref="7")
        assert first.request is not None
        with pytest.raises(LookupError):
            await store.write(condemn_and_fail, first.request.id)
        assert await condemned.destroy(store) == 0
        assert (await claim_one(store)).body


async def test_condemned_keys_outlast_the_death_of_who_condemned_them(url: str) -> None:
    sealer = in_memory()
    with opened(url, sealer) as store:
        first = await accept(store, ref="7")
        assert first.request is not None
        await store.write(sealed.condemn, [first.request.id])
        assert await store.read(requests.first_body, first.request.id), "not yet"
    with opened(url, sealer) as store:
        assert await condemned.destroy(store) == 1
        assert await store.read(requests.first_body, first.request.id) is None
        assert await condemned.destroy(store) == 0


async def test_a_key_that_is_destroyed_while_it_is_read_is_not_kept() -> None:
    class Slow(MemoryKeys):
        def read(self, ids: Sequence[str]) -> list[WrappedKey]:
            found = super().read(ids)
            for act in acts:
                act()
            return found

    acts: list[Callable[[], None]] = []
    keys = Slow()
    key_id = Sealer(keys, [master()]).new_key()
    place = sealed.event_body("E", "R")
    text_ = Sealer(keys, [master()]).seal(key_id, place, MARK)
    reader = Sealer(keys, [master()])
    acts.append(lambda: reader.destroy([key_id]))
    assert reader.unseal(place, text_) == MARK, "it was read before"
    acts.clear()
    assert reader.unseal(place, text_) is None


async def test_a_key_that_another_process_destroyed_is_forgotten_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    keys = MemoryKeys()
    one, other = Sealer(keys, [master()]), Sealer(keys, [master()])
    key_id = one.new_key()
    place = sealed.event_body("E", "R")
    told = one.seal(key_id, place, MARK)
    assert other.unseal(place, told) == MARK
    one.destroy([key_id])
    now += KEPT_OPEN
    assert other.unseal(place, told) is None


async def test_a_damaged_key_stops_its_own_request_alone(url: str) -> None:
    keys = MemoryKeys()
    with opened(url, Sealer(keys, [master()])) as store:
        first, second = await accept(store, ref="1"), await accept(store, ref="2")
        assert first.request is not None
        key = await store.read(
            _value, select(REQUEST.c.key_id).where(REQUEST.c.id == first.request.id)
        )
        keys.rows[key] = keys.rows[key]._replace(wrapped=bytes(60))
    with opened(url, Sealer(keys, [master()])) as store:
        claimed = [await claim_one(store), await claim_one(store)]
        bodies = {one.request.id: one.body for one in claimed}
        assert second.request is not None
        assert bodies[first.request.id] is None
        assert bodies[second.request.id]


def test_postgresql_keeps_no_byte_of_a_destroyed_key(postgres: Server) -> None:
    url = postgres.fresh()
    keys = DatabaseKeys(url)
    gone, stays = WrappedKey("a" * 32, "m", b"Marqueur-" * 6), WrappedKey("b" * 32, "m", b"x" * 60)

    def is_there(one: WrappedKey) -> bool:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        base = [path for path in postgres.folder.rglob("base/**/*") if path.is_file()]
        return any(one.wrapped in path.read_bytes() for path in base)

    try:
        keys.add([gone, stays])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE sealing_key")
            told = connection.execute("SELECT count(*) FROM pg_stats WHERE attname = 'wrapped'")
            assert told.fetchone() == (0,), "no key is among the statistics"
        assert is_there(gone)
        keys.destroy([gone.id])
        keys.clean()
        assert (is_there(gone), is_there(stays)) == (False, True)
        # A dump reads the table: to be tried again, and nobody waits behind it.
        with psycopg.connect(url) as dump:
            dump.execute("SELECT count(*) FROM sealing_key")
            with pytest.raises(Unavailable):
                keys.clean()
        keys.clean()
        assert keys.read([stays.id]) == [stays]
    finally:
        keys.close()
        postgres.drop(url)


async def test_what_comes_after_a_destroyed_key_gets_a_new_one(url: str) -> None:
    with opened(url, in_memory()) as store:
        first = await accept(store, ref="7")
        assert first.request is not None
        await store.write(sealed.condemn, [first.request.id])
        await condemned.destroy(store)
        later = await amend(store, "7", 1)
        assert later.reception is Reception.NEW
        body = await store.read(requests.event_body, later.event_id or "")
        assert body is not None
        assert body["event"]["message"] == "message 1"
        assert await store.read(requests.first_body, first.request.id) is None


async def test_two_requests_share_no_file_and_one_request_its_own(url: str) -> None:
    with opened(url, in_memory()) as store:
        for ref in ("1", "2"):
            await accept(store, ref=ref, files={"photo": PHOTO, "plan": PHOTO})
        addresses = await store.read(
            lambda c: [row.address for row in c.execute(select(ATTACHMENT.c.address))]
        )
        firsts = await store.read(
            lambda c: [
                row.address for row in c.execute(select(BLOB.c.address).where(BLOB.c.n == 0))
            ]
        )
    assert len(addresses) == 4
    assert len(set(addresses)) == len(firsts) == 2
    assert file_of(PHOTO).sha256 not in addresses


async def test_repeated_pushes_use_up_no_keys(store: Database) -> None:
    keys = MemoryKeys()
    store.engine.update_execution_options(sealer=Sealer(keys, [master()]))
    for _ in range(SPARE + 2):
        await accept(store, ref="7")
    assert len(keys.rows) <= SPARE + 1


def test_keys_are_made_ahead_durable_and_none_is_given_twice(tmp_path: Path) -> None:
    sealer = in_file(tmp_path)
    reader = in_file(tmp_path)

    def take(_: int) -> list[str]:
        found = [sealer.new_key() for _ in range(150)]
        assert len(reader.keys.read(found)) == len(found), "each is on disk when it is given"
        return found

    with ThreadPoolExecutor(4) as threads:
        given = [one for many in threads.map(take, range(4)) for one in many]
    assert len(set(given)) == len(given)
    sealer.close()
    reader.close()


def test_a_store_of_keys_that_fails_for_a_while_is_told_once_none_is_left() -> None:
    class Failing(MemoryKeys):
        failing = False

        def add(self, keys: Sequence[WrappedKey], period: str = "") -> None:
            if self.failing:
                raise Unavailable("full")
            super().add(keys, period)

    keys = Failing()
    sealer = Sealer(keys, [master()])
    sealer.new_key()
    keys.failing = True
    for _ in range(SPARE - 1):
        sealer.new_key()
    with pytest.raises(Unavailable):
        sealer.new_key()
    keys.failing = False
    assert sealer.new_key()
    sealer.close()


async def test_master_keys_rotate_while_requests_come_and_stop_anywhere(
    tmp_path: Path, template: Path
) -> None:
    shutil.copyfile(template, tmp_path / "gateway.db")
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    with opened(url, in_file(tmp_path, "old")) as store:
        first = await accept(store, ref="1")
    with opened(url, in_file(tmp_path, "new", "old")) as store:
        command = in_file(tmp_path, "new", "old")
        done = command.rewrap("", 3)  # and was killed
        assert done is not None
        assert (done.keys, done.damaged) == (3, 0)
        second = await accept(store, ref="2")
        again = in_file(tmp_path, "new", "old")
        after = ""
        while (done := again.rewrap(after, 10)) is not None:
            after = done.last
            await accept(store, ref="3")
        assert set(again.keys.count_by_master()) == {master("new").id}
        for sealer in (command, again):
            sealer.close()
    with opened(url, in_file(tmp_path, "new")) as store:
        for one in (first, second):
            assert await store.read(requests.event_body, one.event_id or "")
    with opened(url, in_file(tmp_path, "old")) as store:
        with pytest.raises(Unavailable, match=master("new").id):
            await store.read(requests.event_body, first.event_id or "")
        assert store.sealer is not None
        assert store.sealer.unknown_masters().keys() == {master("new").id}


def test_of_several_processes_none_is_ever_without_a_master_that_is_added_second() -> None:
    """Each process reads its masters at another moment. Put first at once, the new one would wrap
    keys that the others cannot open yet."""
    keys = MemoryKeys()
    place = Place("event", "body", "evt", "req")

    def both_read(one: Sealer, other: Sealer) -> bool:
        for made, reads in ((one, other), (other, one)):
            text = made.seal(made.new_key(), place, "x")
            try:
                assert reads.unseal(place, text) == "x"
            except Unavailable:
                return False
        return True

    def process(*names: str) -> Sealer:
        return Sealer(keys, [master(name) for name in names])

    states = [("old",), ("old", "new"), ("new", "old")]
    for before, after in itertools.pairwise(states):
        assert both_read(process(*before), process(*after)), (before, after)
    assert not both_read(process("old"), process("new", "old")), "as it was told before"
    process("new", "old").rewrap("", 10_000)
    assert both_read(process("new", "old"), process("new"))


def test_a_damaged_key_does_not_stop_a_rotation() -> None:
    keys = MemoryKeys()
    old = Sealer(keys, [master("old")])
    old.new_key()
    gone = min(keys.rows)
    keys.rows[gone] = keys.rows[gone]._replace(wrapped=bytes(60))
    sealer = Sealer(keys, [master("new"), master("old")])
    done = sealer.rewrap("", 10)
    assert done is not None
    assert (done.keys, done.damaged) == (9, 1)
    done = sealer.rewrap(done.last, SPARE)
    assert done is not None
    assert (done.keys, done.damaged) == (SPARE - 10, 0)
    assert sealer.rewrap(done.last, 10) is None


async def test_what_was_stored_before_is_sealed_some_at_a_time(url: str) -> None:
    with opened(url, None) as store:
        ids = [await fill(store)]
        for ref in ("8", "9"):
            # Until now files were shared.
            acceptance = await accept(store, ref=ref, files={"photo": PHOTO})
            assert acceptance.request is not None
            ids.append(acceptance.request.id)
        assert await store.read(_blobs) == 1
    keys = MemoryKeys()
    with opened(url, Sealer(keys, [master()])) as store:
        assert await store.read(resealing.count_in_clear) == 3
        assert await store.write(resealing.seal_some, 1, NOW) == 1
        assert await store.read(_blobs) == 2
        await amend(store, "9", 1)  # which seals all of it
        assert await store.read(resealing.count_in_clear) == 1
    with opened(url, Sealer(keys, [master()])) as store:  # goes on where the other was killed
        while await store.write(resealing.seal_some, 1, NOW):
            pass
        assert await store.read(resealing.count_in_clear) == 0
        assert await store.read(_blobs) == 3
        assert await store.read(_in_clear) == []
        assert await store.write(resealing.seal_some, 1, NOW) == 0
        found = await read_all(store, ids[0])
        assert found == [MARK, f"<p>{MARK}</p>", MARK, "photo.jpg", PHOTO]


async def test_killed_between_sealing_and_cleaning_it_cleans_at_the_next_start(
    tmp_path: Path, template: Path
) -> None:
    class KilledError(Exception):
        pass

    def die(_: str) -> None:
        raise KilledError

    shutil.copyfile(template, tmp_path / "gateway.db")
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    with opened(url, None) as store:
        await fill(store)
    with opened(url, in_file(tmp_path)) as store:
        with pytest.raises(KilledError):
            await seal_what_was_before(store, Environment(crash=die))
        while await store.write(resealing.seal_some, 20, NOW):
            pass
        assert await store.read(resealing.count_in_clear) == 0
        assert found_in(tmp_path), "in the log"
    with opened(url, in_file(tmp_path)) as store:
        assert await seal_what_was_before(store, Environment()) == 0
        assert found_in(tmp_path) == []


def _blobs(connection: Connection) -> int:
    return len(connection.execute(select(BLOB.c.n).where(BLOB.c.n == 0)).all())


def _in_clear(connection: Connection) -> list[Any]:
    return [
        value
        for table, column in (
            ("event", "body"),
            ("untold", "body"),
            ("attempt", "answer"),
            ("attachment", "filename"),
            ("blob", "key"),
        )
        for (value,) in connection.execute(
            text(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
        )
        if not value.startswith("\x01")
    ]


async def test_a_sealed_value_is_not_read_without_keys(url: str) -> None:
    with opened(url, in_memory()) as store:
        first = await accept(store, ref="1")
    with opened(url, None) as store, pytest.raises(Unavailable, match=r"sealing\.masters"):
        await store.read(requests.event_body, first.event_id or "")


async def test_keys_of_another_database_are_told(url: str) -> None:
    with opened(url, in_memory()) as store:
        assert await store.read(sealed.check_keys, "keys.db") is None
        await store.write(sealed.bind_keys)
        assert await store.read(sealed.check_keys, "keys.db") is None
    others = in_memory()
    with opened(url, others) as store:
        said = await store.read(sealed.check_keys, "keys.db")
        assert said is not None
        assert said.word == "keys_missing"
        others.hash("identity")
        said = await store.read(sealed.check_keys, "keys.db")
        assert said is not None
        assert said.word == "keys_of_another"


async def test_keys_of_which_the_first_is_lost_are_told_and_nothing_is_written(url: str) -> None:
    keys = MemoryKeys()
    with opened(url, Sealer(keys, [master()])) as store:
        await store.write(sealed.bind_keys)
        await accept(store, ref="1")
    del keys.rows[HASHES]
    before = dict(keys.rows)
    with opened(url, Sealer(keys, [master()])) as store:
        said = await store.read(sealed.check_keys, "keys.db")
    assert said is not None
    assert (said.word, keys.rows) == ("keys_missing", before)


async def test_keys_that_are_older_than_the_database_are_told(url: str) -> None:
    keys = MemoryKeys()
    with opened(url, Sealer(keys, [master()])) as store:
        await store.write(sealed.bind_keys)
        older = dict(keys.rows)
        await accept(store, ref="1")
        gone = await accept(store, ref="2")
        assert gone.request is not None
        await store.write(sealed.condemn, [gone.request.id])
        await condemned.destroy(store)
        assert await store.read(sealed.check_keys, "keys.db") is None, "what was erased is missed"
        keys.rows = older
        said = await store.read(sealed.check_keys, "keys.db")
        assert said is not None
        assert said.word == "keys_older"
        # It is the database that was put back: then some may have been erased since.
        await store.write(installation.record_restore, NOW + timedelta(days=1))
        assert await store.read(sealed.check_keys, "keys.db") is None


def test_whoever_opens_the_real_database_gives_its_keys() -> None:
    """Those of cases, of a contract run and of the demonstration hold invented data, and are gone
    with their folder; the check of GLC only counts."""
    known = {"contracts/case_databases.py", "contracts/live.py", "cli/check_glc.py", "demo/run.py"}
    root = Path(sealed.__file__).parents[1]
    bare = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Database"
        and len(node.args) < 2
    }
    assert bare == known
