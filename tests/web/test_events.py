"""Later events, the status asked for, and GRUs' webhooks, with the lanes at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.store import requests
from gateway.web import body as body_
from tests.web.harness import Gateway, small
from tests.web.test_senders import ANY, BRON, refused

HOOK = "/gru/v1/communes/69029/webhooks/main"
TOKEN = {"X-Token": "sesame-token"}


@asynccontextmanager
async def at_work(gw: Gateway) -> AsyncIterator[None]:
    task = asyncio.create_task(gw.engine.lanes.run(gw.engine.lane_names()))
    try:
        yield
    finally:
        await gw.engine.lanes.stop(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await true():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.02)


async def test_events_reach_the_gru_in_order(gw: Gateway) -> None:
    created = (await gw.push(small())).json()["data"]
    told = {"action": "message", "event": "m1", "message": "Bonjour"}
    first = await gw.push(told, BRON + "/7/events")
    assert (first.status_code, first.json()["data"]["id"]) == (201, created["id"]), first.text
    again = await gw.push(told, f"{ANY}/{created['id']}/events")
    assert (again.status_code, again.json()["data"]["created"]) == (200, False)
    # Another message under the same key: the key was not sound, and the message is.
    other = await gw.push(told | {"message": "Autre"}, BRON + "/7/events")
    assert (other.status_code, other.json()["data"]["created"]) == (201, True)
    change = small(extra={"action": "modification"}) | {"fields": {"description": "Deux"}}
    assert (await gw.push(change, BRON + "/7/events")).status_code == 201
    async with at_work(gw):
        await until(lambda: _amended(gw, 3))
    assert [a.kind.value for a in gw.memo().amended] == ["message", "message", "change"]
    assert gw.memo().amended[0].payload == {"text": "Bonjour"}
    assert list(gw.memo().submitted) == [created["id"]]


async def _amended(gw: Gateway, count: int) -> bool:
    return len(gw.memo().amended) == count


@pytest.mark.parametrize(
    ("body", "ref", "status", "code"),
    [
        ({"action": "message", "message": "x", "id": "8"}, "7", 400, "id_mismatch"),
        ({"action": "message", "message": "x"}, "8", 404, "unknown_request"),
        ({"message": "x"}, "7", 400, "missing_action"),
        ({"action": "creation"}, "7", 400, "missing_action"),
        ({"action": "danser"}, "7", 400, "unknown_action"),
        ([], "7", 400, "not_an_object"),
    ],
)
async def test_a_bad_event_is_refused(
    gw: Gateway, body: object, ref: str, status: int, code: str
) -> None:
    assert (await gw.push(small())).status_code == 201
    refused(await gw.push(body, f"{BRON}/{ref}/events"), status, code)


async def test_a_deep_event_is_refused(gw: Gateway) -> None:
    assert (await gw.push(small())).status_code == 201
    content = b'{"action": "message", "a": ' + b"[" * 500 + b"]" * 500 + b"}"
    answer = await gw.client.post(gw.signed(BRON + "/7/events"), content=content)
    refused(answer, 400, "too_deep")


async def test_the_status_follows_the_request(gw: Gateway) -> None:
    call = gw.portal.post(url__regex=r"https://demarches\.exemple\.invalid/.*")
    call.respond(200, json={"err": 0})
    formdata = small(api_url="https://demarches.exemple.invalid/api/forms/signalement-anomalie/7/")
    created = (await gw.push(formdata)).json()["data"]

    async def quiet() -> bool:
        return not (await gw.get(BRON + "/7")).json()["data"]["waiting"]

    async with at_work(gw):
        await until(quiet)
        data = (await gw.get(BRON + "/7")).json()["data"]
        assert (data["status"], data["statut"]) == ("transmitted", "transmise")
        assert data["gru_reference"] == "GRU-1"
        assert data["link"] == "https://gru.exemple.invalid/1"
        news = {"key": "k1", "reference": created["id"], "status": "clos"}
        gw.advance(minutes=1)
        for _ in range(2):  # told twice, kept once
            answer = await gw.client.post(HOOK, json=news, headers=TOKEN)
            assert (answer.status_code, answer.content) == (204, b"")
        await until(quiet)
    data = (await gw.get(BRON + "/7")).json()["data"]
    assert (data["status"], data["statut"]) == ("done", "terminee")
    trace = await gw.engine.store.read(requests.trace, created["id"])
    assert trace is not None
    assert [e.kind for e in trace.events if e.origin == "gru"] == ["status"]
    assert call.call_count == 2


async def test_unknown_requests_are_404_without_a_question_to_the_database(gw: Gateway) -> None:
    for ref in ("8", "TDG-0123456789ABCDEF", "%00", "%0A", "x" * 201):
        refused(await gw.get(f"{BRON}/{ref}"), 404, "unknown_request")


async def test_the_erased_are_gone(gw: Gateway) -> None:
    created = (await gw.push(small())).json()["data"]
    with gw.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE request SET erased_at = 1")
    refused(await gw.get(f"{BRON}/{created['id']}"), 410, "erased")
    refused(await gw.push(small()), 410, "erased")
    event = {"action": "message", "message": "x"}
    refused(await gw.push(event, BRON + "/7/events"), 410, "erased")


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/gru/v1/communes/69029/webhooks/main", {}, 401, "bad_signature"),
        ("/gru/v1/communes/69029/webhooks/second", TOKEN, 404, "no_webhook"),
        ("/gru/v1/communes/69029/webhooks/memo", TOKEN, 404, "unknown_gru"),
        ("/gru/v1/communes/69029/webhooks/fourth", TOKEN, 404, "unknown_gru"),
        ("/gru/v1/communes/69999/webhooks/main", TOKEN, 404, "unknown_commune"),
    ],
)
async def test_a_bad_webhook_is_refused(
    gw: Gateway, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    for method in ("POST", "PUT", "GET"):
        answer = await gw.client.request(method, path, headers=headers, content=b"{}")
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["status"], problem["code"]) == (status, code)


async def test_a_webhook_by_adapter_and_by_get(gw: Gateway) -> None:
    path = "/gru/v1/communes/69029/webhooks/other"
    assert (await gw.client.get(path, headers=TOKEN)).status_code == 204
    content = b" " * (1024 * 1024 + 1)
    answer = await gw.client.post(HOOK, content=content, headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_who_proves_nothing_by_its_head_is_not_read(gw: Gateway) -> None:
    """The adapter proves a sender by the head; proven senders share no room with strangers."""
    memo, read = gw.memo(), 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{}"

    memo.by_head = True
    assert (await gw.client.post(HOOK, content=content())).status_code == 401
    assert read == 0
    gw.app.state.web.unproven.most = 0
    told = {"key": "1", "reference": "TDG-0000000000000000", "status": "x" * 100_000}
    assert (await gw.client.post(HOOK, json=told, headers=TOKEN)).status_code == 204
    memo.by_head = False
    assert (await gw.client.post(HOOK, json=told, headers=TOKEN)).status_code == 503


async def test_a_webhook_that_drips_is_let_go(gw: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the time is up that a body of its size may take."""
    monkeypatch.setattr(body_, "GRACE", 0.05)

    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b"a"
            await asyncio.sleep(0.01)

    answer = await gw.client.post(HOOK, content=dripping(), headers=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (408, "slow_body")


async def test_webhooks_that_are_read_leave_connections_to_others(gw: Gateway) -> None:
    gw.app.state.web.unproven.bodies = 1
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        begun.set()
        await go_on.wait()
        yield b"{}"

    first = asyncio.create_task(gw.client.post(HOOK, content=held()))
    await begun.wait()
    answer = await gw.client.post(HOOK, json={}, headers=TOKEN)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    go_on.set()
    assert (await first).status_code == 401
