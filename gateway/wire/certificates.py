"""Reads from certificate files until when they are valid, which Python's ssl does not tell."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

_PEM: Final = re.compile(
    rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END (?:TRUSTED )?CERTIFICATE"
)
_SEQUENCE, _VERSION, _UTC_TIME, _TIME = 0x30, 0xA0, 0x17, 0x18


def good_until(pem: bytes) -> datetime | None:
    """Return when the first of a file's certificates ends; None where none can be read."""
    found = []
    for written in _PEM.findall(pem):
        with suppress(binascii.Error, ValueError, IndexError):
            found.append(_not_after(base64.b64decode(written)))
    return min(found, default=None)


def _not_after(der: bytes) -> datetime:
    """Return the end of a certificate's validity (RFC 5280, 4.1). Raises ValueError, IndexError."""
    (_, certificate), *_ = _parts(der)
    (_, signed), *_ = _parts(certificate)
    fields = list(_parts(signed))
    # The fields before: version (optional), serial number, algorithm, issuer.
    _, validity = fields[4 if fields[0][0] == _VERSION else 3]
    _, (kind, text) = _parts(validity)
    if kind == _UTC_TIME:
        year = int(text[:2])
        text = (b"19" if year >= 50 else b"20") + text
    elif kind != _TIME:
        raise ValueError
    return datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the elements one after the other, each with its tag (X.690, 8.1)."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size])
            at += size
        yield tag, der[at : at + length]
        at += length
