"""The portal as a far end: our calls, and the outcome of each answer."""

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

from gateway.catalogue.settings import DEFAULT_LIMITS
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
from gateway.core.workflow import DONE
from gateway.sdk import File
from gateway.sdk.publik.signature import parse_signed, verify_query
from gateway.wire.formdata import parse_formdata
from gateway.wire.portal import Page, PortalClient
from gateway.wire.spool import BodyReader, SpooledBody
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


NOT_FOUND = error(404, "not-found", None)


def portal(client: httpx.AsyncClient, **changes: Any) -> PortalClient:
    nonces = iter(f"nonce{n}" for n in range(99))
    settings: dict[str, Any] = (
        {"orig": "passerelle", "key": KEY, "basic": None}
        | {"max_file_bytes": DEFAULT_LIMITS.max_file_bytes}
        | changes
    )
    return PortalClient(BASE, client, now=lambda: NOW, nonce=lambda: next(nonces), **settings)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    # Reading the authorities takes longer than a test, and respx answers in their place.
    async with httpx.AsyncClient(trust_env=False, verify=False) as made:
        yield made


@pytest.fixture
def far() -> Any:
    with respx.mock(assert_all_called=False) as router:
        yield router


def nonce_of(request: httpx.Request) -> str | None:
    signed = parse_signed(request.url.query.decode())
    assert signed is not None
    verify_query(signed, [KEY], NOW)
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
        (
            error(401, "access-unauthorized", "unhandled authorization header"),
            Misconfigured("access_denied", "HTTP 401"),
        ),
        (error(400, "invalid-request", "x"), Refused("refused", "HTTP 400")),
        (
            httpx.Response(200, json={"err": 1, "err_desc": "personne@exemple.invalid"}),
            Refused("application_error"),
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
        (httpx.Response(302, headers={"location": "/x"}), Unsure("see_other", "HTTP 302")),
        (httpx.Response(500, json={"err": 1}), Unsure("far_end_error", "HTTP 500")),
        (
            httpx.Response(503, headers={"retry-after": "60"}),
            Unsure("busy", "HTTP 503", after=60.0),
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


def formdata(*actions: str, fields: Any = None, data: Any = None, **changes: Any) -> Any:
    """Return a formdata as a light read shows it."""
    workflow: dict[str, Any] = {"status": {"id": "encours"}, "fields": fields or {}}
    if data is not None:
        workflow["data"] = data
    return {"id": "3", "actions": dict.fromkeys(actions, "u"), "workflow": workflow, **changes}


BOTH = ("global-action:retour_commune", "jump:transmis")
LIST = f"{BASE}/api/forms/voirie/list"


@pytest.mark.parametrize("text", ["Actions en cours de traitement.", "Nonce déjà utilisé.", "x"])
@pytest.mark.parametrize(
    ("read", "listed", "hook", "jump"),
    [
        (httpx.Response(200, json=formdata(*BOTH)), 200, "processing", "processing"),
        (httpx.Response(200, json=formdata()), 200, "no_right_on_hook", "not_in_status"),
        (error(403, "access-denied", "x"), 200, "no_right_on_formdata", "no_right_on_formdata"),
        (error(403, "access-denied", "x"), 403, "access_denied", "access_denied"),
        (error(401, "access-unauthorized", "x"), 401, "access_denied", "access_denied"),
        (NOT_FOUND, 200, "unknown_formdata", "unknown_formdata"),
        (httpx.Response(500), 200, "far_end_error", "far_end_error"),
        (httpx.ReadTimeout("x"), 200, "no_answer", "no_answer"),
    ],
)
async def test_a_403_is_told_apart_by_what_can_be_read_and_by_no_text(
    far: respx.Router,
    client: httpx.AsyncClient,
    text: str,
    read: Any,
    listed: int,
    hook: str,
    jump: str,
) -> None:
    far.post(url__startswith=API).mock(return_value=error(403, "access-denied", text))
    route = far.get(url__startswith=API)
    if isinstance(read, Exception):
        route.mock(side_effect=read)
    else:
        route.mock(return_value=read)
    far.get(url__startswith=LIST).respond(listed, json=[])
    busy = {"processing", "not_in_status", "far_end_error", "no_answer"}
    for outcome, reason in (
        (await portal(client).hook(API, "retour_commune", PAYLOAD), hook),
        (await portal(client).jump(API, "transmis", PAYLOAD), jump),
    ):
        assert isinstance(outcome, Refused | TryLater | Misconfigured)
        assert outcome.reason == reason
        assert isinstance(outcome, TryLater) is (reason in busy)
    query = parse_qs(route.calls[0].request.url.query.decode())
    assert query["include-actions"] == ["on"]
    for heavy in ("fields", "evolution", "workflow-data", "files-content", "user"):
        assert query[f"include-{heavy}"] == ["off"]


async def test_a_clock_that_is_off_shows_in_a_refusal(
    far: respx.Router, client: httpx.AsyncClient
) -> None:
    late = {"date": "Thu, 12 Mar 2026 07:43:07 GMT"}
    far.get(url__startswith=LIST).respond(403, json={"err": 1}, headers=late)
    outcome = await portal(client).listing("voirie", None, 0, 1)
    assert isinstance(outcome, Misconfigured)
    assert "differ by 120 s" in outcome.detail


@pytest.mark.parametrize(
    ("read", "hook", "jump"),
    [
        (httpx.Response(200, json=formdata()), "unknown_hook", "not_in_status"),
        (error(403, "access-denied", "x"), "no_right_on_formdata", "no_right_on_formdata"),
        (NOT_FOUND, "unknown_formdata", "unknown_formdata"),
    ],
)
async def test_not_found_tells_a_missing_trigger_from_a_missing_formdata(
    far: respx.Router, client: httpx.AsyncClient, read: httpx.Response, hook: str, jump: str
) -> None:
    far.post(url__startswith=API).mock(return_value=NOT_FOUND)
    far.get(url__startswith=API).mock(return_value=read)
    far.get(url__startswith=LIST).respond(json=[])
    kinds = {"not_in_status": TryLater, "unknown_formdata": Refused}
    for outcome, reason in (
        (await portal(client).hook(API, "retour_commune", PAYLOAD), hook),
        (await portal(client).jump(API, "transmis", PAYLOAD), jump),
    ):
        assert isinstance(outcome, Refused | TryLater | Misconfigured)
        assert type(outcome) is kinds.get(reason, Misconfigured)
        assert outcome.reason == reason


def file(name: str, content: bytes) -> File:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    return File("document", name, "application/pdf", len(content), "0", pieces)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("arrêté n°12.pdf", "arrete no12.pdf"),
        ("Cœur de ville – plan.pdf", "Coeur de ville - plan.pdf"),
        ("e\u0301te\u0301.pdf", "ete.pdf"),
        ("計画\r\nX-Y: z.pdf", "____X-Y: z.pdf"),
        ("", "document"),
    ],
)
async def test_a_document_goes_as_it_is_with_a_name_that_every_header_holds(
    far: respx.Router, client: httpx.AsyncClient, name: str, sent: str
) -> None:
    route = far.put(url__startswith=f"{API}hooks/document_commune/").respond(json={"err": 0})
    given = file(name, b"%PDF-1.4 \x00\xff")
    assert await portal(client).put_document(API, "document_commune", given) == Accepted()
    request = route.calls[0].request
    assert request.content == b"%PDF-1.4 \x00\xff"
    assert request.headers["filename"] == sent
    assert request.headers["content-type"] == "application/pdf"


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
            await at.download(address, BodyReader(Path())),
        ):
            assert isinstance(outcome, Misconfigured)
            assert "exemple" not in outcome.detail
        assert isinstance(await at.find_report(address, "x", ["ev-1"], mark=DONE), CannotTell)
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
        await portal(client).download(url, BodyReader(Path()))
        nonce_of(route.calls.last.request)


