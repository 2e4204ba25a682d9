"""An erased person does not come back: with a backup, another key, or by their own push."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.core.delivery import Kind, State
from gateway.core.erasure import Phase
from gateway.core.errors import GatewayError
from gateway.flow.erased_accounts import KEY_FILE
from gateway.flow.erasure_ledger import LEDGER_FILE, BadLedger, ErasureLedger
from gateway.store import backup, erasure_marks, scrub
from gateway.store.rows import Reception
from tests.erasure.conftest import Build
from tests.erasure.following import MARKER, Following, uuid


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
    lines = kept.path.read_text().splitlines(keepends=True)
    kept.path.write_text("".join([*lines[:2], "{\n", *lines[2:]]))
    with pytest.raises(BadLedger, match="line 3"):
        kept.read()
