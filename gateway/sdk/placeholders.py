"""Files within a streamed request body: only the piece under way is in memory."""

from __future__ import annotations

import base64 as codec
import re
import secrets
from collections.abc import AsyncIterator
from typing import Final

import httpx

from gateway.sdk.adapter import File

#: A file up to this size is as well read whole: one piece.
LARGE: Final = 256 * 1024
#: Pieces of a body are sent when they make so much, not each by itself.
_SENT = 64 * 1024


class FilePlaceholders:
    """Short texts that stand for files while a body is built, in any encoding.

    Build the request as if the content of each file were the text that `of` returns for it: as a
    JSON value, a multipart file or the whole body. `filled` then returns a request that sends the
    files themselves, with its Content-Length. A placeholder has only letters, digits and dashes, so
    no encoding alters it, and it cannot be guessed, so no citizen's text is taken for it.
    """

    def __init__(self) -> None:
        self._token = ""
        self._files: list[tuple[File, bool]] = []

    def of(self, file: File, *, base64: bool = False) -> str:
        """Return the text that stands for the file's bytes, or for their Base64."""
        # Most bodies hold no file, and drawing costs a switch to the system.
        self._token = self._token or secrets.token_hex(16)
        self._files.append((file, base64))
        return f"file-{self._token}-{len(self._files) - 1}-"

    def filled(self, request: httpx.Request) -> httpx.Request:
        """Return the request with the files in their places. It may be sent again, with the same
        content."""
        body = request.read()
        if not self._files:
            return request  # most have none, and a pattern of its own costs more than a call
        parts = re.split(rb"file-%b-([0-9]+)-" % self._token.encode(), body)
        if len(parts) == 1:
            return request
        places = [self._files[int(part)] if index % 2 else part for index, part in enumerate(parts)]
        headers = request.headers.copy()
        headers.pop("Transfer-Encoding", None)
        stream = _Body(places)
        headers["Content-Length"] = str(stream.size)
        return httpx.Request(
            request.method,
            request.url,
            headers=headers,
            stream=stream,
            extensions=request.extensions,
        )


class _Body(httpx.AsyncByteStream):
    """A request body of bytes, with files in between."""

    def __init__(self, places: list[bytes | tuple[File, bool]]) -> None:
        self._places = places
        self.size = sum(
            len(place) if isinstance(place, bytes) else _size(*place) for place in places
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # The bytes before a file leave with its first piece: one that cannot be read is found
        # out before anything is sent.
        ready = bytearray()
        for place in self._places:
            if isinstance(place, bytes):
                ready += place
                continue
            file, base64 = place
            async for piece in _base64(file) if base64 else file.pieces():
                ready += piece
                if len(ready) >= _SENT:
                    yield bytes(ready)
                    ready.clear()
        if ready:
            yield bytes(ready)


def _size(file: File, base64: bool) -> int:
    return (file.size + 2) // 3 * 4 if base64 else file.size


async def _base64(file: File) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in file.pieces():
        rest += piece
        whole = len(rest) // 3 * 3
        yield codec.b64encode(rest[:whole])
        rest = rest[whole:]
    yield codec.b64encode(rest)


__all__ = ["LARGE", "FilePlaceholders"]
