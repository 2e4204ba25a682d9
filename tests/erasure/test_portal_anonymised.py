"""A request that the portal anonymised is erased here and at the commune."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from gateway.core.delivery import State
from gateway.core.erasure import Brake, Phase
from gateway.core.errors import Conflict
from gateway.flow import anonymised, operator
from gateway.flow.anonymised import NAME
from gateway.sim.faults import FaultCondition
from gateway.store import cursors
from gateway.store.tables import REQUEST
from gateway.wire.portal import names_nobody
from tests.erasure.conftest import Build
from tests.erasure.following import MARKER, Following, uuid
from tests.flow.rig import SLUG


async def look(world: Following) -> int:
    teleservice = world.rig.catalogue.portals["toodego"].teleservices[SLUG]
    return await world.rig.engine.anonymisations.follow("toodego", teleservice)


async def test_what_is_anonymised_there_is_erased_here_and_at_the_commune(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway():
        item = world.form(uuid(1), marker=MARKER, photo=True)
        accepted = await world.push(item)
        assert accepted.request is not None
        request, other = accepted.request.id, await world.send(uuid(1))
        await rig.rest(request, other)
        assert await look(world) == 0
        rig.portal.anonymise(SLUG, item.id)
        assert await look(world) == 1
        assert await look(world) == 0
        await world.erased()
        found = await world.the()
        assert (found.source, found.request_id, found.state) == ("portal", request, Phase.CLOSED)
        assert (rig.ticket(request).erased, rig.ticket(other).erased) == (True, False)


async def test_what_is_deleted_there_waits_for_two_people_once(follow: Build) -> None:
    """The portal may have been put back from a backup that lacks the citizen's request."""
    world = follow()
    rig = world.rig
    async with rig.gateway():
        first, second = await world.send(uuid(1), marker=MARKER), await world.send(None)
        await rig.rest(first, second)
        for key in list(rig.portal.formdata):
            del rig.portal.formdata[key]
        assert await look(world) == 2
        assert await look(world) == 0
        held = await world.every()
        assert {(one.state, one.reason, one.source) for one in held} == {
            (Phase.HELD, "deleted", "portal")
        }
        (run,) = {one.run for one in held}
        one, other = sorted(held, key=lambda one: one.request_id != first)
        for by in ("Anne Fictive", "Bob Inventé"):
            await operator.approve(rig.database, None, one.id, by, rig.clock())
        given_up = await operator.withdraw(
            rig.database, run, "Anne Fictive", "portail restauré", rig.clock()
        )
        assert given_up == 1
        with pytest.raises(Conflict):
            await operator.withdraw(rig.database, other.id, "Anne Fictive", "x", rig.clock())
        # Whoever decided is not asked again.
        assert await look(world) == 0
        await world.erased()
        assert (rig.ticket(first).erased, rig.ticket(second).erased) == (True, False)
        assert (await rig.the(second)).state is State.DONE


async def test_what_we_may_not_read_what_is_purged_and_a_list_that_fails_prove_nothing(
    follow: Build,
) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway(run=False):
        request = await world.send(uuid(1))
        item = next(iter(rig.portal.formdata.values()))
        rig.portal.roleless |= {*rig.portal.keys}
        del rig.portal.formdata[SLUG, item.id]
        assert await look(world) == 0
        rig.portal.roleless = frozenset()
        await rig.database.write(_purge, request, rig.clock())
        assert await look(world) == 0
        rig.portal.faults.fail(503, when=FaultCondition(path="/list"))
        assert await look(world) == 0
        cursor = await rig.database.read(cursors.get, f"{NAME}toodego:{SLUG}")
        assert cursor is not None
        assert cursor.failure is not None
        assert await world.every() == []


def _purge(connection: Any, request: str, now: Any) -> None:
    connection.execute(update(REQUEST).where(REQUEST.c.id == request).values(purged_at=now))


async def test_very_many_at_once_wait_for_two_people(
    follow: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anonymised, "BRAKE", Brake(1.0, 2))
    monkeypatch.setattr(anonymised, "AT_ONCE", 2)
    world = follow()
    rig = world.rig
    async with rig.gateway(run=False):
        await world.people_kept(3)
        for item in list(rig.portal.formdata.values()):
            rig.portal.anonymise(SLUG, item.id)
        assert [await look(world) for _ in range(3)] == [2, 1, 0]
        states = sorted(one.state for one in await world.every())
        assert states == [Phase.HELD, Phase.OPEN, Phase.OPEN]


BLANK: dict[str, Any] = {
    "user": None,
    "evolution": [{"time": "2026-11-27T00:33:04+01:00", "who_id": None}],
}


@pytest.mark.parametrize(
    ("row", "blank"),
    [
        (BLANK, True),
        (BLANK | {"evolution": [*BLANK["evolution"], {"who": {"name": "Un agent"}}]}, True),
        (BLANK | {"user": {"name": "Zoé"}}, False),
        (BLANK | {"evolution": [{"who": {"name": "Zoé"}}]}, False),
        (BLANK | {"evolution": [{"parts": [{"type": "workflow-comment"}]}]}, False),
        (BLANK | {"evolution": [{"who_id": "_submitter"}]}, False),
        (BLANK | {"evolution": [{"time": "2026-11-27T00:33:04+01:00"}]}, False),
        (BLANK | {"evolution": []}, False),
        ({"user": None}, False),
        (BLANK | {"evolution": [None]}, False),
    ],
)
def test_a_row_that_names_its_citizen_is_not_wiped(row: dict[str, Any], blank: bool) -> None:
    assert names_nobody(row) is blank
