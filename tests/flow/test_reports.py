"""Reports to the citizen's portal, and its answers."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.core.delivery import Kind, State
from gateway.core.status import Status
from gateway.core.workflow import TOLD
from gateway.flow.judging import WHILE_PROCESSING
from gateway.sdk import Change, Document
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import Evolution, attachment_part
from tests.flow.conftest import Builder
from tests.flow.rig import PORTAL_A, SLUG, Rig, catalogue, request_id
from tests.flow.scripted import Script

#: What the workflow's last action writes of the reports that it has carried out.
MARK = "bo_retours_traites"


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
        assert (report.next_at - rig.clock()).total_seconds() == WHILE_PROCESSING[0]
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


async def test_five_busy_formdata_close_nothing_for_the_sixth(rig: Rig) -> None:
    """w.c.s. gives one code to all its refusals: they were taken for a wrong key."""
    async with rig.gateway() as engine:
        busy = [rig.submit() for _ in range(8)]
        for item in busy:
            rig.portal.process(SLUG, item.id, 3600)
        held = [request_id(await rig.push(item)) for item in busy]
        for request in held:
            await rig.failed(request, "processing", Kind.REPORT)
        _, free = await rig.send()
        await rig.state(free, State.DONE, Kind.REPORT)
        lane = engine.lanes.lane(PORTAL_A)
        assert lane is not None
        assert lane.breaker.state.value == "closed"


async def test_a_report_waits_until_the_push_that_it_answers_is_over(build_rig: Builder) -> None:
    """w.c.s. runs the actions that follow our answer, and takes no hook meanwhile."""
    rig = build_rig(portal={"report_delay": 2})
    async with rig.gateway():
        item = rig.submit()
        rig.portal.process(SLUG, item.id, 1)
        request = request_id(await rig.push(item))
        report = await rig.state(request, State.WAITING, Kind.REPORT)
        assert (report.next_at - rig.clock()).total_seconds() == 2
        rig.advance(2)
        report = await rig.state(request, State.DONE, Kind.REPORT)
    assert report.attempts == 1


async def test_a_report_that_comes_late_by_itself_waits_no_longer(build_rig: Builder) -> None:
    rig = build_rig(portal={"report_delay": 2})
    async with rig.gateway():
        rig.line.before.clear()
        _, request = await rig.send()
        await rig.until(lambda: rig.line.in_flight == 1)
        rig.clock.now += timedelta(seconds=9)
        rig.line.before.set()
        await rig.state(request, State.DONE, Kind.REPORT)


async def test_a_hook_whose_process_died_is_sent_again_once_it_is_free(rig: Rig) -> None:
    """Its payload lies in workflow.data, and no action ran: that was taken for proof."""
    async with rig.gateway():
        item = rig.submit()
        rig.portal.kill_at = item.form.hook("retour_commune").actions[2].id
        request = request_id(await rig.push(item))
        await rig.state(request, State.UNSURE, Kind.REPORT)
        assert rig.told(item) == []
        assert "evenement" in item.workflow_data["retour_commune"]
        rig.advance(30)
        await rig.failed(request, "processing", Kind.REPORT)
        rig.advance(2 * 3600)
        await rig.state(request, State.DONE, Kind.REPORT)
    (told,) = rig.told(item)
    assert item.workflow_fields[MARK].split() == [told["evenement"]]


async def test_without_a_mark_a_lost_answer_is_a_question(rig: Rig) -> None:
    hook = FaultCondition(path="/hooks/retour_commune/", first=1)
    async with rig.gateway():
        item = rig.submit()
        rig.portal.faults.cut_after(hook)
        request = request_id(await rig.push(item))
        report = await rig.state(request, State.UNSURE, Kind.REPORT)
        form = item.form
        form.backoffice[:] = [one for one in form.backoffice if one.varname != MARK]
        del item.workflow_fields[MARK]
        rig.advance(30)
        report = await rig.state(request, State.QUESTION, Kind.REPORT)
    assert report.reason == "no_proof"
    assert len(rig.told(item)) == 1


async def test_a_hook_that_was_done_after_all_is_not_sent_again(rig: Rig) -> None:
    """Asked while its actions ran, it was absent; sent again, refused; and then it was done."""
    async with rig.gateway():
        item = rig.submit()
        rig.portal.process(SLUG, item.id, 3600)
        request = request_id(await rig.push(item))
        report = await rig.failed(request, "processing", Kind.REPORT)
        item.workflow_fields[MARK] = report.event_id
        rig.advance(2)
        await rig.state(request, State.DONE, Kind.REPORT)
    assert rig.told(item) == []


async def test_a_message_that_stands_in_the_history_is_not_said_again(
    scripted: Rig, script: Script
) -> None:
    """The worker died between the message and the next write: w.c.s. joins no two of them."""
    rig = scripted
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        rig.portal.faults.cut_after(FaultCondition(path="/hooks/retour_commune/", first=1))
        rig.lines["portal:toodego"].after.clear()
        rig.lines["portal:toodego"].only = "POST"
        script.tell(Change("n", gru_reference="1", message="Jeudi.", public=True))
        await engine.changes.poll(rig.gru_config)
        await rig.until(lambda: len(rig.told(item)) == 2)
        event = rig.told(item)[1]["evenement"]
        item.workflow_fields[MARK] = None
        said = f'<div {TOLD}="{event}">Jeudi.</div>'
        part = {"type": "workflow-comment", "content": said, "to": None}
        item.history[-1] = Evolution(rig.clock(), None, parts=[part])
        rig.lines["portal:toodego"].after.set()
        for _ in range(3):
            rig.advance(30)
        await rig.rest_in_time(request)
    messages = [told["message"] for told in rig.told(item)]
    assert messages == [None, "Jeudi.", None]
    assert str(item.workflow_fields[MARK]).split() == [event]


@pytest.mark.parametrize("ends", [True, False])
async def test_the_portal_is_told_when_a_commune_takes_up_what_had_ended(
    scripted: Rig, script: Script, ends: bool
) -> None:
    rig = scripted
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        for n, word in enumerate(["resolved"] * ends + ["in_progress"]):
            script.tell(Change(f"s{n}", gru_reference="1", status=word))
            await engine.changes.poll(rig.gru_config)
            await rig.rest(request)
    assert rig.told(item)[-1].get("reouverture", False) is ends


PDF = Document("arrêté.pdf", "application/pdf", b"%PDF-1.4 fictif")


@pytest.mark.parametrize("lost", ["retour_commune", "document_commune"])
async def test_a_document_whose_answer_is_lost_is_there_once(
    scripted: Rig, script: Script, lost: str
) -> None:
    rig = scripted
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        rig.portal.faults.cut_after(FaultCondition(path=f"/hooks/{lost}/", first=1))
        change = Change("d", gru_reference="1", message="Voici", public=True, documents=(PDF,))
        script.tell(change)
        await engine.changes.poll(rig.gru_config)
        await rig.until(lambda: len(rig.told(item)) == 2)
        for _ in range(3):
            rig.advance(30)
        await rig.rest_in_time(request)
    (_, told) = rig.told(item)
    assert (told["statut"], told["message"], told["document_nom"]) == (None, "Voici", "arrêté.pdf")
    assert rig.documents(item) == [("arrete.pdf", PDF.content)]
    assert str(item.workflow_fields[MARK]).split()[-2:] == [
        told["evenement"],
        told["document_attendu"],
    ]


@pytest.mark.parametrize(("stands_there", "put"), [(PDF.content, 0), (b"%PDF-1.4 autre", 1)])
async def test_a_document_that_a_dead_worker_attached_is_not_put_again(
    scripted: Rig, script: Script, stands_there: bytes, put: int
) -> None:
    rig = scripted
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        # The worker dies between the document and the mark, so nothing but the history tells.
        rig.portal.faults.cut_before(FaultCondition(path="/hooks/document_commune/", first=1))
        item.history[-1].parts.append(attachment_part("arr.pdf", "application/pdf", stands_there))
        script.tell(Change("d", gru_reference="1", message="Voici", public=True, documents=(PDF,)))
        await engine.changes.poll(rig.gru_config)
        await rig.until(lambda: len(rig.told(item)) == 2)
        for _ in range(3):
            rig.advance(30)
        await rig.rest_in_time(request)
    assert rig.documents(item) == [("arrete.pdf", PDF.content)] * put


async def reason(rig: Rig, request: str, word: str) -> bool:
    """Is a delivery at rest, for now, with this reason? Time runs on while no call is under way."""
    if rig.idle():
        rig.advance(1)
    return any(
        one.reason == word and one.state is not State.SENDING
        for one in await rig.deliveries(request)
    )


async def test_a_document_that_was_announced_waits_for_the_hook_that_a_mapping_lost(
    scripted: Rig, script: Script
) -> None:
    """The first call of two proves nothing of the document, whatever the mapping says since."""
    rig, with_hook = scripted, scripted.catalogue
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        rig.portal.faults.fail(503, when=FaultCondition(path="/hooks/document_commune/"))
        script.tell(Change("d", gru_reference="1", message="Voici", public=True, documents=(PDF,)))
        await engine.changes.poll(rig.gru_config)
        await rig.until(lambda: reason(rig, request, "busy"))
    rig.portal.faults.clear()
    rig.catalogue = catalogue(
        adapter="essai",
        adapters={"essai": script.adapter()},
        mapping=lambda text: text.replace("adapter: rest", "adapter: essai").replace(
            "  document_hook: document_commune\n", ""
        ),
    )
    rig.advance(60)
    async with rig.gateway():
        await rig.until(lambda: reason(rig, request, "no_document_hook"))
    assert rig.documents(item) == []
    rig.catalogue = with_hook
    rig.advance(3600)
    async with rig.gateway():
        await rig.rest_in_time(request)
    assert rig.documents(item) == [("arrete.pdf", PDF.content)]
    assert [told["message"] for told in rig.told(item)][1:] == ["Voici"]


async def test_a_large_document_waits_for_a_hook_of_its_own(
    build_rig: Builder, script: Script
) -> None:
    rig = build_rig(
        adapter="essai",
        adapters={"essai": script.adapter()},
        mapping=lambda text: text.replace("adapter: rest", "adapter: essai").replace(
            "  document_hook: document_commune\n", ""
        ),
    )
    small, large = (Document("a.pdf", "application/pdf", b"%PDF" * n) for n in (1, 500_000))
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        for key, document in (("s", small), ("l", large)):
            script.tell(Change(key, gru_reference="1", public=True, documents=(document,)))
            await engine.changes.poll(rig.gru_config)
        await rig.until(lambda: len(rig.told(item)) == 2)

        async def held() -> bool:
            return "no_document_hook" in {d.reason for d in await rig.deliveries(request)}

        await rig.until(held)
    assert base64.b64decode(rig.told(item)[1]["document"]["content"]) == small.content
    assert rig.lines["portal:toodego"].count("POST", "/hooks/") == 2
