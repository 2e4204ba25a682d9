"""One request, or a person without an account, is erased by two people's word."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from gateway.core.delivery import State
from gateway.core.erasure import Phase
from gateway.core.errors import Conflict, NotFound
from gateway.flow import operator
from gateway.store import erasures, requests
from gateway.store.rows import Reception
from tests.erasure.conftest import Build
from tests.erasure.following import MARKER, Following, uuid

DAYS = timedelta(days=30)


async def order(world: Following, *ids: str) -> tuple[str, list[str]]:
    found = [await world.rig.database.read(requests.search, one) for one in ids]
    eraser = world.rig.engine.eraser
    return await operator.open_requests(
        world.rig.database,
        eraser.hasher,
        [one[0] for one in found],
        "Anne Fictive",
        "demande reçue par courrier",
        DAYS,
        world.rig.engine.environment,
    )


async def test_somebody_without_an_account_is_erased_once_two_agree(follow: Build) -> None:
    world = follow(deadline=20 * 86400.0)
    rig = world.rig
    async with rig.gateway() as engine:
        item = world.form(None, marker=MARKER, photo=True)
        request = (await world.push(item)).request
        assert request is not None
        (other,) = [await world.send(uuid(1))]
        await rig.rest(request.id, other)
        run, (erasure,) = await order(world, request.id)
        glc = rig.catalogue.settings.glc
        await engine.eraser.advance()
        assert (await world.the()).state is Phase.HELD
        # Whom a poll's brake names is not whom a person orders.
        assert await rig.database.read(erasures.held_runs) == []
        with pytest.raises(Conflict):
            await operator.approve(rig.database, None, run, "anne  fictive", rig.clock())
        agreed = await operator.approve(rig.database, glc, run, "Bob Inventé", rig.clock())
        assert agreed == (1, 1)
        assert (await world.the()).due_at == rig.clock() + timedelta(days=20)
        await world.erased()
        found = await world.the()
        assert (found.id, found.state, found.request_id) == (erasure, Phase.CLOSED, request.id)
        assert (found.source, found.because) == ("command", "demande reçue par courrier")
        (target,) = await world.targets(erasure)
        assert (target.request_id, target.answer) == (request.id, "erased")
        assert rig.ticket(request.id).erased
        assert not rig.ticket(other).erased
        assert (await world.push(item)).reception is Reception.ERASED
        with pytest.raises(Conflict):
            await order(world, request.id)


async def test_nothing_is_opened_where_one_of_them_cannot_be(follow: Build) -> None:
    world = follow()
    rig = world.rig
    async with rig.gateway(run=False) as engine:
        one = await world.send(None)
        two = await world.send(None)
        run, opened = await order(world, one)
        assert len(opened) == 1
        with pytest.raises(Conflict):
            await order(world, two, one)
        unknown = dataclasses.replace((await rig.trace(two)).request, id="TDG-0")
        with pytest.raises(NotFound):
            await operator.open_requests(
                rig.database,
                engine.eraser.hasher,
                [unknown],
                "Anne Fictive",
                "un essai",
                DAYS,
                engine.environment,
            )
        assert [found.run for found in await world.every()] == [run]
        assert (await rig.the(two)).state is State.WAITING
