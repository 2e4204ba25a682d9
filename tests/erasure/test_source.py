"""The port to the provider: how we prove ourselves, shapes of lists, answers that are none."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from gateway.catalogue.glc import DeletionsEntry
from gateway.core.account import normal_account
from gateway.core.expression import Expression, compile_expression
from gateway.sdk import ClientCredentials
from gateway.sdk.publik.signature import parse_signed, verify_query
from gateway.wire import identity_call
from gateway.wire.clients import open_client
from gateway.wire.deletions import Deletions, DeletionsShape
from gateway.wire.identity import Outage, ProviderReading
from gateway.wire.identity_call import BasicAccess, BearerAccess, SignedAccess
from gateway.wire.identity_texts import say
from gateway.wire.synchronization import BATCH, Synchronization
from tests.erasure.following import CANARY

BASE = "https://glc.invalid"
TOKENS = "https://tokens.invalid/token"
SYNC = f"{BASE}/api/users/synchronization/"
NOW = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
BASIC = BasicAccess("connecteur", "secret:essai")
SHAPE = DeletionsEntry.model_validate(
    {
        "params": {"limit": "2"},
        "items": "data.rows",
        "uuid": "account.id",
        "deleted_at": "at",
        "next": "data.next",
        "next_param": "cursor",
    }
).shape()


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
    assert told == ProviderReading(frozenset(), False, False, None, 3)
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
    assert told == ProviderReading(frozenset({"a"}), True, False, None, 1)


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
    respx.post(SYNC).mock(side_effect=[answer] * 3)  # what breaks is tried three times
    told = await Synchronization(BASE, client, BASIC, CANARY).read(["a"], None)
    assert isinstance(told, Outage)
    assert told.reason == reason


@respx.mock
async def test_a_signed_call(client: httpx.AsyncClient) -> None:
    route = respx.route(host="glc.invalid").mock(side_effect=lambda request: unknown())
    access = SignedAccess("passerelle.invalid", "clef", lambda: NOW, lambda: "n1")
    assert isinstance(
        await Synchronization(BASE, client, access).read(["a"], None), ProviderReading
    )
    signed = parse_signed(route.calls[0].request.url.query.decode())
    assert signed is not None
    assert signed.orig == "passerelle.invalid"
    verify_query(signed, ["clef"], NOW)


@respx.mock
async def test_client_credentials_are_fetched_once_and_again_when_they_end(
    client: httpx.AsyncClient,
) -> None:
    now = [NOW]
    token = respx.post(TOKENS).mock(
        side_effect=[
            httpx.Response(200, json={"access_token": f"t{n}", "expires_in": 300}) for n in range(2)
        ]
    )
    route = respx.post(SYNC).mock(side_effect=lambda request: unknown())
    access = BearerAccess(ClientCredentials(TOKENS, "id", "s", "comptes"), client, lambda: now[0])
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
    respx.post(TOKENS).mock(return_value=httpx.Response(401))
    access = BearerAccess(ClientCredentials(TOKENS, "id", "mot-de-passe"), client, lambda: NOW)
    told = await Synchronization(BASE, client, access).read(["a"], None)
    assert told == Outage(
        "oauth2_refused", say("at_call", n=1, detail="HTTP 401 when asking for a token")
    )


@respx.mock
async def test_a_token_that_the_provider_has_forgotten_is_left_at_once(
    client: httpx.AsyncClient,
) -> None:
    """Without `expires_in` it would be used for ever."""
    given = respx.post(TOKENS).mock(
        side_effect=[httpx.Response(200, json={"access_token": f"t{n}"}) for n in range(3)]
    )
    good = {"t0"}

    def answer(request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        return unknown() if token in good else httpx.Response(401)

    asked = respx.post(SYNC).mock(side_effect=answer)
    source = Synchronization(
        BASE, client, BearerAccess(ClientCredentials(TOKENS, "id", "s"), client, lambda: NOW)
    )
    assert isinstance(await source.read(["a"], None), ProviderReading)
    good = {"t1"}
    assert isinstance(await source.read(["a"], None), ProviderReading)
    assert (given.call_count, asked.call_count) == (2, 3)
    good = set()
    told = await source.read(["a"], None)
    assert told == Outage("access_denied", say("at_call", n=1, detail="HTTP 401")), (
        "a new one is tried once"
    )


# --- lists of deletions ---------------------------------------------------------------------


def page(*uuids: str, following: Any = None, at: str = "2026-03-10T08:00:00+01:00") -> Any:
    rows = [{"account": {"id": one}, "at": at} for one in uuids]
    return httpx.Response(200, json={"data": {"rows": rows, "next": following}})


def source(
    client: httpx.AsyncClient, shape: DeletionsShape = SHAPE, canary: str | None = None
) -> Deletions:
    return Deletions(BASE, client, BASIC, shape, lambda: NOW, canary)


@respx.mock
async def test_pages_by_cursor(client: httpx.AsyncClient) -> None:
    route = respx.get(f"{BASE}/api/deletions/").mock(
        side_effect=[page("a", "b", following="p 2"), page("c")]
    )
    told = await source(client).read(["a", "c", "d"], None)
    assert isinstance(told, ProviderReading)
    assert (told.gone, told.positive, told.calls) == ({"a", "c"}, True, 2)
    assert [dict(call.request.url.params) for call in route.calls] == [
        {"limit": "2"},
        {"limit": "2", "cursor": "p 2"},
    ]
    # The next run begins at the last page, which may have grown.
    route.mock(side_effect=[page("c", "d")])
    again = await source(client).read(["d"], told.cursor)
    assert isinstance(again, ProviderReading)
    assert again.gone == {"d"}
    assert dict(route.calls[-1].request.url.params)["cursor"] == "p 2"


@respx.mock
async def test_pages_by_date(client: httpx.AsyncClient) -> None:
    shape = dataclasses.replace(SHAPE, next=None, next_param=None, since_param="since")
    route = respx.get(f"{BASE}/api/deletions/").mock(side_effect=[page("a"), page("b"), page("c")])
    first = await source(client, shape).read(["a"], None)
    assert isinstance(first, ProviderReading)
    assert "since" not in route.calls[0].request.url.params
    second = await source(client, shape).read(["a"], first.cursor)
    assert isinstance(second, ProviderReading)
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
    assert isinstance(told, ProviderReading)
    assert told.gone == {"a", "b"}
    for elsewhere in ("https://evil.invalid/x", "http://glc.invalid/x", "//evil.invalid/x"):
        respx.get(f"{BASE}/api/deletions/").mock(side_effect=[page("a", following=elsewhere)])
        gone = await source(client, shape).read(["a"], None)
        assert isinstance(gone, Outage)
        assert gone.reason == "malformed"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([page("a", following="2"), httpx.Response(500)], "far_end_error"),
        ([page("a", following="2"), page("b", following="2")], "malformed"),
        ([page("a", following=True)], "malformed"),
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
async def test_an_empty_page_is_no_fault(client: httpx.AsyncClient) -> None:
    """Many lists lead from a full last page to an empty one, and some have empty pages between."""
    route = respx.get(f"{BASE}/api/deletions/").mock(
        side_effect=[
            page("a", following="2"),
            page(following="3"),
            page("b", following="4"),
            page(),
        ]
    )
    told = await source(client).read(["a", "b", "c"], None)
    assert isinstance(told, ProviderReading)
    assert (told.gone, told.calls) == ({"a", "b"}, 4)
    route.mock(side_effect=[page("c")])
    again = await source(client).read(["c"], told.cursor)
    assert isinstance(again, ProviderReading)
    assert again.gone == {"c"}
    assert dict(route.calls[-1].request.url.params)["cursor"] == "4", "what is new comes there"


@respx.mock
async def test_one_bad_entry_costs_itself_alone(client: httpx.AsyncClient) -> None:
    rows = [
        {"account": {"id": "a"}, "at": "2026-03-10T08:00:00Z"},
        {"account": {}, "at": "2026-03-10T08:00:00Z"},
        {"account": {"id": "b"}, "at": "hier"},
        # Announced for later: nobody is erased before.
        {"account": {"id": "c"}, "at": "2027-03-10T08:00:00Z"},
        "d",
        {"account": {"id": "e"}, "at": "2026-03-11T08:00:00Z"},
    ]
    respx.get(f"{BASE}/api/deletions/").respond(json={"data": {"rows": rows}})
    told = await source(client).read(["a", "b", "c", "d", "e"], None)
    assert isinstance(told, ProviderReading)
    assert (told.gone, told.entries, told.skipped) == ({"a", "e"}, 6, 4)


WRITTEN = [
    ("iso", "2026-03-11T09:30:00+01:00", "2026-03-10T08:30:00Z"),
    ("iso", "2026-03-11T09:30:00", "2026-03-10T08:30:00Z"),
    ("epoch", 1773217800, "1773131400"),
    ("epoch", "1773217800", "1773131400"),
    ("epoch_ms", 1773217800000, "1773131400000"),
    ("%d/%m/%Y %H:%M:%S", "11/03/2026 09:30:00", "10/03/2026 09:30:00"),
    ("%d/%m/%Y", "11/03/2026", "10/03/2026"),
]


@pytest.mark.parametrize(("dates", "told", "asked"), WRITTEN)
@respx.mock
async def test_dates_as_the_list_writes_them(
    client: httpx.AsyncClient, dates: str, told: Any, asked: str
) -> None:
    shape = dataclasses.replace(SHAPE, next=None, next_param=None, since_param="s", dates=dates)
    route = respx.get(f"{BASE}/api/deletions/").mock(side_effect=lambda request: page("a", at=told))
    first = await source(client, shape).read(["a"], None)
    assert isinstance(first, ProviderReading)
    assert (first.gone, first.skipped) == ({"a"}, 0)
    await source(client, shape).read(["a"], first.cursor)
    assert route.calls[-1].request.url.params["s"] == asked, "a day before, as it writes them"


@pytest.mark.parametrize(
    ("rows", "uuid"), [(["A-1", "a", ""], "@"), ([{"id": "a"}, {"id": "z"}, {}], "id")]
)
@respx.mock
async def test_a_list_that_is_the_whole_answer(
    client: httpx.AsyncClient, rows: Any, uuid: str
) -> None:
    shape = dataclasses.replace(
        SHAPE, items=compile_expression("@"), uuid=compile_expression(uuid), deleted_at=None
    )
    respx.get(f"{BASE}/api/deletions/").respond(json=rows)
    told = await source(client, shape).read(["a", "b"], None)
    assert isinstance(told, ProviderReading)
    assert (told.gone, told.skipped) == ({"a"}, 1)


@respx.mock
async def test_an_answer_has_a_bound(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_call, "LARGEST", 100_000)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield b'{"data": {"rows": ['
        while True:
            read += 1
            yield b'{"account": {"id": "a"}, "at": "2026-03-11"},' * 100

    respx.get(f"{BASE}/api/deletions/").mock(
        side_effect=lambda request: httpx.Response(200, content=endless())
    )
    told = await source(client).read(["a"], None)
    assert isinstance(told, Outage)
    assert told.reason == "answer_too_large"
    assert read < 30


@respx.mock
async def test_a_large_page_leaves_the_loop_to_others(client: httpx.AsyncClient) -> None:
    many = [f"{n:032x}" for n in range(2000)]
    respx.get(f"{BASE}/api/deletions/").mock(return_value=page(*many))
    here, where = threading.get_ident(), set()

    class Seen(Expression):
        def search(self, value: Any) -> Any:
            where.add(threading.get_ident())
            return super().search(value)

    shape = dataclasses.replace(SHAPE, items=Seen("data.rows", steps=("data", "rows")))
    told = await source(client, shape).read(many[:3], None)
    assert isinstance(told, ProviderReading)
    assert (told.gone, told.entries) == (set(many[:3]), 2000)
    assert here not in where


# --- one form -------------------------------------------------------------------------------

ID = "b1a7c0de0000000000000000000000ab"
FORMS = [
    ID,
    ID.upper(),
    "b1a7c0de-0000-0000-0000-0000000000ab",
    "{B1A7C0DE-0000-0000-0000-0000000000AB}",
    "urn:uuid:b1a7c0de-0000-0000-0000-0000000000ab",
    f"  {ID}\n",
    "b1a7c0de 0000 0000 0000 0000000000ab",
]


@pytest.mark.parametrize("form", FORMS)
@respx.mock
async def test_an_account_is_one_however_it_is_written(
    client: httpx.AsyncClient, form: str
) -> None:
    assert normal_account(form) == ID
    respx.get(f"{BASE}/api/deletions/").mock(side_effect=lambda request: page(form))
    for known in FORMS:
        told = await source(client).read([known, "other"], None)
        assert isinstance(told, ProviderReading)
        assert told.gone == {known}, "as we write it"
        told = await source(client, canary=known).read(["other"], None)
        assert isinstance(told, ProviderReading)
        assert told.canary_gone
    # Authentic compares exactly: it is asked as it writes, and believed however it answers.
    route = respx.post(SYNC).mock(side_effect=lambda request: unknown(form))
    told = await Synchronization(BASE, client, BASIC, CANARY.upper()).read(FORMS, None)
    assert isinstance(told, ProviderReading)
    assert told.gone == set(FORMS)
    assert json.loads(route.calls[0].request.content) == {"known_uuids": [ID, CANARY]}


@pytest.mark.parametrize("sub", ["dGVzdA", "DGVZDA", "abc-DEF", "c0ffee", "é" * 32])
def test_what_is_no_uuid_is_not_folded(sub: str) -> None:
    """Two values of a provider's own may differ by case alone and be two people."""
    assert normal_account(f" {sub} ") == sub


