"""Takes in a JSON body without holding it: its long texts go to disk as they come.

Only the bounds of strings are followed, chunk by chunk. A long string, nearly always a file's
content, goes to an unnamed file, and an unguessable word replaces it in the text. The rest is
bounded, in bytes and in values, and parsed as usual; the word gives access to the file's bytes or
to the original text. The body's meaning stays, to the letter.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
import tempfile
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from gateway.core.content import Content, InMemory
from gateway.core.errors import Rejected, Unavailable
from gateway.sdk import beside

#: Bytes from which a string goes to disk.
LONG = 64 * 1024
#: A body up to this size stays in memory; so much of a larger one is worked on at a time.
LARGE = 256 * 1024
_PIECE = 256 * 1024
_SPACE = b" \t\r\n"
#: Bytes that a large body may have without its long texts.
MOST_TEXT = 2 * 1024 * 1024
#: Strings, lists, objects and commas of a large body.
MOST_VALUES = 250_000

_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*', re.DOTALL)
#: Whole characters and whole escapes; a surrogate pair takes two escapes.
_WHOLE = re.compile(
    rb"(?:[^\\]++|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}"
    rb"|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\[^u])*",
    re.DOTALL,
)
_ESCAPES = len(rb"\ud83d\ude00")


class Spool:
    """An unnamed file in `folder`, gone with its last handle, however the process ends. Raises
    Unavailable when the disk fails, or once it is closed."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
            # O_TMPFILE where the file system has it; else 0600 and unlinked at once.
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _no_room(error) from None
        # A thread may still write when its request is given up, and a closed file's number soon is
        # another's.
        self._lock = threading.Lock()

    def write(self, at: int, data: bytes) -> None:
        with self._lock:
            try:
                while data:
                    done = os.pwrite(self._number(), data, at)
                    at, data = at + done, data[done:]
            except OSError as error:
                raise _no_room(error) from None

    def read(self, at: int, length: int) -> bytes:
        parts: list[bytes] = []
        with self._lock:
            try:
                while length > 0:
                    part = os.pread(self._number(), length, at)
                    if not part:
                        raise Unavailable("a spooled file is shorter than it was")
                    parts.append(part)
                    at, length = at + len(part), length - len(part)
            except OSError as error:
                raise _no_room(error) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _number(self) -> int:
        if self._file.closed:
            raise Unavailable("the spooled file is closed")
        return self._file.fileno()


class SpooledContent(Content):
    """A file's bytes in a spool."""

    __slots__ = ("_at", "_spool")

    def __init__(self, spool: Spool, at: int, size: int, sha256: str) -> None:
        super().__init__(size, sha256)
        self._spool = spool
        self._at = at

    def read(self, at: int, length: int) -> bytes:
        return self._spool.read(self._at + at, max(0, min(length, self.size - at)))


@dataclass(slots=True)
class LongText:
    """A string of the body, in the spool as UTF-8."""

    spool: Spool
    at: int
    size: int
    _content: Content | None = field(default=None, repr=False)

    def text(self) -> str:
        """Return the original string. Not after `decoded`, which overwrites it."""
        return self.spool.read(self.at, self.size).decode()

    def decoded(self, max_bytes: int) -> Content:
        """Decode the Base64 text; the bytes take its place on disk. Raises Rejected as for a text
        in memory: 400 `bad_base64`, 413 `file_too_large`."""
        if self._content is None:
            self._content = self._decode(max_bytes)
        return self._content

    def _decode(self, max_bytes: int) -> Content:
        digest, size, length, ends = hashlib.sha256(), 0, 0, b""
        rest, sound = b"", True
        for at in range(0, self.size, _PIECE):
            raw = self.spool.read(self.at + at, min(_PIECE, self.size - at))
            if not raw.isascii():
                raise bad_base64()
            raw = raw.translate(None, _SPACE)
            length += len(raw)
            ends = (ends + raw)[-2:]
            if sound and length // 4 * 3 - 2 <= max_bytes:
                rest += raw
                # The last four are judged with their padding.
                end = len(rest.rstrip(b"="))
                rest, whole = rest[: end + 8], max(0, end - 4) // 4 * 4
                data = _bytes_of(rest[:whole])
                sound = data is not None and b"=" not in rest[:whole]
                rest = rest[whole:]
                if data is not None and sound:
                    self.spool.write(self.at + size, data)
                    digest.update(data)
                    size += len(data)
        if length // 4 * 3 - ends.count(b"=") > max_bytes:
            raise file_too_large()
        data = _bytes_of(rest) if sound else None
        if data is None:
            raise bad_base64()
        self.spool.write(self.at + size, data)
        digest.update(data)
        return SpooledContent(self.spool, self.at, size + len(data), digest.hexdigest())


