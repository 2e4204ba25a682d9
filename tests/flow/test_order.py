"""Invariant 3: one request's deliveries in order, those of others at their own pace."""

from __future__ import annotations

from gateway.core.delivery import Kind, State
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import operator
from tests.flow.rig import Rig


async def test_a_message_waits_for_its_creation(rig: Rig) -> None:
    rig.line.before.clear()
    async with rig.gateway():
        item, request = await rig.send()
        await rig.push(item, action="message", evenement="m1", message="Premier")
        await rig.push(item, action="message", evenement="m2", message="Second")
        _, other = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 2)
        assert [p for _, p in rig.line.calls] == ["/api/tickets"] * 2
        rig.line.before.set()
        await rig.rest(request, other)
    assert [c.text for c in rig.ticket(request).comments] == ["Premier", "Second"]
    assert {d.state for d in await rig.deliveries(request)} == {State.DONE}
    # Each bears what made it; no release runs here.
    tried = [one for all_of in (await rig.trace(request)).attempts.values() for one in all_of]
    made_with = {(one.release_digest, one.mapping) for one in tried}
    assert made_with == {(None, "signalement-anomalie/rest v1")}


async def test_a_parked_creation_holds_its_children_until_it_is_mended(rig: Rig) -> None:
    rig.gru.required = ("sector",)
    async with rig.gateway() as engine:
        item, request = await rig.send()
        parked = await rig.state(request, State.PARKED)
        await rig.push(item, action="message", evenement="m1", message="Alors ?")
        rig.gru.required = ()
        _, other = await rig.send()
        await rig.state(other, State.DONE)
        held = await rig.the(request, Kind.AMEND)
        assert (held.state, held.head, held.attempts) == (State.WAITING, False, 0)
        await rig.database.write(operator.replay, parked.id, rig.clock())
        engine.lanes.wake(parked.lane)
        await rig.state(request, State.DONE, Kind.AMEND)
    assert [c.text for c in rig.ticket(request).comments] == ["Alors ?"]


async def test_a_failing_request_holds_no_other_of_its_lane(rig: Rig) -> None:
    rig.gru.faults.fail(503, when=FaultCondition(method="POST", first=1))
    async with rig.gateway():
        _, first = await rig.send()
        await rig.failed(first, "busy")
        _, other = await rig.send()
        await rig.state(other, State.DONE)
        assert (await rig.the(first)).state is State.UNSURE
        rig.advance(21)
        await rig.state(first, State.DONE)


async def test_reports_leave_in_the_order_of_what_they_tell(rig: Rig) -> None:
    rig.lines["portal:toodego"].before.clear()
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.state(request, State.DONE)
        for status in ("in_progress", "planned", "resolved"):
            rig.clock.now = rig.clock.now.replace(minute=rig.clock.now.minute + 1)
            rig.gru.advance(rig.ticket(request).id, status)
            await engine.changes.poll(rig.gru_config)
        rig.lines["portal:toodego"].before.set()
        await rig.rest_in_time(request)
    words = [told["statut"] for told in rig.told(item)]
    assert words == ["transmise", "en_cours", "planifiee", "terminee"]


async def test_a_cancellation_closes_the_request_once_the_gru_has_it(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        await rig.push(item, action="annulation", evenement="c1")
        await rig.rest(request)
    kept = (await rig.trace(request)).request
    assert kept.status.value == "cancelled"
    (comment,) = rig.ticket(request).comments
    assert comment.text == "L'usager a annulé sa demande sur Toodego."
