"""What the citizen's portal is told, and how it answers."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from gateway.core.delivery import Kind, State
from gateway.core.status import Status
from tests.flow.conftest import Builder
from tests.flow.rig import SLUG, Rig, request_id


async def test_a_created_request_is_reported_with_its_number(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        await rig.state(request, State.DONE, Kind.REPORT)
    ticket = rig.ticket(request)
    (told,) = rig.told(item)
    report = await rig.the(request, Kind.REPORT)
    assert told == {
        "evenement": report.event_id,
        "statut": "transmise",
        "message": None,
        "reference": ticket.id,
        "lien": None,
    }
    kept = (await rig.trace(request)).request
    assert (kept.status, kept.gru_reference) == (Status.TRANSMITTED, ticket.id)


async def test_each_attempt_is_signed_anew_and_a_busy_formdata_is_tried_later(rig: Rig) -> None:
    async with rig.gateway():
        item = rig.submit()
        rig.portal.process(SLUG, item.id, 3)
        request = request_id(await rig.push(item))
        report = await rig.failed(request, "processing", Kind.REPORT)
        assert (report.state, report.failures) == (State.WAITING, 1)
        rig.advance(6)
        await rig.state(request, State.DONE, Kind.REPORT)
    posts = [u for u in rig.lines["portal:toodego"].urls if "/hooks/" in u]
    nonces = {parse_qs(urlsplit(u).query)["nonce"][0] for u in posts}
    stamps = {parse_qs(urlsplit(u).query)["timestamp"][0] for u in posts}
    assert len(posts) == len(nonces) == len(stamps) == 2
    assert len(rig.told(item)) == 1
    lane = rig.engine.lanes.lane("portal:toodego:69029")
    assert lane is not None
    assert list(lane.breaker.recent) == [True], "a busy formdata says nothing of the portal"


async def test_a_workflow_without_the_hook_waits_for_its_designer(build_rig: Builder) -> None:
    rig = build_rig()
    async with rig.gateway():
        item = rig.submit()
        rig.portal.define(SLUG, hooks=["autre"])
        request = request_id(await rig.push(item))
        report = await rig.failed(request, "unknown_hook", Kind.REPORT)
        assert report.state is State.WAITING
        rig.portal.define(SLUG, hooks=["retour_commune", "document_commune"])
        rig.advance(6)
        await rig.state(request, State.DONE, Kind.REPORT)
    assert len(rig.told(item)) == 1
