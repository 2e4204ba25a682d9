"""Far ends that lie about dates, repeat themselves, call too early and echo us: told once, and all.

Each test is one fault that connectors of this kind were seen to have.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from gateway.core.delivery import State
from gateway.core.errors import Unavailable
from gateway.core.outcome import Refused, TryLater
from gateway.core.request import EventKind
from gateway.core.status import Status
from gateway.flow import polling
from gateway.ops.health import commune_health
from gateway.ops.shapes import Overall
from gateway.sdk import Accepted, Change, Changes, Document, WebhookCall
from gateway.store import cursors, history, requests, untold
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, GRU_A, Rig, catalogue
from tests.flow.scripted import Script

POLL = f"poll:{GRU_A}"
CALL = WebhookCall("POST", {}, {}, b"{}")
FAR = datetime(2027, 3, 12, 8, 0, tzinfo=UTC)


@pytest.fixture
def unpolled(build_rig: Builder, script: Script) -> Rig:
    """A rig whose GRUs call us and are never asked."""
    script.polled = False
    return build_rig(
        adapter="essai",
        adapters={"essai": script.adapter()},
        mapping=lambda text: text.replace("adapter: rest", "adapter: essai"),
    )


def told(rig: Rig, item: Any) -> list[tuple[str | None, str | None]]:
    """Return the reports after the transmission."""
    return [(one["statut"], one["message"]) for one in rig.told(item)][1:]


def words(rig: Rig, item: Any) -> list[str | None]:
    return [word for word, _ in told(rig, item)]


async def created(rig: Rig) -> tuple[Any, str]:
    item, request = await rig.send()
    await rig.rest(request)
    return item, request


async def poll(rig: Rig, script: Script, *changes: Change, **more: Any) -> None:
    """One poll that brings this, with all that follows from it."""
    script.polls.append(Changes(changes, **more))
    rig.advance(60)
    await rig.engine.changes.poll(rig.gru_config)
    await _rest(rig)


async def call(rig: Rig, script: Script, *changes: Change, **more: Any) -> None:
    """One call of the GRU that brings this."""
    script.polls.append(Changes(changes, **more))
    rig.advance(60)
    await rig.engine.changes.webhook(rig.gru_config, CALL)
    await _rest(rig)


async def _rest(rig: Rig) -> None:
    await rig.rest(*await rig.database.read(_every_request))


def _every_request(connection: Any) -> list[str]:
    return [row[0] for row in connection.exec_driver_sql("SELECT id FROM request")]


def present(request: str, status: str, at: datetime | None = None, **more: Any) -> Change:
    return Change(reference=request, status=status, at=at, **more)


# --- dates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "date",
    [
        lambda now: FAR,
        lambda now: now - timedelta(hours=2),
        lambda now: None,
        lambda now: now.replace(tzinfo=None),
    ],
    ids=["next year", "another zone", "none", "naive"],
)
async def test_how_it_stands_now_is_told_whatever_its_date(
    scripted: Rig, script: Script, date: Callable[[datetime], datetime | None]
) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        await poll(scripted, script, present(request, "planned", FAR))
        await poll(scripted, script, present(request, "closed", date(scripted.clock())))
        await poll(scripted, script, present(request, "planned", FAR))
    assert words(scripted, item) == ["planifiee", "terminee", "planifiee"]


async def test_what_stands_again_as_before_is_told_again_though_its_date_never_moves(
    scripted: Rig, script: Script
) -> None:
    """The date may be that of the ticket, whatever becomes of it."""
    async with scripted.gateway():
        item, request = await created(scripted)
        made = scripted.clock()
        for status in ("planned", "in_progress", "planned", "planned"):
            await poll(scripted, script, present(request, status, made))
        assert words(scripted, item) == ["planifiee", "en_cours", "planifiee"]


async def test_a_date_that_cannot_be_is_noted_as_a_fault(scripted: Rig, script: Script) -> None:
    async with scripted.gateway():
        _, request = await created(scripted)
        await poll(scripted, script, present(request, "planned", FAR))
        cursor = await scripted.database.read(cursors.get, POLL)
        assert cursor is not None
        assert (cursor.failure, cursor.fault) == (None, "future_dates")
        await poll(scripted, script, present(request, "closed", scripted.clock()))
        cursor = await scripted.database.read(cursors.get, POLL)
        assert cursor is not None
        assert cursor.fault is None


async def test_a_call_that_comes_late_does_not_turn_the_time_back(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        now = scripted.clock()
        await call(scripted, script, present(request, "planned", now - timedelta(minutes=5)))
        await call(scripted, script, present(request, "resolved", now))
        for _ in range(2):
            await call(scripted, script, present(request, "planned", now - timedelta(minutes=5)))
        assert await scripted.database.read(untold.listing) == ()
    assert words(scripted, item) == ["planifiee", "terminee"]


async def test_where_nothing_is_polled_a_late_call_is_for_a_person(
    unpolled: Rig, script: Script
) -> None:
    """The hour that comes twice: what is dated before may well have come after."""
    async with unpolled.gateway() as engine:
        item, request = await created(unpolled)
        now = unpolled.clock()
        await call(unpolled, script, present(request, "planned", now))
        await call(unpolled, script, present(request, "resolved", now - timedelta(minutes=20)))
        (waits,) = await unpolled.database.read(untold.listing)
        assert (waits.reason, waits.detail) == ("out_of_order", "resolved")
        assert words(unpolled, item) == ["planifiee"]
        await unpolled.database.write(untold.judge_again, waits.id)
        assert await engine.changes.review(unpolled.gru_config) == 1
        await unpolled.rest(request)
        assert await unpolled.database.read(untold.listing) == ()
    assert words(unpolled, item) == ["planifiee", "terminee"]


async def test_a_call_during_a_poll_is_not_undone_by_what_the_poll_read_before(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway() as engine:
        item, request = await created(scripted)
        before, after = scripted.clock(), scripted.clock() + timedelta(seconds=30)
        scripted.advance(60)
        adapter = engine.far_ends.adapters[GRU_A]
        statuses = adapter.statuses

        async def slow(*args: Any) -> Changes:
            script.polls.append(Changes((present(request, "resolved", after),)))
            await engine.changes.webhook(scripted.gru_config, CALL)
            script.polls.append(Changes((present(request, "planned", before),), "page-2"))
            return await statuses(*args)

        adapter.statuses = slow  # type: ignore[assignment, method-assign]
        await engine.changes.poll(scripted.gru_config)
        await scripted.rest(request)
        cursor = await scripted.database.read(cursors.get, POLL)
        assert cursor is not None
        assert cursor.value is None, "it is read again"
    assert words(scripted, item) == ["terminee"]


# --- repeats ------------------------------------------------------------------------------------


async def test_a_text_is_told_once_though_its_date_and_the_status_move(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        note = "Une équipe passera mardi."
        for status in ("in_progress", "in_progress", "planned", "in_progress"):
            change = present(request, status, scripted.clock(), message=note, public=True)
            await poll(scripted, script, change)
    assert told(scripted, item) == [
        ("en_cours", note),
        ("planifiee", "Une intervention est programmée."),
        ("en_cours", None),
    ]


async def test_a_text_that_the_journal_has_as_well_is_told_once(
    scripted: Rig, script: Script
) -> None:
    """Two options of Open311 give each note twice; two notes may still say the same."""
    async with scripted.gateway():
        item, request = await created(scripted)
        state = Change(reference=request, message="C'est fait.", public=True)
        first = Change("n1", reference=request, message="<p>C'est  fait.</p>", public=True)
        for _ in range(2):
            await poll(scripted, script, state, first)
        await poll(scripted, script, state, first, dataclasses.replace(first, key="n2"))
    assert [m for _, m in told(scripted, item)] == ["C'est fait.", "<p>C'est  fait.</p>"]


async def test_a_journal_in_the_same_poll_says_nothing_of_how_it_stands(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        entry = Change("n1", reference=request, status="in_progress", message="Vu.", public=True)
        await poll(scripted, script, present(request, "closed"), entry)
        await poll(scripted, script, present(request, "closed"), entry)
    assert told(scripted, item) == [
        ("terminee", "Votre signalement est traité."),
        (None, "Vu."),
    ]


async def test_a_file_that_is_made_anew_each_time_is_told_once(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        for n in range(3):
            made = Document("arrete.pdf", "application/pdf", b"%PDF-1.4 " + bytes([n]))
            await poll(scripted, script, Change(reference=request, public=True, documents=(made,)))
        other = Document("plan.pdf", "application/pdf", b"%PDF-1.4 plan")
        await poll(scripted, script, Change(reference=request, public=True, documents=(other,)))
    assert [name for name, _ in scripted.documents(item)] == [
        "arrete.pdf",
        "plan.pdf",
    ]


# --- waiting to be told -------------------------------------------------------------------------


async def test_an_unknown_word_waits_for_a_person_and_is_told_once_it_is_known(
    build_rig: Builder, script: Script
) -> None:
    adapters = {"essai": script.adapter()}

    def mapped(text: str) -> str:
        return text.replace("adapter: rest", "adapter: essai")

    def mended(text: str) -> str:
        rule = 'statuses:\n  "résolu ?": {status: done, message: "Enfin."}\n'
        return mapped(text).replace("statuses:\n", rule, 1)

    rig = build_rig(adapter="essai", adapters=adapters, mapping=mapped)
    async with rig.gateway():
        item, request = await created(rig)
        for _ in range(2):
            change = present(request, "Résolu ?", message="Merci de votre patience.", public=True)
            await poll(rig, script, change)
        (waits,) = await rig.database.read(untold.listing)
        assert (waits.request_id, waits.reason, waits.detail) == (
            request,
            "unknown_status",
            "Résolu ?",
        )
        assert (await rig.trace(request)).untold == (waits,)
        health = await commune_health(rig.engine, BRON, started_at=rig.clock())
        assert (health.status, health.lanes[GRU_A].needs_person) == (Overall.DEGRADED, 1)
    assert told(rig, item) == [(None, "Merci de votre patience.")]
    rig.catalogue = catalogue(adapter="essai", adapters=adapters, mapping=mended)
    async with rig.gateway():
        await poll(rig, script)
        assert await rig.database.read(untold.listing) == ()
        await poll(rig, script, present(request, "Résolu ?"))
    assert told(rig, item)[1:] == [("terminee", "Enfin.")]


async def test_a_word_that_has_been_overtaken_is_not_told_later(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        await poll(scripted, script, present(request, "bizarre"))
        await poll(scripted, script, present(request, "planned"))
        assert await scripted.database.read(untold.listing) == ()
    assert words(scripted, item) == ["planifiee"]


async def test_an_internal_note_that_is_made_public_is_told(scripted: Rig, script: Script) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        note = Change("n1", reference=request, message="Le matelas est enlevé.")
        for _ in range(2):
            await poll(scripted, script, note)
        assert await scripted.database.read(untold.of_request, request) == (), "it is not kept"
        for _ in range(2):
            await poll(scripted, script, dataclasses.replace(note, public=True))
    assert told(scripted, item) == [(None, "Le matelas est enlevé.")]


async def test_a_note_that_the_mapping_lets_through_at_last_is_told(
    build_rig: Builder, script: Script
) -> None:
    adapters = {"essai": script.adapter()}

    def mapped(text: str) -> str:
        return text.replace("adapter: rest", "adapter: essai")

    def silent(text: str) -> str:
        return mapped(text).replace("public: when_marked", "public: never")

    rig = build_rig(adapter="essai", adapters=adapters, mapping=silent)
    pdf = Document("a.pdf", "application/pdf", b"%PDF-1.4 a")
    async with rig.gateway():
        item, request = await created(rig)
        note = Change("n1", reference=request, message="Vu.", public=True, documents=(pdf,))
        await poll(rig, script, note)
        assert await rig.database.read(untold.listing) == (), "nobody has to do anything"
    rig.catalogue = catalogue(adapter="essai", adapters=adapters, mapping=mapped)
    async with rig.gateway():
        await poll(rig, script)
        await poll(rig, script, note)
    (one,) = rig.told(item)[1:]
    assert (one["message"], one["document_nom"]) == ("Vu.", "a.pdf")


async def test_what_has_no_route_waits_for_one(build_rig: Builder, script: Script) -> None:
    def mapped(text: str) -> str:
        return text.replace("adapter: rest", "adapter: essai")

    config: dict[str, Any] = {
        "adapter": "essai",
        "adapters": {"essai": script.adapter()},
        "mapping": mapped,
    }
    rig = build_rig(**config)
    whole = rig.catalogue
    async with rig.gateway():
        item, request = await created(rig)
    rig.catalogue = catalogue(**config, commune={"routes": None})
    async with rig.gateway():
        change = Change("n1", reference=request, status="closed", message="Vu.", public=True)
        for _ in range(2):
            await poll(rig, script, change)
        (waits,) = await rig.database.read(untold.listing)
        assert waits.reason == "no_route"
    rig.catalogue = whole
    async with rig.gateway():
        await poll(rig, script)
        assert await rig.database.read(untold.listing) == ()
    assert told(rig, item) == [("terminee", "Vu.")]


async def test_a_file_that_cannot_be_read_is_for_a_person_until_it_can(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        note = Change("n1", reference=request, message="Voici.", public=True, unreadable=1)
        for _ in range(2):
            await poll(scripted, script, note)
        (waits,) = await scripted.database.read(untold.listing)
        assert waits.reason == "unreadable_document"
        pdf = Document("a.pdf", "application/pdf", b"%PDF-1.4 a")
        await poll(scripted, script, dataclasses.replace(note, unreadable=0, documents=(pdf,)))
        assert await scripted.database.read(untold.listing) == ()
    assert [(one["message"], bool(one.get("document_nom"))) for one in scripted.told(item)[1:]] == [
        ("Voici.", False),
        (None, True),
    ]


# --- our own words ------------------------------------------------------------------------------

LONG = "Il y a aussi un matelas devant le numéro 12, désolé de l'oubli de ce matin."


async def said(rig: Rig, script: Script, text: str, key: str = "m1") -> tuple[Any, str]:
    """A citizen's request, and what they wrote to the commune afterwards."""
    script.amends = frozenset({EventKind.MESSAGE, EventKind.CANCELLATION})
    item, request = await created(rig)
    rig.advance(60)
    await rig.push(item, action="message", evenement=key, message=text)
    await rig.rest(request)
    return item, request


