"""Our transport over real sockets: a body that is made while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from gateway.sdk import Unsure, classify_error
from gateway.wire.clients import open_client

PIECE = bytes(range(256)) * 256
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Pieces(httpx.AsyncByteStream):
    """`many` pieces, begun anew at each sending; `fails_at` one of them there are no more."""

    def __init__(self, many: int, fails_at: int | None = None) -> None:
        self.many = many
        self.fails_at = fails_at
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for n in range(self.many):
            if n == self.fails_at:
                raise LookupError("the bytes are gone")
            self.given += 1
            yield PIECE
            await asyncio.sleep(0)


@dataclass
class Far:
    """A far end on a socket, and what came there. It answers once it has `wanted` bytes of a body;
    with `hasty` it reads no further then."""

    wanted: int
    hasty: bool = False
    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).lower())
                self.bodies.append(b"")
                while len(self.bodies[-1]) < self.wanted:
                    got = await reader.read(65_536)
                    if not got:
                        return
                    self.bodies[-1] += got
                writer.write(OK)
                await writer.drain()
                if self.hasty:
                    await asyncio.sleep(0.5)
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def far_end(
    wanted: int, *, hasty: bool = False
) -> AsyncIterator[tuple[Far, httpx.AsyncClient]]:
    far = Far(wanted, hasty)
    server = await asyncio.start_server(far, "127.0.0.1", 0)
    far.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_client(timeout=5, connections=1) as client:
        yield far, client


def request(far: Far, body: Pieces, method: str = "POST") -> httpx.Request:
    headers = {"Host": "gru.invalid", "Content-Length": str(body.many * len(PIECE))}
    return httpx.Request(method, far.url, headers=headers, stream=body)


async def test_it_goes_out_piece_by_piece_with_its_length() -> None:
    body = Pieces(40)
    async with far_end(40 * len(PIECE)) as (far, client):
        for _ in range(2):  # the second time over the kept connection, begun anew
            answer = await client.send(request(far, body))
            assert (answer.status_code, answer.content) == (200, b"ok")
    assert far.bodies == [PIECE * 40] * 2
    for head in far.heads:
        assert b"content-length: %d\r\n" % (40 * len(PIECE)) in head
        assert b"transfer-encoding" not in head


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_pieces_that_end_too_early_may_have_been_taken(method: str) -> None:
    body = Pieces(40, fails_at=30)
    async with far_end(40 * len(PIECE)) as (far, client):
        with pytest.raises(httpx.TransportError) as failure:
            await client.send(request(far, body, method))
        await asyncio.wait_for(far.ended.wait(), 5)
    assert isinstance(classify_error(failure.value, safe=False), Unsure)
    assert len(far.heads) == 1, "it is not sent again by itself"
    assert len(far.bodies[0]) < 40 * len(PIECE), "nothing made a whole body of it"


async def test_what_fails_at_its_beginning_was_never_sent() -> None:
    async with far_end(1) as (far, client):
        with pytest.raises(LookupError):
            await client.send(request(far, Pieces(3, fails_at=0)))
    assert far.heads == []


async def test_an_answer_before_the_end_lets_the_rest_go() -> None:
    """The only connection is free again, and nobody goes on reading the file."""
    body = Pieces(2000)
    async with far_end(0, hasty=True) as (far, client):
        answer = await client.send(request(far, body))
        assert answer.status_code == 200
        await asyncio.wait_for(far.ended.wait(), 5)
        given = body.given
        assert given < body.many
        assert (await client.get(far.url)).status_code == 200
        assert body.given == given


@pytest.mark.parametrize("content", [b"", b"short"])
async def test_a_body_in_memory_goes_whole(content: bytes) -> None:
    async with far_end(len(content)) as (far, client):
        assert (await client.post(far.url, content=content)).content == b"ok"
    assert far.bodies[0] == content
    assert b"content-length: %d\r\n" % len(content) in far.heads[0]
