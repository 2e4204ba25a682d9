"""Answers that do harm, each as it goes over the wire, head included."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache

#: Makes the bytes of an answer, piece by piece.
Pieces = Callable[[], AsyncIterator[bytes]]


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Without a length: the answer ends with the connection."""
    kind = () if any(line.lower().startswith("content-type") for line in lines) else (_JSON,)
    every = (f"HTTP/1.1 {status}", *kind, "Connection: close", *lines)
    return ("\r\n".join(every) + "\r\n\r\n").encode("latin-1")


_JSON = "Content-Type: application/json"


def bomb(size: int) -> bytes:
    """So many zeros, gzipped."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    zeros = bytes(1_000_000)
    return b"".join(packer.compress(zeros) for _ in range(size // len(zeros))) + packer.flush()


def whole(*parts: bytes) -> Pieces:
    async def pieces() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return pieces


def endless(begin: bytes, piece: bytes) -> Pieces:
    async def pieces() -> AsyncIterator[bytes]:
        yield begin
        while True:
            yield piece

    return pieces


def drip(begin: bytes, piece: bytes, every: float) -> Pieces:
    async def pieces() -> AsyncIterator[bytes]:
        yield begin
        while True:
            await asyncio.sleep(every)
            yield piece

    return pieces


@cache
def bad_answers(pause: float = 0.02) -> dict[str, Pieces]:
    """By name. `pause`: seconds between two bytes of those that drip."""
    rows = b"[" + b",".join([b"{}"] * 1_500_000) + b"]"
    xml = b"<service_requests>" + b"<request/>" * 150_000 + b"</service_requests>"
    twice = gzip.compress(bomb(50_000_000))
    return {
        "a gzip bomb": whole(head("Content-Encoding: gzip"), bomb(50_000_000)),
        "a bomb gzipped twice": whole(head("Content-Encoding: gzip, gzip"), twice),
        "a deflate bomb": whole(
            head("Content-Encoding: deflate"), zlib.compress(bytes(50_000_000), 9)
        ),
        "a coding nobody asked for": whole(head("Content-Encoding: br"), b"\x0b\x02\x80[]\x03"),
        "an answer without end": endless(head(), b"[" + b" " * 65_535),
        "1 GB announced": endless(head("Content-Length: 1000000000"), b" " * 65_536),
        "empty rows": whole(head(), rows),
        "empty rows in XML": whole(head("Content-Type: text/xml"), xml),
        "nested lists": whole(head(), b"[" * 2_000_000),
        "commas": whole(head(), b"[" + b"," * 4_000_000 + b"]"),
        "escapes": whole(head(), b'["' + b'\\"' * 200_000 + b'"]'),
        "no UTF-8": whole(head(), b'["' + b"\xe9," * 1_500_000 + b'"]'),
        "a drip of the body": drip(head(), b" ", pause),
        "a drip of the head": drip(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n", pause * 2),
        "headers without end": endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"1" * 8000 + b"\r\n"),
        "102 without end": endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000),
        "one header without end": endless(b"HTTP/1.1 200 OK\r\nX: ", b"1" * 65_536),
    }


@asynccontextmanager
async def far_end(pieces: Pieces) -> AsyncIterator[str]:
    """A server on a socket that answers every call so; gives its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            async for piece in pieces():
                writer.write(piece)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
