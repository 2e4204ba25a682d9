"""Error texts of a far end, without what they repeat of a citizen.

Servers quote what they refuse ("email zoe@... is invalid"). An operator needs the sentence and may
not keep the person: every word that we sent is masked, then whatever still looks like an address
or a long number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "…"
LONGEST = 200
_WORD = re.compile(r"\w+")
_ALIKE = re.compile(r"\S+@\S+|\+?\d(?:[\d .-]{4,}\d)|https?://\S+")


def _plain(word: str) -> str:
    spread = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in spread if not unicodedata.combining(c))


def discreet(sentence: str, sent: Iterable[str]) -> str:
    """`sentence` with each word of `sent` masked, whatever its case or accents."""
    sentence = sentence[: 10 * LONGEST]
    words = {_plain(word) for value in sent for word in _WORD.findall(value)}
    masked = _ALIKE.sub(MASK, sentence)
    masked = _WORD.sub(lambda m: MASK if _plain(m.group()) in words else m.group(), masked)
    return " ".join(masked.split())[:LONGEST]


def texts_in(value: Any, most: int = 2000) -> list[str]:
    """The texts and numbers within a value, at any depth, in order; no more than `most`."""
    found: list[str] = []
    waiting = [value]
    while waiting and len(found) < most:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += reversed(list(one.values()))
        elif isinstance(one, list | tuple):
            waiting += reversed(one)
        elif isinstance(one, str):
            found.append(one)
        elif isinstance(one, int | float) and not isinstance(one, bool):
            found.append(str(one))
    return found


__all__ = ["discreet", "texts_in"]
