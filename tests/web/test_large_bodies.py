"""Large pushes: the same answers as ever, and nothing of them stays behind."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect

from gateway.store import requests
from gateway.web import body
from tests.builders import stored_of
from tests.files import names, open_below
from tests.web.harness import Gateway, requests_path, small
from tests.web.test_senders import ANY, BRON, kept, refused

CONTENT = b"%PDF-1.7 " + random.Random(7).randbytes(500_000)
JSON = {"Content-Type": "application/json"}


def with_file(content: bytes = CONTENT, ref: str = "7", **changes: Any) -> dict[str, Any]:
    value = small(ref, **changes)
    value["fields"]["plan"] = {
        "filename": "plan.pdf",
        "content_type": "application/pdf",
        "content": base64.b64encode(content).decode(),
        "content_is_base64": True,
    }
    return value


async def in_chunks(raw: bytes, length: int = 50_000) -> AsyncIterator[bytes]:
    for at in range(0, len(raw), length):
        yield raw[at : at + length]


@pytest.fixture(autouse=True)
async def _nothing_stays(gw: Gateway, tmp_path: Path) -> AsyncIterator[None]:
    yield
    left = {one for one in names(tmp_path) if "gateway.db" not in one}
    assert left <= {"erasure.key"}
    assert laid(tmp_path) == []


def laid(folder: Path) -> list[str]:
    """Files of the folder that are open and have no name."""
    return [one for one in open_below(folder) if one.endswith("(deleted)")]


@pytest.mark.parametrize("path", [BRON, ANY])
async def test_a_large_push_is_kept_like_any(gw: Gateway, path: str) -> None:
    raw = json.dumps(with_file()).encode()
    answer = await gw.client.post(gw.signed(path), content=in_chunks(raw), headers=JSON)
    assert answer.status_code == 201, answer.text
    body_ = await gw.database.read(requests.event_body, await _event(gw, answer))
    assert body_ is not None
    (attachment,) = body_["attachments"]
    assert attachment["size"] == len(CONTENT)
    assert await stored_of(gw.database, body_["id"], attachment["sha256"], len(CONTENT)) == CONTENT
    again = await gw.push(with_file(), path)
    assert (again.status_code, again.json()["data"]["created"]) == (200, False)
    other = await gw.push(with_file(CONTENT + b"!"), path)
    refused(other, 409, "different_content")


async def _event(gw: Gateway, answer: httpx.Response, kind: str = "creation") -> str:
    trace = await gw.database.read(requests.trace, answer.json()["data"]["id"])
    assert trace is not None
    (event,) = (event for event in trace.events if event.kind == kind)
    return event.id


async def test_a_large_event_names_its_request_by_the_address(gw: Gateway) -> None:
    assert (await gw.push(small())).status_code == 201
    told = with_file() | {"extra": {"action": "change", "evenement": "c1"}}
    del told["id"]
    answer = await gw.client.post(gw.signed(f"{BRON}/7/events"), json=told)
    assert answer.status_code == 201, answer.text
    body_ = await gw.database.read(requests.event_body, await _event(gw, answer, "change"))
    assert body_ is not None
    sha256 = body_["attachments"][0]["sha256"]
    assert await stored_of(gw.database, body_["id"], sha256, len(CONTENT)) == CONTENT
    told["id"] = "8"
    refused(await gw.client.post(gw.signed(f"{BRON}/7/events"), json=told), 400, "id_mismatch")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda raw: raw[:-1], 400, "not_json"),
        (lambda raw: raw[: len(raw) // 2], 400, "not_json"),
        (lambda raw: raw.replace(b"QU", b"Q\xff", 1), 400, "not_json"),
        (lambda raw: raw.replace(b"QU", b"Q-", 1), 400, "bad_base64"),
        (lambda raw: raw.replace(b'"filename"', b'"id": [], "filename"'), 201, ""),
        (lambda raw: b"[" + raw + b"]", 400, "not_an_object"),
        (lambda raw: raw.replace(b'"id": "7"', b'"id": ""'), 400, "missing_id"),
        (
            lambda raw: raw.replace(b'"content_is_base64": true', b'"x": 1'),
            400,
            "unknown_file_encoding",
        ),
        (lambda raw: raw.replace(b'"69029"', b"[" * 40 + b"]" * 40), 400, "too_deep"),
        (lambda raw: raw.replace(b"application/pdf", b"image/png"), 201, ""),
    ],
)
async def test_what_is_wrong_is_told_as_in_a_small_one(
    gw: Gateway, change: Any, status: int, code: str
) -> None:
    assert b"QU" in base64.b64encode(CONTENT)
    raw = change(json.dumps(with_file()).encode())
    answer = await gw.client.post(gw.signed(BRON), content=in_chunks(raw), headers=JSON)
    if status == 201:
        assert answer.status_code == 201, answer.text
    else:
        refused(answer, status, code)
        assert await kept(gw) == 0


async def test_a_page_that_calls_itself_a_plan_is_refused(gw: Gateway) -> None:
    page = with_file(b"<!DOCTYPE html><html>" + b"<p>" * 150_000)
    refused(await gw.push(page), 415, "dangerous_file")


async def test_no_byte_of_an_unsigned_body_is_read(gw: Gateway) -> None:
    read = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b" " * 300_000

    refused(await gw.client.post(BRON, content=content(), headers=JSON), 401, "no_credentials")
    assert read == 0


async def test_it_is_refused_as_soon_as_it_is_too_large(gw: Gateway) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'{"id": "7", "fields": {"plan": {"filename": "a", "content": "'
        while sent < 1000:
            sent += 1
            yield b"A" * 100_000

    refused(await gw.client.post(gw.signed(BRON), content=endless()), 413, "body_too_large")
    assert sent == 11


async def test_a_sender_that_dawdles_or_goes_leaves_nothing(
    gw: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "READ_SECONDS", 0.3)
    raw = json.dumps(with_file()).encode()
    seen: list[int] = []

    async def dawdling() -> AsyncIterator[bytes]:
        yield raw[:400_000]
        await asyncio.sleep(0.1)
        seen.append(len(laid(tmp_path)))
        await asyncio.sleep(5)

    refused(await gw.client.post(gw.signed(BRON), content=dawdling()), 408, "slow_body")
    assert seen == [1], "it was under way to the disk"

    monkeypatch.setattr(body, "READ_SECONDS", 60)

    async def gone() -> AsyncIterator[bytes]:
        yield raw[:400_000]
        raise ClientDisconnect

    refused(await gw.client.post(gw.signed(BRON), content=gone()), 400, "invalid_request")


async def test_a_call_that_is_cut_off_leaves_nothing(gw: Gateway, tmp_path: Path) -> None:
    raw = json.dumps(with_file()).encode()
    under_way = asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield raw[:400_000]
        await asyncio.sleep(0)
        under_way.set()
        await asyncio.sleep(30)

    call = asyncio.create_task(gw.client.post(gw.signed(BRON), content=held()))
    await under_way.wait()
    assert len(laid(tmp_path)) == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_many_at_once_do_not_mix(gw: Gateway) -> None:
    contents = [b"%PDF-1.7 " + random.Random(n).randbytes(300_000 + n) for n in range(8)]
    answers = await asyncio.gather(
        *(
            gw.client.post(
                gw.signed(requests_path("69029", "signalement-anomalie")),
                content=in_chunks(json.dumps(with_file(content, str(n))).encode(), 30_000 + n),
                headers=JSON,
            )
            for n, content in enumerate(contents)
        )
    )
    assert [answer.status_code for answer in answers] == [201] * 8
    for answer, content in zip(answers, contents, strict=True):
        body_ = await gw.database.read(requests.event_body, await _event(gw, answer))
        assert body_ is not None
        sha256 = body_["attachments"][0]["sha256"]
        assert await stored_of(gw.database, body_["id"], sha256, len(content)) == content
