"""A GRU's changes of a request, and the portal's reports of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.core.delivery import State
from gateway.core.errors import Rejected, Unavailable
from gateway.core.outcome import TryLater
from gateway.core.status import Status
from gateway.flow.lanes import leases
from gateway.ops.health import health
from gateway.sdk import Change, Changes, Document, WebhookCall
from gateway.sim.faults import FaultCondition
from gateway.store import cursors
from tests.flow.rig import BEGIN, GRU_A, Died, Rig
from tests.flow.scripted import Script

CURSOR = f"poll:{GRU_A}"
#: Seconds; beyond what a poll overlaps the last one by.
LONG_AFTER = 400


async def created(rig: Rig) -> tuple[Any, str]:
    item, request = await rig.send()
    await rig.rest(request)
    return item, request


async def test_a_status_and_its_message_are_told_once(rig: Rig) -> None:
    async with rig.gateway() as engine:
        item, request = await created(rig)
        rig.advance(60)
        rig.gru.advance(rig.ticket(request).id, "planned")
        assert await engine.changes.poll(rig.gru_config) == 1
        assert await engine.changes.poll(rig.gru_config) == 0
        await rig.rest(request)
    _, told = rig.told(item)
    assert (told["statut"], told["message"]) == ("planifiee", "Une intervention est programmée.")
    kept = (await rig.trace(request)).request
    assert (kept.status, kept.changed_at) == (Status.PLANNED, rig.clock())


async def test_internal_notes_never_leave(rig: Rig) -> None:
    async with rig.gateway() as engine:
        item, request = await created(rig)
        ticket = rig.ticket(request).id
        rig.advance(60)
        rig.gru.advance(ticket, None, "Usager pénible, à rappeler", internal=True)
        rig.advance(60)
        rig.gru.advance(ticket, "in_progress", "Nous passons mardi.")
        await engine.changes.poll(rig.gru_config)
        await rig.rest(request)
    texts = [told["message"] for told in rig.told(item)]
    assert "Nous passons mardi." in texts
    assert not any("pénible" in (text or "") for text in texts)


async def test_the_first_poll_does_not_pass_over_what_is_still_being_sent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing fsync kept an answer from being written while the first poll of all began at its
    own time: what the GRU had told before was behind the cursor, and never told."""
    # The call outlives its lease here: nobody else may ask whether it arrived.
    monkeypatch.setattr(leases, "REAP_EVERY", 3_600.0)
    rig.line.only = "POST"
    rig.line.after.clear()
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.until(lambda: len(rig.gru.tickets) == 1)
        rig.gru.advance(rig.ticket(request).id, "planned")
        rig.advance(LONG_AFTER)
        assert await engine.changes.poll(rig.gru_config) == 0, "its number is not known yet"
        rig.line.after.set()
        await rig.rest(request)
        assert await engine.changes.poll(rig.gru_config) == 1
        await rig.rest(request)
    assert [told["statut"] for told in rig.told(item)] == ["transmise", "planifiee"]


async def test_the_first_poll_reaches_back_to_what_was_found_late(rig: Rig) -> None:
    rig.gru.faults.cut_after(FaultCondition(method="POST", path="/api/tickets", first=1))
    async with rig.gateway() as engine:
        item, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.gru.advance(rig.ticket(request).id, "planned")
        rig.advance(LONG_AFTER)
        await rig.rest(request)
        assert await engine.changes.poll(rig.gru_config) == 1
        await rig.rest(request)
    assert [told["statut"] for told in rig.told(item)] == ["transmise", "planifiee"]


async def test_the_first_poll_reaches_back_to_the_oldest_that_is_owed(rig: Rig) -> None:
    """One is known and another, older one, is not: the poll begins before both."""
    async with rig.gateway() as engine:
        rig.gru.faults.cut_after(FaultCondition(method="POST", path="/api/tickets", first=1))
        older, first = await rig.send()
        await rig.state(first, State.UNSURE)
        rig.gru.advance(rig.ticket(first).id, "planned")
        rig.clock.now += timedelta(seconds=LONG_AFTER)
        _, second = await rig.send()
        await rig.state(second, State.DONE)
        await engine.changes.poll(rig.gru_config)
        await rig.rest(first)
        await engine.changes.poll(rig.gru_config)
        await rig.rest(first)
    assert [told["statut"] for told in rig.told(older)] == ["transmise", "planifiee"]


