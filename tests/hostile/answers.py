"""Answers that do harm, each as it goes over the wire, head included."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial

#: Makes the bytes of an answer, piece by piece.
Pieces = Callable[[], AsyncIterator[bytes]]


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Without a length: the answer ends with the connection."""
    kind = () if any(line.lower().startswith("content-type") for line in lines) else (_JSON,)
    every = (f"HTTP/1.1 {status}", *kind, "Connection: close", *lines)
    return ("\r\n".join(every) + "\r\n\r\n").encode("latin-1")


_JSON = "Content-Type: application/json"


def bomb(size: int) -> bytes:
    """Gzip `size` zeros."""
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


class OnceAsked(Mapping[str, Pieces]):
    """Answers by name. Each is made at its first use, since each process of a run has all names."""

    def __init__(self, makers: Mapping[str, Callable[[], Pieces]]) -> None:
        self._makers = makers
        self._made: dict[str, Pieces] = {}

    def __getitem__(self, name: str) -> Pieces:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@cache
def bad_answers(pause: float = 0.02) -> OnceAsked:
    """`pause`: seconds between two bytes of those that drip."""
    zipped = partial(bomb, 50_000_000)
    line = b"HTTP/1.1 200 OK\r\n"
    return OnceAsked(
        {
            "a gzip bomb": lambda: whole(head("Content-Encoding: gzip"), zipped()),
            "a bomb gzipped twice": lambda: whole(
                head("Content-Encoding: gzip, gzip"), gzip.compress(zipped())
            ),
            "a deflate bomb": lambda: whole(
                head("Content-Encoding: deflate"), zlib.compress(bytes(50_000_000), 9)
            ),
            "a coding nobody asked for": lambda: whole(
                head("Content-Encoding: br"), b"\x0b\x02\x80[]\x03"
            ),
            "an answer without end": lambda: endless(head(), b"[" + b" " * 65_535),
            "1 GB announced": lambda: endless(head("Content-Length: 1000000000"), b" " * 65_536),
            "empty rows": lambda: whole(head(), b"[" + b",".join([b"{}"] * 1_500_000) + b"]"),
            "empty rows in XML": lambda: whole(
                head("Content-Type: text/xml"),
                b"<service_requests>" + b"<request/>" * 150_000 + b"</service_requests>",
            ),
            "nested lists": lambda: whole(head(), b"[" * 2_000_000),
            "commas": lambda: whole(head(), b"[" + b"," * 4_000_000 + b"]"),
            "escapes": lambda: whole(head(), b'["' + b'\\"' * 200_000 + b'"]'),
            "no UTF-8": lambda: whole(head(), b'["' + b"\xe9," * 1_500_000 + b'"]'),
            "a drip of the body": lambda: drip(head(), b" ", pause),
            "a drip of the head": lambda: drip(line, b"X: 1\r\n", pause * 2),
            "headers without end": lambda: endless(line, b"X: " + b"1" * 8000 + b"\r\n"),
            "102 without end": lambda: endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000),
            "one header without end": lambda: endless(line + b"X: ", b"1" * 65_536),
        }
    )


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
