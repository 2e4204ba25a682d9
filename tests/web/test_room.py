"""Bodies take no more of the process than allowed, and no one sender takes all of that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.core.errors import Unavailable
from gateway.web import room
from gateway.web.gru import largest_webhook
from gateway.web.room import BodyBudget, BodyTurn, BodyTurns
from tests.web.harness import Gateway, small
from tests.web.test_events import HOOK, TOKEN
from tests.web.test_senders import BRON, refused

LARGE = 300 * 1024


async def held(size: int, begun: asyncio.Event, go_on: asyncio.Event) -> AsyncIterator[bytes]:
    for _ in range(0, size, 50_000):
        yield b" " * 50_000
    begun.set()
    await go_on.wait()
    yield b"{}"


async def test_strangers_share_what_there_is_for_them(gw: Gateway) -> None:
    """Seen: 50 connections with 39 MB each, unsigned, took 2 GB."""
    budget = largest_webhook(gw.engine.catalogue)
    begun, go_on = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(gw.client.post(HOOK, content=held(budget // 2, begun, go_on)))
    await begun.wait()
    never = asyncio.Event()
    others = [gw.client.post(HOOK, content=held(budget, never, never)) for _ in range(20)]
    for answer in await asyncio.gather(*others):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["code"] == "unavailable"
    # A small one, and whoever proves itself by the query, is served all the same.
    told = {"key": "1", "reference": "TDG-0000000000000000", "status": "clos"}
    assert (await gw.client.post(HOOK, json=told, headers=TOKEN)).status_code == 204
    large = small(extra={"x": ["a" * 50_000] * 10})
    assert (await gw.push(large)).status_code == 201
    go_on.set()
    assert (await first).status_code == 401
    whole = await gw.client.post(HOOK, content=b" " * (budget - 10), headers=TOKEN)
    assert whole.status_code == 400, "all of it was given back"


async def test_a_large_push_waits_for_its_turn(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One key holds a part of the turns, however many bodies it begins."""
    monkeypatch.setattr(room, "PATIENCE", 0.2)
    begun, go_on = [asyncio.Event() for _ in range(4)], asyncio.Event()
    slow = [
        asyncio.create_task(
            gw.client.post(gw.signed(BRON, orig=None, key="1234"), content=held(LARGE, one, go_on))
        )
        for one in begun
    ]
    await asyncio.gather(*(one.wait() for one in begun))
    large = small(extra={"x": ["a" * 50_000] * 10})
    refused(await gw.push(large, orig=None, key="1234"), 503, "unavailable")
    assert (await gw.push(small("8"), orig=None, key="1234")).status_code == 201
    assert (await gw.push(large)).status_code == 201, "another key is served"
    go_on.set()
    for answer in await asyncio.gather(*slow):
        refused(answer, 400, "missing_id")
    assert (await gw.push(large, orig=None, key="1234")).status_code == 200


async def test_large_webhooks_of_one_gru_are_worked_on_one_by_one(gw: Gateway) -> None:
    """Seen: twelve of 9 MB at once took 200 MB, since each costs several times its size."""
    adapter = gw.memo()
    adapter.by_head = True
    told = {"key": "1", "reference": "TDG-0000000000000000", "status": "clos"}
    for size, at_once in ((LARGE, 1), (10, 3)):
        adapter.busiest = 0
        body = json.dumps(told | {"note": "a" * size})
        calls = [gw.client.post(HOOK, content=body, headers=TOKEN) for _ in range(3)]
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {204}
        assert adapter.busiest <= at_once
    assert adapter.busiest > 1, "small ones wait for nobody"


async def test_turns_go_to_who_may_have_them() -> None:
    turns = BodyTurns(most=2, share=1)
    with BodyTurn(turns, "a") as first, BodyTurn(turns, "b") as other:
        await first.wait_turn()
        await first.wait_turn()  # it has it already
        with BodyTurn(turns, "a") as second, BodyTurn(turns, "c") as third:
            waiting = asyncio.create_task(second.wait_turn())
            await asyncio.sleep(0)
            await other.wait_turn()
            last = asyncio.create_task(third.wait_turn())
            await asyncio.sleep(0)
            assert not waiting.done()
            other.leave()
            await last  # before the one that came first, whose sender has its share
            first.leave()
            await waiting
    assert turns.here.total() == 0


async def test_who_gives_up_takes_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = BodyTurns(most=1, share=1)
    with BodyTurn(turns, "a") as first, BodyTurn(turns, "b") as gone, BodyTurn(turns, "c") as late:
        await first.wait_turn()
        task = asyncio.create_task(gone.wait_turn())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.setattr(room, "PATIENCE", 0.01)
        with pytest.raises(Unavailable):
            await late.wait_turn()
        first.leave()
        await late.wait_turn()
    assert turns.here.total() == 0
    assert not turns.waiting


def test_one_sender_has_its_share_of_a_budget() -> None:
    budget = BodyBudget(100, 60, small=0)
    with budget.lease("a") as one, budget.lease("a") as more, budget.lease("b") as other:
        one.grow(50)
        with pytest.raises(Unavailable):
            more.grow(20)
        other.grow(50)
        with pytest.raises(Unavailable):
            one.grow(1)


def test_a_budget_counts_beyond_what_is_small() -> None:
    budget = BodyBudget(100, small=10)
    with budget.lease() as one, budget.lease() as other:
        one.grow(10)
        other.grow(9)
        assert budget.taken.total() == 0
        one.grow(60)
        other.grow(41)
        assert budget.taken.total() == 100
        with pytest.raises(Unavailable):
            other.grow(1)
    assert budget.taken.total() == 0
