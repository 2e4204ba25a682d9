"""Texts and files that the YAML fetches for an item: at other addresses, once, from this GRU."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx

from adapters.rest import RestAdapter
from gateway.sdk import (
    Accepted,
    Amendment,
    Change,
    Document,
    EventKind,
    Found,
    Misconfigured,
    Refused,
    Submission,
    TryLater,
    WebhookCall,
)
from gateway.sdk.conformance import NOW, REFERENCE
from tests.adapters.rest_systems import adapter

BASE = "https://gru.exemple.invalid/api"
ELSEWHERE = "https://fichiers.exemple.invalid"
TICKET = {
    "id": 7,
    "status": "open",
    "at": "2026-03-16T09:00:00Z",
    "notes": [
        {"id": 1, "private": False, "at": "2026-03-16T09:00:00Z"},
        {"id": 2, "private": True, "at": "2026-03-16T09:00:00Z"},
    ],
}


def given(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = {"gru_reference": "id", "status": "status", "at": {"value": "at"}, **item}
    return {
        "base_url": BASE,
        "auth": {"kind": "header", "name": "X-Key", "value": "cle-de-test"},
        "create": {"path": "/r", "reference": "id"},
        "statuses": {"path": "/r", "list": "items", "item": item},
        **more,
    }


def with_notes(**more: Any) -> dict[str, Any]:
    notes = {"list": "notes", "internal": "private", "key": "id", "at": {"value": "at"}, **more}
    return {"notes": notes}


async def polled(rest: RestAdapter, router: respx.MockRouter, ticket: Any = TICKET) -> list[Change]:
    router.get(f"{BASE}/r").respond(200, json={"items": [ticket]})
    return list((await rest.statuses([], None)).items)


async def whole(change: Change) -> Any:
    assert change.more is not None
    return await change.more()


async def test_a_note_s_text_is_fetched_when_it_is_asked_for(router: respx.MockRouter) -> None:
    parts = {"id": 1, "mime": "text/plain", "body": base64.b64encode("Été".encode()).decode()}
    route = router.get(f"{BASE}/notes/1/parts").respond(200, json={"parts": [parts]})
    also = {"parts": {"path": "/notes/{item.id}/parts", "content": "parts"}}
    rules = with_notes(also=also, message="unbase64(parts[?mime=='text/plain'].body | [0])")
    async with adapter(given(rules), router) as rest:
        state, public, private = await polled(rest, router)
        assert (state.key, state.status, state.message) == (None, "open", None)
        assert [(c.key, c.public, c.message) for c in (public, private)] == [
            ("1", True, None),
            ("2", False, None),
        ]
        assert not route.called, "nothing is fetched before the core knows that it is new"
        told = await whole(public)
    assert (told.key, told.message, told.more) == ("1", "Été", None)
    assert route.calls.last.request.headers["x-key"] == "cle-de-test"


async def test_further_reads_may_come_in_pages(router: respx.MockRouter) -> None:
    notes = [{"id": n, "text": f"Note {n}", "private": False} for n in range(5)]

    def page(request: httpx.Request) -> httpx.Response:
        begin = int(request.url.params["offset"])
        listed = {"notes": notes[begin : begin + 2], "total": len(notes)}
        return httpx.Response(200, json=listed)

    router.get(f"{BASE}/r/7/notes").mock(side_effect=page)
    read = {
        "path": "/r/{item.id}/notes",
        "content": "notes",
        "paging": {"style": "offset", "param": "offset", "total": "total"},
    }
    item = {"also": {"journal": read}, **with_notes(list="journal", message="text")}
    async with adapter(given(item), router) as rest:
        told = await polled(rest, router)
    assert [c.message for c in told] == [None, *(f"Note {n}" for n in range(5))]


async def test_a_read_that_fails_for_one_item_leaves_the_others(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/r/1/notes").respond(500)
    router.get(f"{BASE}/r/2/notes").respond(200, json=[])
    item = {"also": {"journal": {"path": "/r/{item.id}/notes"}}}
    item |= with_notes(list="journal", message="text")
    for age, cursor in ((timedelta(hours=1), None), (timedelta(days=2), NOW.isoformat())):
        rows = [
            {"id": 1, "status": "open", "at": (NOW - age).isoformat()},
            {"id": 2, "status": "open", "at": NOW.isoformat()},
        ]
        router.get(f"{BASE}/r").respond(200, json={"items": rows})
        async with adapter(given(item), router) as rest:
            changes = await rest.statuses([], None)
        assert [c.gru_reference for c in changes.items] == ["2"]
        assert changes.failure == TryLater("far_end_error", "HTTP 500")
        assert changes.cursor == cursor, "it is read again for a day, and told"


# --- files ----------------------------------------------------------------------------------


def files(**more: Any) -> dict[str, Any]:
    documents = {"list": "files", "filename": "name", "key": "id", "public": True, **more}
    return {"documents": documents}


def holding(*listed: dict[str, Any]) -> dict[str, Any]:
    return {**TICKET, "notes": [], "files": list(listed)}


async def test_a_file_is_fetched_from_this_gru_alone(router: respx.MockRouter) -> None:
    route = router.get("https://gru.exemple.invalid/f/5").respond(
        200, content=b"%PDF-1.4", headers={"content-type": "application/pdf; x=1"}
    )
    addresses = [
        "https://gru.exemple.invalid/f/5",
        "/f/5",
        "https://ailleurs.exemple.invalid/f/5",
        "http://gru.exemple.invalid/f/5",
        "https://gru.exemple.invalid:8443/f/5",
        "https://a:b@gru.exemple.invalid/f/5",
        "file:///etc/passwd",
        "",
        None,
    ]
    listed = [{"id": n, "name": "a.pdf", "url": url} for n, url in enumerate(addresses)]
    async with adapter(given(files(address="url")), router) as rest:
        told = await polled(rest, router, holding(*listed))
        assert [c.key for c in told[1:]] == [f"document:{n}" for n in range(len(addresses))]
        fetched = [await whole(change) for change in told[1:]]
    pdf = Document("a.pdf", "application/pdf", b"%PDF-1.4")
    assert [(list(c.documents), c.unreadable) for c in fetched] == [
        ([pdf], 0),
        ([pdf], 0),
        *[([], 1)] * 7,
    ]
    assert all(c.request.headers["x-key"] == "cle-de-test" for c in route.calls)


async def test_another_host_is_named_and_sees_no_credentials(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/files/5").respond(302, headers={"location": f"{ELSEWHERE}/x?signed=1"})
    route = router.get(f"{ELSEWHERE}/x").respond(200, content=b"x")
    async with adapter(given(files(path="/files/{item.id}"), hosts=[ELSEWHERE]), router) as rest:
        _, change = await polled(rest, router, holding({"id": 5, "name": "a.txt"}))
        told = await whole(change)
    assert [d.content for d in told.documents] == [b"x"]
    assert "x-key" not in route.calls.last.request.headers


@pytest.mark.parametrize(
    ("answer", "came"),
    [
        (httpx.Response(200, content=b""), Document("a.txt", "application/octet-stream", b"")),
        (httpx.Response(404), 1),
        (httpx.Response(200, content=b"x" * 2001), 1),
        (httpx.Response(302, headers={"location": "https://ailleurs.exemple.invalid/"}), 1),
        (httpx.Response(302, headers={"location": f"{BASE}/files/5"}), 1),
        (httpx.Response(200, html="<form>Connexion</form>"), 1),
        (httpx.Response(503), TryLater("busy", "HTTP 503")),
        (httpx.Response(403), Misconfigured("access_denied", "HTTP 403")),
    ],
)
async def test_what_becomes_of_a_file(
    router: respx.MockRouter, answer: httpx.Response, came: Any
) -> None:
    router.get(f"{BASE}/files/5").mock(return_value=answer)
    async with adapter(given(files(path="/files/{item.id}", max_mb=0.002)), router) as rest:
        _, change = await polled(rest, router, holding({"id": 5, "name": "a.txt"}))
        told = await whole(change)
    if isinstance(came, int):
        assert (list(told.documents), told.unreadable) == ([], came)
    elif isinstance(came, Document):
        assert list(told.documents) == [came]
    else:
        assert told == came


async def test_what_cannot_be_fetched_for_a_day_is_told(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/files/5").respond(503)
    old = {**holding({"id": 5, "name": "a"}), "at": (NOW - timedelta(days=2)).isoformat()}
    async with adapter(given(files(path="/files/{item.id}")), router) as rest:
        _, change = await polled(rest, router, old)
        assert (await whole(change)).unreadable == 1


async def test_files_in_wrapped_base64_are_read_and_broken_ones_told(
    router: respx.MockRouter,
) -> None:
    content = base64.encodebytes(b"x" * 200).decode()
    listed = [
        {"id": 1, "name": "a", "content": content},
        {"id": 2, "name": "b", "content": "pas du base64 !"},
        {"id": 3, "name": "c", "content": None},
    ]
    rules = files(content="content")
    del rules["documents"]["key"]
    async with adapter(given({**rules, "message": "text", "public": True}), router) as rest:
        state, change, lost = await polled(rest, router, holding(*listed))
    assert (state.message, state.documents, state.unreadable) == (None, (), 0)
    assert [(d.filename, d.content) for d in change.documents] == [("a", b"x" * 200)]
    assert change.key == f"document:{hashlib.sha256(b'x' * 200).hexdigest()}", "by its bytes"
    assert (lost.key, lost.unreadable) == (None, 2)


async def test_a_note_s_files_come_with_it_and_internal_ones_stay(
    router: respx.MockRouter,
) -> None:
    router.get(f"{BASE}/files/9").respond(200, content=b"x")
    notes = [
        {"id": n, "text": f"Note {n}", "private": n == 2, "files": [{"id": 9, "name": "a.txt"}]}
        for n in (1, 2)
    ]
    documents = {"list": "files", "filename": "name", "path": "/files/{item.id}"}
    rules = with_notes(message="text", documents=documents)
    async with adapter(given(rules), router) as rest:
        _, public, private = await polled(rest, router, {**TICKET, "notes": notes})
        told = await whole(public)
    assert (told.message, [d.content for d in told.documents]) == ("Note 1", [b"x"])
    assert not private.public, "so the core does not ask for the rest of it"


async def test_no_more_files_than_said_are_fetched(router: respx.MockRouter) -> None:
    route = router.get(url__regex=rf"{BASE}/files/\d+").respond(200, content=b"x")
    listed = [{"id": n, "name": "a.txt"} for n in range(4)]
    notes = [{"id": 1, "text": "x", "private": False, "files": listed}]
    documents = {"list": "files", "filename": "name", "path": "/files/{item.id}", "most": 2}
    rules = with_notes(message="text", documents=documents)
    async with adapter(given(rules), router) as rest:
        _, change = await polled(rest, router, {**TICKET, "notes": notes})
        told = await whole(change)
    assert (len(told.documents), told.unreadable, route.call_count) == (2, 2, 2)


# --- texts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "html", "told"),
    [
        ("<p>Bonjour,</p><p>L&#39;équipe</p>", "auto", "Bonjour,\n\nL'équipe"),
        ("&lt;p&gt;Bonjour&lt;/p&gt;", "auto", "Bonjour"),
        ("&lt;p&gt;Bonjour&lt;/p&gt;", "escaped", "Bonjour"),
        ("&lt;p&gt;Bonjour&lt;/p&gt;", False, "&lt;p&gt;Bonjour&lt;/p&gt;"),
        ("Voir <zoe@exemple.invalid>", "auto", "Voir <zoe@exemple.invalid>"),
        ("5 &lt; 6", True, "5 < 6"),
        ("a\x0bb", "auto", "a\nb"),
    ],
)
async def test_notes_reach_the_citizen_as_words(
    router: respx.MockRouter, text: str, html: Any, told: str
) -> None:
    notes = [{"id": 1, "text": text, "private": False}]
    async with adapter(given(with_notes(message="text", html=html)), router) as rest:
        _, change = await polled(rest, router, {**TICKET, "notes": notes})
    assert change.message == told


async def test_what_we_gave_along_is_given_back(router: respx.MockRouter) -> None:
    notes = [{"id": 1, "text": "x", "private": False, "external": "evt-7"}]
    rules = with_notes(message="text", sender_key="external")
    async with adapter(given(rules), router) as rest:
        _, change = await polled(rest, router, {**TICKET, "notes": notes})
    assert change.sender_key == "evt-7"


# --- sending --------------------------------------------------------------------------------


async def test_a_version_is_read_and_given_back(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/r/7").respond(200, json={"v": 3}, headers={"ETag": '"abc"'})
    route = router.put(f"{BASE}/r/7").respond(200, json={})
    call = {
        "method": "PUT",
        "path": "/r/{gru_reference}",
        "headers": {"If-Match": "=before.headers.etag"},
        "body": {"note": "=message", "v": "=before.body.v"},
        "before": {"path": "/r/{gru_reference}"},
    }
    async with adapter(given({}, amend={"message": call}), router) as rest:
        amendment = Amendment(REFERENCE, "7", "e", EventKind.MESSAGE, {}, "Bonjour")
        assert isinstance(await rest.amend(amendment), Accepted)
    request = route.calls.last.request
    assert request.headers["if-match"] == '"abc"'
    assert request.content == b'{"note": "Bonjour", "v": 3}'


async def test_a_creation_may_have_a_first_half(router: respx.MockRouter) -> None:
    router.post(f"{BASE}/messages").respond(201, json={"id": 3})
    route = router.post(f"{BASE}/r").respond(201, json={"id": 7})
    create = {
        "path": "/r",
        "reference": "id",
        "before": {"method": "POST", "path": "/messages", "body": {"text": "=payload.text"}},
        "body": {"message_id": "=before.body.id", "ref": "=reference"},
    }
    async with adapter({**given({}), "create": create}, router) as rest:
        outcome = await rest.submit(Submission(REFERENCE, {"text": "Bonjour"}))
    assert isinstance(outcome, Accepted)
    assert route.calls.last.request.content == f'{{"message_id": 3, "ref": "{REFERENCE}"}}'.encode()


async def test_without_the_first_half_nothing_is_sent(router: respx.MockRouter) -> None:
    router.post(f"{BASE}/messages").respond(422)
    before = {"method": "POST", "path": "/messages", "body": "=payload"}
    create = {"path": "/r", "reference": "id", "before": before}
    async with adapter({**given({}), "create": create}, router) as rest:
        assert isinstance(await rest.submit(Submission(REFERENCE, {})), Refused)


async def test_names_and_texts_are_made_to_fit(router: respx.MockRouter) -> None:
    route = router.post(f"{BASE}/r").respond(201, json={"id": 7})
    body = {
        "name": "=ascii(payload.name)",
        "short": "=cut(payload.text, `5`)",
        "plain": "=unbase64('w6l0w6k=')",
    }
    create = {"path": "/r", "reference": "id", "body": body}
    async with adapter({**given({}), "create": create}, router) as rest:
        await rest.submit(Submission(REFERENCE, {"name": "cœur 😀 d’été.jpg", "text": "abcdefgh"}))
    assert route.calls.last.request.content.decode() == (
        '{"name": "coeur  d\'ete.jpg", "short": "abcd…", "plain": "été"}'
    )


async def test_a_search_goes_through_all_pages(router: respx.MockRouter) -> None:
    every = [{"id": n, "ref": f"autre-{n}"} for n in range(3)] + [{"id": 9, "ref": REFERENCE}]

    def page(request: httpx.Request) -> httpx.Response:
        begin = (int(request.url.params["page"]) - 1) * 2
        return httpx.Response(200, json={"items": every[begin : begin + 2]})

    router.get(f"{BASE}/r").mock(side_effect=page)
    find = {"path": "/r", "query": {"q": "=reference"}, "list": "items", "match": "ref"}
    find |= {"reference": "id", "paging": {"style": "page", "size": 2}}
    async with adapter(given({}, find=find), router) as rest:
        found = await rest.find(REFERENCE)
    assert getattr(found, "reference", None) == "9"


# --- webhooks -------------------------------------------------------------------------------

SECRET = "secret-de-webhook-de-test"
BODY = b'{"id": 7, "status": "done"}'


def hooked(verify: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = {"gru_reference": "id", "status": "status"}
    return given({}, webhook={"verify": {"secret": SECRET, **verify}, "item": item, **more})


async def test_a_webhook_proves_itself_by_its_address_or_by_basic(router: respx.MockRouter) -> None:
    async with adapter(hooked({"kind": "query", "name": "cle"}), router) as rest:
        good = await rest.webhook(WebhookCall("POST", {}, {"cle": SECRET}, BODY))
        bad = [
            await rest.webhook(WebhookCall("POST", {}, q, BODY))
            for q in ({}, {"cle": ""}, {"x": "y"})
        ]
    pair = base64.b64encode(f"gru:{SECRET}".encode()).decode()
    async with adapter(hooked({"kind": "basic", "username": "gru"}), router) as rest:
        basic = await rest.webhook(
            WebhookCall("POST", {"authorization": f"Basic {pair}"}, {}, BODY)
        )
        for wrong in ("", "Basic", "Basic é", f"Bearer {pair}", f"Basic {pair[:-4]}"):
            bad.append(await rest.webhook(WebhookCall("POST", {"authorization": wrong}, {}, BODY)))
    assert [c.status for c in (*good.items, *basic.items)] == ["done", "done"]
    assert all(b.failure and not b.items for b in bad)


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf[{"id": 7, "status": "done"}]',
        b'[{"id": 7, "status": "done", "note": "d\xe9j\xe0 \x0b"}]',
        b'[{"statut": "x"}, {"id": 7, "status": "done"}, null]',
    ],
)
async def test_one_bad_item_of_a_webhook_costs_itself_alone(
    router: respx.MockRouter, body: bytes
) -> None:
    options = hooked({"kind": "query", "name": "cle"}, items="@")
    async with adapter(options, router) as rest:
        changes = await rest.webhook(WebhookCall("POST", {}, {"cle": SECRET}, body))
    assert [(c.gru_reference, c.status) for c in changes.items] == [("7", "done")]


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ({"documents": {"list": "f", "filename": "n"}}, "one of them"),
        ({"documents": {"list": "f", "filename": "n", "path": "/f", "address": "a"}}, "one of"),
        ({"documents": {"list": "f", "filename": "n", "path": "/f"}}, "documents.key"),
        ({"documents": {"list": "f", "filename": "n", "path": "f", "key": "id"}}, "begins with /"),
        ({"documents": {"list": "f", "filename": "n", "path": "/{x}", "key": "id"}}, "no `x` here"),
        ({"notes": {"list": "n", "message": "m", "also": {"x": {"path": "/x"}}}}, "its `key`"),
    ],
)
def test_options_that_would_fetch_without_end_are_refused(item: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        RestAdapter.Options.model_validate(given(item))


@pytest.mark.parametrize("shape", ["items", "notes"])
async def test_a_long_call_lets_others_have_a_turn(router: respx.MockRouter, shape: str) -> None:
    """Twelve thousand items held everybody for seconds."""
    ticket = {"id": 7, "status": "open", "at": "2026-03-16T09:00:00Z", "notes": []}
    items: list[dict[str, Any]] = [{**ticket, "id": n} for n in range(500)]
    if shape == "notes":
        notes = [{"id": n, "private": False, "texte": f"n {n}"} for n in range(500)]
        items = [{**ticket, "notes": notes}]
    options = hooked({"kind": "query", "name": "cle"}, items="items")
    rule = {"list": "notes", "internal": "private", "key": "id", "message": "texte"}
    options["webhook"]["item"] = {"gru_reference": "id", "status": "status", "notes": rule}
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with adapter(options, router) as rest:
        hook = WebhookCall("POST", {}, {"cle": SECRET}, json.dumps({"items": items}).encode())
        task = asyncio.create_task(others())
        changes = await rest.webhook(hook)
        task.cancel()
    assert changes.failure is None
    assert len(changes.items) == (500 if shape == "items" else 501)
    assert turns >= 8


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Merci [m1]", True),
        ("m1", True),
        ("Merci [m10]", False),
        ("Merci [m1-2]", False),
        ("xm1", False),
        (None, False),
    ],
)
async def test_a_key_in_a_text_is_a_word_of_its_own(
    router: respx.MockRouter, text: str | None, found: bool
) -> None:
    find = {"path": "/n/{gru_reference}", "list": "@", "match": "t", "compare": "contains"}
    call = {"path": "/n", "find": {**find, "strays": "ignore"}}
    options = given({}, amend={"message": call})
    router.get(f"{BASE}/n/7").respond(json=[{"t": text}])
    async with adapter(options, router) as rest:
        event = Amendment(REFERENCE, "7", "m1", EventKind.MESSAGE, {}, "x", [])
        told = await rest.find_amend(event)
    assert isinstance(told, Found) is found


@pytest.mark.parametrize("where", ["note", "file"])
async def test_what_is_too_large_is_for_a_person_at_once(
    router: respx.MockRouter, where: str
) -> None:
    """Else all that is told after it would wait for it."""
    read = {"path": "/large/{item.id}"}
    documents: dict[str, Any] = {"list": "files", "filename": "name", "content": "x.data"}
    notes: dict[str, Any] = {"message": "text"}
    if where == "note":
        notes["also"] = {"x": read}
    else:
        notes["documents"] = {**documents, "also": {"x": read}}
    note = {**TICKET["notes"][0], "text": "Voici", "files": [{"id": 1, "name": "a"}]}  # type: ignore[index]
    router.get(f"{BASE}/large/1").respond(json={"data": "x" * 2000})
    async with adapter(given(with_notes(**notes), max_answer=1500), router) as rest:
        told = await polled(rest, router, {**TICKET, "notes": [note]})
        change = await whole(told[1])
    assert isinstance(change, Change)
    assert (change.unreadable, change.more) == (1, None)
