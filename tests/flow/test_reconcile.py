"""Pushes that never arrived are looked for, and taken in once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import Connection

from gateway.catalogue.catalogue import DueMark, Teleservice
from gateway.core.delivery import State
from gateway.flow import due, reconcile
from gateway.ops.health import health
from gateway.ops.shapes import Overall
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.store import cursors, intake, requests
from gateway.store.rows import Reception
from tests.flow.rig import BRON, SLUG, VILLEURBANNE, Rig

PORTAL = "portal:toodego"
NAME = f"reconcile:toodego:{SLUG}"


def form(rig: Rig) -> Teleservice:
    return rig.catalogue.portals["toodego"].teleservices[SLUG]


async def run(rig: Rig) -> int:
    return await rig.engine.reconciler.reconcile("toodego", form(rig))


async def cursor(rig: Rig) -> cursors.CursorValue | None:
    return await rig.database.read(cursors.get, NAME)


async def passed(rig: Rig) -> list[intake.PassedOverRequest]:
    return await rig.database.read(intake.passed_over)


def asked(rig: Rig) -> list[dict[str, str]]:
    """Return the queries of the calls to the portal's list."""
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
    monkeypatch.setattr(due, "PAGE", 2)
    async with rig.gateway(run=False):
        for _ in range(5):
            rig.submit()
            rig.advance(1)
        rig.advance(120)
        assert await run(rig) == 5
    assert [q["filter-internal-id"] for q in asked(rig)] == ["0", "2", "4"]
    assert {q["order_by"] for q in asked(rig)} == {"id"}


