"""A file whose line is cut: piece by piece, the same file to its end, or none."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from adapters.rest import downloads
from gateway.sdk import Change, Document
from gateway.sdk.conformance import NOW
from tests.adapters.rest_systems import adapter

BASE = "https://gru.exemple.invalid"
CONTENT = bytes(range(256)) * 100
SHA = hashlib.sha256(CONTENT).hexdigest()


class Cut(httpx.AsyncByteStream):
    """A body that breaks after so many bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content
        raise httpx.ReadError("cut")


class Server(httpx.AsyncBaseTransport):
    """A far end whose line breaks after `most` bytes. `ranges`: it knows pieces."""

    def __init__(self, *, most: int = 10_000, ranges: bool = True, changes: bool = False) -> None:
        self.most = most
        self.ranges = ranges
        self.changes = changes
        self.asked: list[str | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/r":
            one = {"id": 7, "status": "x", "at": NOW.isoformat()}
            one["files"] = [{"id": 1, "name": "a.bin", "size": len(CONTENT), "sha": SHA}]
            return httpx.Response(200, json=[one])
        wanted = request.headers.get("range")
        self.asked.append(wanted)
        tag = f'"v{len(self.asked) if self.changes else 1}"'
        if wanted is None or not self.ranges:
            headers = {"content-length": str(len(CONTENT)), "etag": tag}
            if self.most >= len(CONTENT):
                return httpx.Response(200, content=CONTENT)
            return httpx.Response(200, headers=headers, stream=Cut(CONTENT[: self.most]))
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = CONTENT[int(first) : int(last) + 1]
        end = int(first) + len(part) - 1
        headers = {"content-range": f"bytes {first}-{end}/{len(CONTENT)}", "etag": tag}
        if len(part) > self.most:
            return httpx.Response(206, headers=headers, stream=Cut(part[: self.most]))
        return httpx.Response(206, headers=headers, content=part)


def options(**more: Any) -> dict[str, Any]:
    documents = {
        "list": "files",
        "filename": "name",
        "key": "id",
        "path": "/f/{item.id}",
        "public": True,
    }
    item = {
        "gru_reference": "id",
        "status": "status",
        "at": {"value": "at"},
        "documents": {**documents, **more},
    }
    return {
        "base_url": BASE,
        "create": {"path": "/r", "reference": "id"},
        "statuses": {"path": "/r", "list": "@", "item": item},
    }


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PIECE", 9_000)
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    monkeypatch.setattr(downloads, "TRIES", 2)


async def fetched(server: Server, **more: Any) -> Any:
    async with adapter(options(**more), server) as rest:
        told = (await rest.statuses([], None)).items
        more_of_it = next(c.more for c in told if c.more is not None)
        return await more_of_it()


async def test_a_file_that_is_cut_comes_in_pieces() -> None:
    server = Server()
    change = await fetched(server, size="size", sha256="sha")
    assert isinstance(change, Change)
    assert change.documents == (Document("a.bin", "application/octet-stream", CONTENT),)
    assert server.asked[-3:] == ["bytes=0-8999", "bytes=9000-17999", "bytes=18000-26999"]


@pytest.mark.parametrize(
    "server",
    [Server(ranges=False), Server(changes=True), Server(most=100)],
    ids=["no ranges", "changes", "cut often"],
)
async def test_what_cannot_be_had_whole_is_not_told_half(server: Server) -> None:
    change = await fetched(server)
    assert not isinstance(change, Change), "asked for again at the next poll"


async def test_a_file_in_pieces_is_bounded_all_the_same() -> None:
    change = await fetched(Server(), max_mb=0.02)
    assert isinstance(change, Change)
    assert (change.documents, change.unreadable) == ((), 1)


@pytest.mark.parametrize("more", [{"size": "`3`"}, {"sha256": "'00'"}])
async def test_other_bytes_than_the_gru_says_are_not_believed(more: dict[str, str]) -> None:
    change = await fetched(Server(most=100_000, ranges=True), **more)
    assert isinstance(change, Change)
    assert (change.documents, change.unreadable) == ((), 1)
