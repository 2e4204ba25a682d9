"""An erased person does not come back: with a backup, another key, or by their own push."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.core.delivery import Kind, State
from gateway.core.erasure import Phase
from gateway.core.errors import GatewayError
from gateway.flow.erased_accounts import KEY_FILE
from gateway.flow.erasure_ledger import LEDGER_FILE, BadLedger, ErasureLedger
from gateway.ops.health import health
from gateway.store import backup, erasure_marks, scrub
from gateway.store.rows import Reception
from tests.erasure.conftest import Build
from tests.erasure.following import MARKER, Following, uuid
from tests.flow.rig import Died


async def erased_one(world: Following, request: str) -> None:
    world.provider.delete(uuid(9))
    await world.found_gone()
    await world.erased()


def restore(world: Following, copy: Path) -> None:
    world.rig.database.close()
    world.rig.database = type(world.rig.database)(f"sqlite:///{copy}")


async def test_a_restored_backup_is_erased_again_before_anything_runs(
    follow: Build, tmp_path: Path
) -> None:
    world = follow()
    rig = world.rig
    copy = tmp_path / "copy.db"
    async with rig.gateway():
        await world.people(3)
        item = world.form(uuid(9), marker=MARKER, photo=True)
        world.provider.create(uuid(9))
        accepted = await world.push(item)
        assert accepted.request is not None
        request = accepted.request.id
        await rig.rest(request)
        backup.copy(Path(str(rig.database.engine.url.database)), copy)
        await erased_one(world, request)
    restore(world, copy)
    assert MARKER.encode() in _bytes(copy)
    await rig.database.write(backup.doubt, rig.clock())
    async with rig.gateway(run=False) as engine:
        await engine.eraser.begin()
        assert (await world.push(item)).reception is Reception.ERASED
        await world.push(world.form(uuid(2)))
    async with rig.gateway():
        await world.erased(step=60)
    found = await world.every()
    assert [(one.source, one.state, one.requests) for one in found] == [
        (erasure_marks.SOURCE, Phase.CLOSED, 1)
    ]
    assert MARKER.encode() not in _bytes(copy)
    assert rig.ticket(request).erased
    async with rig.gateway(run=False) as engine:
        await engine.eraser.begin()
        assert len(await world.every()) == 1


def _bytes(path: Path) -> bytes:
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


async def test_another_key_is_noticed_and_stops_the_start(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway() as engine:
        await engine.eraser.begin()
        await world.people(3)
        request = await world.send(uuid(9))
        await rig.rest(request)
        await erased_one(world, request)
        await engine.eraser.begin()
    key = rig.catalogue.settings.data_dir / KEY_FILE
    key.write_text("une-autre-clef-de-seize-signes")
    async with rig.gateway(run=False) as engine:
        with pytest.raises(GatewayError, match="another one than before"):
            await engine.eraser.begin()


async def test_a_start_without_the_key_is_refused_where_only_the_ledger_knows(
    follow: Build,
) -> None:
    """A database from before the first erasure, on a machine whose key is lost."""
    world = follow()
    settings = world.rig.catalogue.settings
    async with world.rig.gateway(run=False) as engine:
        ledger(settings.data_dir).add({"a" * 64: world.rig.clock()})
        with pytest.raises(GatewayError, match="key of erased accounts is missing"):
            await engine.eraser.begin()


async def test_what_a_ledger_alone_told_ties_the_key_as_an_erasure_does(follow: Build) -> None:
    world = follow()
    rig = world.rig
    settings = rig.catalogue.settings
    async with rig.gateway(run=False) as engine:
        engine.eraser.hasher.hash_of("x")
        engine.eraser.ledger.add({"a" * 64: rig.clock()})
        await engine.eraser.begin()
        assert await world.every() == []
    (settings.data_dir / KEY_FILE).unlink()
    (settings.data_dir / LEDGER_FILE).unlink()
    async with rig.gateway(run=False) as engine:
        with pytest.raises(GatewayError, match="key of erased accounts is missing"):
            await engine.eraser.begin()


async def test_killed_as_the_ledger_is_merged_it_goes_on(follow: Build, tmp_path: Path) -> None:
    world = follow()
    rig = world.rig
    copy = tmp_path / "copy.db"
    async with rig.gateway():
        await world.people(3)
        request = await world.send(uuid(9), marker=MARKER)
        await rig.rest(request)
        backup.copy(Path(str(rig.database.engine.url.database)), copy)
        await erased_one(world, request)
    restore(world, copy)
    await rig.database.write(backup.doubt, rig.clock())
    rig.crash_at = "erase.remembered"
    async with rig.gateway(run=False, stop=False) as engine:
        with pytest.raises(Died):
            await engine.eraser.begin()
    async with rig.gateway() as engine:
        await engine.eraser.begin()
        await world.erased(step=60)
    assert [one.state for one in await world.every()] == [Phase.CLOSED]
    assert MARKER.encode() not in _bytes(copy)


async def test_erasures_wait_while_the_ledger_cannot_be_written(follow: Build) -> None:
    world = follow()
    rig = world.rig
    place = rig.catalogue.settings.data_dir / LEDGER_FILE
    async with rig.gateway() as engine:
        await world.people(3)
        request = await world.send(uuid(9))
        await rig.rest(request)
        place.mkdir(parents=True)
        world.provider.delete(uuid(9))
        await world.found_gone()
        await engine.eraser.advance()
        assert (await world.the()).state is Phase.SCRUBBED
        told = (await health(engine, ready=True, started_at=rig.clock())).glc
        assert told is not None
        assert "cannot be written" in told.detail
        with pytest.raises(BadLedger):
            await engine.eraser.begin()
        place.rmdir()
        await world.erased()
        assert engine.eraser.faults == []
        # Another machine of ours learns of it, too.
        place.unlink()
        assert await engine.eraser.write_down()
        assert len(engine.eraser.ledger.read()) == 1


async def test_an_account_that_is_known_again_before_the_scrub_stops_it(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway(run=False):
        await world.people_kept(3)
        request = await world.send(uuid(9))
        world.provider.delete(uuid(9))
        await world.found_gone()
        await rig.database.write(scrub.stop, (await world.the()).id, rig.clock())
        assert (await rig.the(request)).state is State.DISCARDED
        world.provider.create(uuid(9))
        rig.advance(3600)
        polled = await world.poll()
        assert (polled.cleared, polled.reason) == (1, "contradiction")
        found = await world.the()
        assert found.state is Phase.WITHDRAWN
        delivery = await rig.the(request)
        assert (delivery.state, delivery.reason) == (State.WAITING, "erasure_withdrawn")
        rig.start()
        await rig.state(request, State.DONE)
        item = world.form(uuid(9))
        assert (await world.push(item)).reception is Reception.NEW
        assert await rig.deliveries(request, Kind.ERASE) == []


def ledger(folder: Path, key: str | None = "k1") -> ErasureLedger:
    return ErasureLedger(folder / LEDGER_FILE, lambda: key)


def test_the_ledger_is_whole_or_says_where_it_is_not(tmp_path: Path) -> None:
    at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    marks = {f"{n:064x}": at + timedelta(seconds=n) for n in range(3)}
    kept = ledger(tmp_path)
    assert (kept.add(marks), kept.add(marks), kept.read()) == (3, 0, marks)
    assert kept.path.stat().st_mode & 0o777 == 0o600
    # A line that a crash cut off is passed over, and overwritten.
    with kept.path.open("a") as file:
        file.write('{"mark": "ff')
    assert kept.read() == marks
    more = {"f" * 64: at}
    assert (kept.add(more), kept.read()) == (1, marks | more)
    with pytest.raises(BadLedger, match="another key"):
        ledger(tmp_path, "k2").read()
    assert ledger(tmp_path, None).read() == marks | more
    whole = kept.path.read_bytes()
    # Two ledgers put together are one; the zeros of a crash end it.
    kept.path.write_bytes(whole * 2 + b"\0" * 2000)
    assert kept.read() == marks | more
    assert kept.add({"e" * 64: at}) == 1
    assert len(kept.read()) == 5
    lines = whole.decode().splitlines(keepends=True)
    for wrong, said in (
        ("{\n", "line 3"),
        ("x" * 900 + "\n", "line 3"),
        ('{"mark": "zoe", "at": "2026-11-27T12:00:00+00:00"}\n', "line 3"),
        ('{"mark": ["a"], "at": "2026-11-27T12:00:00+00:00"}\n', "line 3"),
        ("[1]\n", "line 3"),
        ("\0" * 900 + "\n", "line 3"),
        ('{"ledger": "erasures", "key": "k2"}\n', "another key"),
    ):
        kept.path.write_text("".join([*lines[:2], wrong, *lines[2:]]))
        with pytest.raises(BadLedger, match=said):
            kept.read()
        with pytest.raises(BadLedger, match=said):
            kept.add(marks)
    kept.path.unlink()
    os.mkfifo(kept.path)
    with pytest.raises(BadLedger):
        kept.read()


def test_two_processes_write_into_the_ledger_at_once(tmp_path: Path) -> None:
    at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    mine = [{f"{n:064x}": at for n in range(start, start + 200)} for start in (0, 200, 400, 600)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda some: ledger(tmp_path).add(some), mine))
    assert (added, len(ledger(tmp_path).read())) == ([200] * 4, 800)
