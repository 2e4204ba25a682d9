"""The attacks of the demo are what they are called: one that harms nobody would prove nothing."""

from __future__ import annotations

import zlib

import httpx
import pytest

from gateway.demo import bad_answers as bad
from gateway.demo.calls import repeated


async def _answer(app: object) -> httpx.Response:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gru.invalid") as client:
        request = client.build_request("GET", "/")
        return await client.send(request, stream=True)


async def test_a_bomb_is_some_kilobytes_that_become_megabytes() -> None:
    answer = await _answer(bad.bomb(32))
    assert answer.headers["content-encoding"] == "gzip, gzip"
    raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert len(raw) < 4096
    once = zlib.decompressobj(31).decompress(raw)
    assert len(zlib.decompressobj(31).decompress(once)) == 32 << 20


async def test_a_flood_and_rows_are_as_long_as_they_say() -> None:
    flood = await _answer(bad.flood(3))
    assert sum([len(piece) async for piece in flood.aiter_raw()]) == (3 << 20) + 2
    rows = await _answer(bad.rows(1000))
    assert await rows.aread() == b"[" + b",".join([b"{}"] * 1000) + b"]"


@pytest.mark.parametrize("size", [0, 5, 262_144, 300_001])
def test_a_repeated_piece_has_the_size_that_was_announced(size: int) -> None:
    assert b"".join(repeated(b"[],", size)) == (b"[]," * (size // 3 + 1))[:size]
