"""Tokens in addresses: they name a message's request, and nobody else can make them.

`demandes+01jd3m7w2k9xq4zb-k2f4...@relais.example.org`: our reference, and 80 bits made with the
key. All is in lower case, since mail servers may change the case.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.sdk import REFERENCE

_TAG: Final = 16
_PREFIX: Final = "TDG-"
_PARTS: Final = r"([0-9a-hjkmnp-tv-z]{16})-([a-z2-7]{16})"


@dataclass(frozen=True, slots=True)
class NamedRequest:
    """The request that an address names, and the word after its token, if any."""

    reference: str
    word: str | None = None


class Tokens:
    """Makes and reads tokens. `keys`: the current one first. `address`: our own mailbox."""

    def __init__(self, keys: Sequence[str], address: str) -> None:
        self._keys = [key.encode() for key in keys]
        self._local, _, self._domain = address.lower().partition("@")
        local, domain = re.escape(self._local), re.escape(self._domain)
        #: Our address with a token, and not the end of a longer address.
        self._written = re.compile(
            rf"(?i)(?<![\w.!#$%&'*+/=?^`{{|}}~-]){local}\+{_PARTS}(?:\.([a-z0-9-]{{1,20}}))?@{domain}"
            r"(?![\w.-]*\w)"
        )
        self._ids = re.compile(rf"(?i)<{_PARTS}(?:\.[a-z2-7]{{1,32}})?@{domain}>")

    def token(self, reference: str) -> str:
        """Return the token of a request."""
        return f"{reference.removeprefix(_PREFIX).lower()}-{_tag(self._keys[0], reference)}"

    def address(self, reference: str) -> str:
        """Return the address for replies about a request."""
        return f"{self._local}+{self.token(reference)}@{self._domain}"

    def message_id(self, reference: str, key: str | None = None) -> str:
        """Return the Message-ID of a request's first message, or of the event `key`'s: always the
        same one."""
        event = "" if key is None else f".{_word(hashlib.sha256(key.encode()).digest(), 26)}"
        return f"<{self.token(reference)}{event}@{self._domain}>"

    def in_addresses(self, fields: Iterable[str]) -> NamedRequest | None:
        """Return the request that a proven address in these fields names."""
        for field in fields:
            for found in self._written.finditer(field):
                reference = self._proven(found[1], found[2])
                if reference is not None:
                    return NamedRequest(reference, found[3] and found[3].lower())
        return None

    def in_ids(self, fields: Iterable[str]) -> NamedRequest | None:
        """Return the request that a proven Message-ID in these fields names."""
        for field in fields:
            for found in self._ids.finditer(field):
                reference = self._proven(found[1], found[2])
                if reference is not None:
                    return NamedRequest(reference)
        return None

    def _proven(self, number: str, tag: str) -> str | None:
        reference = f"{_PREFIX}{number.upper()}"
        if REFERENCE.fullmatch(reference) is None:
            return None
        shown = tag.lower().encode()
        made = [hmac.compare_digest(_tag(key, reference).encode(), shown) for key in self._keys]
        return reference if any(made) else None


def _tag(key: bytes, reference: str) -> str:
    return _word(hmac.digest(key, b"email\0" + reference.encode(), "sha256"), _TAG)


def _word(digest: bytes, length: int) -> str:
    return base64.b32encode(digest).decode("ascii").lower()[:length]


__all__ = ["NamedRequest", "Tokens"]
