"""Delays by teleservice and by GRU, applied by a timer beside everything else."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from datetime import timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import func, select, update

from gateway.core.delivery import Kind
from gateway.core.status import Status
from gateway.flow.retention import STREAMS, Policies, apply_retention
from gateway.ops.health import health
from gateway.store import requests, trail
from gateway.store.rows import Reception
from gateway.store.tables import ATTEMPT
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, SLUG, Rig

DAY = 86400.0
PHOTO: dict[str, Any] = {
    "filename": "trottoir.jpg",
    "content_type": "image/jpeg",
    "content_is_base64": True,
    "content": base64.b64encode(b"\xff\xd8\xff un trottoir invente").decode(),
}


async def ended(rig: Rig, **fields: Any) -> tuple[Any, str]:
    """A request that Bron's GRU has ended, and of which the portal was told."""
    item, request = await rig.send(**fields)
    await rig.rest(request)
    rig.gru.advance(rig.ticket(request).id, "resolved")
    await rig.engine.changes.poll(rig.gru_config)
    await rig.rest(request)
    return item, request


async def test_a_late_edit_of_a_purged_request_goes_with_all_its_values(rig: Rig) -> None:
    async with rig.gateway() as engine:
        item, request = await ended(rig, photo=PHOTO, volume_m3="2")
        rig.clock.now += timedelta(days=89)
        assert (
            await apply_retention(rig.database, rig.catalogue, engine.environment)
        ).purged.requests == 0
        rig.clock.now += timedelta(days=2)
        done = (await engine.retention.run()).purged
        assert (done.requests, done.files) == (1, 1)
        trace = await rig.trace(request)
        assert trace.request.status is Status.DONE
        assert await rig.database.read(requests.first_body, request) is None
        # The same push again is the same request, under its reference.
        again = await rig.push(item)
        assert (again.reception, again.request and again.request.id) == (Reception.SAME, request)
        rig.clock.now += timedelta(minutes=1)
        rig.adds(item, "evtmod", precisions="au numéro 12")
        late = await rig.push(item, action="modification", evenement="m-late")
        assert late.reception is Reception.NEW
        await rig.rest(request)
        ticket = rig.ticket(request)
        assert "precisions : « au numéro 12 »" in ticket.comments[-1].text
        assert len(ticket.documents) <= 1, "the photo that it has is not sent again"
        amends = await rig.deliveries(request, Kind.AMEND)
        assert [one.state.value for one in amends] == ["done"]


async def test_delays_are_those_of_the_teleservice_but_not_before_the_gru_is_asked_no_more(
    build_rig: Builder,
) -> None:
    own = {
        "teleservices": {SLUG: {"commune": "fields.commune_raw", "retention": {"ended": "200d"}}}
    }
    rig = build_rig(portal=own, gru={"follow_after_end": "100d"})
    policies = Policies(rig.catalogue)
    route = rig.catalogue.route("toodego", BRON, SLUG)
    assert policies.of_route(route).ended == 200 * DAY
    assert policies.of_route(route).silent == 365 * DAY, (
        "what it does not say is that of the level above"
    )
    rig = build_rig(gru={"follow_after_end": "100d"})
    assert Policies(rig.catalogue).of_route(route).ended == 100 * DAY
    rig = build_rig(gru={"follow_after_end": "10d"})
    assert Policies(rig.catalogue).of_route(route).ended == 30 * DAY


async def test_a_plan_says_what_goes_and_when_and_changes_nothing(rig: Rig) -> None:
    async with rig.gateway() as engine:
        await ended(rig, photo=PHOTO)
        begin = rig.clock.now
        plan = await engine.retention.plan()
        by_kind = {one.kind: one for one in plan.contents}
        assert {kind: (one.count, one.due) for kind, one in by_kind.items()} == {
            "events": (3, 0),
            "files": (1, 0),
        }
        assert by_kind["files"].next_at == begin + timedelta(days=90)
        rig.clock.now += timedelta(days=91)
        plan = await engine.retention.plan()
        assert [(one.commune, one.teleservice, one.due) for one in plan.contents] == [
            (BRON, SLUG, 3),
            (BRON, SLUG, 1),
        ]
        assert plan.attempts == 3
        assert (await engine.retention.run()).attempts == 3
        assert (await engine.retention.plan()).contents == ()