@pytest.mark.parametrize(
    "echo",
    [
        lambda request: Change("n1", reference=request, message=f"<p>{LONG}</p>", public=True),
        lambda request: Change(reference=request, message=LONG.replace(" ", "\n"), public=True),
        lambda request: Change(
            "n1", reference=request, status="in_progress", message=LONG, public=True, at=FAR
        ),
        lambda request: Change(
            "n1", reference=request, status="open", message="…", public=True, sender_key="M-1"
        ),
        lambda request: Change(
            "n1", reference=request, message=f"<p>{LONG}</p><p>[M-1]</p>", public=True
        ),
        lambda request: Change(reference=request, message=f"[{request}] {LONG}", public=True),
    ],
    ids=[
        "as a note in HTML",
        "as the state",
        "with a status",
        "by its key",
        "with its key behind",
        "with the request's before",
    ],
)
async def test_what_the_citizen_wrote_is_never_the_commune_s(
    scripted: Rig, script: Script, echo: Callable[[str], Change]
) -> None:
    async with scripted.gateway():
        item, request = await said(scripted, script, LONG)
        for _ in range(2):
            await poll(scripted, script, echo(request))
    assert told(scripted, item) == []


async def test_what_comes_back_before_the_answer_to_it_is_not_the_commune_s(
    scripted: Rig, script: Script
) -> None:
    async def calls_at_once(number: str) -> None:
        script.polls.append(
            Changes((Change("n1", gru_reference=number, message=LONG, public=True),))
        )
        await scripted.engine.changes.webhook(scripted.gru_config, CALL)

    async with scripted.gateway():
        item, request = await created(scripted)
        script.amends, script.meanwhile = frozenset({EventKind.MESSAGE}), calls_at_once
        await scripted.push(item, action="message", evenement="M-1", message=LONG)
        await scripted.rest(request)
        assert (await scripted.trace(request)).untold == ()
    assert len(script.amended) == 1
    assert told(scripted, item) == []