async def hook_of(rig: Rig) -> WebhookCall:
    """The GRU's webhook, as it arrives."""
    seen: list[WebhookCall] = []

    def take(call: httpx.Request) -> httpx.Response:
        seen.append(WebhookCall("POST", dict(call.headers), {}, call.content))
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
        assert await rig.gru.notify(client) == [200]
    return seen[0]


async def test_the_webhook_and_the_poll_of_one_change_tell_it_once(rig: Rig) -> None:
    async with rig.gateway() as engine:
        item, request = await created(rig)
        rig.advance(60)
        rig.gru.advance(rig.ticket(request).id, "in_progress", "Nous passons mardi.")
        hook = await hook_of(rig)
        both = await asyncio.gather(
            engine.changes.webhook(rig.gru_config, hook), engine.changes.poll(rig.gru_config)
        )
        assert sorted(both) == [0, 2]
        assert await engine.changes.webhook(rig.gru_config, hook) == 0
        await rig.rest(request)
    assert [t["message"] for t in rig.told(item)] == [None, None, "Nous passons mardi."]


async def test_a_webhook_that_proves_nothing_is_refused(rig: Rig) -> None:
    async with rig.gateway() as engine:
        _, request = await created(rig)
        rig.gru.advance(rig.ticket(request).id, "resolved")
        hook = await hook_of(rig)
        forged = WebhookCall("POST", hook.headers, {}, hook.body.replace(b"resolved", b"rejected"))
        with pytest.raises(Rejected) as refusal:
            await engine.changes.webhook(rig.gru_config, forged)
        assert refusal.value.status == 401
    assert (await rig.trace(request)).request.status is Status.TRANSMITTED


async def test_an_adapter_that_fails_at_a_webhook_loses_nothing(scripted: Rig) -> None:
    async with scripted.gateway() as engine:
        with pytest.raises(Unavailable) as error:  # the script has nothing to say: IndexError
            await engine.changes.webhook(scripted.gru_config, WebhookCall("POST", {}, {}, b"{}"))
        assert error.value.__suppress_context__


async def test_an_unknown_status_is_kept_and_not_told(rig: Rig) -> None:
    async with rig.gateway() as engine:
        item, request = await created(rig)
        rig.advance(60)
        rig.gru.advance(rig.ticket(request).id, "mis_en_attente_budget")
        await engine.changes.poll(rig.gru_config)
        await rig.rest(request)
    assert len(rig.told(item)) == 1
    trace = await rig.trace(request)
    assert trace.request.status is Status.TRANSMITTED
    assert [one.detail for one in trace.untold] == ["mis_en_attente_budget"]


