"""The simulated identity provider on a real socket, honest and lying."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.sim.glc import Lie, SimulatedGlc
from gateway.sim.server import run_server

UUIDS = [f"{n:032x}" for n in range(10)]
SYNC = "/api/users/synchronization/"


@pytest.fixture
def glc() -> SimulatedGlc:
    return SimulatedGlc(accounts=set(UUIDS))


@pytest.fixture
async def client(glc: SimulatedGlc) -> AsyncIterator[httpx.AsyncClient]:
    async with run_server(glc.app) as running:
        auth = ("connecteur", "secret-essai")
        async with httpx.AsyncClient(base_url=running.url, auth=auth) as client:
            yield client


async def _unknown(client: httpx.AsyncClient) -> Any:
    answer = await client.post(SYNC, json={"known_uuids": UUIDS})
    return answer.json()["unknown_uuids"]


async def _all_deletions(client: httpx.AsyncClient, limit: int = 2) -> list[str]:
    url: str | None = f"/api/deletions/?limit={limit}"
    found: list[str] = []
    while url is not None:
        body = (await client.get(url)).raise_for_status().json()
        found += [row["uuid"] for row in body["results"]]
        url = body["next"]
    return found


async def test_synchronization(glc: SimulatedGlc, client: httpx.AsyncClient) -> None:
    assert await _unknown(client) == []
    glc.delete(UUIDS[2])
    glc.delete(UUIDS[5])
    answer = await client.post(SYNC, json={"known_uuids": UUIDS, "timestamp": "2026-01-01"})
    assert answer.json() == {
        "err": 0,
        "result": 1,
        "unknown_uuids": [UUIDS[5], UUIDS[2]],
        "modified_users_uuids": [],
    }
    assert glc.asked == [UUIDS, UUIDS]


async def test_refusals(client: httpx.AsyncClient) -> None:
    for auth in (None, ("connecteur", "non"), ("autre", "secret-essai")):
        async with httpx.AsyncClient(base_url=client.base_url, auth=auth) as stranger:
            assert (await stranger.post(SYNC, json={"known_uuids": []})).status_code == 401
            assert (await stranger.get("/api/deletions/")).status_code == 401
    bodies: tuple[Any, ...] = ({}, {"known_uuids": "x"}, {"known_uuids": [1]}, [])
    for body in bodies:
        bad = await client.post(SYNC, json=body)
        assert (bad.status_code, bad.json()["err"]) == (400, 1)
    assert (await client.post(SYNC, content=b"{")).status_code == 400
    keep = await client.post(SYNC, json={"known_uuids": [], "keepalive": True})
    assert keep.status_code == 403
    assert (await client.get("/api/deletions/?cursor=zzz")).status_code == 404
    assert (await client.get("/api/deletions/?limit=0")).status_code == 400


async def test_deletions_by_pages(glc: SimulatedGlc, client: httpx.AsyncClient) -> None:
    assert await _all_deletions(client) == []
    for uuid in UUIDS[:5]:
        glc.delete(uuid)
    assert await _all_deletions(client) == UUIDS[:5]
    page = (await client.get("/api/deletions/?limit=2")).json()
    assert (await client.get(page["next"])).json()["results"][0]["uuid"] == UUIDS[2]


async def test_all_unknown_and_half_visible(glc: SimulatedGlc, client: httpx.AsyncClient) -> None:
    glc.lie = Lie.ALL_UNKNOWN
    assert sorted(await _unknown(client)) == UUIDS
    assert await _all_deletions(client) == UUIDS
    glc.lie = Lie.HALF_VISIBLE
    assert sorted(await _unknown(client)) == UUIDS[1::2]
    assert glc.accounts == set(UUIDS)


async def test_pages_that_go_missing(glc: SimulatedGlc, client: httpx.AsyncClient) -> None:
    for uuid in UUIDS[:5]:
        glc.delete(uuid)
    glc.lie = Lie.EMPTY_PAGE
    assert await _all_deletions(client) == UUIDS[:2]
    glc.lie = Lie.BROKEN_PAGE
    with pytest.raises(httpx.HTTPStatusError, match="500"):
        await _all_deletions(client)


async def test_err_and_malformed(client: httpx.AsyncClient) -> None:
    await client.post("/_sim/lie", json={"lie": "err"})
    answer = await client.post(SYNC, json={"known_uuids": UUIDS})
    assert (answer.status_code, answer.json()["err"]) == (200, 1)
    await client.post("/_sim/lie", json={"lie": "malformed"})
    for answer in (
        await client.post(SYNC, json={"known_uuids": UUIDS}),
        await client.get("/api/deletions/"),
    ):
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()
    assert (await client.post("/_sim/lie", json={"lie": "petit"})).status_code == 400


async def test_driven_from_another_process(client: httpx.AsyncClient) -> None:
    await client.post("/_sim/create", json={"uuids": ["f" * 32]})
    await client.post("/_sim/delete", json={"uuids": ["f" * 32]})
    state = (await client.get("/_sim/state")).json()
    assert state["deleted"] == ["f" * 32]
    assert (await client.post("/_sim/delete", json={"uuids": ["f" * 32]})).status_code == 400
