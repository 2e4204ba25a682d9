"""Identifiers. The request's is also the reference that agents read in their GRU."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REFERENCE = re.compile(r"TDG-[0-9A-HJKMNP-TV-Z]{16}")


def request_id(now: datetime, entropy: int) -> str:
    """Return `TDG-` and 16 Crockford base32 characters: 48 bits of milliseconds, 32 of `entropy`.
    Later ids sort later, to the millisecond."""
    return _written((int(now.timestamp() * 1000) & (2**48 - 1)) << 32 | (entropy & (2**32 - 1)))


def reference(key: bytes, *names: str) -> str:
    """Return the reference of these names: 80 bits that only `key` can make. So a request that is
    taken in again, after its row was lost, has the reference that its GRU knows."""
    said = "\0".join(names).encode("utf-8", "surrogatepass")
    return _written(int.from_bytes(hmac.digest(key, said, "sha256")[:10]))


def _written(number: int) -> str:
    return "TDG-" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, -1, -5))


def displaced_ref(ref: str, commune: str) -> str:
    """Return the number under which a request is stored whose formdata is another commune's."""
    return f"{ref}~{commune}"


def named(ref: str, commune: str) -> str:
    """Return the formdata's number that a request came with, whatever number it is stored under."""
    return ref.removesuffix(displaced_ref("", commune))


def is_ours(ref: str) -> bool:
    """Does a formdata's number look like one of ours, so that it could pass for another?"""
    parted = ref[-6:-5] == "~" and is_insee(ref[-5:])
    return parted or REFERENCE.fullmatch(ref) is not None


def event_id(request_id: str, *names: str) -> str:
    """Return the id of an event of a request: the same for the same event."""
    said = "\0".join((request_id, *names)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(said).hexdigest()[:26]


_INSEE = re.compile(r"[0-9][0-9AB][0-9]{3}")


def is_insee(code: str) -> bool:
    """Does this look like a commune's INSEE code? Whether the commune exists is not checked."""
    return _INSEE.fullmatch(code) is not None


_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def identifier(*parts: str, longest: int = 100) -> str:
    """Return the parts as one name that any far end takes: ASCII letters, digits, `-` and `_`. The
    same for the same parts, and different for others, even where characters were dropped."""
    joined = "-".join(parts)
    if len(joined) <= longest and _PLAIN.fullmatch(joined):
        return joined
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    plain = "-".join(_PLAIN.findall(joined))[: longest - 13].rstrip("-")
    return f"{plain}-{digest}"