# --- reads -----------------------------------------------------------------------------------


async def test_formdata_is_read_whole(far: respx.Router, client: httpx.AsyncClient) -> None:
    recorded = sample("recorded-wcs-exchange")["formdata"]
    far.get(url__startswith=API).respond(json=recorded)
    body = await portal(client).formdata(API)
    assert isinstance(body, SpooledBody)
    assert parse_formdata(body.text, None, limits=DEFAULT_LIMITS).ref == "3"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NOT_FOUND, "unknown_formdata"),
        (error(403, "access-denied", "x"), "no_right_on_formdata"),
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
    far.get(url__startswith=LIST).respond(json=[])
    at = portal(client, max_bytes=1000)
    outcome = await at.formdata(API)
    assert isinstance(outcome, Refused | Misconfigured | TryLater)
    assert outcome.reason == reason
    finding = await at.find_report(API, "retour_commune", ["ev-1"], mark=DONE)
    if reason == "unknown_formdata":
        assert finding == Absent()
    else:
        assert isinstance(finding, CannotTell)
        assert (finding.reason, finding.forever) == (reason, False)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({DONE: "ev-0 ev-1 ev-2"}, Found()),
        ({DONE: "ev-0,ev-1"}, Found()),
        ({DONE: ["ev-1"]}, Found()),
        ({DONE: "ev-11 xev-1"}, Absent()),
        ({DONE: ""}, Absent()),
        # Written before the first action runs: a process that died after it did nothing.
        ({DONE: None}, Absent()),
    ],
)
async def test_proof_is_what_the_last_action_wrote(
    far: respx.Router, client: httpx.AsyncClient, fields: dict[str, Any], expected: object
) -> None:
    told = formdata(*BOTH, fields=fields, data={"retour_commune": {"evenement": "ev-1"}})
    route = far.get(url__startswith=API).respond(json=told)
    found = await portal(client).find_report(API, "retour_commune", ["ev-1"], mark=DONE)
    assert found == expected
    assert b"include-workflow-data=off" in route.calls[0].request.url.query
    assert route.call_count == 1


