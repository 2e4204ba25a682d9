"""The simulated GeoReport server on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from gateway.sim.open311 import Open311
from gateway.sim.server import run_server

NEW = {
    "api_key": "cle-essai",
    "service_code": "depot-sauvage",
    "lat": "45.7334",
    "long": "4.9118",
    "description": "Un canapé\nsur le trottoir",
    "attribute[reference]": "TDG-1",
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def sim() -> Open311:
    return Open311(clock=Clock())


@pytest.fixture
async def client(sim: Open311) -> AsyncIterator[httpx.AsyncClient]:
    async with run_server(sim.app) as running:
        sim.base_url = running.url
        async with httpx.AsyncClient(base_url=running.url) as client:
            yield client


async def _get(client: httpx.AsyncClient, path: str, **params: str) -> Any:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_services_and_definition_in_both_formats(client: httpx.AsyncClient) -> None:
    rows = await _get(client, "/services.json")
    assert [(row["service_code"], row["metadata"]) for row in rows] == [
        ("depot-sauvage", True),
        ("voirie", False),
    ]
    root = ElementTree.fromstring((await client.get("/services.xml")).content)
    assert [one.findtext("metadata") for one in root.findall("service")] == ["true", "false"]
    definition = await _get(client, "/services/depot-sauvage.json")
    assert definition["attributes"][0]["code"] == "reference"
    root = ElementTree.fromstring((await client.get("/services/depot-sauvage.xml")).content)
    keys = [one.text for one in root.findall("attributes/attribute/values/value/key")]
    assert keys == ["petit", "grand"]
    assert (await client.get("/services/voirie.json")).status_code == 404
    assert (await client.get("/services.csv")).status_code == 404


async def test_create_then_read_with_attributes(sim: Open311, client: httpx.AsyncClient) -> None:
    answer = await client.post("/requests.json", data=NEW)
    assert answer.json()[0]["service_request_id"] == "1001"
    rows = await _get(client, "/requests/1001.json")
    assert len(rows) == 1
    assert rows[0]["attributes"] == {"reference": "TDG-1"}
    assert rows[0]["description"] == NEW["description"]
    assert sim.tickets[0].param("lat") == "45.7334"
    assert sim.tickets[0].param("api_key") is None
    again = await client.post("/requests.xml", data=NEW)
    root = ElementTree.fromstring(again.content)
    assert root.findtext("request/service_request_id") == "1002"
    assert sim.duplicates() == ["TDG-1"]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"api_key": "fausse"}, 403, "api_key"),
        ({"api_key": ""}, 403, "api_key"),
        ({"service_code": "inconnu"}, 400, "service_code"),
        ({"lat": "", "long": ""}, 400, "location"),
        ({"lat": "nord"}, 400, "WGS84"),
        ({"lat": "95"}, 400, "WGS84"),
        ({"description": "x" * 4001}, 400, "4000"),
        ({"attribute[volume]": "immense"}, 400, "volume"),
    ],
)
async def test_refusals(
    sim: Open311, client: httpx.AsyncClient, change: dict[str, str], status: int, words: str
) -> None:
    answer = await client.post("/requests.json", data=NEW | change)
    assert answer.status_code == status
    assert words in answer.json()[0]["description"]
    assert sim.tickets == []


async def test_strict_refuses_unknown_plain_parameters_only(
    sim: Open311, client: httpx.AsyncClient
) -> None:
    sim.strict = True
    known = NEW | {"attribute[autre]": "x"}
    assert (await client.post("/requests.json", data=known)).status_code == 200
    assert (await client.post("/requests.json", data=known | {"titre": "x"})).status_code == 400


async def test_jurisdiction(sim: Open311, client: httpx.AsyncClient) -> None:
    sim.jurisdiction_id = "bron.example.org"
    assert (await client.get("/services.json")).status_code == 400
    other = await client.get("/services.json", params={"jurisdiction_id": "lyon.example.org"})
    assert other.status_code == 404
    await _get(client, "/services.json", jurisdiction_id="bron.example.org")


async def test_media_by_multipart(sim: Open311, client: httpx.AsyncClient) -> None:
    files = {"media": ("été.png", b"\x89PNG", "image/png")}
    await client.post("/requests.json", data=NEW, files=files)
    assert sim.tickets[0].media[0].filename == "été.png"
    row = (await _get(client, "/requests/1001.json"))[0]
    got = await client.get(row["media_url"])
    assert (got.content, got.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert (await client.get("/media/1001/1")).status_code == 404


async def test_a_token_becomes_an_id_after_some_polls(
    sim: Open311, client: httpx.AsyncClient
) -> None:
    sim.batch, sim.token_polls = True, 2
    row = (await client.post("/requests.json", data=NEW)).json()[0]
    assert "service_request_id" not in row
    ids = [
        (await _get(client, f"/tokens/{row['token']}.json"))[0]["service_request_id"]
        for _ in range(3)
    ]
    assert ids == ["", "", "1001"]
    assert (await client.get("/tokens/autre.json")).status_code == 404


async def test_search(sim: Open311, client: httpx.AsyncClient) -> None:
    clock = sim.clock
    assert isinstance(clock, Clock)
    await client.post("/requests.json", data=NEW)
    clock.now += timedelta(days=100)
    await client.post("/requests.json", data=NEW | {"service_code": "voirie"})
    assert [r["service_request_id"] for r in await _get(client, "/requests.json")] == ["1002"]
    by_id = await _get(client, "/requests.json", service_request_id="1001,1002", status="closed")
    assert len(by_id) == 2
    clock.now += timedelta(minutes=1)
    moment = clock.now.isoformat()
    sim.advance("1001", "fixed", "Enlevé")
    changed = await _get(client, "/requests.json", updated_after=moment)
    assert [(r["service_request_id"], r["status"]) for r in changed] == [("1001", "closed")]
    assert changed[0]["status_notes"] == "Enlevé"
    sim.extended = True
    assert (await _get(client, "/requests/1001.json"))[0]["status"] == "fixed"
    wide = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-12-01T00:00:00Z"}
    assert (await client.get("/requests.json", params=wide)).status_code == 400
    naive = await client.get("/requests.json", params={"start_date": "2026-03-01T00:00:00"})
    assert naive.status_code == 400
    page = await _get(
        client, "/requests.json", updated_after="2026-01-01T00:00:00Z", page="2", page_size="1"
    )
    assert [r["service_request_id"] for r in page] == ["1002"]


async def test_updates_are_taken_once_but_counted(sim: Open311, client: httpx.AsyncClient) -> None:
    await client.post("/requests.json", data=NEW)
    update = {
        "api_key": "cle-essai",
        "service_request_id": "1001",
        "update_id": "e1",
        "status": "OPEN",
        "updated_datetime": "2026-03-12T09:00:00+01:00",
        "description": "Précision du citoyen",
    }
    first = await client.post("/servicerequestupdates.json", data=update)
    second = await client.post("/servicerequestupdates.json", data=update)
    assert first.json() == second.json()
    assert len(sim.updates) == 1
    assert sim.posted_updates["e1"] == 2
    for change, status in (
        ({"status": "open"}, 400),
        ({"update_id": ""}, 400),
        ({"updated_datetime": "2026-03-12T09:00:00"}, 400),
        ({"service_request_id": "9"}, 404),
        ({"api_key": "non"}, 403),
    ):
        answer = await client.post("/servicerequestupdates.json", data=update | change)
        assert answer.status_code == status, change


async def test_the_agents_updates_are_read_back(sim: Open311, client: httpx.AsyncClient) -> None:
    await client.post("/requests.json", data=NEW)
    sim.advance("1001", "in_progress", "En route")
    sim.advance("1001", "unchanged", "Presque")
    rows = await _get(
        client,
        "/servicerequestupdates.json",
        start_date="2026-03-12T08:00:00Z",
        end_date="2026-03-12T08:00:00Z",
    )
    assert [(r["status"], r["description"]) for r in rows] == [
        ("in_progress", "En route"),
        ("unchanged", "Presque"),
    ]
    assert sim.tickets[0].status == "in_progress"
    later = await _get(client, "/servicerequestupdates.json", start_date="2026-03-12T08:00:01Z")
    assert later == []
    with pytest.raises(ValueError, match="unknown status"):
        sim.advance("1001", "perdu")
    moved = await client.post("/_sim/advance", json={"ticket": "1001", "status": "closed"})
    assert moved.json() == {"update_id": "u3"}
