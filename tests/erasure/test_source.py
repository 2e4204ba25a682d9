"""The port to the provider: how we prove ourselves, shapes of lists, answers that are none."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from gateway.core.expression import compile_expression
from gateway.wire.clients import open_client
from gateway.wire.identity import (
    BATCH,
    BasicAccess,
    Deletions,
    OAuth2Access,
    Outage,
    Shape,
    SignedAccess,
    Synchronization,
    Told,
)
from gateway.wire.signature import parse_signed, verify
from tests.erasure.following import CANARY

BASE = "https://glc.invalid"
SYNC = f"{BASE}/api/users/synchronization/"
NOW = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
BASIC = BasicAccess("connecteur", "secret:essai")
SHAPE = Shape(
    path="/api/deletions/",
    params={"limit": "2"},
    items=compile_expression("data.rows"),
    uuid=compile_expression("account.id"),
    deleted_at=compile_expression("at"),
    next=compile_expression("data.next"),
    next_param="cursor",
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(timeout=5, connections=1, transport=httpx.AsyncHTTPTransport()) as one:
        yield one


def unknown(*uuids: str, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"err": 0, "result": 1, "unknown_uuids": [*uuids], **more})


@respx.mock
async def test_synchronization_asks_in_batches_and_proves_itself(client: httpx.AsyncClient) -> None:
    route = respx.post(SYNC).mock(side_effect=lambda request: unknown())
    known = [f"{n:032x}" for n in range(BATCH * 2)]
    told = await Synchronization(BASE, client, BASIC, CANARY).read(known, None)
    assert told == Told(frozenset(), False, False, None, 3)
    asked = [json.loads(call.request.content)["known_uuids"] for call in route.calls]
    assert [len(one) for one in asked] == [BATCH, BATCH, 1]
    assert sorted(one for part in asked for one in part) == sorted([*known, CANARY])
    for call in route.calls:
        value = call.request.headers["authorization"].removeprefix("Basic ")
        assert base64.b64decode(value) == b"connecteur:secret:essai"


@respx.mock
async def test_the_canary_is_told_apart(client: httpx.AsyncClient) -> None:
    respx.post(SYNC).mock(return_value=unknown(CANARY, "a"))
    told = await Synchronization(BASE, client, BASIC, CANARY).read(["a", "b"], None)
    assert told == Told(frozenset({"a"}), True, False, None, 1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(200, json={"err": 1, "unknown_uuids": ["a"]}), "error_told"),
        (httpx.Response(200, json={"err": False, "unknown_uuids": ["a"]}), "error_told"),
        (httpx.Response(200, json={"unknown_uuids": ["a"]}), "error_told"),
        (httpx.Response(200, json={"err": 0, "unknown_uuids": None}), "malformed"),
        (httpx.Response(200, json={"err": 0, "unknown_uuids": [1]}), "malformed"),
        (httpx.Response(200, json={"err": 0, "unknown_uuids": ["stranger"]}), "malformed"),
        (httpx.Response(200, json=["a"]), "malformed"),
        (httpx.Response(200, text="<html>"), "malformed"),
        (httpx.Response(200, text='{"err": 0, "unknown_uuids": ["a"'), "malformed"),
        (httpx.Response(201, json={"err": 0, "unknown_uuids": ["a"]}), "malformed"),
        (httpx.Response(302, headers={"Location": BASE}), "redirected"),
        (httpx.Response(401), "access_denied"),
        (httpx.Response(403), "access_denied"),
        (httpx.Response(404), "refused"),
        (httpx.Response(429), "busy"),
        (httpx.Response(500), "far_end_error"),
        (httpx.ConnectError("x"), "unreachable"),
        (httpx.ReadTimeout("x"), "no_answer"),
    ],
)
@respx.mock
async def test_nothing_but_200_and_err_0_counts(
    client: httpx.AsyncClient, answer: Any, reason: str
) -> None:
    respx.post(SYNC).mock(side_effect=[answer])
    told = await Synchronization(BASE, client, BASIC, CANARY).read(["a"], None)
    assert isinstance(told, Outage)
    assert told.reason == reason


@respx.mock
async def test_a_signed_call(client: httpx.AsyncClient) -> None:
    route = respx.route(host="glc.invalid").mock(side_effect=lambda request: unknown())
    access = SignedAccess("passerelle.invalid", "clef", lambda: NOW, lambda: "n1")
    assert isinstance(await Synchronization(BASE, client, access).read(["a"], None), Told)
    signed = parse_signed(route.calls[0].request.url.query.decode())
    assert signed is not None
    assert signed.orig == "passerelle.invalid"
    verify(signed, ["clef"], NOW)


@respx.mock
async def test_client_credentials_are_fetched_once_and_again_when_they_end(
    client: httpx.AsyncClient,
) -> None:
    now = [NOW]
    token = respx.post("https://tokens.invalid/token").mock(
        side_effect=[
            httpx.Response(200, json={"access_token": f"t{n}", "expires_in": 300}) for n in range(2)
        ]
    )
    route = respx.post(SYNC).mock(side_effect=lambda request: unknown())
    access = OAuth2Access(
        "https://tokens.invalid/token", "id", "s", "comptes", client, lambda: now[0]
    )
    source = Synchronization(BASE, client, access, batch=1)
    await source.read(["a", "b"], None)
    now[0] += timedelta(seconds=280)
    await source.read(["a"], None)
    bearer = [call.request.headers["authorization"] for call in route.calls]
    assert bearer == ["Bearer t0", "Bearer t0", "Bearer t1"]
    asked = token.calls[0].request
    assert asked.headers["authorization"].startswith("Basic ")
    assert dict(httpx.QueryParams(asked.content.decode())) == {
        "grant_type": "client_credentials",
        "scope": "comptes",
    }


@respx.mock
async def test_no_token_no_answer(client: httpx.AsyncClient) -> None:
    respx.post("https://tokens.invalid/token").mock(return_value=httpx.Response(401))
    access = OAuth2Access(
        "https://tokens.invalid/token", "id", "mot-de-passe", None, client, lambda: NOW
    )
    told = await Synchronization(BASE, client, access).read(["a"], None)
    assert told == Outage("no_token", "call 1: HTTP 401")


# --- lists of deletions ---------------------------------------------------------------------


def page(*uuids: str, following: Any = None, at: str = "2026-03-10T08:00:00+01:00") -> Any:
    rows = [{"account": {"id": one}, "at": at} for one in uuids]
    return httpx.Response(200, json={"data": {"rows": rows, "next": following}})


def source(client: httpx.AsyncClient, shape: Shape = SHAPE, canary: str | None = None) -> Deletions:
    return Deletions(BASE, client, BASIC, shape, lambda: NOW, canary)


@respx.mock
async def test_pages_by_cursor(client: httpx.AsyncClient) -> None:
    route = respx.get(f"{BASE}/api/deletions/").mock(
        side_effect=[page("a", "b", following="p 2"), page("c")]
    )
    told = await source(client).read(["a", "c", "d"], None)
    assert isinstance(told, Told)
    assert (told.gone, told.positive, told.calls) == ({"a", "c"}, True, 2)
    assert [dict(call.request.url.params) for call in route.calls] == [
        {"limit": "2"},
        {"limit": "2", "cursor": "p 2"},
    ]
    # The next run begins at the last page, which may have grown.
    route.mock(side_effect=[page("c", "d")])
    again = await source(client).read(["d"], told.cursor)
    assert isinstance(again, Told)
    assert again.gone == {"d"}
    assert dict(route.calls[-1].request.url.params)["cursor"] == "p 2"


@respx.mock
async def test_pages_by_date(client: httpx.AsyncClient) -> None:
    shape = dataclasses.replace(SHAPE, next=None, next_param=None, since_param="since")
    route = respx.get(f"{BASE}/api/deletions/").mock(side_effect=[page("a"), page("b"), page("c")])
    first = await source(client, shape).read(["a"], None)
    assert isinstance(first, Told)
    assert "since" not in route.calls[0].request.url.params
    second = await source(client, shape).read(["a"], first.cursor)
    assert isinstance(second, Told)
    # A day before the last deletion: clocks differ.
    assert route.calls[1].request.url.params["since"] == "2026-03-09T07:00:00Z"
    tomorrow = NOW + timedelta(days=1)
    later = Deletions(BASE, client, BASIC, shape, lambda: tomorrow)
    await later.read(["a"], second.cursor)
    assert "since" not in route.calls[2].request.url.params, "once a day the whole list is read"


@respx.mock
async def test_pages_by_address_stay_on_the_host(client: httpx.AsyncClient) -> None:
    shape = dataclasses.replace(SHAPE, next_param=None)
    respx.get(f"{BASE}/api/deletions/").mock(
        side_effect=[page("a", following="/api/deletions/?p=2"), page("b")]
    )
    told = await source(client, shape).read(["a", "b"], None)
    assert isinstance(told, Told)
    assert told.gone == {"a", "b"}
    for elsewhere in ("https://evil.invalid/x", "http://glc.invalid/x", "//evil.invalid/x"):
        respx.get(f"{BASE}/api/deletions/").mock(side_effect=[page("a", following=elsewhere)])
        gone = await source(client, shape).read(["a"], None)
        assert isinstance(gone, Outage)
        assert gone.reason == "malformed"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([page("a", following="2"), page()], "pages_missing"),
        ([page("a", following="2"), httpx.Response(500)], "far_end_error"),
        ([page("a", following="2"), page("b", following="2")], "malformed"),
        ([page("a", at="never")], "malformed"),
        ([page("a", at="2026-04-01T00:00:00Z")], "malformed"),
        ([httpx.Response(200, json={"data": {"rows": [{"account": {}}]}})], "malformed"),
        ([httpx.Response(200, json={"data": {"rows": "a"}})], "malformed"),
        ([httpx.Response(200, json={"err": 1, "data": {"rows": []}})], "error_told"),
    ],
)
@respx.mock
async def test_lists_that_are_none(
    client: httpx.AsyncClient, answers: list[httpx.Response], reason: str
) -> None:
    respx.get(f"{BASE}/api/deletions/").mock(side_effect=answers)
    told = await source(client).read(["a"], None)
    assert isinstance(told, Outage)
    assert told.reason == reason


@respx.mock
@pytest.mark.parametrize("cursor", ["", "{", "[]", '{"page": 3}', '{"full_at": "2026-03-12"}'])
async def test_a_cursor_that_cannot_be_read_means_the_beginning(
    client: httpx.AsyncClient, cursor: str
) -> None:
    route = respx.get(f"{BASE}/api/deletions/").mock(return_value=page("a"))
    assert isinstance(await source(client).read(["a"], cursor), Told)
    assert dict(route.calls[0].request.url.params) == {"limit": "2"}


@respx.mock
async def test_a_listed_canary(client: httpx.AsyncClient) -> None:
    respx.get(f"{BASE}/api/deletions/").mock(return_value=page("a", CANARY))
    told = await source(client, canary=CANARY).read(["a"], None)
    assert isinstance(told, Told)
    assert told.canary_gone
