"""A delivery that cannot be decoded is parked with its reason, and stops neither lane nor process.

It made each claim of its lane fail, for as long as it was among the first that were due.
"""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from gateway.core.delivery import Kind, State
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import operator
from tests.flow.rig import Rig


def _damage(connection: Connection, request: str, body: str) -> None:
    damaged = connection.execute(
        text("UPDATE event SET body = :body WHERE request_id = :id AND origin = 'portal'"),
        {"id": request, "body": body},
    )
    assert damaged.rowcount == 1


@pytest.mark.parametrize("body", ["{", "[1]", '"x"', "\x00"])
async def test_a_damaged_one_is_parked_and_the_others_go_on(rig: Rig, body: str) -> None:
    async with rig.gateway(run=False):
        sent = [(await rig.send())[1] for _ in range(9)]
        first, *others = sent
        good = (await rig.database.read(_body_of, first)) or ""
        await rig.database.write(_damage, first, body)
    async with rig.gateway():
        await rig.rest(*sent)
        parked = await rig.the(first)
        assert (parked.state, parked.reason) == (State.PARKED, "undecodable")
        assert parked.detail
        assert [(await rig.the(one)).state for one in others] == [State.DONE] * 8
        # Mended, it goes the way of all.
        await rig.database.write(_damage, first, good)
        await rig.database.write(operator.replay, parked.id, rig.clock())
        rig.engine.lanes.wake(parked.lane)
        await rig.state(first, State.DONE)
    assert len(rig.gru.tickets) == 9


def _body_of(connection: Connection, request: str) -> str | None:
    statement = text("SELECT body FROM event WHERE request_id = :id AND origin = 'portal'")
    found: str | None = connection.execute(statement, {"id": request}).scalar()
    return found


async def test_damaged_after_its_reply_was_lost_it_is_still_asked_about(rig: Rig) -> None:
    """The GRU is asked by the request's name, for which nothing need be decoded."""
    rig.gru.faults.cut_after(FaultCondition(path="/api/tickets", method="POST", first=1))
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        await rig.database.write(_damage, request, "{")
        rig.advance(21)
        await rig.state(request, State.DONE)
        report = await rig.state(request, State.DONE, Kind.REPORT)
    assert report.failures == 0
    assert len(rig.gru.by_external_id(request)) == 1
