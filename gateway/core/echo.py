"""Recognises our own words when a GRU sends them back: they are no news."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.core.request import Json
from gateway.core.richtext import has_entities, is_html, to_text, unescaped

#: Characters from which the same text is surely ours: nobody writes it again by chance.
LONG = 40
#: The error of a far end's clock about our writing: a wrong zone.
ASKEW = timedelta(hours=3)
#: Texts of one payload that are recognised.
_TEXTS = 200


@dataclass(frozen=True, slots=True)
class WrittenText:
    """A text that we wrote into a GRU, at some time from `since` to `until` of our clock."""

    text: str
    since: datetime
    until: datetime


def fingerprint(text: str) -> str:
    """Return the part of a text that survives a far end's HTML and layout."""
    letters = "".join(unicodedata.normalize("NFKC", _plain(text)).split()).casefold()
    return hashlib.sha256(letters.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _plain(text: str) -> str:
    plain = to_text(text) if is_html(text) else text
    return unescaped(plain) if has_entities(plain) else plain


def is_echo(text: str, at: datetime | None, written: Iterable[WrittenText], heard: int) -> bool:
    """Is this text of a GRU one that we wrote into it? `heard` is how often it came back before.

    A short text, such as « Merci », may be an agent's own: it counts as ours once for each time
    that we wrote it, unless its date is of another time.
    """
    mine = fingerprint(text)
    ours = list(written)
    alike = [one for one in ours if fingerprint(one.text) == mine]
    if alike and len(text) >= LONG:
        return True
    if not alike:
        return _is_left_of(text, [one.text for one in ours])
    if heard >= len(alike):
        return False
    return at is None or any(one.since - ASKEW <= at <= one.until + ASKEW for one in alike)


def unsigned(text: str, keys: Iterable[str]) -> str:
    """Return the text without a key of ours in brackets before or after it. `keys` are those that
    we sent; a file's key is its event's with a suffix."""
    bare = _plain(text).strip()
    ours = [letters for key in keys if (letters := _letters(key))]
    for opened, closed in ((0, bare.find("]")), (bare.rfind("["), len(bare) - 1)):
        if not 0 <= opened < closed or (bare[opened], bare[closed]) != ("[", "]"):
            continue
        if any(_letters(bare[opened:closed]).startswith(one) for one in ours):
            return (bare[:opened] + bare[closed + 1 :]).strip()
    return text


#: The end of a text that was cut.
_ENDING = re.compile(r"(?:…|\.\.\.)\s*(?:\[[^\[\]]{0,40}\])?\s*\Z")
_ANGLES = re.compile(r"<[^<>]{0,200}>")
_SIGNS = re.compile(r"[^a-z0-9]+")


def _is_left_of(text: str, ours: Iterable[str]) -> bool:
    """Is this long text the rest of one of ours? A far end may keep only the beginning, replace
    emojis, accents and typographic signs by `?` or nothing, and drop what is in angle brackets."""
    ending = _ENDING.search(text[-100:])
    kept = text if ending is None else text[: len(text) - len(ending[0])]
    if len(kept) < LONG:
        return False
    for letters in (_folded, _bare):
        left = letters(kept)
        if len(left) >= LONG // 2 and any(
            letters(whole).startswith(left)
            for one in ours
            if len(one) >= LONG
            for whole in {one, _ANGLES.sub("", one)}
        ):
            return True
    return False


def _folded(text: str) -> str:
    """Return the letters without accents, and the digits."""
    return _SIGNS.sub("", unicodedata.normalize("NFKD", text.replace("ß", "ss")).casefold())


def _bare(text: str) -> str:
    """Return the unaccented letters, and the digits."""
    return _SIGNS.sub("", unicodedata.normalize("NFC", text).casefold())


def texts(payload: Mapping[str, Json]) -> Iterator[str]:
    """Yield the long texts of a payload: short ones are codes and names that anybody may write."""
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
    """Are these one key of ours? A far end may keep only its letters and digits."""
    return _letters(one) == _letters(other) != ""


def _letters(key: str) -> str:
    return "".join(c for c in key.casefold() if c.isalnum())


__all__ = ["WrittenText", "fingerprint", "is_echo", "same_key", "texts", "unsigned"]
