"""A database that is put back from a backup: nothing is sent twice, nobody is told twice."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

from gateway.core.delivery import State
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.store import backup, installation, requests
from gateway.store.engine import Database
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, SLUG, Rig
from tests.flow.test_reconcile import run


def copy(tmp_path: Path) -> Path:
    backup = tmp_path / "backup.db"
    live, made = sqlite3.connect(tmp_path / "gateway.db"), sqlite3.connect(backup)
    live.backup(made)
    live.close()
    made.close()
    return backup


def restore(rig: Rig, tmp_path: Path) -> None:
    rig.database.close()
    for left in ("gateway.db-wal", "gateway.db-shm"):
        (tmp_path / left).unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "backup.db", tmp_path / "gateway.db")
    rig.database = Database(f"sqlite:///{tmp_path / 'gateway.db'}", rig.database.sealer)


async def known(rig: Rig, item: SimulatedFormdata) -> str | None:
    found = await rig.database.read(requests.find, "toodego", SLUG, item.id)
    return None if found is None else found.id


async def test_an_older_backup_sends_nothing_twice_and_tells_nothing_twice(
    rig: Rig, tmp_path: Path
) -> None:
    async with rig.gateway(run=False):
        waiting, first = await rig.send()
        copy(tmp_path)
        rig.start()
        lost, second = await rig.send()
        await rig.rest(first, second)
        rig.advance(30)
        rig.adds(lost, "evtmsg", "Toujours là.")
        await rig.push(lost, action="message", evenement="m-1", message="Toujours là.")
        await rig.rest(second)
        for one in (first, second):
            rig.gru.advance(rig.ticket(one).id, "in_progress", note="Nous passons jeudi.")
        rig.advance(60)
        assert await rig.engine.changes.poll(rig.gru_config) > 0
        await rig.rest(first, second)
    told = {item.id: len(rig.told(item)) for item in (waiting, lost)}
    assert set(told.values()) == {3}
    restore(rig, tmp_path)
    assert await known(rig, lost) is None
    assert await rig.database.write(backup.doubt, rig.clock()) == 1
    rig.advance(120)
    async with rig.gateway():
        assert await run(rig) == 2, "the request, and what the citizen wrote"
        assert await known(rig, lost) == second, "the same request, the same reference"
        await rig.rest_in_time(first, second)
        await rig.engine.changes.poll(rig.gru_config)
        await rig.rest_in_time(first, second)
        # Both are followed on, as if nothing had happened.
        rig.gru.advance(rig.ticket(second).id, "closed")
        rig.advance(60)
        await rig.engine.changes.poll(rig.gru_config)
        await rig.rest_in_time(first, second)
    assert len(rig.gru.tickets) == 2
    by_us = [one for one in rig.ticket(second).comments if not one.by_agent]
    assert [one.text for one in by_us] == ["Toujours là."]
    assert len(rig.told(waiting)) == told[waiting.id]
    assert len(rig.told(lost)) == told[lost.id] + 1


async def test_a_call_under_way_in_a_standby_that_lagged_was_over_and_told(
    rig: Rig, tmp_path: Path
) -> None:
    """The former primary saw its end, and told the citizen; the new one still waits for it."""
    let_go = asyncio.Event()
    rig.gru.faults.wait_for(let_go, FaultCondition(method="POST", path="/api/tickets", first=1))
    async with rig.gateway():
        item, request = await rig.send()
        await rig.state(request, State.SENDING)
        copy(tmp_path)
        let_go.set()
        await rig.rest(request)
    assert len(rig.told(item)) == 1
    restore(rig, tmp_path)
    await rig.database.write(installation.treat_as_restored, rig.clock())
    rig.advance(120)
    async with rig.gateway():
        await rig.rest_in_time(request)
    assert len(rig.gru.tickets) == 1
    assert len(rig.told(item)) == 1


async def test_a_gru_that_is_slow_is_not_asked_while_a_call_may_be_under_way(
    build_rig: Builder,
) -> None:
    """Another process may have made it before the database went, and for longer than most take."""
    rig = build_rig(gru={"timeout": 100})
    async with rig.gateway(run=False):
        _, request = await rig.send()
        put_back_at = rig.clock()
        assert await rig.database.write(installation.treat_as_restored, put_back_at) == 1
        lease = rig.engine.lanes.policy(GRU_A).lease
        rig.advance(lease - 10)
        rig.start()

        async def postponed() -> bool:
            one = await rig.the(request)
            over = put_back_at + timedelta(seconds=lease)
            return (one.state, one.next_at) == (State.UNSURE, over)

        await rig.until(postponed)
        assert rig.line.calls == []
        rig.advance(10)
        await rig.rest_in_time(request)
        assert [method for method, _ in rig.line.calls] == ["GET", "POST"], "asked, then sent"


async def test_what_polls_passed_over_before_reconcile_is_read_again(
    rig: Rig, tmp_path: Path
) -> None:
    """A list tells of unknown tickets until the requests that the backup lacks are here."""
    async with rig.gateway(run=False):
        _, first = await rig.send()
        copy(tmp_path)
        rig.start()
        rig.advance(60)
        lost, second = await rig.send()
        await rig.rest(first, second)
    restore(rig, tmp_path)
    rig.gru.advance(rig.ticket(second).id, "in_progress", note="Nous passons jeudi.")
    await rig.database.write(backup.doubt, rig.clock())
    async with rig.gateway():
        for n in range(3):
            rig.advance(1200)
            rig.gru.advance(rig.ticket(first).id, "in_progress", note=f"Point {n}.")
            await rig.engine.changes.poll(rig.gru_config)
            await rig.rest_in_time(first)
        assert await run(rig) == 1
        await rig.rest_in_time(second)
        rig.advance(60)
        await rig.engine.changes.poll(rig.gru_config)
        await rig.rest_in_time(first, second)
    assert len(rig.gru.tickets) == 2
    told = [event["message"] for event in rig.told(lost)]
    assert told.count("Nous passons jeudi.") == 1


async def test_what_comes_after_a_restore_is_sent_at_once(rig: Rig) -> None:
    """Nobody can have sent it before."""
    async with rig.gateway():
        await rig.database.write(installation.record_restore, rig.clock())
        _, request = await rig.send()
        await rig.state(request, State.DONE)
