"""Events missed while no push came through are taken from the formdata's history, once."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.errors import Rejected
from gateway.core.request import EventKind, Json
from gateway.flow.due import DueFound
from gateway.ops.health import health
from gateway.ops.shapes import Overall
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import Evolution, attachment_part
from gateway.store import intake, requests
from gateway.store.rows import Reception
from gateway.wire.formdata import parse_formdata
from tests.flow.rig import (
    BRON,
    DOCUMENT_AFTER,
    SLUG,
    VILLEURBANNE,
    Rig,
    catalogue,
    request_id,
)
from tests.flow.test_reconcile import form, passed, run
from tests.intake import take_in

WORDS = "Toujours rien ?"


async def kinds(rig: Rig, request: str) -> list[str]:
    return [one.kind for one in (await rig.trace(request)).events if one.origin == "portal"]


def comments(rig: Rig, request: str) -> list[str]:
    return [comment.text for comment in rig.ticket(request).comments]


async def bare(rig: Rig, request: str, text: str, key: str) -> Reception:
    """The shipped workflow tells a message without the form."""
    kept = (await rig.trace(request)).request
    body = f'{{"id": "{kept.ref}", "extra": {{"action": "message", "evenement": "{key}",'
    body += f' "message": "{text}"}}}}'
    formdata = parse_formdata(body.encode(), "application/json", limits=DEFAULT_LIMITS)
    return (await take_in(rig.engine, "toodego", kept.commune, SLUG, formdata)).reception


async def test_a_message_an_edit_and_a_cancellation_are_taken_once(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        rig.adds(item, "evtmsg", WORDS)
        rig.advance(60)
        rig.adds(item, "evtmod", description="Le trou s'agrandit")
        rig.advance(60)
        rig.adds(item, "evtann")
        rig.advance(3600)
        assert await run(rig) == 3
        await rig.rest(request)
        assert await kinds(rig, request) == ["creation", "message", "change", "cancellation"]
        assert comments(rig, request)[0] == WORDS
        for _ in range(2):
            rig.advance(60)
            assert await run(rig) == 0
        # The workflow's own retry, at last: with the whole formdata, and without it.
        late = await rig.push(item, action="message", evenement="m-1", message=WORDS)
        assert late.reception is Reception.SAME
        assert await bare(rig, request, WORDS, "m-1") is Reception.SAME
        late = await rig.push(item, action="modification", evenement="m-2")
        assert late.reception is Reception.SAME
        assert len(await kinds(rig, request)) == 4


async def test_what_was_pushed_is_not_taken_again(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        rig.advance(3600)
        for key in ("m-1", "m-2"):
            rig.adds(item, "evtmsg", WORDS)
            assert await bare(rig, request, WORDS, key) is Reception.NEW
            rig.advance(3600)
        rig.adds(item, "evtmod", description="Le trou s'agrandit")
        await rig.push(item, action="modification", evenement="m-3")
        rig.advance(3600)
        assert await run(rig) == 0
        assert await run(rig) == 0
        await rig.rest(request)
        assert comments(rig, request)[:2] == [WORDS, WORDS]
        assert await kinds(rig, request) == ["creation", "message", "message", "change"]


async def test_one_that_was_missed_among_the_same_words_is_found(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        rig.advance(3600)
        for pushed in (False, True, False):
            rig.adds(item, "evtmsg", WORDS)
            if pushed:
                assert await bare(rig, request, WORDS, "m-2") is Reception.NEW
            rig.advance(3600)
        assert await run(rig) == 2
        assert await run(rig) == 0
        await rig.rest(request)
        assert comments(rig, request) == [WORDS] * 3


async def test_a_workflow_may_word_a_message_in_its_own_way(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        rig.advance(3600)
        rig.adds(item, "evtmsg", "<b>Bonjour</b> & merci")  # pushed, worded otherwise
        assert await bare(rig, request, "Message : Bonjour", "m-1") is Reception.NEW
        rig.advance(3600)
        rig.adds(item, "evtmsg", "Bonsoir")  # missed, then pushed late
        rig.advance(3600)
        assert await run(rig) == 1
        assert await bare(rig, request, "Message : Bonsoir", "m-2") is Reception.SAME
        rig.adds(item, "evtmsg", "Bonne nuit")
        assert await bare(rig, request, "Message : Bonne nuit", "m-3") is Reception.NEW
        rig.advance(3600)
        assert await run(rig) == 0
        await rig.rest(request)
        assert comments(rig, request) == [
            "Message : Bonjour",
            "Bonsoir",
            "Message : Bonne nuit",
        ]


async def test_a_request_that_was_missed_comes_as_it_was_handed_over(rig: Rig) -> None:
    """Its edits follow, each with the values that it brought."""
    async with rig.gateway():
        item = rig.submit(description="Un trou")
        rig.advance(3600)
        for text in ("Deux trous", "Trois trous"):
            rig.adds(item, "evtmod", description=text)
            rig.advance(60)
            rig.adds(item, "evtmsg", f"J'ai écrit : {text}")
            rig.advance(3600)
        assert await run(rig) == 5
        found = await rig.database.read(requests.find, "toodego", SLUG, item.id)
        assert found is not None
        await rig.rest(found.id)
        said = []
        for event in (await rig.trace(found.id)).events:
            if event.kind in ("creation", "change"):
                body = await rig.database.read(requests.event_body, event.id)
                assert body is not None
                said.append(body["fields"]["description"])
        assert said == ["Un trou", "Deux trous", "Trois trous"]
        assert rig.ticket(found.id).payload["description"].startswith("Un trou")
        written = [text for text in comments(rig, found.id) if "écrit" in text]
        assert written == ["J'ai écrit : Deux trous", "J'ai écrit : Trois trous"]
        assert await run(rig) == 0


async def test_a_document_of_the_history_is_sent(rig: Rig) -> None:
    rig.catalogue = catalogue(
        options={"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}},
        portal={"teleservices": {SLUG: {"events": {"evtdoc": "document"}}}},
    )
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        part = attachment_part("justificatif.pdf", "application/pdf", b"%PDF-1.4 abc")
        item.history.append(Evolution(rig.clock(), "evtdoc", item.user, "_submitter", [part]))
        item.touch()
        rig.advance(3600)
        assert await run(rig) == 1
        assert await run(rig) == 0
        await rig.rest(request)
        (document,) = rig.ticket(request).documents
        assert (document.filename, document.content) == ("justificatif.pdf", b"%PDF-1.4 abc")
        file = {
            "filename": "justificatif.pdf",
            "content_type": "application/pdf",
            "content": base64.b64encode(b"%PDF-1.4 abc").decode(),
            "content_is_base64": True,
        }
        late = await rig.push(item, action="document", evenement="d-1", document=file)
        assert late.reception is Reception.SAME


async def test_each_of_two_files_of_one_entry_is_sent(rig: Rig) -> None:
    rig.catalogue = catalogue(
        options={"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}},
        portal={"teleservices": {SLUG: {"events": {"evtdoc": "document"}}}},
    )
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        parts = [
            attachment_part(name, "application/pdf", b"%PDF-1.4 " + name.encode())
            for name in ("recto.pdf", "verso.pdf")
        ]
        item.history.append(Evolution(rig.clock(), "evtdoc", item.user, "_submitter", parts))
        item.touch()
        rig.advance(3600)
        assert await run(rig) == 1
        await rig.rest(request)
    sent = {document.filename: document.content for document in rig.ticket(request).documents}
    assert sent == {"recto.pdf": b"%PDF-1.4 recto.pdf", "verso.pdf": b"%PDF-1.4 verso.pdf"}


async def test_an_event_that_is_just_being_pushed_is_left_to_its_push(rig: Rig) -> None:
    async with rig.gateway():
        item, _ = await rig.send()
        rig.advance(3600)
        rig.adds(item, "evtmsg", WORDS)
        rig.advance(30)
        assert await run(rig) == 0
        rig.advance(60)
        assert await run(rig) == 1


async def test_an_event_that_cannot_be_taken_is_seen_and_looked_at_again(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        rig.adds(item, "evtmod", description="Le trou s'agrandit")
        rig.advance(3600)
        rig.portal.faults.fail(503, when=FaultCondition(path=f"/{SLUG}/{item.id}", method="GET"))
        assert await run(rig) == 0
        assert [(one.ref, one.later) for one in await passed(rig)] == [(item.id, True)]
        rig.portal.faults.clear()
        rig.advance(86_400)
        assert await run(rig) == 1
        assert await passed(rig) == []


async def test_of_a_request_that_was_lost_an_event_that_cannot_be_taken_is_seen(rig: Rig) -> None:
    """The request is here from then on: noted as a request, the event would pass for settled."""
    async with rig.gateway(run=False):
        item = rig.submit()
        rig.advance(3600)
        rig.adds(item, "evtmod", description="Le trou s'agrandit")
        rig.advance(3600)
        rig.portal.faults.fail(
            503, when=FaultCondition(path=f"/{SLUG}/{item.id}", method="GET", after=1)
        )
        assert await run(rig) == 1
        assert [(one.ref, one.later) for one in await passed(rig)] == [(item.id, True)]


async def test_what_follows_an_event_that_cannot_be_read_now_waits_for_it(rig: Rig) -> None:
    """The GRU is told what the citizen did in the order in which they did it."""
    async with rig.gateway(run=False):
        item, request = await rig.send()
        rig.advance(3600)
        rig.adds(item, "evtmod", description="Le trou s'agrandit")
        rig.advance(60)
        rig.adds(item, "evtmsg", WORDS)
        rig.advance(3600)
        read = FaultCondition(path=f"/{SLUG}/{item.id}", method="GET", first=1)
        rig.portal.faults.fail(503, when=read)
        assert await run(rig) == 0
        assert await kinds(rig, request) == ["creation"]
        rig.advance(86_400)
        assert await run(rig) == 2
        assert await kinds(rig, request) == ["creation", "change", "message"]


async def test_nothing_is_taken_of_what_was_erased(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        known = await rig.database.read(intake.known_requests, "toodego", SLUG, [item.id])
        assert known[item.id].id == request
        assert not known[item.id].erased
        rig.advance(3600)
        rig.adds(item, "evtmsg", WORDS)
        rig.advance(3600)
        with rig.database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE request SET erased_at = 1")
        assert await run(rig) == 0
        assert await kinds(rig, request) == ["creation"]


@pytest.mark.parametrize("statuses", [{}, {"autre": EventKind.MESSAGE}])
async def test_only_the_named_statuses_are_events(rig: Rig, statuses: dict[str, EventKind]) -> None:
    async with rig.gateway() as engine:
        item, _ = await rig.send()
        rig.advance(3600)
        rig.adds(item, "evtmsg", WORDS)
        rig.portal.say(SLUG, item.id, "Un mot sans bouton")
        rig.advance(3600)
        teleservice = replace(form(rig), events=statuses)
        assert await engine.reconciler.reconcile("toodego", teleservice) == 0


async def test_a_push_and_a_run_at_once_take_an_event_once(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        rig.adds(item, "evtmsg", WORDS)
        rig.advance(3600)
        await asyncio.gather(run(rig), bare(rig, request, WORDS, "m-1"), run(rig))
        await rig.rest(request)
        assert comments(rig, request) == [WORDS]
        assert request_id(await rig.push(item, action="message", message=WORDS)) == request
        assert await run(rig) == 0
        assert comments(rig, request) == [WORDS]


async def test_an_edit_towards_another_commune_is_refused_as_its_push_is(rig: Rig) -> None:
    """It is seen, it holds nothing else up, and the edit that takes it back settles it."""
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        rig.adds(item, "evtmod", commune_raw=VILLEURBANNE, description="Chez le voisin")
        rig.advance(60)
        rig.adds(item, "evtmsg", WORDS)
        rig.advance(3600)
        assert await run(rig) == 1
        await rig.rest(request)
        assert await kinds(rig, request) == ["creation", "message"]
        (one,) = await passed(rig)
        assert (one.ref, one.code, one.later) == (item.id, "other_commune", True)
        whole = await health(engine, ready=True, started_at=rig.clock())
        told = whole.passed_over
        assert told is not None
        assert told.state is Overall.OK  # the portal's agent settles it
        assert [(one.code, one.later, one.count) for one in told.found] == [
            ("other_commune", True, 1)
        ]
        rig.advance(3600)
        assert await run(rig) == 0
        rig.adds(item, "evtmod", commune_raw=BRON, description="Ici, enfin")
        rig.advance(3600)
        assert await run(rig) == 1
        await rig.rest(request)
        assert await passed(rig) == []
        assert "Ici, enfin" in comments(rig, request)[-1]
        assert not any("voisin" in text for text in comments(rig, request))
        assert len(rig.gru.tickets) == 1


async def test_an_edit_that_cannot_be_taken_is_seen_whatever_the_citizen_edits_later(
    rig: Rig,
) -> None:
    """Only where the commune is wrong does a later edit settle it."""
    deep: Json = "Le trou"
    for _ in range(DEFAULT_LIMITS.max_depth):
        deep = [deep]
    async with rig.gateway(run=False):
        item, request = await rig.send()
        rig.advance(3600)
        rig.adds(item, "evtmod", description=deep)
        rig.advance(3600)
        rig.adds(item, "evtmod", description="Le trou s'agrandit")
        rig.advance(3600)
        assert await run(rig) == 1
        assert await kinds(rig, request) == ["creation", "change"]
        assert [(one.ref, one.later) for one in await passed(rig)] == [(item.id, True)]


async def test_what_is_filled_in_for_another_commune_by_now_is_not_created_here(rig: Rig) -> None:
    """The list says one commune, and the form as it was handed over another."""
    async with rig.gateway():
        item = rig.submit()
        rig.advance(3600)
        rig.adds(item, "evtmod", commune_raw=VILLEURBANNE)
        rig.advance(3600)
        assert await run(rig) == 0
        (one,) = await passed(rig)
        assert (one.commune, one.code) == (VILLEURBANNE, "other_commune")
        assert rig.gru.tickets == []


async def test_a_file_sent_along_with_a_message_reaches_the_gru(rig: Rig) -> None:
    """Out of the history, whose lists show no files, and from a push."""
    rig.catalogue = catalogue(
        options={"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}},
    )
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        rig.adds(item, "evtmsg", WORDS)
        item.history[-1].parts.append(attachment_part("a.pdf", "application/pdf", b"%PDF-1.4 a"))
        rig.advance(3600)
        assert await run(rig) == 1
        assert await run(rig) == 0
        late = await bare(rig, request, WORDS, "m-1")
        assert late is Reception.SAME
        file = {
            "filename": "b.pdf",
            "content_type": "application/pdf",
            "content": base64.b64encode(b"%PDF-1.4 b").decode(),
            "content_is_base64": True,
        }
        await rig.push(item, action="message", evenement="m-2", message="Et b", document=file)
        await rig.rest(request)
        assert comments(rig, request) == [WORDS, "Et b"]
        documents = rig.ticket(request).documents
        assert [(one.filename, one.content) for one in documents] == [
            ("a.pdf", b"%PDF-1.4 a"),
            ("b.pdf", b"%PDF-1.4 b"),
        ]


async def test_a_file_without_words_reaches_the_gru_once(rig: Rig) -> None:
    """Out of the history, and from a push, whose message says nothing; and nothing at all."""
    rig.catalogue = catalogue(
        options={"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}},
    )
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        rig.adds(item, "evtmsg")
        item.history[-1].parts.append(attachment_part("a.pdf", "application/pdf", b"%PDF-1.4 a"))
        rig.advance(60)
        rig.adds(item, "evtmsg")  # he pressed the button, no more
        rig.advance(3600)
        assert await run(rig) == 1
        assert await run(rig) == 0
        file = {
            "filename": "b.pdf",
            "content_type": "application/pdf",
            "content": base64.b64encode(b"%PDF-1.4 b").decode(),
            "content_is_base64": True,
        }
        rig.adds(item, "evtmsg")
        item.history[-1].parts.append(attachment_part("b.pdf", "application/pdf", b"%PDF-1.4 b"))
        await rig.push(item, action="message", evenement="m-2", document=file)
        await rig.push(item, action="message", evenement="m-3")
        rig.advance(3600)
        assert await run(rig) == 0
        await rig.rest(request)
        assert comments(rig, request) == []
        assert [one.filename for one in rig.ticket(request).documents] == ["a.pdf", "b.pdf"]
        assert not (await engine.store.read(intake.passed_over))


async def test_what_a_look_says_is_what_a_run_takes(rig: Rig) -> None:
    """A refused edit is told with its refusal, and an entry that says nothing is not told."""
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.rest(request)
        rig.advance(3600)
        rig.adds(item, "evtmsg")
        rig.advance(60)
        rig.adds(item, "evtmsg", WORDS)
        rig.advance(60)
        rig.adds(item, "evtmod", commune_raw=VILLEURBANNE)
        rig.advance(3600)
        looked = []
        async for found in engine.reconciler.due.read("toodego", form(rig), rig.clock()):
            assert isinstance(found, DueFound)
            for one in found.missing:
                looked += await engine.reconciler.preview("toodego", SLUG, one)
        assert [(kind, code) for kind, _, code in looked] == [
            (EventKind.MESSAGE, None),
            (EventKind.CHANGE, "other_commune"),
        ]
        assert await kinds(rig, request) == ["creation"]
        assert await run(rig) == 1


async def test_a_document_without_a_file_is_refused_at_once(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        with pytest.raises(Rejected) as refused:
            await rig.push(item, action="document", evenement="d-1")
        assert (refused.value.status, refused.value.code) == (400, "missing_file")
        assert await kinds(rig, request) == ["creation"]
