"""A citizen's files, from the portal's wire to the GRU."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.delivery import Kind, State
from gateway.core.errors import Rejected, Unavailable
from gateway.flow.judging import FILE_EMPTY, FILE_REFUSED
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata
from gateway.store.rows import Acceptance, Reception
from gateway.wire.formdata import parse_formdata
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, DOCUMENT_AFTER, SLUG, UPLOAD_FIRST, Rig, request_id
from tests.intake import take_in

PNG = b"\x89PNG\r\n\x1a\n" + b"image inventee"
JPEG = b"\xff\xd8\xff\xe0" + b"image inventee"
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
FIRST: dict[str, Any] = {
    "create": {"body": "=merge(payload, {uploads: files[].{token: token}})"},
    "files": UPLOAD_FIRST,
}
AFTER: dict[str, Any] = {"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}}
PORTAL = "portal:toodego"


def with_files(rig: Rig, **files: tuple[str, str, bytes]) -> SimulatedFormdata:
    """A formdata whose fields hold these files: name, media type, bytes."""
    item = rig.submit()
    for name, (filename, content_type, content) in files.items():
        item.fields[name] = {
            "filename": filename,
            "content_type": content_type,
            "content": base64.b64encode(content).decode(),
            "content_is_base64": True,
        }
    return item


async def push_by_address(
    rig: Rig, item: SimulatedFormdata, address: str | None = None
) -> Acceptance:
    """Push as a portal that sends a file's address instead of its content."""
    body = item.document(rig.portal.base_url, push=True, files=False)
    if address is not None:
        body["fields"]["photo"]["url"] = address
    formdata = parse_formdata(json.dumps(body).encode(), "application/json", limits=DEFAULT_LIMITS)
    return await take_in(rig.engine, "toodego", BRON, SLUG, formdata)


async def test_files_go_within_the_creation(build_rig: Builder) -> None:
    rig = build_rig(options=FIRST)
    async with rig.gateway():
        item = with_files(
            rig, photo=("a.png", "image/png", PNG), photo_2=("b.jpg", "image/jpeg", JPEG)
        )
        request = request_id(await rig.push(item))
        await rig.state(request, State.DONE)
        assert await rig.deliveries(request, Kind.AMEND) == []
    assert [d.content for d in rig.ticket(request).documents] == [PNG, JPEG]


async def test_files_go_after_the_creation_and_before_a_later_message(build_rig: Builder) -> None:
    rig = build_rig(options=AFTER)
    rig.line.before.clear()
    async with rig.gateway():
        item = with_files(
            rig,
            photo=("a.png", "image/png", PNG),
            photo_2=("b.jpg", "image/jpeg", JPEG),
            autre=("c.png", "image/png", PNG + b"2"),
        )
        request = request_id(await rig.push(item))
        await rig.push(item, action="message", evenement="m1", message="Bonjour")
        rig.line.before.set()
        await rig.rest(request)
    assert [path for _, path in rig.line.calls] == [
        "/api/tickets",
        "/api/tickets/1/attachments",
        "/api/tickets/1/attachments",
        "/api/tickets/1/comments",
    ]
    assert [d.content for d in rig.ticket(request).documents] == [PNG, JPEG], (
        "a field that the mapping does not name is not sent"
    )


async def test_a_file_refused_for_good_blocks_nothing_and_the_citizen_is_told(
    build_rig: Builder,
) -> None:
    rig = build_rig(options=AFTER)
    rig.gru.faults.fail(422, when=FaultCondition(path="/attachments"))
    async with rig.gateway():
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        request = request_id(await rig.push(item))
        await rig.push(item, action="message", evenement="m1", message="Bonjour")
        await rig.rest(request)
        amends = await rig.deliveries(request, Kind.AMEND)
        assert [d.state for d in amends] == [State.DISCARDED, State.DONE]
        assert amends[0].reason == "refused"
    assert len(rig.ticket(request).comments) == 1
    told = [event["message"] for event in rig.told(item)]
    assert FILE_REFUSED in told