NO_TEXTS: Mapping[str, LongText] = {}


@dataclass(frozen=True, slots=True)
class SpooledBody:
    """A JSON body of `size` bytes: its `text`, with a word of `texts` for each long string."""

    text: bytes
    size: int
    texts: Mapping[str, LongText] = field(default_factory=dict, repr=False)


def read_document(text: bytes) -> Any:
    """Parse the JSON of a body, which may begin with a byte order mark.

    Raises orjson.JSONDecodeError, also for NaN, lone surrogates, other encodings than UTF-8, absurd
    nesting.
    """
    return orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))


class TooLarge(Exception):
    """A body has more bytes than it may."""


class TooManyBodyValues(TooLarge):
    """A body has more values than it may."""


class BodyReader:
    """Takes bodies and files in. `close` gives back the disk of large ones.

    Use the results of `take` and `take_file` before that. It takes one JSON body at most. `admit`
    is awaited before anything large.
    """

    def __init__(self, folder: Path, admit: Callable[[], Awaitable[None]] | None = None) -> None:
        self.text = bytearray()
        self.texts: dict[str, LongText] = {}
        self._folder = folder
        self._admit = admit
        self._spool: Spool | None = None
        self._end = 0
        self._values = 0
        self._token = ""
        self._held = b""
        #: Index in `text` of the beginning of the present string; 0 outside of strings.
        self._begun = 0
        self._writing: _Writing | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    async def read(self, chunks: AsyncIterable[bytes], limit: int) -> SpooledBody:
        """Take the body from `chunks`; only a small one is whole in memory.

        Raises TooLarge once it exceeds `limit`, or MOST_TEXT without its long texts;
        TooManyBodyValues once it has too many values; Unavailable when the disk is full.
        """
        size, small = await _read(chunks, limit, self.feed, self._admit)
        if small is not None:
            return SpooledBody(small, size)
        return SpooledBody(bytes(self.text), size, self.texts)

    async def read_file(self, chunks: AsyncIterable[bytes], limit: int) -> Content:
        """Take a file as it is; only a small one is in memory. Raises as `read` does."""
        begun, digest = self._end, hashlib.sha256()
        size, small = await _read(chunks, limit, lambda data: self._lay(data, digest), self._admit)
        if small is not None:
            return InMemory(small)
        return SpooledContent(self._open(), begun, size, digest.hexdigest())

    def _lay(self, data: bytes, digest: hashlib._Hash) -> None:
        self._open().write(self._end, data)
        self._end += len(data)
        digest.update(data)

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises as `read` does."""
        data, self._held = self._held + data if self._held else data, b""
        at = 0
        while at < len(data):
            if not self._begun:
                quote = data.find(b'"', at)
                at, before = (quote + 1 or len(data)), at
                self.text += data[before:at]
                self._values += sum(data.count(sign, before, at) for sign in (b",", b"[", b"{"))
                self._values += quote >= 0
                if self._values > MOST_VALUES:
                    raise TooManyBodyValues
                if len(self.text) > MOST_TEXT:
                    raise TooLarge
                if quote >= 0:
                    self._begun = len(self.text)
                continue
            end = _string_end(data, at)
            over = end < len(data) and data[end] == 0x22
            if end < len(data) and not over:
                self._held = data[end:]  # a lone backslash: what it escapes is still to come
            self._string(data[at:end], over)
            at = end + 1

    def _string(self, run: bytes, over: bool) -> None:
        """Take more of the present string. `over`: it ends after this."""
        if self._writing is not None:
            self._writing.write(run)
        else:
            self.text += run
            if len(self.text) - self._begun >= LONG:
                run = bytes(self.text[self._begun :])
                del self.text[self._begun :]
                self._writing = _Writing(self._open(), self._end)
                self._writing.write(run)
        if not over:
            return
        if self._writing is not None:
            long = self._writing.finish()
            self._writing = None
            if long is None:
                self.text += b"\xff"  # an invalid string leaves an invalid body
            else:
                self._end = long.at + long.size
                word = f"{self._token}-{len(self.texts)}"
                self.texts[word] = long
                self.text += word.encode()
        self.text += b'"'
        self._begun = 0

    def _open(self) -> Spool:
        if self._spool is None:
            self._spool = Spool(self._folder)
            self._token = secrets.token_hex(16)
        return self._spool


async def _read(
    chunks: AsyncIterable[bytes],
    limit: int,
    lay: Callable[[bytes], None],
    admit: Callable[[], Awaitable[None]] | None,
) -> tuple[int, bytes | None]:
    """Return the size of what comes, and all of it while it is small. More goes to `lay`, in order,
    by pieces and in a thread, once `admit` allows it. Raises TooLarge once it exceeds `limit`."""
    size, waiting, few = 0, 0, list[bytes]()
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge
        few.append(chunk)
        waiting += len(chunk)
        if waiting > LARGE:
            if admit is not None:
                await admit()
            await beside(waiting, partial(lay, b"".join(few)))
            waiting = 0
            few.clear()
    last = b"".join(few)
    if size == waiting:
        return size, last
    await beside(size, partial(lay, last))
    return size, None


class _Writing:
    """Writes one string to the spool, unescaped and checked piece by piece."""

    def __init__(self, spool: Spool, at: int) -> None:
        self._spool = spool
        self._at = at
        self._size = 0
        self._rest = b""
        self._sound = True

    def write(self, raw: bytes) -> None:
        if not self._sound:
            return
        raw = self._rest + raw if self._rest else raw
        end = _whole(raw)
        self._rest = raw[end:]
        # No escape is longer: what is held back cannot become one.
        self._sound = len(self._rest) < _ESCAPES + 4
        self._unescape(raw[:end])

    def finish(self) -> LongText | None:
        """Finish the string on disk; None when it is no JSON string."""
        self._unescape(self._rest)
        return LongText(self._spool, self._at, self._size) if self._sound else None

    def _unescape(self, raw: bytes) -> None:
        if not self._sound or not raw:
            return
        try:
            text: str = orjson.loads(b'"%b"' % raw)
        except orjson.JSONDecodeError:
            self._sound = False
            return
        data = text.encode()
        self._spool.write(self._at + self._size, data)
        self._size += len(data)


def _string_end(data: bytes, at: int) -> int:
    """Return the index of the present string's end: its quote, a lone last backslash, or the
    end."""
    end = data.find(b'"', at)
    end = len(data) if end < 0 else end
    if data.find(b"\\", at, end) < 0:
        return end
    found = _INSIDE.match(data, at)
    return end if found is None else found.end()


def _whole(raw: bytes) -> int:
    """Return how many bytes of a string hold whole escapes and characters."""
    end = len(raw)
    if b"\\" in raw:
        found = _WHOLE.match(raw)
        end = 0 if found is None else found.end()
    for back in range(1, min(4, end) + 1):
        if raw[end - back] < 0x80:
            break
        if raw[end - back] >= 0xC0:
            return end - back
    return end


def _bytes_of(raw: bytes) -> bytes | None:
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        return None


def bad_base64() -> Rejected:
    return Rejected(400, "bad_base64", "Le contenu d'un fichier n'est pas en Base64.")


def file_too_large() -> Rejected:
    return Rejected(413, "file_too_large", "Un fichier dépasse la taille permise.")


def _no_room(error: OSError) -> Unavailable:
    return Unavailable(f"a large body finds no place on the disk (errno {error.errno})")


__all__ = [
    "LARGE",
    "LONG",
    "MOST_TEXT",
    "MOST_VALUES",
    "NO_TEXTS",
    "BodyReader",
    "LongText",
    "Spool",
    "SpooledBody",
    "SpooledContent",
    "TooLarge",
    "TooManyBodyValues",
    "bad_base64",
    "file_too_large",
]
