"""Our own words, as they come back: texts that the gateway wrote into a GRU are no news from it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.core.request import Json
from gateway.core.richtext import has_entities, is_html, to_text, unescaped

#: From so many characters on, the same text is the same words: nobody writes them again by chance.
LONG = 40
#: How far a far end's clock may be wrong about when it was written to: a zone read wrongly.
ASKEW = timedelta(hours=3)
#: Of one payload, at most so many texts are known again.
_TEXTS = 200


@dataclass(frozen=True, slots=True)
class Written:
    """A text that we wrote into a GRU, at some time from `since` to `until`, by our clock."""

    text: str
    since: datetime
    until: datetime


def fingerprint(text: str) -> str:
    """What stays of a text when a far end keeps it as HTML or lays it out anew."""
    letters = "".join(unicodedata.normalize("NFKC", _plain(text)).split()).casefold()
    return hashlib.sha256(letters.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _plain(text: str) -> str:
    plain = to_text(text) if is_html(text) else text
    return unescaped(plain) if has_entities(plain) else plain


def is_echo(text: str, at: datetime | None, written: Iterable[Written], heard: int) -> bool:
    """Is this text of a GRU one that we wrote into it? `heard`: so often it came back already.

    A short one, such as « Merci », may well be an agent's own: it is ours once for each time that
    we wrote it, and not when its date says that it was written at another time.
    """
    mine = fingerprint(text)
    alike = [one for one in written if fingerprint(one.text) == mine]
    if not alike or len(text) >= LONG:
        return bool(alike)
    if heard >= len(alike):
        return False
    return at is None or any(one.since - ASKEW <= at <= one.until + ASKEW for one in alike)


def unsigned(text: str, keys: Iterable[str]) -> str:
    """The text without a key of ours in brackets that stands before or after it.

    `keys`: those that we sent; a file's key is its event's with an ending.
    """
    bare = _plain(text).strip()
    ours = [letters for key in keys if (letters := _letters(key))]
    for opened, closed in ((0, bare.find("]")), (bare.rfind("["), len(bare) - 1)):
        if not 0 <= opened < closed or (bare[opened], bare[closed]) != ("[", "]"):
            continue
        if any(_letters(bare[opened:closed]).startswith(one) for one in ours):
            return (bare[:opened] + bare[closed + 1 :]).strip()
    return text


def texts(payload: Mapping[str, Json]) -> Iterator[str]:
    """The long texts of a payload: short ones are codes and names, which anybody may write."""
    waiting: list[Json] = [payload]
    found = 0
    while waiting and found < _TEXTS:
        value = waiting.pop()
        if isinstance(value, str) and len(value) >= LONG:
            found += 1
            yield value
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def same_key(one: str, other: str) -> bool:
    """Are these one key of ours? A far end may keep but the letters and digits of it."""
    return _letters(one) == _letters(other) != ""


def _letters(key: str) -> str:
    return "".join(c for c in key.casefold() if c.isalnum())


__all__ = ["Written", "fingerprint", "is_echo", "same_key", "texts", "unsigned"]
