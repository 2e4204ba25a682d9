"""Pushes that never arrived are looked for, and taken in once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.catalogue.catalogue import Teleservice
from gateway.core.delivery import State
from gateway.flow import reconcile
from gateway.sim.faults import When
from gateway.sim.formdata import Formdata as Submitted
from gateway.store import lanes as memory
from gateway.store import requests
from gateway.store.rows import Reception
from tests.flow.rig import SLUG, Rig

PORTAL = "portal:toodego"
NAME = f"reconcile:toodego:{SLUG}"


def form(rig: Rig) -> Teleservice:
    return rig.catalogue.portals["toodego"].teleservices[SLUG]


async def run(rig: Rig) -> int:
    return await rig.engine.reconciler.reconcile("toodego", form(rig))


async def cursor(rig: Rig) -> memory.CursorValue | None:
    return await rig.database.read(memory.cursor, NAME)


def asked(rig: Rig) -> list[dict[str, str]]:
    """What was asked of the portal's list, call by call."""
    urls = [u for u in rig.lines[PORTAL].urls if "/list?" in u]
    return [{k: v[0] for k, v in parse_qs(urlsplit(u).query).items()} for u in urls]


async def test_what_no_push_brought_is_taken_in_and_sent(rig: Rig) -> None:
    async with rig.gateway():
        lost = rig.submit()
        _, known = await rig.send()
        rig.advance(120)
        assert await run(rig) == 1
        found = await rig.database.read(requests.find, "toodego", SLUG, lost.id)
        assert found is not None
        await rig.rest(found.id, known)
        assert await run(rig) == 0
        late = await rig.push(lost)
        assert late.reception is Reception.SAME
    assert len(rig.gru.tickets) == 2
    assert len(rig.told(lost)) == 1


async def test_pages_are_read_in_order_to_the_last(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "PAGE", 2)
    async with rig.gateway(run=False):
        for _ in range(5):
            rig.submit()
            rig.advance(1)
        rig.advance(120)
        assert await run(rig) == 5
    assert [q["offset"] for q in asked(rig)] == ["0", "2", "4"]
    assert {q["order_by"] for q in asked(rig)} == {"last_update_time"}


async def test_a_portal_that_answers_with_an_object_is_read_too(rig: Rig) -> None:
    items = [rig.submit(), rig.submit()]
    rig.clock.now += timedelta(minutes=2)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/list"):
            first = "offset=0" in str(request.url)
            row = items[0 if first else 1].row(rig.portal.base_url)
            body: dict[str, Any] = {"err": 0, "count": 2, "data": [row]}
            if first:
                body["next"] = "http://portail.invalid/api/forms/x/list?offset=1"
            return httpx.Response(200, json=body)
        wanted = request.url.path.rstrip("/").rsplit("/", 1)[-1]
        (item,) = [one for one in items if one.id == wanted]
        return httpx.Response(200, json=item.document(rig.portal.base_url))

    rig.lines[PORTAL].inner = httpx.MockTransport(answer)  # type: ignore[assignment]
    async with rig.gateway(run=False):
        assert await run(rig) == 2


async def test_windows_follow_each_other_and_overlap(rig: Rig) -> None:
    async with rig.gateway(run=False):
        begun = rig.clock()
        await run(rig)
        rig.advance(900)
        await run(rig)
    first, second = [q["filter-start-mtime-value"] for q in asked(rig)]
    # The portal reads Paris time: 08:00 UTC is 09:00 there in March.
    assert first == "2026-03-10T08:50:00"
    assert second == "2026-03-12T08:49:00"
    kept = await cursor(rig)
    assert kept is not None
    assert kept.value == (begun + timedelta(seconds=900 - 60)).isoformat()


@pytest.mark.parametrize("path", ["/list", f"/{SLUG}/1"])
async def test_the_cursor_stays_where_something_could_not_be_read(rig: Rig, path: str) -> None:
    async with rig.gateway(run=False):
        await run(rig)
        before = await cursor(rig)
        assert before is not None
        rig.submit()
        rig.advance(86_400)
        rig.portal.faults.fail(503, when=When(path=path, first=1))
        assert await run(rig) == 0
        after = await cursor(rig)
        assert after is not None
        assert after.value == before.value
        assert after.failure is not None
        assert await run(rig) == 1
        healed = await cursor(rig)
        assert healed is not None
        assert healed.failure is None


async def test_what_is_not_ours_is_passed_over(rig: Rig) -> None:
    async with rig.gateway(run=False):
        rig.submit("75056")
        rig.submit(commune_raw=None)
        ours = rig.submit()
        rig.advance(120)
        assert await run(rig) == 1
        assert await rig.database.read(requests.find, "toodego", SLUG, ours.id) is not None
        kept = await cursor(rig)
        assert kept is not None
        assert kept.failure is None


async def test_a_push_that_is_only_slow_is_left_to_arrive(rig: Rig) -> None:
    async with rig.gateway(run=False):
        rig.submit()
        rig.advance(30)
        assert await run(rig) == 0
        rig.advance(60)
        assert await run(rig) == 1


@pytest.mark.parametrize("order", [lambda calls: calls, lambda calls: calls[::-1]])
async def test_a_push_at_the_same_time_makes_no_second_request(
    rig: Rig, order: Callable[[list[Any]], list[Any]]
) -> None:
    async with rig.gateway():
        item: Submitted = rig.submit()
        rig.advance(120)
        await asyncio.gather(*order([rig.push(item), run(rig)]))
        found = await rig.database.read(requests.find, "toodego", SLUG, item.id)
        assert found is not None
        await rig.state(found.id, State.DONE)
    assert len(rig.gru.tickets) == 1
    assert len(await rig.database.read(requests.listing)) == 1
