"""Our own words, as they come back: texts that the gateway wrote into a GRU are no news from it."""

from __future__ import annotations

import hashlib
import re
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
    """Return the part of a text that stays when a far end keeps it as HTML or lays it out anew."""
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
    """Return the text without a key of ours in brackets that stands before or after it.

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


#: The signs at the end of a text that was cut.
_ENDING = re.compile(r"(?:…|\.\.\.)\s*(?:\[[^\[\]]{0,40}\])?\s*\Z")
_ANGLES = re.compile(r"<[^<>]{0,200}>")
_SIGNS = re.compile(r"[^a-z0-9]+")


def _is_left_of(text: str, ours: Iterable[str]) -> bool:
    """Is this long text what a far end left of one of ours?

    It may keep but the beginning, know no emoji nor accent nor typographic sign, write `?` for
    them or nothing, and leave out what stands in angles.
    """
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
    """Letters without their accents, and digits."""
    return _SIGNS.sub("", unicodedata.normalize("NFKD", text.replace("ß", "ss")).casefold())


def _bare(text: str) -> str:
    """Return the letters that have no accents, and digits."""
    return _SIGNS.sub("", unicodedata.normalize("NFC", text).casefold())


def texts(payload: Mapping[str, Json]) -> Iterator[str]:
    """Yield the long texts of a payload: short ones are codes and names, which anybody may
    write."""
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
