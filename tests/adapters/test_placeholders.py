"""Files sent in a stream: their placeholders, and when there may be none."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx

from adapters.rest.call import Call
from adapters.rest.expression import RestExpression
from gateway.sdk import LARGE, Accepted, File, FilePlaceholders, Submission
from gateway.sdk.conformance import REFERENCE, file
from gateway.sim.open311 import Open311
from tests.adapters.rest_systems import adapter
from tests.adapters.test_open311_simulated import PAYLOAD, speaking_to

CONTENT = random.Random(3).randbytes(LARGE + 1)
BASE = "https://gru.exemple.invalid"


def in_pieces(content: bytes, length: int = 1000) -> tuple[File, list[int]]:
    """A file, and how many pieces each of its readings gave."""
    readings: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        readings.append(0)
        for at in range(0, max(len(content), 1), length):
            readings[-1] += 1
            yield content[at : at + length]

    whole = file(content)
    made = File(whole.field, whole.filename, whole.content_type, whole.size, whole.sha256, pieces)
    return made, readings


async def body_of(request: httpx.Request) -> bytes:
    assert isinstance(request.stream, httpx.AsyncByteStream)
    return b"".join([piece async for piece in request.stream])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 999, 1000, 1001, 200_000])
async def test_a_filled_body_is_the_body_that_was_meant(size: int) -> None:
    content = CONTENT[:size]
    one, readings = in_pieces(content)
    files = FilePlaceholders()
    encoded = base64.b64encode(content).decode()

    def build(text: str, raw: bytes) -> list[httpx.Request]:
        client = httpx.AsyncClient()
        boundary = {"Content-Type": "multipart/form-data; boundary=bord"}
        parts = [("x", (None, b"1")), ("file", ("a.png", raw, "image/png"))]
        return [
            client.build_request("POST", BASE, json={"a": text, "b": [text, f"data:,{text}"]}),
            client.build_request("POST", BASE, files=parts, headers=boundary),  # type: ignore[arg-type]
            client.build_request("PUT", BASE, content=raw),
        ]

    meant = build(encoded, content)
    for wanted, made in zip(
        meant, build(files.of(one, base64=True), files.of(one).encode()), strict=True
    ):
        filled = files.filled(made)
        wanted.read()
        for _ in range(2):
            assert await body_of(filled) == wanted.content
        assert filled.headers.get("content-length", "0") == str(len(wanted.content))
        assert "transfer-encoding" not in filled.headers
        assert filled.extensions == made.extensions
    assert len(readings) == 2 * (3 + 1 + 1)


async def test_no_text_of_the_citizen_is_taken_for_a_file() -> None:
    ours, theirs = FilePlaceholders(), FilePlaceholders()
    one, readings = in_pieces(b"secret")
    forged = theirs.of(one)
    ours.of(one)
    request = httpx.Request("POST", BASE, json={"a": forged})
    assert ours.filled(request) is request
    assert readings == []


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("files[].{nom: filename, contenu: content_base64}", True),
        ("merge(payload, {files: files[?content_type=='a/b'].{c: content_base64}})", True),
        ("join('', ['data:,', files[0].content_base64])", True),
        ("files[0].content_base64 || ''", True),
        ("payload", True),
        ("length(files)", True),
        ("length(files[0].content_base64)", False),
        ("files[0].content_base64 | base64(@)", False),
        ("files[?content_base64 != ''].filename", False),
        ("files[].content_base64 | [?@ == 'QQ==']", False),
        ("base64(to_string(files))", False),
        ("replace_all(files[0].content_base64, '+', '-')", False),
    ],
)
def test_a_text_that_is_looked_at_is_not_stood_for(text: str, passes: bool) -> None:
    assert RestExpression.parse(text).passes_on("content_base64") is passes

    class Sent(Call):
        names = frozenset({"payload", "files"})

    call = Sent.model_validate({"path": "/", "body": f"={text}"})
    assert call.passes_on("content_base64") is passes


@pytest.mark.parametrize(
    ("create", "mode"),
    [
        ({"body": "=merge(payload, {f: files[].{c: content_base64}})"}, "inline"),
        (
            {"body": {"f": "=files[0].content_base64", "n": "=length(files[0].content_base64)"}},
            "inline",
        ),
        ({"body": {"f": "=files[0].content_base64"}, "encoding": "form"}, "inline"),
        ({"body": {"t": "=payload.t"}, "encoding": "multipart"}, "multipart"),
    ],
    ids=["json", "looked at", "form", "multipart"],
)
async def test_a_large_file_is_what_a_small_one_is(create: dict[str, Any], mode: str) -> None:
    """The same bytes go out as from memory, in every encoding."""
    create = {"path": "/r", "reference": "id", **create}
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        route = router.post("/r").respond(201, json={"id": 1})
        given = {"base_url": BASE, "create": create, "files": {"mode": mode}}
        async with adapter(given, router) as rest:
            one, readings = in_pieces(CONTENT, 256 * 1024)
            outcome = await rest.submit(Submission(REFERENCE, {"t": "Été"}, [one]))
            assert isinstance(outcome, Accepted)
            assert readings == [2]
        bodies = [call.request.content for call in route.calls]
    encoded = base64.b64encode(CONTENT).decode()
    if create.get("encoding") == "form":
        assert httpx.QueryParams(bodies[0].decode())["f"] == encoded
    elif mode == "multipart":
        assert b'filename="photo.png"\r\nContent-Type: image/png\r\n\r\n' + CONTENT in bodies[0]
    else:
        assert encoded.encode() in bodies[0]
    if "length" in str(create):
        assert b'"n": %d' % len(encoded) in bodies[0]


async def test_a_call_that_may_be_repeated_begins_the_file_anew() -> None:
    create = {"path": "/r", "reference": "id", "encoding": "multipart", "repeatable": True}
    bodies: list[bytes] = []

    class Breaks(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            bodies.append(await body_of(request))
            if len(bodies) == 1:
                raise httpx.ReadError("broken", request=request)
            return httpx.Response(201, json={"id": 1})

    given = {"base_url": BASE, "create": create, "files": {"mode": "multipart"}}
    async with adapter(given, Breaks()) as rest:
        one, readings = in_pieces(CONTENT)
        assert isinstance(await rest.submit(Submission(REFERENCE, {}, [one])), Accepted)
    assert bodies[0] == bodies[1]
    assert CONTENT in bodies[1]
    assert readings == [263, 263]


async def test_open311_media_go_in_a_stream() -> None:
    sim = Open311(strict=True, extended=True)
    one, readings = in_pieces(CONTENT)
    async with speaking_to(sim) as open311:
        outcome = await open311.submit(Submission(REFERENCE, PAYLOAD, [one, file(b"petite")]))
        assert isinstance(outcome, Accepted)
        assert outcome.reference is not None
        ticket = sim.find(outcome.reference)
    assert [media.content for media in ticket.media] == [CONTENT, b"petite"]
    assert ticket.param("description") == PAYLOAD["description"]
    assert readings == [263]
