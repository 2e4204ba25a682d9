"""Harmful answers of a far end, and the limits within which an adapter must bear them.

An adapter that makes every call by `gateway.sdk.send` suffers them in that call alone.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import httpx

#: Seconds that a call has to connect, and to read, in these tests.
TIMEOUT: Final = 0.3
#: Seconds within which it is over: of the processor's, or of the clock's where bytes come slowly.
OVER: Final = 15.0
#: Seconds of the clock within which it is over, on a machine that is busy with much else.
PATIENCE: Final = 300.0
#: Bytes that a far end may get rid of, and that may be held meanwhile: ten times `max_answer`.
MOST: Final = 50_000_000
#: Seconds that the loop's thread may work without giving others a turn.
LONGEST_TURN: Final = 0.25


@dataclass
class CountedBody(httpx.AsyncByteStream):
    """A body that is being sent. `given` counts its bytes."""

    pieces: Callable[[], Iterator[bytes]]
    every: float = 0.0
    given: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces():
            await asyncio.sleep(self.every)
            self.given += len(piece)
            yield piece


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    zeros = bytes(10_000_000)
    return b"".join(packer.compress(zeros) for _ in range(20)) + packer.flush()


@cache
def _twice() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(_bomb()) + packer.flush()


def _cut(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 65_536):
        yield body[at : at + 65_536]


def _gigabyte() -> Iterator[bytes]:
    yield b"["
    for _ in range(16_384):
        yield b" " * 65_536


def _rows() -> Iterator[bytes]:
    yield b"[{}"
    for _ in range(1_500):
        yield b",{}" * 1_000
    yield b"]"


def _drip() -> Iterator[bytes]:
    while True:
        yield b" "


#: Name -> what makes the body, how often a piece of it comes, and its headers.
BAD: Final[dict[str, tuple[Callable[[], Iterator[bytes]], float, dict[str, str]]]] = {
    "1 GB": (_gigabyte, 0.0, {}),
    "a gzip bomb": (lambda: _cut(_bomb()), 0.0, {"content-encoding": "gzip"}),
    "a bomb gzipped twice": (lambda: _cut(_twice()), 0.0, {"content-encoding": "gzip, gzip"}),
    "1.5 million empty rows": (_rows, 0.0, {}),
    "a drip": (_drip, 0.05, {}),
}


__all__ = ["BAD", "LONGEST_TURN", "MOST", "OVER", "PATIENCE", "TIMEOUT", "CountedBody"]
