"""Error texts of a far end, without what they repeat of a citizen.

Servers quote what they refuse ("email zoe@... is invalid"). An operator needs the sentence and may
not keep the person: every word that we sent is masked, then whatever still looks like an address
or a long number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MASK = "…"
LONGEST = 200
_WORD = re.compile(r"\w+")
_ALIKE = re.compile(r"\S+@\S+|\+?\d(?:[\d .-]{4,}\d)|https?://\S+")


def _plain(word: str) -> str:
    spread = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in spread if not unicodedata.combining(c))


def discreet(sentence: str, sent: Iterable[str]) -> str:
    """`sentence` with each word of `sent` masked, whatever its case or accents."""
    words = {_plain(word) for value in sent for word in _WORD.findall(value)}
    masked = _ALIKE.sub(MASK, sentence)
    masked = _WORD.sub(lambda m: MASK if _plain(m.group()) in words else m.group(), masked)
    return " ".join(masked.split())[:LONGEST]


__all__ = ["discreet"]