async def test_an_echo_s_status_does_not_reopen_what_has_ended(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await said(scripted, script, LONG)
        await poll(scripted, script, present(request, "closed"))
        await poll(
            scripted,
            script,
            Change("n1", reference=request, status="open", message=LONG, public=True),
        )
    assert words(scripted, item) == ["terminee"]


async def test_the_same_short_words_of_an_agent_are_told(scripted: Rig, script: Script) -> None:
    async with scripted.gateway():
        item, request = await said(scripted, script, "Merci")
        now = scripted.clock()
        ours = Change("n1", reference=request, message="Merci", public=True, at=now)
        theirs = Change("n2", reference=request, message="merci", public=True, at=now)
        await poll(scripted, script, ours)
        await poll(scripted, script, ours, theirs)
        late = dataclasses.replace(theirs, key="n3", at=now + timedelta(days=1))
        scripted.advance(86400)
        await poll(scripted, script, late)
    assert [m for _, m in told(scripted, item)] == ["merci", "merci"]


async def test_short_words_that_the_gru_does_not_repeat_are_an_agent_s_the_next_day(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await said(scripted, script, "Merci")
        scripted.advance(86400)
        at = scripted.clock()
        theirs = Change("n1", reference=request, message="Merci", public=True, at=at)
        await poll(scripted, script, theirs)
    assert [m for _, m in told(scripted, item)] == ["Merci"]


async def test_the_citizen_s_own_file_does_not_come_back(scripted: Rig, script: Script) -> None:
    async with scripted.gateway():
        photo = b"\x89PNG\r\n\x1a\n essai"
        item = scripted.submit(photo=None)
        item.fields["photo"] = {
            "filename": "a.png",
            "content_type": "image/png",
            "content": base64.b64encode(photo).decode(),
            "content_is_base64": True,
        }
        taken = await scripted.push(item)
        assert taken.request is not None
        request = taken.request.id
        await scripted.rest(request)
        back = Document("ticket-1.png", "image/png", photo)
        other = Document("ticket-2.png", "image/png", photo + b"autre")
        change = Change("n1", reference=request, public=True, documents=(back, other))
        await poll(scripted, script, change)
    assert [name for name, _ in scripted.documents(item)] == ["ticket-2.png"]


# --- the citizen has withdrawn it ---------------------------------------------------------------


async def withdrawn(rig: Rig, script: Script) -> tuple[Any, str]:
    script.amends = frozenset({EventKind.CANCELLATION})
    item, request = await created(rig)
    await poll(rig, script, present(request, "open"))
    rig.advance(600)
    await rig.push(item, action="annulation", evenement="c1")
    await rig.rest(request)
    return item, request


@pytest.mark.parametrize("word", ["closed", "rejected", "cancelled", "in_progress"])
async def test_what_a_commune_says_of_it_next_is_its_end(
    scripted: Rig, script: Script, word: str
) -> None:
    async with scripted.gateway():
        item, request = await withdrawn(scripted, script)
        for _ in range(3):
            await poll(scripted, script, present(request, word))
        assert (await scripted.trace(request)).request.status is Status.CANCELLED
    assert words(scripted, item) == ["acceptee"]


async def test_a_commune_that_goes_on_with_it_all_the_same_is_heard(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        item, request = await withdrawn(scripted, script)
        for word in ("open", "in_progress", "closed"):
            await poll(scripted, script, present(request, word))
    assert words(scripted, item) == ["acceptee", "en_cours", "terminee"]


# --- following after the end --------------------------------------------------------------------


async def test_what_has_ended_is_asked_about_and_may_be_reopened(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway() as engine:
        item, request = await created(scripted)
        await poll(scripted, script, present(request, "closed"))
        await engine.changes.poll(scripted.gru_config)
        scripted.advance(polling.PACE.total_seconds())
        await poll(scripted, script, present(request, "in_progress"))
    asked = [[one.reference for one in tracked] for tracked, _ in script.asked]
    assert asked == [[request], [], [request]]
    assert words(scripted, item) == ["terminee", "en_cours"]
    (event,) = [e for e in (await scripted.trace(request)).events if e.status == "in_progress"]
    body = await scripted.database.read(requests.event_body, event.id)
    assert body is not None
    assert body["reopened"] is True


async def test_a_commune_may_want_no_following(build_rig: Builder, script: Script) -> None:
    rig = build_rig(
        adapter="essai",
        adapters={"essai": script.adapter()},
        mapping=lambda text: text.replace("adapter: rest", "adapter: essai"),
        gru={"follow_after_end": "1s"},
    )
    async with rig.gateway() as engine:
        _, request = await created(rig)
        await poll(rig, script, present(request, "closed"))
        rig.advance(7 * 86400)
        await engine.changes.poll(rig.gru_config)
    assert script.asked[-1][0] == []


async def test_more_than_can_be_asked_at_once_take_turns(
    scripted: Rig, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "TRACKED", 2)
    async with scripted.gateway() as engine:
        made = [await created(scripted) for _ in range(5)]
        for _ in range(6):
            scripted.advance(60)
            await engine.changes.poll(scripted.gru_config)
    asked = [{one.reference for one in tracked} for tracked, _ in script.asked]
    assert all(len(one) == 2 for one in asked)
    for three in (asked[:3], asked[3:]):
        assert set().union(*three) == {request for _, request in made}


# --- what is not told of ------------------------------------------------------------------------


async def test_a_ticket_that_is_gone_is_told_to_a_person(scripted: Rig, script: Script) -> None:
    async with scripted.gateway():
        _, here = await created(scripted)
        _, gone = await created(scripted)
        both = (here, gone)
        for _ in range(3):
            await poll(scripted, script, asked=both, seen=(here,), gone=(gone,))
        (waits,) = await scripted.database.read(untold.listing)
        assert (waits.request_id, waits.reason) == (gone, "not_told_of")
        await poll(scripted, script, asked=both, seen=both)
        assert await scripted.database.read(untold.listing) == ()


async def test_a_list_that_leaves_out_most_has_a_fault_itself(
    scripted: Rig, script: Script
) -> None:
    async with scripted.gateway():
        made = [(await created(scripted))[1] for _ in range(6)]
        for _ in range(4):
            await poll(scripted, script, asked=made, seen=made[:2])
        cursor = await scripted.database.read(cursors.get, POLL)
        assert cursor is not None
        assert cursor.failure == "rows_missing"
        assert await scripted.database.read(untold.listing) == ()


# --- calls --------------------------------------------------------------------------------------


async def test_a_call_before_the_creation_s_answer_waits_for_the_number(
    unpolled: Rig, script: Script
) -> None:
    async def early(number: str) -> None:
        pdf = Document("a.pdf", "application/pdf", b"%PDF-1.4 a")
        change = Change(
            gru_reference=number, status="closed", message="Fait.", public=True, documents=(pdf,)
        )
        script.polls.append(Changes((change, Change(gru_reference="999", status="open"))))
        await unpolled.engine.changes.webhook(unpolled.gru_config, CALL)

    script.meanwhile = early
    async with unpolled.gateway():
        item, _ = await created(unpolled)
        await unpolled.until(lambda: len(unpolled.told(item)) == 2)
        assert await unpolled.database.read(untold.early_lanes) == [], "999 is none of ours"
    assert words(unpolled, item) == ["terminee"]
    assert unpolled.documents(item) == [("a.pdf", b"%PDF-1.4 a")]


async def test_a_call_about_a_ticket_of_others_is_not_kept(unpolled: Rig, script: Script) -> None:
    async with unpolled.gateway():
        await created(unpolled)
        await call(unpolled, script, Change(gru_reference="999", status="open"))
        assert await unpolled.database.read(untold.early_lanes) == []


async def test_one_ticket_for_two_requests_is_told_to_both(scripted: Rig, script: Script) -> None:
    from gateway.core.outcome import Accepted

    script.outcomes = [Accepted("7"), Accepted("7")]
    async with scripted.gateway():
        one, _ = await created(scripted)
        two, second = await created(scripted)
        await poll(scripted, script, Change(gru_reference="7", status="planned"))
        change = Change(gru_reference="7", reference=second, status="closed")
        await call(scripted, script, change)
    assert words(scripted, one) == words(scripted, two) == ["planifiee", "terminee"]


async def test_a_number_told_in_the_same_list_counts_for_what_follows(
    scripted: Rig, script: Script
) -> None:
    """The creation's answer gave none."""
    from gateway.core.outcome import Accepted

    script.outcomes = [Accepted(None)]
    async with scripted.gateway():
        item, request = await created(scripted)
        note = Change("n1", gru_reference="7", message="Passage prévu mardi.", public=True)
        both = Change(gru_reference="7", reference=request, status="open")
        await call(scripted, script, both, note)
    assert "Passage prévu mardi." in [message for _, message in told(scripted, item)]


async def test_a_journal_without_end_is_told_bit_by_bit_and_holds_up_nobody(
    scripted: Rig, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_OF_ONE", 4)
    async with scripted.gateway():
        item, request = await created(scripted)
        other, second = await created(scripted)
        journal = [
            Change(f"n{n}", reference=request, message=f"Note {n}.", public=True) for n in range(10)
        ]
        heard: list[int] = []
        for n in range(4):
            last = [present(second, "closed")] if n == 0 else []
            await poll(scripted, script, *journal, *last, cursor=f"c{n}")
            heard.append(len(told(scripted, item)))
            assert words(scripted, other) == ["terminee"]
            cursor = await scripted.database.read(cursors.get, POLL)
            assert cursor is not None
            assert cursor.value == (None if n < 2 else f"c{n}"), "what is left is not read again"
    assert heard == [4, 8, 10, 10]
    assert [message for _, message in told(scripted, item)] == [f"Note {n}." for n in range(10)]


async def test_a_list_of_others_tickets_is_looked_up_at_once(scripted: Rig, script: Script) -> None:
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    async with scripted.gateway():
        item, request = await created(scripted)
        script.polls.append(
            Changes(
                [
                    *(Change(gru_reference=f"X{n}", status="closed") for n in range(1000)),
                    present(request, "closed"),
                ]
            )
        )
        event.listen(Engine, "before_cursor_execute", count)
        try:
            await scripted.engine.changes.poll(scripted.gru_config)
        finally:
            event.remove(Engine, "before_cursor_execute", count)
        await _rest(scripted)
    assert words(scripted, item) == ["terminee"]
    assert statements < 200


BAD: tuple[Any, ...] = (
    None,
    Change("x"),
    Change("x", reference="\x00"),
    Change("x", gru_reference=7),  # type: ignore[arg-type]
    Change("x", reference="R", message=b"octets"),  # type: ignore[arg-type]
    Change("x", reference="R", documents=(Document("a", "b", "texte"),)),  # type: ignore[arg-type]
)


async def test_a_bad_item_costs_itself_alone(scripted: Rig, script: Script) -> None:
    async with scripted.gateway():
        item, request = await created(scripted)
        await poll(scripted, script, *BAD, present(request, "planned"), *BAD)
        cursor = await scripted.database.read(cursors.get, POLL)
        assert cursor is not None
        assert cursor.fault == "bad_items"
        await call(
            scripted,
            script,
            *BAD,
            Change("n" * 900, reference=request, message="Vu\x00 \ud800", public=True),
            failure=Refused("unreadable", "1 items name no request"),
        )
        await call(scripted, script, present(request, "closed" + "\ud800"))
    assert told(scripted, item) == [
        ("planifiee", "Une intervention est programmée."),
        (None, "Vu"),
        ("terminee", "Votre signalement est traité."),
    ]


# --- parts that have to be fetched --------------------------------------------------------------


@pytest.mark.parametrize("polled", [False, True], ids=["never polled", "polled"])
async def test_a_call_of_which_a_part_cannot_be_fetched_is_called_again(
    unpolled: Rig, script: Script, polled: bool
) -> None:
    """A GRU that no poll asks gets 503, and calls again; the readable changes are told now."""
    able = dataclasses.replace(unpolled.gru_config.capabilities, statuses=polled)
    gru = dataclasses.replace(unpolled.gru_config, capabilities=able, poll=60.0)
    answers: list[Any] = [TryLater("unavailable"), None]

    def change(key: str, request: str) -> Change:
        async def more() -> Any:
            return answers.pop(0) or Change(key, reference=request, message="Entier.", public=True)

        return Change(key, reference=request, public=True, more=more)

    async def calls() -> None:
        plain = Change("n2", reference=request, message="Le reste.", public=True)
        script.polls.append(Changes((change("n1", request), plain)))
        await unpolled.engine.changes.webhook(gru, CALL)

    async with unpolled.gateway():
        item, request = await created(unpolled)
        if polled:
            await calls()
        else:
            with pytest.raises(Unavailable):
                await calls()
        await unpolled.rest(request)
        assert [m for _, m in told(unpolled, item)] == ["Le reste."]
        await calls()
        await unpolled.rest(request)
    assert [m for _, m in told(unpolled, item)] == ["Le reste.", "Entier."]
    assert answers == [], "and is fetched once"


async def test_what_has_to_be_fetched_is_fetched_once_for_what_is_news(
    scripted: Rig, script: Script
) -> None:
    fetched: list[str] = []
    answers: list[Any] = [TryLater("busy"), None]

    def change(key: str, *, public: bool = True) -> Change:
        async def more() -> Any:
            fetched.append(key)
            return answers.pop(0) or Change(key, reference=request, message="Entier.", public=True)

        return Change(key, reference=request, public=public, more=more)

    async with scripted.gateway():
        item, request = await created(scripted)
        await poll(scripted, script, change("n1"), change("n2", public=False), cursor="lu-1")
        cursor = await scripted.database.read(cursors.get, POLL)
        assert cursor is not None
        assert (cursor.value, cursor.failure) == (None, "busy"), "it is read again"
        for _ in range(2):
            await poll(scripted, script, change("n1"), cursor="lu-1")
        cursor = await scripted.database.read(cursors.get, POLL)
        assert cursor is not None
        assert cursor.value == "lu-1"
        assert (await scripted.deliveries(request))[-1].state is State.DONE
    assert fetched == ["n1", "n1"]
    assert [m for _, m in told(scripted, item)] == ["Entier."]


async def test_what_a_gru_calls_things_is_kept_as_every_database_takes_it(
    scripted: Rig, script: Script
) -> None:
    """Seen: PostgreSQL takes no U+0000, so that the answer was never written down."""
    script.outcomes.append(Accepted("GRU\x00 7", "https://gru.invalid/\x007"))
    async with scripted.gateway() as engine:
        _, request = await created(scripted)
        kept = (await scripted.trace(request)).request
        assert (kept.gru_reference, kept.gru_link) == ("GRU 7", "https://gru.invalid/7")
        await poll(scripted, script, cursor="page\x00 2")
        cursor = await engine.store.read(cursors.get, f"poll:{scripted.gru_config.lane_name}")
        assert cursor is not None
        assert cursor.value == "page 2"
