"""The simulated REST ticketing GRU on a real socket."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sim.server import run_server
from gateway.sim.ticketing import TicketDocument, Ticketing

KEY = {"X-Api-Key": "jeton-essai"}


@pytest.fixture
def sim() -> Ticketing:
    return Ticketing()


@pytest.fixture
async def client(sim: Ticketing) -> AsyncIterator[httpx.AsyncClient]:
    async with run_server(sim.app) as running, httpx.AsyncClient(base_url=running.url) as client:
        yield client


async def _status(client: httpx.AsyncClient, headers: dict[str, str]) -> int:
    return (await client.get("/api/tickets", headers=headers)).status_code


async def test_every_way_to_authenticate(sim: Ticketing, client: httpx.AsyncClient) -> None:
    assert await _status(client, {}) == 401
    assert await _status(client, {"X-Api-Key": "non"}) == 401
    assert await _status(client, KEY) == 200
    assert (await client.get("/api/tickets", auth=sim.login)).status_code == 200
    assert (await client.get("/api/tickets", auth=("connecteur", "non"))).status_code == 401

    login = {"login": "connecteur", "password": "secret-essai"}
    session = (await client.post("/session", json=login)).json()["session_token"]
    assert await _status(client, {"Session-Token": session}) == 200
    assert (await client.post("/session", json=login | {"password": "x"})).status_code == 401

    grant = {"grant_type": "client_credentials"}
    secret = {"client_id": "client-essai", "client_secret": "secret-client"}
    token = (await client.post("/oauth/token", data=grant | secret)).json()["access_token"]
    assert await _status(client, {"Authorization": f"Bearer {token}"}) == 200
    basic = await client.post("/oauth/token", data=grant, auth=sim.client)
    assert basic.json()["token_type"] == "Bearer"
    wrong = await client.post("/oauth/token", data=grant, auth=("client-essai", "non"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")

    sim.expire()
    assert await _status(client, {"Session-Token": session}) == 401
    assert await _status(client, {"Authorization": f"Bearer {token}"}) == 401
    assert sim.issued == 3


async def test_create_find_and_duplicates(sim: Ticketing, client: httpx.AsyncClient) -> None:
    body = {"external_id": "TDG-1", "subject": "Dépôt", "person": {"name": "Zoé Fictive"}}
    made = (await client.post("/api/tickets", json=body, headers=KEY)).json()["ticket"]
    assert (made["id"], made["subject"], made["status"]) == ("1", "Dépôt", "new")
    params = {"external_id": "TDG-1"}
    found = (await client.get("/api/tickets", params=params, headers=KEY)).json()
    assert [one["id"] for one in found["tickets"]] == ["1"]
    assert sim.duplicates() == []
    await client.post("/api/tickets", json=body, headers=KEY)
    assert sim.duplicates() == ["TDG-1"]
    sim.unique_external_id = True
    assert (await client.post("/api/tickets", json=body, headers=KEY)).status_code == 409
    assert (await client.get("/api/tickets/1", headers=KEY)).json()["ticket"]["id"] == "1"
    assert (await client.get("/api/tickets/9", headers=KEY)).status_code == 404


async def test_invalid_is_422_with_errors_or_200_in_znunys_manner(
    sim: Ticketing, client: httpx.AsyncClient
) -> None:
    sim.required = ("subject", "category")
    bad = await client.post("/api/tickets", json={"subject": "x"}, headers=KEY)
    assert (bad.status_code, bad.json()) == (422, {"errors": ["category can't be blank"]})
    sim.errors_in_200 = True
    bad = await client.post("/api/tickets", json={}, headers=KEY)
    assert bad.status_code == 200
    assert bad.json()["Error"]["ErrorCode"] == "invalid"
    assert (await client.get("/api/tickets")).json()["Error"]["ErrorCode"] == "unauthorized"
    assert sim.tickets == []


async def test_pages_of_changes(sim: Ticketing, client: httpx.AsyncClient) -> None:
    for n in range(5):
        sim.create({"external_id": f"TDG-{n}"})
    since = sim.tickets[1].updated.isoformat()
    sim.advance("1", "open")
    ids: list[str] = []
    for page in (1, 2, 3):
        params = {"updated_since": since, "page": str(page), "per_page": "3"}
        body = (await client.get("/api/tickets", params=params, headers=KEY)).json()
        assert body["total"] == 5
        ids += [one["id"] for one in body["tickets"]]
    assert ids == ["2", "3", "4", "5", "1"]
    for params in ({"updated_since": "hier"}, {"updated_since": "2026-01-01"}, {"page": "0"}):
        assert (await client.get("/api/tickets", params=params, headers=KEY)).status_code == 400


async def test_comments_files_and_erasure(sim: Ticketing, client: httpx.AsyncClient) -> None:
    upload = await client.post(
        "/api/uploads",
        params={"filename": "été.png"},
        content=b"\x89PNG",
        headers=KEY | {"Content-Type": "image/png"},
    )
    token = upload.json()["upload"]["token"]
    body = {
        "external_id": "TDG-1",
        "person": {"name": "Zoé Fictive"},
        "uploads": [{"token": token}],
    }
    await client.post("/api/tickets", json=body, headers=KEY)
    ticket = sim.tickets[0]
    assert ticket.documents == [TicketDocument("été.png", "image/png", b"\x89PNG")]
    reused = await client.post("/api/tickets", json=body, headers=KEY)
    assert reused.status_code == 422

    files = {"file": ("a.txt", b"a", "text/plain")}
    await client.post("/api/tickets/1/attachments", files=files, headers=KEY)
    assert [one.filename for one in ticket.documents] == ["été.png", "a.txt"]

    said = {"text": "Précision", "external_id": "e1", "internal": True}
    await client.post("/api/tickets/1/comments", json=said, headers=KEY)
    comment = ticket.comments[0]
    assert (comment.text, comment.external_id, comment.internal) == ("Précision", "e1", True)
    empty = await client.post("/api/tickets/1/comments", json={"text": ""}, headers=KEY)
    assert empty.status_code == 422

    for _ in range(2):
        assert (await client.delete("/api/tickets/1/person", headers=KEY)).status_code == 204
    left = (await client.get("/api/tickets/1", headers=KEY)).json()["ticket"]
    assert left["person_erased"] is True
    assert "Fictive" not in json.dumps(left)
    assert (await client.delete("/api/tickets/9/person", headers=KEY)).status_code == 404


async def test_changes_are_told_by_signed_webhook(
    sim: Ticketing, client: httpx.AsyncClient
) -> None:
    got: list[tuple[str, bytes]] = []

    async def take(request: Request) -> Response:
        got.append((request.headers["x-hub-signature-256"], await request.body()))
        return Response(status_code=204)

    async with run_server(Starlette(routes=[Route("/hook", take, methods=["POST"])])) as ours:
        sim.webhook_url = f"{ours.url}/hook"
        sim.create({"external_id": "TDG-1"})
        sim.advance(
            "1", "open", "En route", document=TicketDocument("a.pdf", "application/pdf", b"%PDF")
        )
        assert await sim.notify() == [204]
        assert await sim.notify() == []
        note: dict[str, Any] = {"ticket_id": "1", "note": "Confidentiel", "internal": True}
        answer = await client.post("/_sim/advance", json=note)
        assert answer.json()["webhooks"] == [204]
    signature, content = got[0]
    mac = hmac.new(b"cle-webhook", content, hashlib.sha256).hexdigest()
    assert signature == f"sha256={mac}"
    ticket = json.loads(content)["ticket"]
    assert (ticket["status"], ticket["comments"][0]["text"]) == ("open", "En route")
    assert ticket["comments"][0]["document"]["filename"] == "a.pdf"
    assert json.loads(got[1][1])["ticket"]["comments"][1]["internal"] is True
    sim.advance("1", "closed")
    assert await sim.notify() == [0]
