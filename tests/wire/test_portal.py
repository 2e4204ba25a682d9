"""The portal as a far end: what is sent, and what each of its answers becomes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Found,
    Misconfigured,
    Refused,
    TryLater,
    Unsure,
)
from gateway.wire.formdata import Limits, parse_formdata
from gateway.wire.portal import Page, PortalClient
from gateway.wire.signature import parse_signed, verify
from gateway.wire.spool import Body, Inflow
from tests.wire.samples import sample

BASE = "https://portail.exemple.invalid"
API = f"{BASE}/api/forms/voirie/3/"
HOOK = f"{API}hooks/retour_commune/"
JUMP = f"{API}jump/trigger/transmis/"
NOW = datetime(2026, 3, 12, 7, 41, 7, tzinfo=UTC)
KEY = "clé-du-portail"
PAYLOAD = {"evenement": "ev-1", "statut": "transmise", "message": None}


def error(status: int, code: str, text: str | None) -> httpx.Response:
    body = {"err": 1, "err_class": "x", "err_code": code, "err_desc": text}
    return httpx.Response(status, json=body)


PROCESSING = error(403, "access-denied", "Formdata currently processing actions.")
NOT_FOUND = error(404, "not-found", None)


def portal(client: httpx.AsyncClient, **changes: Any) -> PortalClient:
    nonces = iter(f"nonce{n}" for n in range(99))
    settings: dict[str, Any] = {"orig": "passerelle", "key": KEY, "basic": None} | changes
    return PortalClient(BASE, client, now=lambda: NOW, nonce=lambda: next(nonces), **settings)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as made:
        yield made


@pytest.fixture
def far() -> Any:
    with respx.mock(assert_all_called=False) as router:
        yield router


def nonce_of(request: httpx.Request) -> str | None:
    signed = parse_signed(request.url.query.decode())
    assert signed is not None
    verify(signed, [KEY], NOW)
    assert signed.orig == "passerelle"
    return signed.nonce


async def test_hook_is_signed_anew_each_time(far: respx.Router, client: httpx.AsyncClient) -> None:
    route = far.post(url__startswith=HOOK).respond(json={"err": 0})
    at = portal(client)
    assert await at.hook(API, "retour_commune", PAYLOAD) == Accepted()
    assert await at.hook(API.rstrip("/"), "retour_commune", PAYLOAD) == Accepted()
    requests = [call.request for call in route.calls]
    assert [nonce_of(r) for r in requests] == ["nonce0", "nonce1"]
    assert json.loads(requests[0].content) == PAYLOAD
    assert requests[0].headers["content-type"] == "application/json"
    assert requests[0].headers["accept"] == "application/json"
    assert "authorization" not in requests[0].headers


async def test_basic_in_place_of_a_signature(far: respx.Router, client: httpx.AsyncClient) -> None:
    route = far.post(JUMP).respond(json={"err": 0, "url": None})
    at = portal(client, key=None, basic=("compte", "secret"))
    assert await at.jump(API, "transmis", PAYLOAD) == Accepted()
    assert route.calls[0].request.headers["authorization"].startswith("Basic ")
    assert route.calls[0].request.url.query == b""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (PROCESSING, TryLater("processing", "the formdata is being processed")),
        (error(403, "other", "processing"), Misconfigured("access_denied", "HTTP 403")),
        (httpx.Response(403, text="<p>processing"), Misconfigured("access_denied", "HTTP 403")),
        (
            error(403, "access-denied", "Invalid signature."),
            Misconfigured("access_denied", "HTTP 403: the key is not the portal's"),
        ),
        (
            error(403, "access-denied", "timestamp is more than 30 seconds in the past: 0:01:00"),
            Misconfigured("access_denied", "HTTP 403: the clocks differ by more than 30 seconds"),
        ),
        (
            error(403, "access-denied", "Insufficient roles."),
            Misconfigured("access_denied", "HTTP 403: the account lacks a role"),
        ),
        (
            error(403, "access-denied", "nonce already used"),
            Unsure("nonce_used", "the portal has seen this very call before"),
        ),
        (
            error(401, "access-unauthorized", "unhandled authorization header"),
            Misconfigured("access_denied", "HTTP 401"),
        ),
        (error(400, "invalid-request", "x"), Refused("refused", "HTTP 400")),
        (
            httpx.Response(200, json={"err": 1, "err_desc": "personne@exemple.invalid"}),
            Refused("application_error", "the portal answered with an error"),
        ),
        (httpx.Response(200, json={"err": "0"}), Accepted()),
        (
            httpx.Response(200, text="<html>maintenance"),
            Unsure("unreadable_answer", "success without the portal's own answer"),
        ),
        (
            httpx.Response(200, json=[]),
            Unsure("unreadable_answer", "success without the portal's own answer"),
        ),
        (
            httpx.Response(204),
            Unsure("unreadable_answer", "success without the portal's own answer"),
        ),
        (httpx.Response(302, headers={"location": "/x"}), Misconfigured("redirected", "HTTP 302")),
        (httpx.Response(500, json={"err": 1}), Unsure("far_end_error", "HTTP 500")),
        (
            httpx.Response(503, headers={"retry-after": "60"}),
            TryLater("busy", "HTTP 503", 60.0),
        ),
        (httpx.ConnectError("x"), TryLater("unreachable", "ConnectError")),
        (httpx.ReadTimeout("x"), Unsure("no_answer", "ReadTimeout")),
        (httpx.RemoteProtocolError("x"), Unsure("no_answer", "RemoteProtocolError")),
    ],
)
async def test_answers_to_a_write(
    far: respx.Router, client: httpx.AsyncClient, answer: Any, expected: object
) -> None:
    for url in (HOOK, JUMP):
        route = far.post(url__startswith=url)
        if isinstance(answer, Exception):
            route.mock(side_effect=answer)
        else:
            route.mock(return_value=answer)
    assert await portal(client).hook(API, "retour_commune", PAYLOAD) == expected
    assert await portal(client).jump(API, "transmis", PAYLOAD) == expected


@pytest.mark.parametrize(
    ("formdata", "hook", "jump"),
    [
        (httpx.Response(200, json={"id": "3"}), "unknown_hook", "not_in_status"),
        (error(403, "access-denied", "x"), "unknown_hook", "not_in_status"),
        (NOT_FOUND, "unknown_formdata", "unknown_formdata"),
    ],
)
async def test_not_found_tells_a_missing_trigger_from_a_missing_formdata(
    far: respx.Router,
    client: httpx.AsyncClient,
    formdata: httpx.Response,
    hook: str,
    jump: str,
) -> None:
    far.post(url__startswith=API).mock(return_value=NOT_FOUND)
    read = far.get(url__startswith=API).mock(return_value=formdata)
    kinds = {"unknown_hook": Misconfigured, "not_in_status": TryLater, "unknown_formdata": Refused}
    for outcome, reason in (
        (await portal(client).hook(API, "retour_commune", PAYLOAD), hook),
        (await portal(client).jump(API, "transmis", PAYLOAD), jump),
    ):
        assert isinstance(outcome, Refused | TryLater | Misconfigured)
        assert type(outcome) is kinds[reason]
        assert outcome.reason == reason
    assert b"anonymise" in read.calls[0].request.url.query


@pytest.mark.parametrize(
    "address",
    [
        "https://ailleurs.exemple.invalid/api/forms/voirie/3/",
        "http://portail.exemple.invalid/api/forms/voirie/3/",
        "https://portail.exemple.invalid:8443/api/forms/voirie/3/",
        "https://portail.exemple.invalid@ailleurs.exemple.invalid/",
        "https://compte:x@portail.exemple.invalid/api/forms/voirie/3/",
        "https://portail.exemple.invalid.ailleurs.invalid/",
        "//ailleurs.exemple.invalid/",
        "file:///etc/passwd",
        "https://[::1/",
        "https://portail.exemple.invalid:port/",
        "https://portail.exemple.invalid\\@ailleurs.exemple.invalid/",
        "pas une adresse",
        "",
    ],
)
async def test_nothing_is_sent_elsewhere(
    far: respx.Router, client: httpx.AsyncClient, address: str
) -> None:
    anywhere = far.route().respond(json={"err": 0})
    for key in (KEY, None):
        at = portal(client, key=key)
        for outcome in (
            await at.hook(address, "retour_commune", PAYLOAD),
            await at.jump(address, "transmis", PAYLOAD),
            await at.formdata(address),
            await at.download(address, Inflow(Path())),
        ):
            assert isinstance(outcome, Misconfigured)
            assert "exemple" not in outcome.detail
        assert isinstance(await at.find_event(address, "x", "ev-1"), CannotTell)
    assert not anywhere.called


async def test_default_port_is_the_same_origin(
    far: respx.Router, client: httpx.AsyncClient
) -> None:
    far.post(url__startswith=BASE).respond(json={"err": 0})
    address = API.replace("invalid/", "invalid:443/").replace("https", "HTTPS")
    assert await portal(client).hook(address, "retour_commune", PAYLOAD) == Accepted()


@pytest.mark.parametrize("name", ["", "a/b", "..%2f", "a?b", "é"])
async def test_trigger_names_are_words(
    far: respx.Router, client: httpx.AsyncClient, name: str
) -> None:
    outcome = await portal(client).hook(API, name, PAYLOAD)
    assert isinstance(outcome, Misconfigured)
    assert outcome.reason == "bad_trigger"


async def test_signed_is_what_is_sent(far: respx.Router, client: httpx.AsyncClient) -> None:
    route = far.get(url__startswith=BASE).respond(content=b"x")
    for url in (
        f"{BASE}/voirie/3/download?f=14$0$b7",
        f"{BASE}/api/forms/voirie/3/download?f=é à|b",
    ):
        await portal(client).download(url, Inflow(Path()))
        nonce_of(route.calls.last.request)


# --- reads -----------------------------------------------------------------------------------


async def test_formdata_is_read_whole(far: respx.Router, client: httpx.AsyncClient) -> None:
    recorded = sample("recorded-wcs-exchange")["formdata"]
    far.get(url__startswith=API).respond(json=recorded)
    body = await portal(client).formdata(API)
    assert isinstance(body, Body)
    assert parse_formdata(body.text, None, limits=Limits()).ref == "3"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NOT_FOUND, "unknown_formdata"),
        (error(403, "access-denied", "x"), "access_denied"),
        (httpx.Response(200, text="<html>"), "unreadable_answer"),
        (httpx.Response(200, json=[1]), "unreadable_answer"),
        (httpx.Response(200, json={"err": 1}), "application_error"),
        (httpx.Response(200, content=b'{"a":"' + b"x" * 2000 + b'"}'), "too_large"),
        (httpx.Response(500), "far_end_error"),
        (httpx.Response(302, headers={"location": "https://x.invalid"}), "redirected"),
    ],
)
async def test_reads_that_fail(
    far: respx.Router, client: httpx.AsyncClient, answer: httpx.Response, reason: str
) -> None:
    far.get(url__startswith=API).mock(return_value=answer)
    at = portal(client, max_bytes=1000)
    outcome = await at.formdata(API)
    assert isinstance(outcome, Refused | Misconfigured | TryLater)
    assert outcome.reason == reason
    finding = await at.find_event(API, "retour_commune", "ev-1")
    if reason == "unknown_formdata":
        assert finding == Absent()
    else:
        assert isinstance(finding, CannotTell)
        assert (finding.reason, finding.forever) == (reason, False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"workflow": {"data": {"retour_commune": {"evenement": "ev-1"}}}}, Found()),
        ({"workflow": {"data": {"evenement": "ev-1", "statut": "x"}}}, Found()),
        ({"workflow": {"data": {"retour_commune": {"evenement": "ev-2"}}}}, Absent()),
        ({"workflow": {"data": {"autre": {"evenement": "ev-1"}}}}, Absent()),
        ({"workflow": {"data": {"retour_commune": "ev-1"}}}, Absent()),
        ({"workflow": {}, "user": {"name": "Zoé"}}, Absent()),
        (
            {"evolution": [{"parts": [{"type": "x", "data": {"evenement": "ev-1"}}]}]},
            Found(),
        ),
    ],
)
async def test_find_event(
    far: respx.Router, client: httpx.AsyncClient, changes: dict[str, Any], expected: object
) -> None:
    route = far.get(url__startswith=API).respond(json={"id": "3", **changes})
    assert await portal(client).find_event(API, "retour_commune", "ev-1") == expected
    assert b"include-files-content=off" in route.calls[0].request.url.query


async def test_find_event_cannot_tell_from_anonymised_data(
    far: respx.Router, client: httpx.AsyncClient
) -> None:
    far.get(url__startswith=API).respond(json={"id": "3", "workflow": {"status": {"id": "1"}}})
    finding = await portal(client).find_event(API, "retour_commune", "ev-1")
    assert isinstance(finding, CannotTell)
    assert finding.forever


async def test_find_event_in_a_sample(far: respx.Router, client: httpx.AsyncClient) -> None:
    far.get(url__startswith=API).respond(json=sample("demande-avec-evolution"))
    at = portal(client)
    assert await at.find_event(API, "retour_commune", "vv-000451-3") == Found()
    assert await at.find_event(API, "retour_commune", "vv-000451-2") == Absent()


ROWS = [{"id": "1", "last_update_time": "2026-11-23T19:56:53"}, {"id": "2"}]


@pytest.mark.parametrize(
    ("answer", "limit", "expected"),
    [
        (ROWS, 10, Page(tuple(ROWS), False)),
        (ROWS, 2, Page(tuple(ROWS), True)),
        ({"err": 0, "count": 9, "data": ROWS, "next": "u"}, 10, Page(tuple(ROWS), True)),
        ({"err": 0, "data": ROWS}, 10, Page(tuple(ROWS), False)),
        ([], 10, Page((), False)),
    ],
)
async def test_listing(
    far: respx.Router, client: httpx.AsyncClient, answer: Any, limit: int, expected: Page
) -> None:
    route = far.get(url__startswith=f"{BASE}/api/forms/voirie/list").respond(json=answer)
    assert await portal(client).listing("voirie", NOW, 4, limit) == expected
    query = parse_qs(route.calls[0].request.url.query.decode())
    assert nonce_of(route.calls[0].request) == "nonce0"
    assert query["filter-start-mtime"] == ["on"]
    assert query["filter-start-mtime-value"] == ["2026-03-12T08:41:07"]
    assert query["order_by"] == ["last_update_time"]
    assert (query["offset"], query["limit"]) == (["4"], [str(limit)])
    assert "full" not in query
    await portal(client).listing("voirie", None, 0, 5, full=True)
    query = parse_qs(route.calls[1].request.url.query.decode())
    assert query["full"] == ["on"]
    assert "filter-start-mtime" not in query


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"err": 1}, "application_error"),
        ({"err": 0, "data": {}}, "unreadable_answer"),
        ([1, 2], "unreadable_answer"),
        (None, "unreadable_answer"),
        ("texte", "unreadable_answer"),
    ],
)
async def test_listing_of_a_wrong_type(
    far: respx.Router, client: httpx.AsyncClient, answer: Any, reason: str
) -> None:
    far.get(url__startswith=BASE).respond(json=answer)
    outcome = await portal(client).listing("voirie", None, 0, 10)
    assert isinstance(outcome, Refused | TryLater)
    assert outcome.reason == reason


async def test_schema(far: respx.Router, client: httpx.AsyncClient) -> None:
    route = far.get(url__startswith=f"{BASE}/api/formdefs/voirie/schema")
    route.respond(json={"name": "Voirie", "fields": []})
    assert await portal(client).schema("voirie") == {"name": "Voirie", "fields": []}
    route.respond(json=[])
    assert isinstance(await portal(client).schema("voirie"), TryLater)
    route.mock(return_value=NOT_FOUND)
    assert await portal(client).schema("voirie") == Refused("unknown_teleservice", "HTTP 404")


async def test_slugs_cannot_leave_their_place(far: respx.Router, client: httpx.AsyncClient) -> None:
    route = far.get(url__startswith=BASE).respond(json={})
    await portal(client).schema("a/../../b?c=d")
    assert route.calls[0].request.url.raw_path.startswith(b"/api/formdefs/a%2F")


async def test_download(far: respx.Router, client: httpx.AsyncClient) -> None:
    route = far.get(url__startswith=f"{API}download").respond(
        content=b"%PDF-", headers={"content-type": "Application/PDF; x=1"}
    )
    at = portal(client, max_file_bytes=5)
    for url in (f"{BASE}/voirie/3/download?hash=abc", f"{API}download?hash=abc"):
        got = await at.download(url, Inflow(Path()))
        assert isinstance(got, tuple)
        assert (got[0].read(0, 9), got[1]) == (b"%PDF-", "application/pdf")
        request = route.calls.last.request
        assert request.url.path == "/api/forms/voirie/3/download"
        assert request.url.params["hash"] == "abc"
        nonce_of(request)
    route.respond(content=b"%PDF-1")
    assert await at.download(url, Inflow(Path())) == Refused(
        "too_large", "the portal's answer is larger than allowed"
    )
    route.respond(302, headers={"location": f"{API}files/1/a.pdf"})
    assert await at.download(url, Inflow(Path())) == Misconfigured("redirected", "HTTP 302")
    route.mock(return_value=NOT_FOUND)
    assert await at.download(url, Inflow(Path())) == Refused("unknown_file", "HTTP 404")


async def test_a_signed_address_is_not_signed_again(
    far: respx.Router, client: httpx.AsyncClient
) -> None:
    outcome = await portal(client).download(f"{API}download?f=1&signature=x", Inflow(Path()))
    assert isinstance(outcome, Misconfigured)