async def test_a_clock_set_forward_by_years_deletes_nothing_until_a_person_has_looked(
    rig: Rig,
) -> None:
    async with rig.gateway() as engine:
        _, request = await ended(rig, photo=PHOTO)
        assert (await engine.retention.run()).doubted_since is None
        begin = rig.clock.now
        rig.clock.now += timedelta(days=5 * 365)
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                held = await engine.retention.run()
                assert (held.doubted_since, held.purged.requests, held.attempts) == (begin, 0, 0)
        assert (await engine.retention.plan()).doubted_since == begin
        assert await rig.database.read(requests.first_body, request) is not None
        told = [one for one in logs if one["event"] == "retention.held"]
        assert [one["days"] for one in told] == [1825, 1825]
        shown = await health(engine, ready=True, started_at=begin)
        assert shown.timers["retention"].failure == "clock_doubted"
        assert "retention run --after-pause" in shown.timers["retention"].says
        # Put right again, it goes on; and a person's word lets it go on where it is right.
        rig.clock.now = begin + timedelta(hours=1)
        assert (await engine.retention.run()).doubted_since is None
        assert "retention" not in (await health(engine, ready=True, started_at=begin)).timers
        rig.clock.now += timedelta(days=120)
        assert (await engine.retention.run()).doubted_since is not None
        looked = await apply_retention(rig.database, rig.catalogue, engine.environment, looked=True)
        assert (looked.purged.requests, looked.purged.files) == (1, 1)
        rig.clock.now += timedelta(days=9)
        assert (await engine.retention.run()).doubted_since is None, "nothing is due: no question"


async def test_a_run_deletes_what_the_plan_says_killed_or_beside_another(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.flow.retention.BATCH", 1)
    monkeypatch.setattr("gateway.flow.retention.ATTEMPTS_AT_ONCE", 2)
    async with rig.gateway() as engine:
        for _ in range(3):
            await ended(rig, photo=PHOTO)
        # The clock was ahead for a while: times of then say nothing of what follows.
        first = select(func.min(ATTEMPT.c.id))
        ahead = update(ATTEMPT).where(ATTEMPT.c.id == first.scalar_subquery())
        later = ahead.values(started_at=rig.clock.now + timedelta(days=900))
        await rig.database.write(lambda c: c.execute(later))
        rig.clock.now += timedelta(days=91)
        plan = await engine.retention.plan()
        due = {one.kind: one.due for one in plan.contents}
        assert due == {"events": 9, "files": 3}
        killed = dataclasses.replace(engine.environment, crash=_die)
        with pytest.raises(KilledHere):
            await apply_retention(rig.database, rig.catalogue, killed)
        rest = await engine.retention.plan()
        assert {one.kind: one.due for one in rest.contents} == {"events": 6, "files": 2}
        runs = await asyncio.gather(
            apply_retention(rig.database, rig.catalogue, engine.environment),
            apply_retention(rig.database, rig.catalogue, engine.environment),
        )
        assert sum(one.purged.events for one in runs) == 6
        assert sum(one.purged.files for one in runs) == 2
        assert sum(one.attempts for one in runs) == plan.attempts
        assert (await engine.retention.plan()).contents == ()


async def test_the_trail_goes_after_its_own_delay_but_for_that_of_releases(rig: Rig) -> None:
    begin = rig.clock.now
    for stream in (*STREAMS, "release"):
        await rig.database.write(trail.append, stream, "exported", {"by": "Ana"}, begin)
    async with rig.gateway() as engine:
        for days, due in ((1825, 0), (1827, len(STREAMS))):
            rig.clock.now = begin + timedelta(days=days)
            assert (await engine.retention.plan()).trail == due
            run = await apply_retention(
                rig.database, rig.catalogue, engine.environment, looked=True
            )
            assert run.trail == due
    left = [await rig.database.read(trail.entries, one) for one in (*STREAMS, "release")]
    assert [len(one) for one in left] == [0] * len(STREAMS) + [1]


class KilledHere(BaseException):
    """The process is gone."""


def _die(point: str) -> None:
    if point == "retention.purged":
        raise KilledHere
