"""Answers that no document promises: each comes to an outcome, none to an exception."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx

from adapters.rest.answers import TimeRule
from adapters.rest.reading import time_of
from gateway.sdk import (
    Absent,
    Accepted,
    Amendment,
    CannotTell,
    ErasureAnswer,
    ErasureResult,
    EventKind,
    Files,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    Submission,
    Tracked,
    TryLater,
    Unsure,
    WebhookCall,
)
from gateway.sdk.conformance import NOW, REFERENCE, file
from tests.adapters.rest_systems import adapter

BASE = "https://gru.exemple.invalid"


def given(**more: Any) -> dict[str, Any]:
    return {"base_url": BASE, "create": {"path": "/r", "reference": "id"}, **more}


FIND = {"path": "/r", "query": {"ref": "=reference"}, "list": "items", "match": "ref"}
ITEM = {"gru_reference": "id", "status": "status", "at": {"value": "at"}}


NOT_JSON = Unsure("unreadable_answer", "HTTP 200, not JSON")
NO_NUMBER = Unsure("no_reference", "HTTP 200 without a reference")
TOO_LARGE = Unsure("answer_too_large", "more than 10000 bytes")
SEE_OTHER = Unsure("see_other", "HTTP 302")


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (httpx.Response(200, text="<html>En maintenance"), NOT_JSON),
        (httpx.Response(200, text="[" * 5000), NOT_JSON),
        (httpx.Response(200, json={}), NO_NUMBER),
        (httpx.Response(200, json={"id": {"x": 1}}), NO_NUMBER),
        (httpx.Response(200, json={"id": "x" * 300}), NO_NUMBER),
        (httpx.Response(200, json={"id": "9" * 20_000}), TOO_LARGE),
        (httpx.Response(302, headers={"location": "/login"}), SEE_OTHER),
        (httpx.Response(201, json={"id": 7}), Accepted("7", None, {"status": "201"})),
    ],
)
async def test_an_odd_answer_to_a_creation(
    router: respx.MockRouter, response: httpx.Response, outcome: Outcome
) -> None:
    router.post(f"{BASE}/r").mock(return_value=response)
    async with adapter(given(max_answer=10_000), router) as rest:
        assert await rest.submit(Submission(REFERENCE, {})) == outcome


@pytest.mark.parametrize("status", [302, 303])
async def test_a_redirect_that_is_named_a_success_is_one(
    router: respx.MockRouter, status: int
) -> None:
    """A web form that posts and sends on: the number is at the end of the Location."""
    router.post(f"{BASE}/r").respond(
        status, headers={"location": "/demandes/42?merci=1"}, html="<p>Redirection</p>"
    )
    create = {"path": "/r", "success": [302, 303], "location": True}
    async with adapter(given(create=create), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {}))
    assert outcome == Accepted("42", None, {"status": str(status)})


@pytest.mark.parametrize("status", [201, 302, 303])
@pytest.mark.parametrize(
    "location",
    ["/login", "/login?next=/demandes/42", "/", "", "#42", "/demandes/", "merci.html", "https://["],
)
async def test_a_location_without_a_number_names_no_ticket(
    router: respx.MockRouter, status: int, location: str
) -> None:
    """A session that is over answers so: nobody knows whether anything was created."""
    headers = {"location": location} if location else {}
    router.post(f"{BASE}/r").respond(status, headers=headers)
    create = {"path": "/r", "success": [201, 302, 303], "location": True}
    async with adapter(given(create=create, find=FIND), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {}))
    assert outcome == Unsure("no_reference", f"HTTP {status} without a reference")


async def test_a_redirect_to_another_host_names_no_ticket(router: respx.MockRouter) -> None:
    headers = {"location": "https://sso.exemple.invalid/auth/realms/7"}
    router.post(f"{BASE}/r").respond(303, headers=headers)
    create = {"path": "/r", "success": [303], "location": True}
    async with adapter(given(create=create), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {}))
    assert outcome == Unsure("no_reference", "HTTP 303 without a reference")


async def test_a_creation_behind_a_proxy_names_its_ticket(router: respx.MockRouter) -> None:
    """A 201 was created; that its address is one of the inside does not matter."""
    router.post(f"{BASE}/r").respond(201, headers={"location": "http://interne:8080/issues/INC-7"})
    async with adapter(given(create={"path": "/r", "location": True}), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {}))
    assert outcome == Accepted("INC-7", None, {"status": "201"})


async def test_a_status_that_is_no_named_success_is_unsure(router: respx.MockRouter) -> None:
    router.post(f"{BASE}/r").respond(200, json={"id": "7"})
    create = {"path": "/r", "success": [302], "location": True}
    async with adapter(given(create=create), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {}))
    assert outcome == Unsure("unexpected_status", "HTTP 200")


async def test_a_header_with_a_byte_that_is_no_ascii_is_read(router: respx.MockRouter) -> None:
    headers = [(b"Content-Type", b"application/json"), (b"X-Servi-Par", b"d\xe9cembre")]
    answer = httpx.Response(201, headers=headers, content=b'{"id": 7}')
    router.post(f"{BASE}/r").mock(return_value=answer)
    async with adapter(given(), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {}))
    assert outcome == Accepted("7", None, {"status": "201"})


async def test_a_cut_in_the_middle_of_the_answer_leaves_a_doubt(router: respx.MockRouter) -> None:
    class Cut(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b'{"id": '
            raise httpx.ReadError("cut")

    router.post(f"{BASE}/r").mock(return_value=httpx.Response(201, stream=Cut()))
    async with adapter(given(), router) as rest:
        assert isinstance(await rest.submit(Submission(REFERENCE, {})), Unsure)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>En maintenance"),
        httpx.Response(200, json={"items": None}),
        httpx.Response(200, json=["items"]),
        httpx.Response(200),
        httpx.Response(204),
        httpx.Response(404),
    ],
)
async def test_an_odd_answer_never_proves_absence(
    router: respx.MockRouter, response: httpx.Response
) -> None:
    router.get(f"{BASE}/r").mock(return_value=response)
    async with adapter(given(find=FIND), router) as rest:
        assert isinstance(await rest.find(REFERENCE), CannotTell)


async def test_a_404_proves_absence_where_the_yaml_says_so(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/r/{REFERENCE}").respond(404)
    find = {"path": "/r/{reference}", "match": "ref", "absent": [404]}
    async with adapter(given(find=find), router) as rest:
        assert await rest.find(REFERENCE) == Absent()


async def test_stray_candidates_can_be_declared_harmless(router: respx.MockRouter) -> None:
    strays = {"items": [{"ref": f"{REFERENCE}-2"}]}
    router.get(f"{BASE}/r").respond(200, json=strays)
    async with adapter(given(find={**FIND, "strays": "ignore"}), router) as rest:
        assert await rest.find(REFERENCE) == Absent()


async def test_an_envelope_that_says_failure(router: respx.MockRouter) -> None:
    router.post(f"{BASE}/r").respond(200, json={"success": False, "code": 12})
    rules = [
        {"when": "success==`false`", "outcome": "refused", "reason": "rejected", "code": "code"}
    ]
    async with adapter(given(errors=rules), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {}))
    assert outcome == Refused("rejected", "HTTP 200, code 12")


async def test_the_number_is_at_the_end_of_the_location(router: respx.MockRouter) -> None:
    headers = {"location": "/REST/2.0/ticket/42"}
    router.post(f"{BASE}/r").respond(201, headers=headers)
    create = {"path": "/r", "location": True}
    async with adapter(given(create=create), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {}))
    assert outcome == Accepted("42", None, {"status": "201"})


async def test_a_multipart_creation_with_and_without_files(router: respx.MockRouter) -> None:
    route = router.post(f"{BASE}/r").respond(201, json={"id": 1})
    create = {
        "path": "/r",
        "reference": "id",
        "encoding": "multipart",
        "file_part": "pieces[]",
        "body": {"titre": "=payload.title", "meta": {"ref": "=reference"}},
    }
    options = given(create=create, files={"mode": "multipart"})
    async with adapter(options, router) as rest:
        for files in ([file(b"image")], []):
            outcome = await rest.submit(Submission(REFERENCE, {"title": "Été"}, files))
            assert isinstance(outcome, Accepted)
    full, bare = (call.request for call in route.calls)
    for request in (full, bare):
        assert request.headers["content-type"].startswith("multipart/form-data")
        assert 'name="titre"\r\n\r\nÉté'.encode() in request.content
        assert f'{{"ref": "{REFERENCE}"}}'.encode() in request.content
    assert b'name="pieces[]"; filename="photo.png"\r\nContent-Type: image/png' in full.content
    assert b"pieces[]" not in bare.content


async def test_files_after_the_creation(router: respx.MockRouter) -> None:
    create = router.post(f"{BASE}/r").respond(201, json={"id": 1})
    attach = router.post(f"{BASE}/r/1%2Fa/files").respond(201)
    document = {"path": "/r/{gru_reference}/files", "encoding": "multipart"}
    options = given(files={"mode": "after"}, amend={"document": document})
    async with adapter(options, router) as rest:
        assert rest.capabilities.files is Files.AFTER
        await rest.submit(Submission(REFERENCE, {"a": 1}, [file(b"image")]))
        amendment = Amendment(REFERENCE, "1/a", "e", EventKind.DOCUMENT, {}, None, [file(b"image")])
        assert isinstance(await rest.amend(amendment), Accepted)
    assert b"image" not in create.calls.last.request.content
    assert b"image" in attach.calls.last.request.content


async def test_a_form_creation(router: respx.MockRouter) -> None:
    route = router.post(f"{BASE}/r", data={"titre": "Nid", "urgent": "true", "tag": ["a", "b"]})
    route.respond(201, json={"id": 1})
    body = {"titre": "=payload.t", "urgent": True, "tag": ["a", "b"], "vide": "=payload.rien"}
    create = {"path": "/r", "reference": "id", "encoding": "form", "body": body}
    async with adapter(given(create=create), router) as rest:
        assert isinstance(await rest.submit(Submission(REFERENCE, {"t": "Nid"})), Accepted)


@pytest.mark.parametrize("number", ["..", "", " "])
async def test_a_number_that_would_climb_is_not_sent(router: respx.MockRouter, number: str) -> None:
    options = given(erase={"path": "/r/{gru_reference}"})
    async with adapter(options, router) as rest:
        outcome = await rest.erase(REFERENCE, number)
    assert isinstance(outcome, Refused)
    assert outcome.reason == "unrenderable"


KEPT = {"issue": "conservee", "motif": "DUA de 10 ans", "fin": "31/12/2036"}
END = datetime(2036, 12, 30, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"issue": "supprimee"}, ErasureAnswer(ErasureResult.ERASED)),
        (200, {"issue": "anonymisee"}, ErasureAnswer(ErasureResult.ANONYMISED)),
        (200, KEPT, ErasureAnswer(ErasureResult.KEPT, "DUA de 10 ans", END)),
        (404, {}, ErasureAnswer(ErasureResult.ABSENT)),
        (410, {}, ErasureAnswer(ErasureResult.ABSENT)),
        (200, {"issue": "archivee"}, None),
        (200, {}, None),
    ],
)
async def test_an_erasure_is_answered_in_the_grus_words(
    router: respx.MockRouter, status: int, body: Any, expected: ErasureAnswer | None
) -> None:
    erase = {
        "path": "/r/{gru_reference}",
        "absent": [404],
        "result": "issue",
        "results": {"supprimee": "erased", "anonymisee": "anonymised", "conservee": "kept"},
        "ground": "motif",
        "until": {"value": "fin", "format": "%d/%m/%Y"},
    }
    router.delete("/r/7").respond(status, json=body)
    async with adapter(given(erase=erase), router) as rest:
        outcome = await rest.erase(REFERENCE, "7")
    if expected is None:
        assert isinstance(outcome, Refused)
        assert outcome.reason == "unreadable_answer"
    else:
        assert isinstance(outcome, Accepted)
        assert outcome.erasure == expected


@pytest.mark.parametrize("value", [float("nan"), "\ud800", object()])
async def test_a_payload_that_is_not_json_is_refused(router: respx.MockRouter, value: Any) -> None:
    async with adapter(given(), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {"a": value}))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "unrenderable"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"kind": "basic", "username": "u", "password": "p"}, "authorization", "Basic dTpw"),
        ({"kind": "bearer", "token": "jeton"}, "authorization", "Bearer jeton"),
        (
            {"kind": "header", "name": "X-Key", "value": "cle", "prefix": "k="},
            "x-key",
            "k=cle",
        ),
    ],
)
async def test_fixed_credentials_and_the_tenant_header(
    router: respx.MockRouter, auth: dict[str, str], header: str, value: str
) -> None:
    route = router.post(f"{BASE}/r").respond(201, json={"id": 1})
    async with adapter(given(auth=auth, headers={"X-Tenant": "bron"}), router) as rest:
        await rest.submit(Submission(REFERENCE, {}))
    headers = route.calls.last.request.headers
    assert (headers[header], headers["x-tenant"]) == (value, "bron")


# --- polls ----------------------------------------------------------------------------------


def listed(**more: Any) -> dict[str, Any]:
    return given(statuses={"path": "/r", "list": "items", "item": ITEM, **more})


async def test_pages_by_link_stay_at_this_gru(router: respx.MockRouter) -> None:
    row = {"id": 1, "status": "new", "at": "2026-03-16T10:00:00+01:00"}
    first = {"items": [row], "next": "/r?c=2"}
    router.get(f"{BASE}/r", params={"c": "2"}).respond(
        200, json={"items": [{**row, "id": 2}], "next": "https://ailleurs.exemple.invalid/r"}
    )
    router.get(f"{BASE}/r").respond(200, json=first)
    async with adapter(listed(paging={"style": "link", "next": "next"}), router) as rest:
        changes = await rest.statuses([], None)
    assert [c.gru_reference for c in changes.items] == ["1", "2"]
    assert changes.failure == Misconfigured("foreign_link", "the next page is elsewhere")


async def test_the_link_header_leads_on(router: respx.MockRouter) -> None:
    row = {"id": 1, "status": "new", "at": "2026-03-16T09:00:00Z"}
    router.get(f"{BASE}/r", params={"p": "2"}).respond(200, json={"items": [{**row, "id": 2}]})
    link = {"link": f'<{BASE}/r?p=1>; rel="prev", <{BASE}/r?p=2>; rel="next"'}
    router.get(f"{BASE}/r").respond(200, json={"items": [row]}, headers=link)
    async with adapter(listed(paging={"style": "link"}), router) as rest:
        changes = await rest.statuses([], None)
    assert [c.gru_reference for c in changes.items] == ["1", "2"]


@pytest.mark.parametrize("ascending", [True, False])
async def test_a_reading_cut_short_moves_the_cursor_in_ascending_order_only(
    router: respx.MockRouter, ascending: bool
) -> None:
    rows = [{"id": n, "status": "new", "at": f"2026-03-16T09:0{n}:00Z"} for n in (1, 2, 3, 4)]
    rows = rows if ascending else rows[::-1]
    route = router.get(f"{BASE}/r")
    route.side_effect = [httpx.Response(200, json={"items": rows[:2]}), httpx.Response(503)]
    cursor = "2026-03-16T09:00:00+00:00"
    async with adapter(listed(paging={"style": "page", "size": 2}), router) as rest:
        changes = await rest.statuses([], cursor)
    assert isinstance(changes.failure, TryLater)
    assert len(changes.items) == 2
    assert changes.cursor == ("2026-03-16T09:02:00+00:00" if ascending else cursor)


async def test_too_many_pages_in_the_wrong_order_are_told(router: respx.MockRouter) -> None:
    def page(request: httpx.Request) -> httpx.Response:
        minute = 59 - int(request.url.params["page"])
        row = {"id": minute, "status": "new", "at": f"2026-03-16T08:{minute}:00Z"}
        return httpx.Response(200, json={"items": [row]})

    router.get(f"{BASE}/r").mock(side_effect=page)
    paging = {"style": "page", "size": 1, "max_pages": 3}
    async with adapter(listed(paging=paging), router) as rest:
        changes = await rest.statuses([], None)
    assert (changes.cursor, changes.failure) == (
        None,
        TryLater("too_many_changes", "more than max_pages hold"),
    )


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "status": "new", "at": f"2026-03-16T09:0{n}:00Z"} for n in range(count)]


async def test_a_server_that_gives_fewer_at_once_is_read_to_the_end(
    router: respx.MockRouter,
) -> None:
    """It was asked for 100 and gives 2: a short page is not the end of the list."""
    every = rows(5)

    def page(request: httpx.Request) -> httpx.Response:
        begin = int(request.url.params["from"])
        return httpx.Response(200, json={"items": every[begin : begin + 2]})

    route = router.get(f"{BASE}/r").mock(side_effect=page)
    paging = {"style": "offset", "param": "from", "size_param": "n", "size": 100}
    async with adapter(listed(paging=paging), router) as rest:
        changes = await rest.statuses([], None)
    assert [c.gru_reference for c in changes.items] == ["0", "1", "2", "3", "4"]
    assert changes.failure is None
    assert route.call_count == 3


@pytest.mark.parametrize("last", [httpx.Response(200, json={"items": []}), httpx.Response(404)])
async def test_the_first_page_may_be_all(router: respx.MockRouter, last: httpx.Response) -> None:
    router.get(f"{BASE}/r").side_effect = [httpx.Response(200, json={"items": rows(2)}), last]
    async with adapter(listed(paging={"style": "page"}), router) as rest:
        changes = await rest.statuses([], None)
    assert len(changes.items) == 2
    assert changes.failure is None


@pytest.mark.parametrize("style", ["none", "page"])
async def test_a_list_that_is_cut_by_its_own_count_is_told(
    router: respx.MockRouter, style: str
) -> None:
    answers = [
        httpx.Response(200, json={"items": listing, "count": "7"}) for listing in (rows(2), [])
    ]
    router.get(f"{BASE}/r").side_effect = answers
    paging = {"style": style, "total": "count"}
    async with adapter(listed(paging=paging), router) as rest:
        changes = await rest.statuses([], None)
    assert changes.failure == TryLater("list_cut", "statuses.list: 2 of 7 items")
    assert len(changes.items) == 2


async def test_a_server_that_ignores_the_page_is_not_asked_for_ever(
    router: respx.MockRouter,
) -> None:
    route = router.get(f"{BASE}/r").respond(200, json={"items": rows(2)})
    async with adapter(listed(paging={"style": "page", "size": 2}), router) as rest:
        changes = await rest.statuses([], None)
    assert changes.failure == TryLater("list_cut", "statuses.list: the same page again")
    assert route.call_count == 2


async def test_a_ticket_dated_next_year_moves_no_cursor(router: respx.MockRouter) -> None:
    ahead = {"id": 9, "status": "new", "at": "2027-03-16T09:00:00Z"}
    router.get(f"{BASE}/r").respond(200, json={"items": [*rows(2), ahead]})
    async with adapter(listed(), router) as rest:
        changes = await rest.statuses([], None)
    assert [c.gru_reference for c in changes.items] == ["0", "1", "9"]
    assert changes.cursor == "2026-03-16T09:01:00+00:00"


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"status": "statut.nom"}, "item.status: statut.nom"),
        ({"at": {"value": "modifie"}}, "item.at.value: modifie"),
    ],
)
async def test_a_path_that_finds_nothing_is_told_by_the_first_poll(
    router: respx.MockRouter, item: dict[str, Any], told: str
) -> None:
    router.get(f"{BASE}/r").respond(200, json={"items": rows(3)})
    async with adapter(listed(item={**ITEM, **item}), router) as rest:
        changes = await rest.statuses([], None)
    assert changes.failure == Misconfigured("path_found_nothing", f"{told} (of 3 items)")


async def test_a_wrong_list_is_named(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/r").respond(200, json={"tickets": rows(3)})
    async with adapter(listed(), router) as rest:
        changes = await rest.statuses([], None)
    assert changes.failure == Misconfigured("no_list", "statuses.list: items is no list")


async def test_the_mark_of_the_gru_goes_out_and_comes_back(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/r")
    route.respond(200, json={"items": [{"id": 1, "status": "new"}], "mark": "m-2"})
    options = listed(cursor="server", server_cursor="mark", query={"after": "=cursor"})
    async with adapter(options, router) as rest:
        first = await rest.statuses([], None)
        await rest.statuses([], first.cursor)
    assert first.cursor == "m-2"
    assert [dict(c.request.url.params) for c in route.calls] == [{}, {"after": "m-2"}]


async def test_an_unreadable_item_is_told_and_the_others_pass(router: respx.MockRouter) -> None:
    rows = [{"status": "new"}, {"id": 2, "status": "new", "at": "2026-03-16T09:00:00Z"}]
    router.get(f"{BASE}/r").respond(200, json={"items": rows})
    async with adapter(listed(), router) as rest:
        changes = await rest.statuses([Tracked(REFERENCE, "2", NOW)], None)
    assert [c.gru_reference for c in changes.items] == ["2"]
    assert changes.failure == Misconfigured("unreadable_item", "1 items name no request")
    assert changes.cursor == "2026-03-16T09:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        ("2026-07-01 12:00", {"format": "%Y-%m-%d %H:%M"}, datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("2026-01-01T12:00:00", {}, datetime(2026, 1, 1, 11, tzinfo=UTC)),
        ("2026-01-01T12:00:00Z", {}, datetime(2026, 1, 1, 12, tzinfo=UTC)),
        # 2:30 comes twice on that night: the earlier is taken.
        ("2026-10-25T02:30:00", {}, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (1_767_268_800, {"format": "epoch"}, datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("1767268800000", {"format": "epoch_ms"}, datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("hier", {}, None),
        (None, {}, None),
        (1e300, {"format": "epoch"}, None),
    ],
)
def test_times_as_gru_write_them(
    value: Any, rule: dict[str, str], expected: datetime | None
) -> None:
    assert time_of(TimeRule.model_validate({"value": "v", **rule}), {"v": value}) == expected


# --- the GRU's own words ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (
            httpx.Response(422, json={"errors": ["Sujet manquant pour Zoé Fictive, 0612345678"]}),
            '{"errors":["Sujet manquant pour … …, …"]}',
        ),
        (
            httpx.Response(422, html="<h1>Erreur</h1><p>Champ &laquo;&nbsp;file&nbsp;&raquo;</p>"),
            "Erreur\nChamp « file »",
        ),
        (httpx.Response(422), ""),
        (httpx.Response(422, text="secret-de-test refusé " + "x" * 9000), None),
    ],
)
async def test_what_the_gru_says_goes_with_the_outcome_without_our_words(
    router: respx.MockRouter, response: httpx.Response, words: str | None
) -> None:
    router.post(f"{BASE}/r").mock(return_value=response)
    async with adapter(given(secrets={"x": "secret-de-test"}), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {"name": "Zoé Fictive"}))
    assert outcome == Refused("refused", "HTTP 422")
    assert isinstance(outcome, Refused)
    assert outcome.answer is not None
    assert len(outcome.answer) <= 2000
    assert "secret-de-test" not in outcome.answer
    if words is not None:
        assert outcome.answer == f"HTTP 422 Unprocessable Entity\n{words}".strip()


async def test_an_answer_without_a_number_goes_with_the_outcome(router: respx.MockRouter) -> None:
    router.post(f"{BASE}/r").respond(200, json={"message": "Compte de Zoé suspendu"})
    async with adapter(given(), router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {"name": "Zoé"}))
    assert isinstance(outcome, Unsure)
    assert outcome.answer == 'HTTP 200 OK\n{"message":"Compte de … suspendu"}'


# --- webhooks -------------------------------------------------------------------------------


def hooked(**verify: str) -> dict[str, Any]:
    item = {"gru_reference": "ticket.id", "message": "text", "internal": "internal"}
    secret = "secret-de-webhook-de-test"
    return given(
        webhook={"verify": {"header": "X-Proof", "secret": secret, **verify}, "item": item}
    )


@pytest.mark.parametrize(
    ("verify", "proof"),
    [
        ({"kind": "token"}, "secret-de-webhook-de-test"),
        ({"kind": "token", "prefix": "Bearer "}, "Bearer secret-de-webhook-de-test"),
        # printf %s BODY | openssl dgst -sha1 -hmac secret-de-webhook-de-test
        ({"kind": "hmac-sha1", "prefix": "sha1="}, "sha1=7018b62aec61e91a009be7d1f7b5939641711815"),
        (
            {"kind": "hmac-sha256", "encoding": "base64"},
            "1z4I5wP7K2OenyGnxTsDv/pwtyU463lJ5JpQQyOpqxs=",
        ),
    ],
)
async def test_proofs(router: respx.MockRouter, verify: dict[str, str], proof: str) -> None:
    body = b'{"ticket": {"id": 42}, "text": "Bonjour", "internal": false}'
    async with adapter(hooked(**verify), router) as rest:
        good = await rest.webhook(WebhookCall("POST", {"x-proof": proof}, {}, body))
        bad = [
            await rest.webhook(WebhookCall("POST", headers, {}, body))
            for headers in ({}, {"x-proof": proof[:-1]}, {"x-proof": "é"}, {"x-proof": ""})
        ]
        if verify["kind"] != "token":
            bad.append(
                await rest.webhook(WebhookCall("POST", {"x-proof": proof}, {}, body + b"\n"))
            )
        by_head = [rest.proven(WebhookCall("POST", h, {}, b"")) for h in ({"x-proof": proof}, {})]
        assert by_head == [True if verify["kind"] == "token" else None, False]
    assert [(c.gru_reference, c.message, c.public) for c in good.items] == [("42", "Bonjour", True)]
    assert all(isinstance(b.failure, Refused) and not b.items for b in bad)


@pytest.mark.parametrize("body", [b"", b"<xml/>", b"{}", b"[1]"])
async def test_a_proven_call_that_says_nothing_readable(
    router: respx.MockRouter, body: bytes
) -> None:
    headers = {"X-Proof": "secret-de-webhook-de-test"}
    async with adapter(hooked(kind="token"), router) as rest:
        changes = await rest.webhook(WebhookCall("POST", headers, {}, body))
    assert changes.failure is not None
    assert changes.failure == Refused("unreadable", changes.failure.detail)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "body", [b"a=&" * 2_000, b'{"a":[' + b"[]," * 400_000 + b"0]}", b"[" * 200_000]
)
async def test_a_proven_call_of_more_than_is_taken(router: respx.MockRouter, body: bytes) -> None:
    headers = {"X-Proof": "secret-de-webhook-de-test"}
    if body.startswith(b"a="):
        headers["content-type"] = "application/x-www-form-urlencoded"
    async with adapter(hooked(kind="token"), router) as rest:
        changes = await rest.webhook(WebhookCall("POST", headers, {}, body))
    assert changes.failure == Refused("unreadable", "neither JSON nor a form")


async def test_find_gives_the_number_and_the_link(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/r").respond(200, json={"items": [{"ref": REFERENCE, "id": 4}]})
    find = {**FIND, "reference": "id", "link": BASE + "/voir/{gru_reference}"}
    async with adapter(given(find=find), router) as rest:
        assert await rest.find(REFERENCE) == Found("4", f"{BASE}/voir/4")


async def test_check_says_what_is_not_described(router: respx.MockRouter) -> None:
    async with adapter(given(), router) as rest:
        notes = await rest.check()
    assert [(n.level, n.said.what("fr")) for n in notes] == [
        ("warning", "rien ne dit comment essayer l'accès à la GRU"),
        ("warning", "la GRU ne peut être interrogée par notre référence"),
    ]


CHECKED = {"path": "/moi"}
TOLD = {
    "id": 1,
    "status": "new",
    "at": "2026-03-16T09:00:00Z",
    "notes": [{"id": 5, "text": "x", "private": False, "files": [{"id": 6, "name": "a.txt"}]}],
}
NOTES = {
    "list": "notes",
    "message": "text",
    "internal": "private",
    "key": "id",
    "documents": {"list": "files", "filename": "name", "path": "/f/{item.id}"},
}


async def noted(router: respx.MockRouter, listing: Any = (TOLD,), **item: Any) -> list[str]:
    """Return the complaints of `check`, each after its level."""
    router.get(f"{BASE}/moi").respond(200, json={})
    held = router.get(f"{BASE}/s").respond(200, json={"items": []})
    router.get(f"{BASE}/r").respond(200, json={"items": list(listing)})
    router.get(f"{BASE}/f/6").respond(200, content=b"x")
    options = listed(
        item={**ITEM, "notes": NOTES, **item},
    )
    options |= {"check": CHECKED, "find": {**FIND, "path": "/s"}}
    async with adapter(options, router) as rest:
        notes = await rest.check()
    assert dict(held.calls.last.request.url.params) == {"ref": "TDG-0000000000000000"}
    return [f"{n.level} {n.said.what('fr')}" for n in notes if n.level != "ok"]


@pytest.fixture(name="loose")
def a_router_where_not_all_is_called() -> respx.MockRouter:
    return respx.MockRouter(assert_all_called=False)


async def test_check_is_content_with_what_finds_all(loose: respx.MockRouter) -> None:
    assert await noted(loose) == []


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        ({"status": "statut"}, "fault relevé : statuses.item.status: statut"),
        ({"at": {"value": "maj"}}, "fault relevé : statuses.item.at.value: maj"),
        ({"reference": "ref"}, "warning relevé : statuses.item.reference: ref"),
        ({"notes": {**NOTES, "list": "n"}}, "warning relevé : statuses.item.notes.list: n"),
        ({"notes": {**NOTES, "message": "t"}}, "warning relevé : statuses.item.notes.message: t"),
        ({"notes": {**NOTES, "internal": "i"}}, "warning relevé : statuses.item.notes.internal: i"),
    ],
)
async def test_check_names_the_path_that_finds_nothing(
    loose: respx.MockRouter, item: dict[str, Any], complaint: str
) -> None:
    assert await noted(loose, **item) == [f"{complaint} ne trouve rien dans 1 élément(s)"]


async def test_check_tries_the_further_reads(loose: respx.MockRouter) -> None:
    loose.get(f"{BASE}/wrong/6").respond(404)
    documents = {**NOTES["documents"], "path": "/wrong/{item.id}"}  # type: ignore[dict-item]
    complaints = await noted(loose, notes={**NOTES, "documents": documents})
    assert complaints == ["fault relevé : un texte ou un fichier annoncé n'a pu être lu"]


async def test_check_cannot_tell_without_an_item(loose: respx.MockRouter) -> None:
    (complaint,) = await noted(loose, listing=())
    assert complaint.startswith("warning relevé : aucun changement en 30 jours")


async def test_check_tells_of_a_search_that_ignores_what_it_is_asked_for(
    router: respx.MockRouter,
) -> None:
    router.get(f"{BASE}/moi").respond(200, json={})
    router.get(f"{BASE}/r").respond(200, json={"items": [{"ref": "autre"}]})
    async with adapter(given(check=CHECKED, find=FIND), router) as rest:
        (fault,) = [n for n in await rest.check() if n.level == "fault"]
    assert fault.said.what("fr").startswith("recherche : ")
    assert fault.said.remedy("fr") == "corriger la requête de `find`"


@pytest.mark.parametrize(
    "text",
    [
        '{"items": [{"id": 1, "status": "open"}, {"id": 2, "sta',
        '{"items": [{"id": 1} {"id": 2}]}',
        '{"items": [{"id": 1, "status": "open"},]}',
        '{"items": []}{"items": []}',
        '{"items": [[{"id": 1, "status": "open"}]]}',
        '{"items": {"0": {"id": 1, "status": "open"}}}',
        '{"items": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"items": [{"id": NaN, "status": 1e999}]}',
        '"items"',
        "null",
        "",
    ],
    ids=lambda text: text[:30],
)
async def test_a_list_broken_in_structure_tells_nothing_and_is_read_again(
    router: respx.MockRouter, text: str
) -> None:
    router.get(f"{BASE}/r").respond(200, text=text, content_type="application/json")
    statuses = {"path": "/r", "list": "items", "item": ITEM}
    async with adapter(given(statuses=statuses), router) as rest:
        changes = await rest.statuses([Tracked(REFERENCE, "1", NOW)], "2026-03-15T00:00:00Z")
    assert (changes.items, changes.cursor) == ([], "2026-03-15T00:00:00Z")
    assert isinstance(changes.failure, TryLater | Misconfigured), "and it is said"


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("Clos \u202e", "Clos"),
        ("En\u00a0cours\n", "En cours"),
        ("\u200b", None),
        ("x" * 300, "x" * 200),
        (["Clos"], "(list)"),
        ({"nom": "Clos"}, "(object)"),
        (1.5, "1.5"),
        (3, "3"),
        (True, "true"),
        (False, None),
        ([], None),
        (None, None),
    ],
)
async def test_a_status_that_is_no_word_is_told_and_not_dropped(
    router: respx.MockRouter, told: Any, word: str | None
) -> None:
    """Seen: an unknown word with a mark that nobody sees was passed over, and waited nowhere."""
    row = {"id": 1, "status": told, "at": "2026-03-16T09:00:00Z"}
    known = {"id": 2, "status": "new", "at": "2026-03-16T09:00:00Z"}
    router.get(f"{BASE}/r").respond(200, json={"items": [row, known]})
    async with adapter(listed(), router) as rest:
        changes = await rest.statuses([], None)
    assert [c.status for c in changes.items if c.gru_reference == "1"] == ([word] if word else [])
