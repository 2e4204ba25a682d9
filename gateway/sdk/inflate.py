"""Decompresses the body of an answer, one bounded piece at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

import httpx

#: The encodings that are asked for: no others are taken.
ACCEPTED: Final = "gzip, deflate"
#: So much comes out of a decoder at once, however little went in.
_PIECE: Final = 64 * 1024


class Inflater:
    """Decompresses one coding of `ACCEPTED`. Raises httpx.DecodingError."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding == "gzip"
        self._begun = False
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | (16 if self._gzip else 0))

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the bytes that `data` adds, in pieces of 64 KiB at most."""
        if not self._begun and data and not self._gzip and not _has_head(data):
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)  # some leave the head of zlib out
        self._begun = self._begun or bool(data)
        while data and not self._stream.eof:
            try:
                piece = self._stream.decompress(data, _PIECE)
            except zlib.error as error:
                raise httpx.DecodingError(str(error)) from None
            data = self._stream.unconsumed_tail
            if piece:
                yield piece
            elif not data:
                return

    def end(self) -> None:
        """Check that the body is complete. Raises DecodingError when it was cut."""
        if self._begun and not self._stream.eof:
            raise httpx.DecodingError("the compressed body is cut short")


def _has_head(data: bytes) -> bool:
    return data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)


def inflater(coding: str) -> Inflater | None:
    """Return the decoder for this Content-Encoding, or None for a plain body.

    Raises DecodingError for a coding that was not asked for, and for more than one coding, since
    each one multiplies the size.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return None
    coding = coding.removeprefix("x-")
    if coding not in ("gzip", "deflate"):
        raise httpx.DecodingError("a content coding that was not asked for")
    return Inflater(coding)


__all__ = ["ACCEPTED", "Inflater", "inflater"]