async def test_a_document_of_its_own_is_proven_too(
    far: respx.Router, client: httpx.AsyncClient
) -> None:
    events = ["ev-1", "ev-1-document"]
    for value, expected in (("ev-1", Absent()), ("ev-1 ev-1-document", Found())):
        far.get(url__startswith=API).respond(json=formdata(*BOTH, fields={DONE: value}))
        found = await portal(client).find_report(API, "retour_commune", events, mark=DONE)
        assert found == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (formdata(*BOTH, data={"retour_commune": {"evenement": "ev-1"}}), None),
        (formdata(*BOTH, data={"retour_commune": {"evenement": "ev-2"}}), Absent()),
        (formdata(*BOTH, data={"autre": {"evenement": "ev-1"}}), Absent()),
        (formdata(*BOTH, data={"retour_commune": "ev-1"}), Absent()),
        (formdata(*BOTH), Absent()),
        (formdata(), None),
    ],
)
async def test_without_a_mark_what_came_is_no_proof_that_it_was_done(
    far: respx.Router, client: httpx.AsyncClient, told: Any, expected: object
) -> None:
    far.get(url__startswith=API).respond(json=told)
    found = await portal(client).find_report(API, "retour_commune", ["ev-1"], mark=DONE)
    if expected is not None:
        assert found == expected
        return
    assert isinstance(found, CannotTell)
    assert (found.reason, found.forever) == ("no_proof", True)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (formdata(data={"evenement": "ev-1", "statut": "x"}), Found()),
        (formdata("jump:transmis", data={"evenement": "ev-1"}), Absent()),
        (formdata("jump:transmis", data={"evenement": "ev-2"}), Absent()),
        (formdata(fields={DONE: "ev-1"}), Found()),
        (formdata("jump:transmis", fields={DONE: None}), Absent()),
    ],
)
async def test_a_jump_was_fired_when_its_status_is_left(
    far: respx.Router, client: httpx.AsyncClient, told: Any, expected: object
) -> None:
    far.get(url__startswith=API).respond(json=told)
    found = await portal(client).find_report(API, "transmis", ["ev-1"], mark=DONE, jump=True)
    assert found == expected


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
    url = f"{API}download?hash=abc"
    got = await at.download(url, BodyReader(Path()))
    assert isinstance(got, tuple)
    assert (got[0].read(0, 9), got[1]) == (b"%PDF-", "application/pdf")
    request = route.calls.last.request
    assert request.url.path == "/api/forms/voirie/3/download"
    assert request.url.params["hash"] == "abc"
    nonce_of(request)
    route.respond(content=b"%PDF-1")
    assert await at.download(url, BodyReader(Path())) == Refused("too_large")
    route.respond(302, headers={"location": f"{API}files/1/a.pdf"})
    assert await at.download(url, BodyReader(Path())) == Misconfigured("redirected", "HTTP 302")
    route.mock(return_value=NOT_FOUND)
    assert await at.download(url, BodyReader(Path())) == Refused("unknown_file", "HTTP 404")


async def test_a_signed_address_is_not_signed_again(
    far: respx.Router, client: httpx.AsyncClient
) -> None:
    outcome = await portal(client).download(f"{API}download?f=1&signature=x", BodyReader(Path()))
    assert isinstance(outcome, Misconfigured)