async def test_what_our_reports_change_moves_no_page(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lanes run: each report changes `last_update_time` while the next page is asked for."""
    monkeypatch.setattr(due, "PAGE", 10)
    async with rig.gateway():
        for _ in range(60):
            rig.submit()
            rig.clock.now += timedelta(seconds=10)
        rig.advance(3600)
        assert await run(rig) == 60
        await rig.until(lambda: len(rig.gru.tickets) == 60)
        rig.advance(600)
        assert await run(rig) == 0
    assert len(rig.gru.tickets) == 60


async def test_a_portal_that_answers_with_an_object_is_read_too(rig: Rig) -> None:
    items = [rig.submit(), rig.submit()]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/list"):
            rows = [item.document(rig.portal.base_url, files=False) for item in items]
            return httpx.Response(200, json={"err": 0, "count": 2, "data": rows})
        wanted = request.url.path.rstrip("/").rsplit("/", 1)[-1]
        (item,) = [one for one in items if one.id == wanted]
        return httpx.Response(200, json=item.document(rig.portal.base_url))

    rig.lines[PORTAL].inner = httpx.MockTransport(answer)
    async with rig.gateway(run=False):
        rig.advance(120)
        assert await run(rig) == 2


async def test_a_list_that_is_not_in_the_order_asked_is_not_believed(rig: Rig) -> None:
    """An older w.c.s. may know no such bound: it would give the same rows for ever."""
    rows = [rig.submit().row(rig.portal.base_url) for _ in range(2)]
    told = httpx.Response(200, json=rows[::-1])
    rig.lines[PORTAL].inner = httpx.MockTransport(lambda _: told)
    async with rig.gateway(run=False):
        rig.advance(120)
        assert await run(rig) == 0
        kept = await cursor(rig)
        assert kept is not None
        assert kept.failure == "unreadable_answer"


async def test_windows_follow_each_other_and_overlap(rig: Rig) -> None:
    async with rig.gateway(run=False):
        begun = rig.clock()
        await run(rig)
        rig.advance(900)
        await run(rig)
    first, second = [q["filter-start-mtime-value"] for q in asked(rig)]
    # The portal reads Paris time: 08:00 UTC, when it was connected, is 09:00 there in March.
    assert first == "2026-03-12T08:50:00"
    assert second == "2026-03-12T08:50:00"
    kept = await cursor(rig)
    assert kept is not None
    assert kept.value == (begun + timedelta(seconds=900 - 60)).isoformat()
    async with rig.gateway(run=False):
        await run(rig)
    assert asked(rig)[-1]["filter-start-mtime-value"] == "2026-03-12T09:04:00"


async def test_the_cursor_stays_where_the_portal_could_not_be_read(rig: Rig) -> None:
    async with rig.gateway(run=False):
        await run(rig)
        before = await cursor(rig)
        assert before is not None
        for _ in range(12):
            rig.submit()
        rig.advance(86_400)
        for path in ("/list", f"/{SLUG}/"):
            rig.portal.faults.fail(503, when=FaultCondition(path=path))
            assert await run(rig) == 0
            after = await cursor(rig)
            assert after is not None
            assert (after.value, after.failure) == (before.value, "busy")
            assert await passed(rig) == []
            rig.portal.faults.clear()
        assert await run(rig) == 12
        healed = await cursor(rig)
        assert healed is not None
        assert healed.failure is None


@pytest.mark.parametrize("status", [503, 403])
async def test_one_formdata_that_cannot_be_read_costs_itself_alone(rig: Rig, status: int) -> None:
    async with rig.gateway(run=False):
        bad = [rig.submit() for _ in range(8)][2]
        rig.advance(120)
        rig.portal.faults.fail(status, when=FaultCondition(path=f"/{SLUG}/{bad.id}"))
        assert await run(rig) == 7
        assert [one.ref for one in await passed(rig)] == [bad.id]
        kept = await cursor(rig)
        assert kept is not None
        assert kept.failure is None
        rig.advance(86_400)
        assert await run(rig) == 0
        rig.portal.faults.clear()
        rig.advance(86_400)
        assert await run(rig) == 1
        assert await passed(rig) == []


async def test_what_has_no_route_is_passed_over_and_seen(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        rig.submit("75056")
        rig.submit(commune_raw=None)
        ours = rig.submit()
        rig.advance(120)
        assert await run(rig) == 1
        assert await rig.database.read(requests.find, "toodego", SLUG, ours.id) is not None
        kept = await cursor(rig)
        assert kept is not None
        assert kept.failure is None
        found = await passed(rig)
        assert [(one.commune, one.code) for one in found] == [
            ("75056", "unknown_commune"),
            (None, "no_commune"),
        ]
        told = await health(engine, ready=True, started_at=rig.clock())
        assert told.passed_over is not None
        assert told.passed_over.state is Overall.DEGRADED
        assert [(one.commune, one.code, one.count) for one in told.passed_over.found] == [
            (None, "no_commune", 1),
            ("75056", "unknown_commune", 1),
        ]
        assert await run(rig) == 0
        assert len(await passed(rig)) == 2
        rig.advance(31 * 86_400)
        await rig.database.write(intake.forget, rig.clock())
        assert await passed(rig) == []


async def test_numbers_that_a_key_invents_keep_nobody_s_from_being_looked_for(rig: Rig) -> None:
    """Seen: a hundred long ones made an address that the portal refuses, and 500 that cannot be
    asked for took all places of those that are looked at again: for every commune, for 30 days."""
    async with rig.gateway(run=False):
        item, earlier = rig.submit(), rig.clock()
        rig.advance(120)
        rig.portal.faults.fail(503, when=FaultCondition(path=f"/{SLUG}/{item.id}"))
        assert await run(rig) == 0
        rig.portal.faults.clear()
        await rig.database.write(_invented, earlier)
        rig.advance(86_400)
        assert await run(rig) == 1
        assert max(map(len, rig.lines[PORTAL].urls)) < 4_000
        left = {one.ref for one in await passed(rig)}
    assert not left - {f"{n},{n}" for n in range(due.AGAIN)}


def _invented(connection: Connection, at: datetime) -> None:
    """Store a request that Bron's key has pushed in another's name."""
    unaskable = [f"{n},{n}" for n in range(due.AGAIN)]
    for ref in (*unaskable, *(f"{n:03}" + "é" * 197 for n in range(100))):
        intake.pass_over(connection, "toodego", SLUG, ref, intake.OTHER_COMMUNE, BRON, at)


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
        item: SimulatedFormdata = rig.submit()
        rig.advance(120)
        await asyncio.gather(*order([rig.push(item), run(rig)]))
        found = await rig.database.read(requests.find, "toodego", SLUG, item.id)
        assert found is not None
        await rig.state(found.id, State.DONE)
    assert len(rig.gru.tickets) == 1
    assert len(await rig.database.read(requests.listing)) == 1


async def test_what_is_not_due_is_left_alone(rig: Rig) -> None:
    """A form that a moderator holds, or has turned down, was never handed to the commune."""
    async with rig.gateway():
        held = rig.submit(due=False)
        rejected = rig.submit(due=False)
        rig.portal.move(SLUG, rejected.id, "refusee")
        rig.advance(3600)
        assert await run(rig) == 0
        rig.mark_due(held)
        rig.portal.move(SLUG, held.id, "envoi")
        rig.advance(3600)
        assert await run(rig) == 1
        await rig.until(lambda: len(rig.gru.tickets) == 1)
    assert rig.gru.tickets[0].payload["external_id"] is not None


async def test_what_was_due_before_the_connection_is_left_alone(rig: Rig) -> None:
    early = rig.submit()
    rig.portal.move(SLUG, early.id, "transmise")
    rig.clock.now += timedelta(days=1)
    async with rig.gateway(run=False):
        rig.portal.move(SLUG, early.id, "encours")
        rig.adds(early, "evtmsg", "Bonjour")
        late = rig.submit()
        rig.advance(3600)
        assert await run(rig) == 1
        assert await rig.database.read(requests.find, "toodego", SLUG, late.id) is not None
        assert await rig.database.read(requests.find, "toodego", SLUG, early.id) is None
    rig.clock.now += timedelta(days=1)
    async with rig.gateway(run=False):  # it is the first time that counts
        rig.submit()
        rig.advance(3600)
        assert await run(rig) == 1


@pytest.mark.parametrize(
    "mark", ["oui", "2099-01-01T00:00:00", "2026-03-12", "1970-01-01T00:00:00Z", "12/03/2026 10:00"]
)
async def test_a_mark_that_holds_no_likely_time_counts_from_the_submission(
    rig: Rig, mark: str
) -> None:
    """A citizen's addition is not lost to an odd clock of the program that set the mark."""
    async with rig.gateway(run=False):
        rig.advance(3600)
        item = rig.submit()
        item.set_fields({"bo_a_transmettre": mark}, rig.clock())
        rig.advance(60)
        rig.adds(item, "evtmsg", "Bonjour")
        rig.advance(60)
        rig.adds(item, "evtmsg", "Bonsoir")
        rig.advance(3600)
        assert await run(rig) == 3


async def test_a_form_without_the_mark_takes_nothing_and_says_so(rig: Rig) -> None:
    teleservice = replace(form(rig), due=DueMark("bo_autre"))
    async with rig.gateway(run=False) as engine:
        rig.submit()
        rig.advance(3600)
        assert await engine.reconciler.reconcile("toodego", teleservice) == 0
        kept = await cursor(rig)
        assert kept is not None
        assert (kept.value, kept.failure) == (None, "no_due_field")
        asked(rig).clear()
        nothing = replace(form(rig), due=DueMark())
        assert await engine.reconciler.reconcile("toodego", nothing) == 0


async def test_statuses_may_tell_what_is_due(rig: Rig) -> None:
    teleservice = replace(form(rig), due=DueMark(None, frozenset({"transmise"})))
    async with rig.gateway(run=False) as engine:
        rig.submit()
        handed = rig.submit(due=False)
        rig.portal.move(SLUG, handed.id, "transmise")
        rig.portal.move(SLUG, handed.id, "encours")
        rig.advance(3600)
        assert await engine.reconciler.reconcile("toodego", teleservice) == 1
        assert await rig.database.read(requests.find, "toodego", SLUG, handed.id) is not None


async def test_the_only_commune_needs_no_field(rig: Rig) -> None:
    teleservice = replace(form(rig), commune_path=None)
    async with rig.gateway(run=False) as engine:
        communes = dict(engine.catalogue.communes)
        rig.submit()
        rig.advance(3600)
        assert await engine.reconciler.reconcile("toodego", teleservice) == 0
        assert [one.code for one in await passed(rig)] == ["no_commune"]
        del communes[VILLEURBANNE]
        engine.far_ends.catalogue = replace(engine.catalogue, communes=communes)
        rig.advance(900)
        assert await engine.reconciler.reconcile("toodego", teleservice) == 1
        assert await passed(rig) == []


async def test_a_run_that_takes_too_long_is_gone_on_with_by_the_next(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PAGE", 2)
    for _ in range(5):
        rig.submit()
    async with rig.gateway(run=False):
        rig.advance(120)
        with monkeypatch.context() as hurried:
            hurried.setattr(reconcile, "LONGEST_READING", 0.0)
            assert await run(rig) == 2
        kept = await cursor(rig)
        assert kept is not None
        assert (kept.value, kept.failure) == (None, "poll_too_long")
        assert await run(rig) == 3


async def test_why_a_run_ended_is_not_told_as_its_length(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "LONGEST_READING", 0.0)
    for _ in range(5):
        rig.submit()
    rig.portal.faults.fail(503, when=FaultCondition(path=f"/{SLUG}/", method="GET"))
    async with rig.gateway(run=False):
        rig.advance(120)
        assert await run(rig) == 0
        kept = await cursor(rig)
        assert kept is not None
        assert kept.failure not in (None, "poll_too_long")