@pytest.mark.parametrize("options", [FIRST, AFTER], ids=["within", "after"])
async def test_an_empty_file_keeps_nothing_back_and_the_citizen_is_told(
    build_rig: Builder, options: dict[str, Any]
) -> None:
    rig = build_rig(options=options)
    async with rig.gateway():
        item = with_files(
            rig, photo=("a.jpg", "image/jpeg", b""), photo_2=("b.jpg", "image/jpeg", JPEG)
        )
        request = request_id(await rig.push(item))
        await rig.rest(request)
    assert [d.content for d in rig.ticket(request).documents] == [JPEG]
    assert [event["message"] for event in rig.told(item)] == [FILE_EMPTY]
    assert [event["statut"] for event in rig.told(item)] == ["transmise"]


async def test_an_empty_document_sent_later_is_not_handed_over_and_the_citizen_is_told(
    build_rig: Builder,
) -> None:
    rig = build_rig(options=AFTER)
    async with rig.gateway():
        item = rig.submit()
        request = request_id(await rig.push(item))
        empty = {
            "filename": "suite.png",
            "content_type": "image/png",
            "content": "",
            "content_is_base64": True,
        }
        await rig.push(item, action="document", evenement="d1", piece=empty)
        await rig.rest(request)
        [amend] = await rig.deliveries(request, Kind.AMEND)
        assert (amend.state, amend.reason) == (State.DISCARDED, "empty_file")
    assert rig.ticket(request).documents == []
    assert FILE_EMPTY in [event["message"] for event in rig.told(item)]


async def test_a_document_sent_later_goes_by_itself(build_rig: Builder) -> None:
    rig = build_rig(options=AFTER)
    async with rig.gateway():
        item = rig.submit()
        request = request_id(await rig.push(item))
        photo = {
            "filename": "suite.png",
            "content_type": "image/png",
            "content": base64.b64encode(PNG).decode(),
            "content_is_base64": True,
        }
        await rig.push(item, action="document", evenement="d1", photo=photo)
        await rig.rest(request)
    assert [d.content for d in rig.ticket(request).documents] == [PNG]


async def test_a_file_sent_by_its_address_is_read_signed_from_the_portal(rig: Rig) -> None:
    async with rig.gateway():
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        took = await push_by_address(rig, item)
        assert took.reception is Reception.NEW
        (url,) = [u for u in rig.lines[PORTAL].urls if "/download" in u]
        assert url.startswith("http://portail.invalid/api/forms/")
        assert "signature=" in url
        whole = await rig.push(item)
        assert whole.reception is Reception.SAME, "by content or by address: one request"


@pytest.mark.parametrize(
    "address",
    [
        "http://ailleurs.invalid/photo.png",
        "https://portail.invalid/photo.png",
        "http://portail.invalid@ailleurs.invalid/photo.png",
        "http://portail.invalid:8080/photo.png",
        "file:///etc/passwd",
        "//ailleurs.invalid/photo.png",
    ],
)
async def test_a_file_that_lies_elsewhere_is_not_fetched(rig: Rig, address: str) -> None:
    async with rig.gateway():
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        with pytest.raises(Rejected) as refusal:
            await push_by_address(rig, item, address)
        assert (refusal.value.status, refusal.value.code) == (400, "foreign_address")
        assert "ailleurs" not in refusal.value.text
    assert rig.lines[PORTAL].urls == []


async def test_a_file_that_brings_its_bytes_needs_no_address(build_rig: Builder) -> None:
    """The address beside it is nobody's concern: it is neither looked at nor called."""
    rig = build_rig(options=FIRST)
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        whole = item.document(rig.portal.base_url, push=True)
        whole["fields"]["photo"]["url"] = "http://ailleurs.invalid/photo.png"
        raw = json.dumps(whole).encode()
        formdata = parse_formdata(raw, "application/json", limits=DEFAULT_LIMITS)
        took = await take_in(rig.engine, "toodego", BRON, SLUG, formdata)
        assert took.reception is Reception.NEW
        assert rig.lines[PORTAL].urls == []
        rig.start()
        await rig.state(request_id(took), State.DONE)
    assert [d.content for d in rig.ticket(request_id(took)).documents] == [PNG]


