"""Identifiers. The request's is also the reference that agents read in their GRU."""

from __future__ import annotations

import re
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REFERENCE = re.compile(r"TDG-[0-9A-HJKMNP-TV-Z]{16}")


def request_id(now: datetime, entropy: int) -> str:
    """`TDG-` and 16 Crockford base32 characters: 48 bits of milliseconds, 32 of `entropy`.

    Ids made later sort later, to the millisecond.
    """
    number = (int(now.timestamp() * 1000) & (2**48 - 1)) << 32 | (entropy & (2**32 - 1))
    return "TDG-" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, -1, -5))
