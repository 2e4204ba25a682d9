"""The whole pass against the simulated GeoReport server, in both formats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from adapters.open311 import Open311Adapter, Open311Options
from gateway.sdk import (
    Absent,
    Accepted,
    Amendment,
    Context,
    EventKind,
    Found,
    Misconfigured,
    Submission,
    Tracked,
    Unsure,
)
from gateway.sdk.conformance import REFERENCE, file
from gateway.sim.faults import FaultCondition, FaultKind, InjectedFault
from gateway.sim.open311 import Open311

PAYLOAD = {
    "service_code": "depot-sauvage",
    "lat": 45.78,
    "long": 4.88,
    "description": "Encombrants & gravats",
    "first_name": "Zoé",
    "attributes": {"volume": "grand"},
}


@asynccontextmanager
async def speaking_to(sim: Open311, **options: Any) -> AsyncIterator[Open311Adapter]:
    given = {
        "endpoint": "https://gru.exemple.invalid",
        "api_key": "cle-essai",
        "media": "multipart",
        "find": "by_attribute",
        "reference_attribute": "reference",
        "service_codes": ["depot-sauvage", "voirie"],
        "token": {"tries": 2, "wait_s": 0},
        "paging": {"rows": 2},
        "updates": {},
        **options,
    }
    transport = httpx.ASGITransport(sim.app)
    async with httpx.AsyncClient(transport=transport) as client:
        context = Context("69029", "essai", client, lambda: datetime.now(UTC))
        yield Open311Adapter(Open311Options.model_validate(given), context)


@pytest.mark.parametrize("format", ["xml", "json"])
@pytest.mark.parametrize("poll", ["ids", "window"])
async def test_a_report_goes_out_and_its_end_comes_back(format: str, poll: str) -> None:
    sim = Open311(strict=True, extended=True, jurisdiction_id="bron")
    async with speaking_to(sim, format=format, poll=poll, jurisdiction_id="bron") as adapter:
        assert [note for note in await adapter.check() if note.level != "ok"] == []
        for number in range(5):
            await adapter.submit(Submission(f"TDG-{number}", PAYLOAD))
        sent = Submission(REFERENCE, PAYLOAD, [file(b"octets")])
        outcome = await adapter.submit(sent)
        assert outcome == Accepted("1006")
        ticket = sim.find("1006")
        assert ticket.param("description") == "Encombrants & gravats"
        assert ticket.attributes == {"volume": "grand", "reference": REFERENCE}
        assert [media.content for media in ticket.media] == [b"octets"]
        assert await adapter.find(REFERENCE) == Found("1006")
        assert await adapter.find("TDG-NOT-SENT") == Absent()

        message = Amendment(REFERENCE, "1006", "evt-1", EventKind.MESSAGE, {}, "Toujours là")
        assert await adapter.amend(message) == await adapter.amend(message)
        assert sim.posted_updates == {f"{REFERENCE}-evt-1": 2}
        assert len(sim.updates) == 1, "the second one is dropped"

        sim.advance("1006", "fixed", "Enlevé")
        tracked = [Tracked(REFERENCE, "1006", ticket.requested)]
        changes = await adapter.statuses(tracked, None)
        assert changes.failure is None
        ours = [change for change in changes.items if change.gru_reference == "1006"]
        # The note comes from the updates alone: the request's row repeats it.
        told = [(change.status, change.message) for change in ours]
        assert sorted(told, key=str) == [("fixed", "Enlevé"), ("fixed", None)]
        again = await adapter.statuses(tracked, changes.cursor)
        assert {change.key for change in again.items} <= {change.key for change in changes.items}


async def test_a_list_that_knows_open_and_closed_alone_silences_no_update() -> None:
    """`planned` was never told, and a refusal first as an end like any other."""
    sim = Open311()
    async with speaking_to(sim, poll="ids", format="json") as adapter:
        await adapter.submit(Submission(REFERENCE, PAYLOAD))
        tracked, cursor = [Tracked(REFERENCE, "1001", sim.tickets[0].requested)], None
        stands: list[str | None] = []
        for step in ("", "planned", "", "not_councils_responsibility", "", "open", "later", ""):
            if step in ("open", "later"):  # it moves in the list, and no update says so
                sim.find("1001").status = {"open": "open", "later": "closed"}[step]
            elif step:
                sim.advance("1001", step, "Vu")
            changes = await adapter.statuses(tracked, cursor)
            assert changes.failure is None
            cursor = changes.cursor
            stands += [change.status for change in changes.items if change.key is None]
    refused = "not_councils_responsibility"
    assert stands == ["open", "planned", "planned", refused, refused, "open", refused, refused]


@pytest.mark.parametrize("format", ["xml", "json"])
async def test_a_lost_reply_is_asked_about_and_makes_no_second_ticket(format: str) -> None:
    sim = Open311()
    sim.faults.add(
        InjectedFault(FaultKind.CUT_AFTER, FaultCondition(path="/requests", method="POST", first=1))
    )
    async with speaking_to(sim, format=format) as adapter:
        assert isinstance(await adapter.submit(Submission(REFERENCE, PAYLOAD)), Unsure)
        assert await adapter.find(REFERENCE) == Found("1001")
    assert sim.duplicates() == []
    assert len(sim.tickets) == 1


@pytest.mark.parametrize("format", ["xml", "json"])
@pytest.mark.parametrize(("polls", "reference"), [(1, "1001"), (2, "token:jeton-1")])
async def test_a_token_is_followed_to_its_number(format: str, polls: int, reference: str) -> None:
    sim = Open311(batch=True, token_polls=polls)
    async with speaking_to(sim, format=format) as adapter:
        outcome = await adapter.submit(Submission(REFERENCE, PAYLOAD))
        assert outcome == Accepted(reference, proof={"token": "jeton-1"})
        tracked = [Tracked(REFERENCE, reference, sim.tickets[0].requested)]
        sim.advance("1001", "closed")
        changes = await adapter.statuses(tracked, None)
        assert {change.gru_reference for change in changes.items} == {reference}
        assert "closed" in {change.status for change in changes.items}


async def test_a_wrong_key_is_our_setting() -> None:
    async with speaking_to(Open311(), api_key="autre") as adapter:
        assert isinstance(await adapter.submit(Submission(REFERENCE, PAYLOAD)), Misconfigured)