# --- a check --------------------------------------------------------------------------------


@respx.mock
async def test_a_check_asks_little(client: httpx.AsyncClient) -> None:
    route = respx.get(f"{BASE}/api/deletions/").mock(
        side_effect=[page("a", following="2"), page("b", following="3"), page("c")]
    )
    told = await source(client).check()
    assert isinstance(told, ProviderReading)
    assert (told.entries, route.call_count) == (2, 2)
    route = respx.post(SYNC).mock(side_effect=[unknown(), unknown(CANARY), httpx.Response(403)])
    asked = Synchronization(BASE, client, BASIC, CANARY)
    checked = [await asked.check() for _ in range(3)]
    assert [getattr(one, "canary_gone", None) for one in checked] == [False, True, None]
    assert json.loads(route.calls[0].request.content) == {"known_uuids": [CANARY]}


@respx.mock
@pytest.mark.parametrize("cursor", ["", "{", "[]", '{"page": 3}', '{"full_at": "2026-03-12"}'])
async def test_a_cursor_that_cannot_be_read_means_the_beginning(
    client: httpx.AsyncClient, cursor: str
) -> None:
    route = respx.get(f"{BASE}/api/deletions/").mock(return_value=page("a"))
    assert isinstance(await source(client).read(["a"], cursor), ProviderReading)
    assert dict(route.calls[0].request.url.params) == {"limit": "2"}


@respx.mock
async def test_a_listed_canary(client: httpx.AsyncClient) -> None:
    respx.get(f"{BASE}/api/deletions/").mock(return_value=page("a", CANARY))
    told = await source(client, canary=CANARY).read(["a"], None)
    assert isinstance(told, ProviderReading)
    assert told.canary_gone