@pytest.mark.parametrize(("named", "kept"), [(None, "text/plain"), ("text/csv", "text/csv")])
async def test_a_file_whose_push_names_no_type_has_that_of_its_answer(
    build_rig: Builder, named: str | None, kept: str
) -> None:
    rig = build_rig(options=FIRST)
    async with rig.gateway():
        item = with_files(rig, photo=("a.txt", "text/plain", b"Trois lampadaires"))
        body = item.document(rig.portal.base_url, push=True, files=False)
        body["fields"]["photo"]["content_type"] = named
        raw = json.dumps(body).encode()
        formdata = parse_formdata(raw, "application/json", limits=DEFAULT_LIMITS)
        took = await take_in(rig.engine, "toodego", BRON, SLUG, formdata)
        await rig.state(request_id(took), State.DONE)
    (document,) = rig.ticket(request_id(took)).documents
    assert (document.content_type, document.content) == (kept, b"Trois lampadaires")


async def test_what_the_portal_itself_pushes_needs_no_proof_to_have_its_file_read(rig: Rig) -> None:
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        assert (await push_by_address(rig, item)).reception is Reception.NEW
        (call,) = rig.lines[PORTAL].urls
        assert "/download" in call


async def test_a_file_that_cannot_be_read_now_makes_the_portal_try_again(rig: Rig) -> None:
    rig.portal.faults.fail(503, when=FaultCondition(path="/download", first=1))
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        with pytest.raises(Unavailable):
            await push_by_address(rig, item)
        took = await push_by_address(rig, item)
        assert took.reception is Reception.NEW


async def test_a_photo_under_a_wrong_type_is_kept_under_its_own(build_rig: Builder) -> None:
    rig = build_rig(options=FIRST)
    async with rig.gateway():
        item = with_files(rig, photo=("a.jpg", "image/jpeg", PNG))
        request = request_id(await rig.push(item))
        await rig.state(request, State.DONE)
    (document,) = rig.ticket(request).documents
    assert (document.content_type, document.content) == ("image/png", PNG)


@pytest.mark.parametrize("by_address", [False, True])
async def test_a_page_that_calls_itself_a_photo_is_refused(rig: Rig, by_address: bool) -> None:
    async with rig.gateway(run=False):
        item = with_files(rig, photo=("a.png", "image/png", HTML))
        with pytest.raises(Rejected) as refusal:
            await (push_by_address(rig, item) if by_address else rig.push(item))
        assert refusal.value.status == 415


async def test_the_gru_gets_the_bytes_that_the_digest_names(build_rig: Builder) -> None:
    inline = "=merge(payload, {pieces: files[].{sha: sha256, content: content_base64}})"
    rig = build_rig(options={"create": {"body": inline}, "files": {"mode": "inline"}})
    async with rig.gateway():
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        request = request_id(await rig.push(item))
        await rig.state(request, State.DONE)
    (piece,) = rig.ticket(request).payload["pieces"]
    assert hashlib.sha256(base64.b64decode(piece["content"])).hexdigest() == piece["sha"]


async def test_a_later_document_does_not_send_the_first_files_again(build_rig: Builder) -> None:
    """w.c.s. posts the whole formdata with each event, the creation's photo included."""
    rig = build_rig(options=AFTER)
    async with rig.gateway():
        item = with_files(rig, photo=("a.png", "image/png", PNG))
        request = request_id(await rig.push(item))
        await rig.rest(request)
        added = PNG + b"another"
        later = {
            "filename": "suite.png",
            "content_type": "image/png",
            "content": base64.b64encode(added).decode(),
            "content_is_base64": True,
        }
        await rig.push(item, action="document", evenement="d2", ajout=later)
        await rig.rest(request)
    assert [d.content for d in rig.ticket(request).documents] == [PNG, added]
