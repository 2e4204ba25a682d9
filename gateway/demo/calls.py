"""Malicious calls to the daemon, written byte by byte to a socket."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from gateway.sdk.publik.signature import sign_url

_PIECE = 256 * 1024
#: Seconds after which a call is given up.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of a call. `status` 0: the connection was closed without an answer."""

    status: int
    retry_after: bool = False


async def call(
    url: str,
    body: Iterable[bytes] = (),
    *,
    method: str = "POST",
    size: int | None = None,
    headers: Mapping[str, str] | None = None,
    head: Iterable[bytes] = (),
) -> CallResult:
    """Make one call. Send as much of a `body` of `size` bytes as the daemon takes.

    `head` is a further header line, with its line end.
    """
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except (OSError, TimeoutError):
        return CallResult(0)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
    if size is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {size}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    start = ("\r\n".join(lines) + "\r\n").encode("latin-1")
    answer = asyncio.create_task(_answer(reader))
    try:
        async with asyncio.timeout(PATIENCE):
            with suppress(OSError):
                for piece in _all(start, head, body):
                    writer.write(piece)
                    await writer.drain()
                    if answer.done():
                        break
            return await answer
    except TimeoutError:
        return CallResult(0)
    finally:
        answer.cancel()
        writer.close()


async def hold_open(url: str, seconds: float) -> bool:
    """Keep a connection open that sends one byte of its head per second.

    Return whether the daemon closed it within `seconds`.
    """
    parts = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return True
    ends = asyncio.create_task(_to_the_end(reader))
    try:
        begun = asyncio.get_running_loop().time()
        writer.write(b"GET /ops/live HTTP/1.1\r\nX: ")
        while asyncio.get_running_loop().time() - begun < seconds and not ends.done():
            with suppress(OSError):
                writer.write(b"a")
                await writer.drain()
            await asyncio.wait([ends], timeout=1.0)
        return ends.done()
    finally:
        ends.cancel()
        writer.close()


def signed(url: str, key: str, orig: str | None = None) -> str:
    """Return the address, signed as a portal's workflow signs it."""
    return sign_url(url, key, orig=orig, now=datetime.now(UTC), nonce=secrets.token_hex(16))


def repeated(piece: bytes, size: int) -> Iterator[bytes]:
    """Yield this many bytes of `piece`, in larger pieces."""
    large = piece * (_PIECE // len(piece))
    for _ in range(size // len(large)):
        yield large
    yield (piece * (size % len(large) // len(piece) + 1))[: size % len(large)]


def _all(start: bytes, head: Iterable[bytes], body: Iterable[bytes]) -> Iterator[bytes]:
    yield start
    yield from head
    yield b"\r\n"
    yield from body


async def _answer(reader: asyncio.StreamReader) -> CallResult:
    try:
        line, found = await reader.readline(), False
        while (header := await reader.readline()) not in (b"\r\n", b""):
            found |= header.lower().startswith(b"retry-after:")
    except (OSError, ValueError):
        return CallResult(0)
    words: Sequence[bytes] = line.split()
    return CallResult(int(words[1]) if len(words) > 1 and words[1].isdigit() else 0, found)


async def _to_the_end(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(_PIECE):
            pass