async def test_an_older_status_that_comes_late_is_not_told_but_its_note_is(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway() as engine:
        item, request = await created(scripted)
        scripted.advance(600)
        now = scripted.clock()

        def change(key: str, status: str, ago: int, note: str | None = None) -> Change:
            at = now - timedelta(seconds=ago)
            return Change(key, reference=request, status=status, at=at, message=note, public=True)

        script.tell(change("b", "planned", 10), change("a", "in_progress", 20, "Vu ce matin."))
        await engine.changes.poll(scripted.gru_config)
        # The same word again is no news, and a final status may be reopened.
        script.tell(change("c", "planned", 8), change("d", "resolved", 6), change("e", "open", 4))
        await engine.changes.poll(scripted.gru_config)
        await scripted.rest(request)
    told = [(t["statut"], t["message"]) for t in scripted.told(item)][1:]
    assert told == [
        ("planifiee", "Une intervention est programmée."),
        (None, "Vu ce matin."),
        ("terminee", "Votre signalement est traité."),
        ("acceptee", "Votre signalement est pris en compte par la commune."),
    ]


async def test_documents_go_with_their_reports_one_each(scripted: Rig, script: Script) -> None:
    pdf, png = b"%PDF-1.4 essai", b"\x89PNG\r\n\x1a\n essai"
    async with scripted.gateway() as engine:
        item, request = await created(scripted)
        script.tell(
            Change(
                "d1",
                gru_reference="1",
                status="resolved",
                message="Voici l'arrêté.",
                public=True,
                documents=(
                    Document("arrete.pdf", "application/pdf", pdf),
                    Document("photo.png", "image/png", png),
                ),
            )
        )
        assert await engine.changes.poll(scripted.gru_config) == 2
        await scripted.rest(request)
    _, first, second = scripted.told(item)
    assert (first["statut"], first["message"]) == ("terminee", "Voici l'arrêté.")
    assert (second["statut"], second["message"]) == (None, None)
    for one in (first, second):
        assert one["document_attendu"] == f"{one['evenement']}-document"
        assert "document" not in one
    assert (first["document_nom"], second["document_nom"]) == ("arrete.pdf", "photo.png")
    assert scripted.documents(item) == [("arrete.pdf", pdf), ("photo.png", png)]


async def test_changes_of_requests_that_are_not_ours_are_passed_over(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway() as engine:
        _, request = await created(scripted)
        script.tell(
            Change("x", gru_reference="999", status="resolved"),
            Change("y", gru_reference="1", status="resolved"),
            cursor="lu-2",
        )
        assert await engine.changes.poll(scripted.gru_config) == 1
        await engine.changes.poll(scripted.gru_config)
        await scripted.rest(request)
    assert script.asked[0][1] is None
    assert [t.reference for t in script.asked[0][0]] == [request]
    assert script.asked[1] == ([], "lu-2"), "a closed request is not asked about"


async def test_what_was_read_before_a_failure_is_kept(scripted: Rig, script: Script) -> None:
    async with scripted.gateway() as engine:
        item, request = await created(scripted)
        change = Change("a", gru_reference="1", status="planned")
        script.polls.append(Changes([change], "lu-1", TryLater("busy", "HTTP 503")))
        assert await engine.changes.poll(scripted.gru_config) == 1
        kept = await scripted.database.read(cursors.get, CURSOR)
        assert kept is not None
        assert (kept.value, kept.failure) == ("lu-1", "busy")
        await scripted.rest(request)
    assert len(scripted.told(item)) == 2


async def test_a_poll_that_cannot_be_read_loses_nothing(rig: Rig) -> None:
    async with rig.gateway() as engine:
        item, request = await created(rig)
        rig.advance(60)
        rig.gru.advance(rig.ticket(request).id, "planned")
        rig.gru.faults.fail(503, when=FaultCondition(method="GET", first=1))
        assert await engine.changes.poll(rig.gru_config) == 0
        assert await engine.changes.poll(rig.gru_config) == 1
        await rig.rest(request)
    assert len(rig.told(item)) == 2


@pytest.mark.parametrize("point", ["changes.before_commit", "changes.after_commit"])
async def test_a_death_while_changes_are_taken_tells_them_once(rig: Rig, point: str) -> None:
    async with rig.gateway() as engine:
        item, request = await created(rig)
        rig.advance(60)
        rig.gru.advance(rig.ticket(request).id, "planned")
        rig.crash_at = point
        with pytest.raises(Died):
            await engine.changes.poll(rig.gru_config)
    async with rig.gateway() as engine:
        await engine.changes.poll(rig.gru_config)
        await rig.rest_in_time(request)
    assert [t["statut"] for t in rig.told(item)] == ["transmise", "planifiee"]
    assert {d.state for d in await rig.deliveries(request)} == {State.DONE}


async def test_a_poll_that_has_nobody_to_ask_about_is_not_a_late_one(rig: Rig) -> None:
    """A request waits, the GRU has none yet: the poll was made, and health may say so."""
    async with rig.gateway(run=False) as engine:
        await rig.send()
        assert await engine.changes.poll(rig.gru_config) == 0
        kept = await rig.database.read(cursors.get, CURSOR)
        assert kept is not None
        assert (kept.value, kept.failure, kept.updated_at) == (None, None, rig.clock())
        assert rig.line.calls == []
        rig.advance(10 * 24 * 3600)
        await engine.changes.poll(rig.gru_config)
        told = await health(engine, ready=True, started_at=BEGIN)
        assert not told.timers[CURSOR].late
