"""The lies that a simulated GRU can be told to tell."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.sim.faults import FaultCondition
from gateway.sim.lies import Lies
from gateway.sim.open311 import Open311
from gateway.sim.ticketing import Ticketing

YEAR = timedelta(days=365)


def client(sim: Ticketing | Open311) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(sim.app),
        base_url="http://gru.invalid",
        headers={"X-Api-Key": "jeton-essai"},
    )


def test_an_honest_gru_tells_its_rows() -> None:
    assert Lies().rows([1, 2, 3], 0) == [1, 2, 3]
    assert Lies(hide=2, shift=True, bad_row=True).rows([1], 0) == [1]


def test_every_row_is_told_sooner_or_later() -> None:
    lies = Lies(hide=3, shift=True)
    told = [lies.rows(list(range(10)), -1) for _ in range(6)]
    assert all(len(rows) < 10 for rows in told)
    assert len({tuple(rows) for rows in told}) > 1
    assert set().union(*told) == set(range(10))


def test_rows_come_twice_and_one_is_bad() -> None:
    rows = Lies(repeat=2, bad_row=True).rows([1, 2, 3, 4], 0)
    assert sorted(rows) == [0, 1, 1, 2, 3, 3, 4]


@pytest.mark.parametrize("status", [302, 303, 408, 429, 500, 503, 504])
async def test_what_was_asked_is_done_and_another_thing_is_answered(status: int) -> None:
    gru = Ticketing()
    gru.faults.answer_after(
        status, FaultCondition(method="POST"), location="/tickets/1", retry_after=7
    )
    async with client(gru) as http:
        answer = await http.post("/api/tickets", json={"external_id": "TDG-1"})
    assert answer.status_code == status
    assert answer.headers["location"] == "/tickets/1"
    assert answer.headers["retry-after"] == "7"
    assert [one.external_id for one in gru.tickets] == ["TDG-1"]


async def test_a_ticket_is_dated_ahead_and_what_a_connector_wrote_is_an_agents() -> None:
    gru = Ticketing()
    ticket = gru.create({"external_id": "TDG-1"})
    gru.add_comment(ticket, "Merci", external_id="e-1")
    gru.lies = Lies(ahead={ticket.id: YEAR}, echo=True)
    async with client(gru) as http:
        read: dict[str, Any] = (await http.get(f"/api/tickets/{ticket.id}")).json()["ticket"]
    assert int(read["updated_at"][:4]) == ticket.updated.year + 1
    assert read["comments"][0]["author"] == "agent"


async def test_a_server_tells_a_senders_updates_like_its_own() -> None:
    gru = Open311()
    ticket = gru.create(gru.services["voirie"], [], [])
    gru.take_update(ticket, "e-1", "open", "Merci", [], [])
    async with client(gru) as http:
        assert (await http.get("/servicerequestupdates.json")).json() == []
        gru.lies.echo = True
        rows = (await http.get("/servicerequestupdates.json")).json()
    assert [row["description"] for row in rows] == ["Merci"]
