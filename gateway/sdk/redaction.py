"""Texts of far ends, without the citizen's data that they repeat.

Servers quote what they refuse ("email zoe@... is invalid"). An operator needs the sentence, and may
not store the person's data. The words that we sent are masked, then everything that looks like an
address, a long number or the bytes of a file. The rest is bounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import httpx
from pydantic import BaseModel, SecretStr

from gateway.core.richtext import clean_text
from gateway.sdk.reading import decoded, note_text

MASK = "…"
#: An answer is kept up to so many characters.
LONGEST = 2000
#: So many bytes of it are looked at, so that masking and tags leave enough.
_READ = 8 * LONGEST
#: Names of files join words by `_`.
_WORD = re.compile(r"[^\W_]+")
#: The characters of an address, before its end.
_NAMED = r"""[^\s"'<>()\[\]{},;:=&?/]"""
_ALIKE = re.compile(
    # Looked for once from a word's beginning: from each of its letters would be quadratic.
    rf"""https?://[^\s"'<>]+|(?<!{_NAMED}){_NAMED}+@[\w.-]+|\+?\d(?:[\d .-]{{4,}}\d)"""
    r"|[A-Za-z0-9+/=_-]{40,}"
    # A word of a mail's header, as it is written there (RFC 2047).
    r"|=\?[A-Za-z0-9_-]{1,30}\?[BbQq]\?[!->@-~]{1,100}\?="
)
#: A value of more words is a text: its short words are everybody's. Of a name, each is masked.
_NAME = 5
_SHORT = 3
#: A character of UTF-8 that somebody has taken for several.
_TWICE = re.compile("[\u00c2-\u00f4][\u0080-\u00bf]{1,3}")
#: The spellings of a character in JSON and other programs' texts.
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|([nrtbf"/\\]))')


def answer_text(response: httpx.Response, content: bytes, sent: Iterable[str] = ()) -> str:
    """Return a far end's answer for an operator: its status, then the beginning of its body as
    plain text, `LONGEST` characters at most, without the words of `sent`.

    `content` is the body, or its beginning. `sent` is what the call carried, including our secrets.
    """
    text = decoded(content[:_READ], response.charset_encoding)
    for _ in range(2):  # an answer often holds another one as text
        text = _ESCAPE.sub(_meant, text)
    text = _TWICE.sub(_once, unquote(text, errors="replace"))
    text = note_text(text) or ""
    whole = len(content) <= _READ
    status = f"HTTP {response.status_code} {response.reason_phrase}"
    return masked(f"{status}\n{text if whole else _without_end(text)}", sent)


def masked(text: str, sent: Iterable[str]) -> str:
    """Return `text` with the words of `sent` masked, whatever their case or accents, and cut."""
    text = clean_text(unicodedata.normalize("NFC", text))
    if len(text) > _READ:
        text = _without_end(text[:_READ])
    words = {_plain(word) for value in sent for word in _telling(value)}
    masked = _ALIKE.sub(MASK, text)
    masked = _WORD.sub(lambda m: MASK if _plain(m.group()) in words else m.group(), masked)
    lines = (" ".join(line.split()) for line in masked.splitlines())
    return "\n".join(line for line in lines if line)[:LONGEST].rstrip()


def secrets_in(options: BaseModel) -> list[str]:
    """Return the secrets within options, at any depth."""
    found: list[str] = []
    waiting: list[Any] = [options]
    while waiting:
        one = waiting.pop()
        if isinstance(one, SecretStr):
            found.append(one.get_secret_value())
        elif isinstance(one, BaseModel):
            waiting += [value for _, value in one]
        elif isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
    return found


def texts_in(value: Any, most: int = 2000) -> list[str]:
    """Return the texts and numbers of a value, at any depth, in order; `most` of them at most."""
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


def _telling(value: str) -> list[str]:
    """Return the words of a value that identify somebody."""
    words = _WORD.findall(unicodedata.normalize("NFC", value))
    return words if len(words) <= _NAME else [word for word in words if len(word) > _SHORT]


def _plain(word: str) -> str:
    spread = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in spread if not unicodedata.combining(c))


def _without_end(text: str) -> str:
    """Return the text without its last word, which may be half a name."""
    return text[:-200] + re.sub(r"\S*\Z", "", text[-200:])


def _once(found: re.Match[str]) -> str:
    try:
        return found[0].encode("latin-1").decode("utf-8")
    except UnicodeError:
        return found[0]


def _meant(found: re.Match[str]) -> str:
    code, letter = found.groups()
    if code is not None:
        return chr(int(code, 16))
    return letter if letter in '"/\\' else " "


__all__ = ["LONGEST", "answer_text", "masked", "secrets_in", "texts_in"]
