"""Calls of a commune's own half-connector to `/pivot/v1`."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.flow.pivot import PivotRefusal
from gateway.sdk.adapter import File, Submission
from gateway.sdk.links import link_signature
from gateway.sdk.pivot_models import PivotChange
from gateway.store import requests
from gateway.store.rows import Trace
from gateway.store.tables import ATTACHMENT
from gateway.web import pivot_deprecation, pivot_pace
from gateway.web.pivot_deprecation import Deprecation
from gateway.web.pivot_pace import CallPace
from tests.web.harness import Gateway, basic
from tests.web.pivot_town import FORMER, OURS, THEIRS, filed, pivot_town, tell, token

PDF = b"%PDF-1.4 compte rendu fictif"
DOCUMENT = {
    "filename": "compte-rendu.pdf",
    "content_type": "application/pdf",
    "content": base64.b64encode(PDF).decode(),
}
PHOTO = b"\x89PNG\r\n\x1a\n" + b"une photo inventee" * 40


@pytest.fixture
async def gw(tmp_path: Path, template: Path) -> AsyncIterator[Gateway]:
    async with pivot_town(tmp_path, template) as found:
        yield found


async def trace(gw: Gateway, reference: str) -> Trace:
    found = await gw.database.read(requests.trace, reference)
    assert found is not None
    return found


async def told(gw: Gateway, reference: str) -> list[tuple[str | None, str | None]]:
    """Return the texts for the citizen, in order."""
    found = []
    for event in (await trace(gw, reference)).events:
        if event.origin == "gru":
            body = await gw.database.read(requests.event_body, event.id)
            found.append((event.status, (body or {}).get("message")))
    return found


def problem(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["correlation"] == answer.headers["x-correlation-id"]
    return str(found["type"]).removeprefix("urn:toodego-gru:pivot:")


# --- changes ----------------------------------------------------------------------------------


async def test_status_text_documents_and_number_come_in_one_call(gw: Gateway) -> None:
    reference = await filed(gw)
    change = {
        "key": "1",
        "status": "done",
        "public": "Le trou est rebouché.",
        "internal": "Voir avec l'équipe B.",
        "documents": [DOCUMENT],
        "gru_reference": "A-12",
    }
    answer = await tell(gw, reference, change)
    assert (answer.status_code, answer.json()) == (
        201,
        {"reference": reference, "key": "1", "known": False},
    )
    assert await told(gw, reference) == [("done", "Le trou est rebouché.")]
    found = await trace(gw, reference)
    assert (found.request.status.value, found.request.gru_reference) == ("done", "A-12")
    assert [d.kind.value for d in found.deliveries] == ["submit", "report"]
    kept = json.dumps([await gw.database.read(requests.event_body, e.id) for e in found.events])
    assert "équipe B" not in kept


async def test_a_key_is_taken_once_and_says_one_thing(gw: Gateway) -> None:
    reference = await filed(gw)
    change = {"key": "1", "public": "Vu.", "documents": [DOCUMENT]}
    assert (await tell(gw, reference, change)).status_code == 201
    again = await tell(gw, reference, change)
    assert (again.status_code, again.json()["known"]) == (200, True)
    others: list[dict[str, Any]] = [{"public": "Autre"}, {"documents": []}, {"status": "done"}]
    for other in others:
        answer = await tell(gw, reference, change | other)
        assert (answer.status_code, problem(answer)) == (409, "key_conflict")
        assert answer.json()["pointer"] == "/key"
    assert await told(gw, reference) == [(None, "Vu.")]
    assert (await tell(gw, reference, {"key": "1:", "public": "Bis."})).status_code == 201


@pytest.mark.parametrize(
    ("change", "status", "word", "pointer"),
    [
        ({"key": "1", "status": "planned"}, 422, "unknown_status", "/status"),
        ({"key": "1", "status": "fini"}, 400, "invalid_body", "/status"),
        ({"key": "1", "note": "x"}, 400, "invalid_body", "/note"),
        ({"key": "", "public": "x"}, 400, "invalid_body", "/key"),
        ({"key": "1", "public": "x" * 20_001}, 400, "invalid_body", "/public"),
        ({"key": "1", "at": "2026-01-01T00:00:00"}, 400, "invalid_body", "/at"),
        ([], 400, "invalid_body", ""),
        (
            {"key": "1", "documents": [DOCUMENT | {"content": "é"}]},
            422,
            "unreadable_document",
            "/documents/0/content",
        ),
        ({"key": "1", "public": "x" * 3_000_000}, 413, "body_too_large", None),
    ],
)
async def test_what_cannot_be_taken_is_named_and_nothing_of_it_is_kept(
    gw: Gateway, change: Any, status: int, word: str, pointer: str | None
) -> None:
    reference = await filed(gw)
    answer = await tell(gw, reference, change)
    assert (answer.status_code, problem(answer)) == (status, word), answer.text
    assert answer.json()["pointer"] == pointer
    assert answer.json()["fault"] == "yours"
    assert await told(gw, reference) == []


async def test_a_document_is_bounded_whatever_the_body_may_be(gw: Gateway) -> None:
    reference = await filed(gw)
    desk = dataclasses.replace(gw.engine.pivot, largest=len(PDF) - 1)
    change = PivotChange.model_validate({"key": "1", "documents": [DOCUMENT]})
    with pytest.raises(PivotRefusal) as refused:
        await desk.record_change(
            gw.engine.catalogue.communes["69029"].grus["desk"], reference, change
        )
    assert (refused.value.code, refused.value.faults[0].pointer) == (
        "document_too_large",
        "/documents/0/content",
    )


async def test_an_unknown_status_is_told_with_those_that_are_known(gw: Gateway) -> None:
    answer = await tell(gw, await filed(gw), {"key": "1", "status": "planned"})
    assert "accepted, done" in answer.json()["detail"]


async def test_another_commune_s_request_is_one_that_nobody_has(gw: Gateway) -> None:
    theirs = await filed(gw, "69266", "8")
    answers = [
        await tell(gw, reference, {"key": "1", "status": "done", "public": "De Bron"})
        for reference in (theirs, "TDG-0123456789ABCDEF", "TDG-é", "x" * 200)
    ]
    assert {problem(answer) for answer in answers} == {"unknown_request"}
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert await told(gw, theirs) == []
    theirs_too = await token(gw, "69266", THEIRS)
    assert (await tell(gw, theirs, {"key": "1"}, theirs_too)).status_code == 201


# --- tokens -----------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [OURS, FORMER])
async def test_either_secret_gives_a_token_by_basic_as_well(gw: Gateway, secret: str) -> None:
    answer = await gw.client.post(
        "/pivot/v1/token",
        data={"grant_type": "client_credentials"},
        headers=basic("69029.desk", secret),
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": THEIRS}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "69029.main"}, 401, "invalid_client"),
        ({"client_id": "é"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_no_token_without_the_client_s_own_secret(
    gw: Gateway, form: dict[str, str], status: int, error: str
) -> None:
    whole = {
        "grant_type": "client_credentials",
        "client_id": "69029.desk",
        "client_secret": OURS,
    } | form
    answer = await gw.client.post("/pivot/v1/token", data=whole)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("www-authenticate", "").startswith("Basic") == (status == 401)


async def test_a_token_proves_its_client_for_an_hour(gw: Gateway) -> None:
    reference, ours = await filed(gw), await token(gw)
    said, _, proof = ours["Authorization"].removeprefix("Bearer ").partition(".")
    longer = base64.urlsafe_b64encode(b"69029.desk|9999999999").decode().rstrip("=")
    wrong = ["", "Bearer", "Bearer x.y", f"Basic {said}.{proof}", f"Bearer {longer}.{proof}"]
    wrong += [f"Bearer {said}.{proof}x", f"Bearer {said}", "Bearer ²", "Bearer fA.x"]
    for one in wrong:
        header = {b"authorization": one.encode("latin-1")}
        answer = await gw.client.post(
            f"/pivot/v1/requests/{reference}/changes", json={"key": "1"}, headers=header
        )
        assert (answer.status_code, problem(answer)) == (401, "bad_token"), one
        assert answer.headers["www-authenticate"] == 'Bearer realm="pivot"'
    gw.advance(minutes=59)
    assert (await tell(gw, reference, {"key": "1"}, ours)).status_code == 201
    gw.advance(minutes=1)
    assert (await tell(gw, reference, {"key": "2"}, ours)).status_code == 401


# --- files ------------------------------------------------------------------------------------


async def link(gw: Gateway, reference: str) -> str:
    """The link to the photo, as an event bears it, on our own host."""
    adapter = gw.engine.adapters["gru:69029:desk"]
    assert adapter.pivot is not None
    found = await trace(gw, reference)
    body = await gw.database.read(requests.event_body, found.events[0].id)
    kept = (body or {})["attachments"][0]

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    file = File("photo", kept["filename"], "image/png", 10**6, kept["sha256"], nothing)
    event = await adapter.pivot.event(Submission(reference, {}, [file]), gw.clock[0])
    return (event.files[0].url or "").removeprefix("https://passerelle.exemple.invalid")


async def with_photo(gw: Gateway) -> str:
    content = base64.b64encode(PHOTO).decode()
    photo: dict[str, Any] = {"filename": "p.png", "content_type": "image/png", "content": content}
    photo |= {"content_is_base64": True}
    fields = {"commune_raw": "69029", "description": "Un trou", "photo": photo}
    return await filed(gw, fields=fields)


async def test_a_file_is_read_at_its_link_whole_or_from_where_it_broke(gw: Gateway) -> None:
    url = await link(gw, await with_photo(gw))
    whole = await gw.client.get(url)
    assert (whole.status_code, whole.content) == (200, PHOTO)
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["content-disposition"] == "attachment; filename*=UTF-8''p.png"
    size = len(PHOTO)
    for wanted, begin, end in (("0-3", 0, 4), ("5-", 5, size), ("-4", size - 4, size)):
        part = await gw.client.get(url, headers={"Range": f"bytes={wanted}"})
        assert (part.status_code, part.content) == (206, PHOTO[begin:end])
        assert part.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
    for outside in (f"bytes={size}-", f"bytes={size}-{size + 9}", "bytes=-0"):
        answer = await gw.client.get(url, headers={"Range": outside})
        assert (answer.status_code, problem(answer)) == (416, "bad_range")
        assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("wanted", ["octets=0-1", "bytes=0-1,3-4", "bytes=4-2", "bytes=-", "x", ""])
async def test_a_range_that_is_not_one_range_of_bytes_is_passed_over(
    gw: Gateway, wanted: str
) -> None:
    """RFC 9110, 14.2: another unit, and a set of ranges that is not served, are ignored. (It was
    416 here before, which tells a reader that its file is shorter than it is.)"""
    url = await link(gw, await with_photo(gw))
    answer = await gw.client.get(url, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, PHOTO)
    assert "content-range" not in answer.headers


async def test_a_range_counts_for_the_file_that_was_begun(gw: Gateway) -> None:
    url = await link(gw, await with_photo(gw))
    tag = (await gw.client.get(url)).headers["etag"]
    for known, status in ((tag, 206), ('"other"', 200), ("Wed, 11 Mar 2026 08:00:00 GMT", 200)):
        answer = await gw.client.get(url, headers={"Range": "bytes=5-", "If-Range": known})
        assert answer.status_code == status
        assert answer.content == (PHOTO[5:] if status == 206 else PHOTO)


async def test_the_head_of_a_file_tells_its_size_and_nothing_of_it(gw: Gateway) -> None:
    url = await link(gw, await with_photo(gw))
    answer = await gw.client.head(url, headers={"Range": "bytes=5-"})
    assert (answer.status_code, answer.content) == (200, b"")
    whole = await gw.client.get(url)
    for name in ("content-length", "content-type", "etag", "accept-ranges"):
        assert answer.headers[name] == whole.headers[name]
    assert whole.headers["content-disposition"].startswith("attachment;")
    assert whole.headers["cache-control"] == "private, no-store"
    assert whole.headers["content-security-policy"].startswith("sandbox;")
    assert (await gw.client.head(url.replace("signature=", "signature=0"))).status_code == 403


async def test_a_link_is_good_for_its_file_alone_and_for_a_day(gw: Gateway) -> None:
    reference = await with_photo(gw)
    theirs = await filed(gw, "69266", "8")
    url = httpx.URL(await link(gw, reference))
    sha256 = url.path.rpartition("/")[2]
    for name, value in (("expires", "9999999999"), ("client", "69266.desk"), ("signature", "é")):
        answer = await gw.client.get(url.copy_set_param(name, value))
        assert (answer.status_code, problem(answer)) == (403, "bad_link")
    moved = str(url).replace(reference, theirs)
    assert (await gw.client.get(moved)).status_code == 403
    until = int(url.params["expires"])
    for there, name in ((theirs, sha256), (reference, "0" * 64)):
        signature = link_signature(OURS, "69029.desk", there, name, until)
        query = {"client": "69029.desk", "expires": str(until), "signature": signature}
        answer = await gw.client.get(f"/pivot/v1/requests/{there}/files/{name}", params=query)
        assert answer.status_code == 404
    gw.advance(hours=24)
    assert (await gw.client.get(url)).status_code == 403


@pytest.mark.parametrize(
    ("change", "pointer", "said"),
    [
        ({"key": "1", "a/b~c": 1}, "/a~1b~0c", "n'est pas du contrat"),
        ({"status": "done"}, "/key", "est exigé"),
        ({"key": "1", "status": "clos"}, "/status", "n'est pas une de celles"),
        ({"key": "1", "at": "2026-03-12T08:00:00"}, "/at", "`Z`, ou `+01:00`"),
        ({"key": "a b"}, "/key", "comme une espace"),
        ({"key": 1}, "/key", "Ce champ ne convient pas. (string_type)"),
    ],
)
async def test_a_body_that_does_not_fit_says_where_and_what_to_do(
    gw: Gateway, change: dict[str, Any], pointer: str, said: str
) -> None:
    answer = await tell(gw, await filed(gw), change)
    assert (answer.status_code, problem(answer)) == (400, "invalid_body")
    assert answer.json()["pointer"] == pointer
    assert said in answer.json()["detail"]


async def test_all_faults_of_a_body_are_told_at_once_each_at_its_place(gw: Gateway) -> None:
    reference = await filed(gw)
    wrong = {"key": "a b", "status": "clos", "x": 1, "documents": [DOCUMENT, {"filename": ""}]}
    found = (await tell(gw, reference, wrong)).json()
    assert [one["pointer"] for one in found["errors"]] == [
        "/key",
        "/status",
        "/documents/1/filename",
        "/documents/1/content_type",
        "/documents/1/content",
        "/x",
    ]
    assert found["pointer"] == "/key"
    assert found["detail"].startswith(found["errors"][0]["detail"])
    assert "6 fautes" in found["detail"]
    many = (await tell(gw, reference, {"key": "1"} | {f"x{n}": n for n in range(500)})).json()
    assert (len(many["errors"]), "500 fautes" in many["detail"]) == (20, True)
    one = (await tell(gw, reference, {"key": ""})).json()
    assert [e["pointer"] for e in one["errors"]] == ["/key"]
    assert "fautes" not in one["detail"]


async def test_all_faults_of_what_a_body_says_are_told_at_once(gw: Gateway) -> None:
    html = base64.b64encode(b"<html><script>").decode()
    wrong = {
        "key": "1",
        "status": "planned",
        "documents": [DOCUMENT | {"content": "é"}, DOCUMENT, DOCUMENT | {"content": html}],
    }
    answer = await tell(gw, await filed(gw), wrong)
    assert (answer.status_code, problem(answer)) == (422, "unknown_status")
    said = {e["pointer"]: e["type"].rpartition(":")[2] for e in answer.json()["errors"]}
    assert said == {
        "/status": "unknown_status",
        "/documents/0/content": "unreadable_document",
        "/documents/2/content_type": "dangerous_document",
    }


async def test_a_document_is_of_the_type_that_its_bytes_say(gw: Gateway) -> None:
    reference = await filed(gw)
    photo = DOCUMENT | {"content_type": "image/jpeg", "content": base64.b64encode(PHOTO).decode()}
    assert (await tell(gw, reference, {"key": "1", "documents": [photo]})).status_code == 201
    kept = select(ATTACHMENT.c.content_type).where(ATTACHMENT.c.request_id == reference)
    assert await gw.database.read(lambda connection: connection.execute(kept).scalars().all()) == [
        "image/png"
    ]


# --- what goes, and how often ------------------------------------------------------------------


async def test_what_is_going_to_go_is_told_in_each_answer_and_in_the_document(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "https://exemple.invalid/v2"
    since, sunset = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 2, tzinfo=UTC)
    row = Deprecation("tell_change", since, sunset, page)
    monkeypatch.setattr(pivot_deprecation, "DEPRECATED", (row,))
    reference, ours = await filed(gw), await token(gw)
    refused = await tell(gw, reference, {}, ours)
    taken = await tell(gw, reference, {"key": "1"}, ours)
    for answer in (refused, taken):
        assert answer.headers["deprecation"] == "@1798761600"
        assert answer.headers["sunset"] == "Sun, 02 Jan 2028 00:00:00 GMT"
        assert answer.headers["link"] == f'<{page}>; rel="deprecation"; type="text/html"'
    assert (refused.status_code, taken.status_code) == (400, 201)
    other = await gw.client.get("/pivot/v1/events", headers=ours)
    assert {"deprecation", "sunset", "link"} & set(other.headers) == set()
    document = (await gw.client.get("/pivot/v1/openapi.json")).json()
    marked = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        if operation.get("deprecated")
    }
    assert marked == {"tell_change"}
    with pytest.raises(ValueError, match="twelve months"):
        Deprecation("events", since, datetime(2027, 12, 31, tzinfo=UTC), page)


async def test_a_client_that_loops_is_told_to_wait_and_no_other_is(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = await token(gw), await token(gw, "69266", THEIRS)
    monkeypatch.setattr(pivot_pace, "AT_ONCE", 3)
    monkeypatch.setattr(pivot_pace, "A_SECOND", 1 / 1000)
    path = "/pivot/v1/events?limit=1"
    for _ in range(3):
        assert (await gw.client.get(path, headers=ours)).status_code == 200
    answer = await gw.client.get(path, headers=ours)
    assert (answer.status_code, problem(answer)) == (429, "too_many_calls")
    assert 900 < int(answer.headers["retry-after"]) <= 1000
    assert answer.json()["retry"] == "after"
    assert (await gw.client.get(path, headers=theirs)).status_code == 200
    strangers = [await gw.client.get(path, headers={"Authorization": "x"}) for _ in range(5)]
    assert {one.status_code for one in strangers} == {401}, "no stranger spends it"


def test_calls_come_back_with_time_and_memory_is_bounded() -> None:
    now = [0.0]
    pace = CallPace(lambda: now[0])
    for _ in range(pivot_pace.AT_ONCE):
        pace.count("69029.desk")
    for _ in range(3):
        with pytest.raises(PivotRefusal) as refused:
            pace.count("69029.desk")
        assert refused.value.headers == {"Retry-After": "1"}
    now[0] += 0.1
    pace.count("69029.desk")
    for n in range(3000):
        pace.count(f"{n}.desk")
    assert len(pace._left) <= 1001  # noqa: SLF001 - what it remembers
