"""A second REST system connected by writing YAML only: `systems/ticketing.yaml`, no Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from adapters.rest import RestAdapter
from gateway.sdk import (
    Absent,
    Accepted,
    Amendment,
    Changes,
    ErasureAnswer,
    ErasureResult,
    EventKind,
    Found,
    Misconfigured,
    Refused,
    Submission,
    Tracked,
    TryLater,
    Unsure,
    WebhookCall,
)
from gateway.sdk.conformance import NOW, REFERENCE, file
from gateway.sim.faults import FaultCondition
from gateway.sim.ticketing import TicketDocument, Ticketing
from tests.adapters.rest_systems import adapter, options

PAYLOAD = {"title": "Nid de poule", "requester": {"name": "Zoé Fictive-Exemple"}}
CREATION = FaultCondition(path="/api/tickets", method="POST", first=1)


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def sim(clock: Hands) -> Ticketing:
    return Ticketing(clock=clock)


@asynccontextmanager
async def connected(sim: Ticketing, **replaced: Any) -> AsyncIterator[RestAdapter]:
    given = {**options("ticketing"), **replaced}
    async with adapter(given, httpx.ASGITransport(app=sim.app), sim.clock) as built:
        yield built


def submission(*contents: bytes) -> Submission:
    files = [file(content, filename="Fictive-Exemple.png") for content in contents]
    return Submission(REFERENCE, PAYLOAD, files)


def message(kind: EventKind = EventKind.MESSAGE, text: str | None = "Bonjour") -> Amendment:
    return Amendment(REFERENCE, "1", "evt-1", kind, {}, text)


async def test_a_request_goes_in_with_its_files(sim: Ticketing) -> None:
    async with connected(sim) as rest:
        outcome = await rest.submit(submission(b"un", b"deux"))
    assert outcome == Accepted("1", "https://tickets.exemple.invalid/tickets/1", {"status": "201"})
    (ticket,) = sim.tickets
    assert ticket.external_id == REFERENCE
    assert ticket.payload["requester"] == {"name": "Zoé Fictive-Exemple"}
    assert [d.content for d in ticket.documents] == [b"un", b"deux"]
    # The upload's address is in the logs of every machine on the way.
    assert [d.filename for d in ticket.documents] == ["piece-1.png", "piece-2.png"]


async def test_a_lost_reply_is_settled_by_asking(sim: Ticketing) -> None:
    sim.faults.cut_after(CREATION)
    async with connected(sim) as rest:
        assert await rest.find(REFERENCE) == Absent()
        assert isinstance(await rest.submit(submission()), Unsure)
        assert await rest.find(REFERENCE) == Found("1", "https://tickets.exemple.invalid/tickets/1")
    assert len(sim.tickets) == 1


async def test_a_reference_that_is_taken_is_asked_about(sim: Ticketing) -> None:
    sim.unique_external_id = True
    async with connected(sim) as rest:
        await rest.submit(submission())
        outcome = await rest.submit(submission())
    assert outcome == Unsure("exists_already", "HTTP 409")


async def test_what_is_missing_is_refused_without_quoting(sim: Ticketing) -> None:
    sim.required = ("category",)
    async with connected(sim) as rest:
        assert await rest.submit(submission()) == Refused("invalid", "HTTP 422")


async def test_one_session_serves_all_calls_and_is_renewed_once_over(sim: Ticketing) -> None:
    async with connected(sim) as rest:
        await asyncio.gather(*(rest.find(REFERENCE) for _ in range(5)))
        assert sim.issued == 1
        sim.expire()
        assert isinstance(await rest.submit(submission()), Accepted)
        assert sim.issued == 2
    assert len(sim.tickets) == 1


async def test_a_wrong_password_is_a_setting_to_mend(sim: Ticketing) -> None:
    async with connected(sim, secrets={"login": "connecteur", "password": "faux"}) as rest:
        outcome = await rest.submit(submission())
        notes = await rest.check()
    assert outcome == Misconfigured("login_refused", "HTTP 401 when asking for a token")
    assert [n.level for n in notes] == ["fault"]


async def test_oauth2_is_another_few_lines_of_yaml(sim: Ticketing, clock: Hands) -> None:
    auth = {
        "kind": "oauth2",
        "token_url": "https://tickets.exemple.invalid/oauth/token",
        "client_id": "client-essai",
        "client_secret": "secret-client",
    }
    async with connected(sim, auth=auth) as rest:
        assert isinstance(await rest.submit(submission()), Accepted)
        await rest.find(REFERENCE)
        assert sim.issued == 1
        clock.forward(seconds=sim.token_life)
        await rest.find(REFERENCE)
        assert sim.issued == 2, "a token at its end is replaced before it is refused"
        sim.expire()
        assert isinstance(await rest.find(REFERENCE), Found)
        assert sim.issued == 3


async def test_calls_whose_token_was_forgotten_share_one_new_one(sim: Ticketing) -> None:
    auth = {
        "kind": "oauth2",
        "token_url": "https://tickets.exemple.invalid/oauth/token",
        "client_id": "client-essai",
        "client_secret": "secret-client",
    }
    async with connected(sim, auth=auth) as rest:
        await rest.submit(submission())
        for issued in (2, 3):
            sim.expire()
            found = await asyncio.gather(*(rest.find(REFERENCE) for _ in range(8)))
            assert all(isinstance(one, Found) for one in found)
            assert sim.issued == issued


async def test_a_broken_line_while_reading_is_tried_again_at_once(sim: Ticketing) -> None:
    sim.faults.cut_before(FaultCondition(path="/api/tickets", method="GET", first=2))
    async with connected(sim) as rest:
        assert await rest.find(REFERENCE) == Absent()


async def test_a_message_can_be_asked_about_after_a_lost_reply(sim: Ticketing) -> None:
    sim.faults.cut_after(FaultCondition(path="/comments", method="POST", first=1))
    async with connected(sim) as rest:
        await rest.submit(submission())
        assert await rest.find_amend(message()) == Absent()
        assert isinstance(await rest.amend(message()), Unsure)
        assert await rest.find_amend(message()) == Found(None)
        await rest.amend(message(EventKind.CANCELLATION, None))
    assert [c.text for c in sim.tickets[0].comments] == ["Bonjour", "Demande annulée"]


async def test_changes_come_back_and_internal_notes_stay_internal(
    sim: Ticketing, clock: Hands
) -> None:
    async with connected(sim) as rest:
        await rest.submit(submission())
        await rest.amend(message())
        clock.forward(minutes=1)
        sim.advance("1", "in_progress", "Dossier suspect", internal=True)
        decision = TicketDocument("decision.pdf", "application/pdf", b"%PDF")
        sim.advance("1", "closed", "C'est réparé.", document=decision)
        tracked = [Tracked(REFERENCE, "1", NOW)]
        changes = await rest.statuses(tracked, None)
        again = await rest.statuses(tracked, changes.cursor)
    assert changes.failure is None
    status, internal, public = changes.items
    assert (status.status, status.gru_reference, status.reference) == ("closed", "1", REFERENCE)
    assert (internal.message, internal.public) == ("Dossier suspect", False)
    assert (public.message, public.public) == ("C'est réparé.", True)
    assert [d.content for d in public.documents] == [b"%PDF"]
    assert changes.cursor == clock.now.isoformat()
    assert {c.key for c in again.items} == {c.key for c in changes.items}, "told again, same keys"


async def test_a_poll_of_many_pages_misses_nothing(sim: Ticketing, clock: Hands) -> None:
    for number in range(60):
        sim.create({"external_id": f"R{number}"})
        clock.forward(seconds=30)
    async with connected(sim) as rest:
        changes = await rest.statuses([Tracked("R0", "1", NOW)], None)
        assert {c.reference for c in changes.items} == {f"R{n}" for n in range(60)}
        cursors = [changes.cursor]
        for _ in range(3):
            cursors.append((await rest.statuses([], cursors[-1])).cursor)
    assert cursors[0] == sim.tickets[24].updated.isoformat(), "back to the first page's end"
    assert cursors[-1] == sim.tickets[-1].updated.isoformat()


async def test_a_far_end_that_fails_keeps_the_cursor(sim: Ticketing) -> None:
    sim.faults.fail(503, retry_after=30, when=FaultCondition(path="/api/tickets", method="GET"))
    cursor = NOW.isoformat()
    async with connected(sim) as rest:
        changes = await rest.statuses([], cursor)
    assert (changes.cursor, changes.failure) == (cursor, TryLater("busy", "HTTP 503", 30.0))


async def test_a_webhook_is_read_once_it_is_proven(sim: Ticketing) -> None:
    sim.webhook_url = "https://passerelle.exemple.invalid/gru"
    sim.webhook_key = "cle-webhook-cle-webhook"
    async with connected(sim) as rest:
        read: list[Changes] = []

        async def receive(request: httpx.Request) -> httpx.Response:
            genuine = WebhookCall("POST", dict(request.headers), {}, request.content)
            forged = WebhookCall("POST", dict(request.headers), {}, request.content + b" ")
            read.extend([await rest.webhook(genuine), await rest.webhook(forged)])
            return httpx.Response(204)

        await rest.submit(submission())
        sim.advance("1", "closed")
        async with httpx.AsyncClient(transport=httpx.MockTransport(receive)) as client:
            assert await sim.notify(client) == [204]
    genuine, forged = read
    assert [(c.reference, c.status) for c in genuine.items] == [(REFERENCE, "closed")]
    assert isinstance(forged.failure, Refused)
    assert list(forged.items) == []


async def test_erasure_is_done_and_a_404_alone_proves_nothing(sim: Ticketing) -> None:
    async with connected(sim) as rest:
        await rest.submit(submission())
        assert await rest.erase(REFERENCE, "1") == Accepted(
            "1", proof={"status": "204"}, erasure=ErasureAnswer()
        )
        assert sim.tickets[0].erased is True
        assert isinstance(await rest.erase(REFERENCE, "999"), Refused)
        outcome = await rest.erase("TDG-0000000000000000", "999")
    absent = ErasureAnswer(ErasureResult.ABSENT)
    assert outcome == Accepted("999", proof={"status": "404", "find": "absent"}, erasure=absent)
