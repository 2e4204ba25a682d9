"""Rich text (HTML) in pieces and as plain text, and the rule that tells rich text from plain.

Linear in the text's length whatever is in it: each tag is looked for up to the next `<` only, and
what has no end is not looked for again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from html.entities import html5

BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote br center dd details dir div dl dt fieldset figcaption"
        " figure footer form h1 h2 h3 h4 h5 h6 header hr legend li main menu nav ol p pre section"
        " summary table tbody tfoot thead tr ul",
    )
)
_INLINE = frozenset(
    re.findall(
        r"\w+",
        "a abbr acronym b bdi bdo big body caption cite code col colgroup data del dfn em embed"
        " font head html i iframe img input ins kbd label link mark meta nobr noscript object"
        " option picture q s samp script select small source span strike strong style sub sup"
        " td template textarea th time title tt u var video wbr",
    )
)
_KNOWN = BLOCKS | _INLINE
#: Their content is not for reading.
_UNREAD = frozenset({"script", "style", "title", "template", "noscript", "iframe", "object"})
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "table"}
)
_CELLS = frozenset({"td", "th"})

# An attribute has a value, as rich text writes them: « <b et c> » is what somebody typed.
_TAG = re.compile(
    r"""<(?P<end>/)?(?P<name>[a-zA-Z][a-zA-Z0-9:]*+)
        (?>(?:\s++(?:[a-zA-Z_][\w:.-]*+\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'|[^\s"'<>=`]++)
             |(?:checked|compact|controls|disabled|hidden|noshade|nowrap|open|reversed|selected)\b)
        )*)\s*+/?>""",
    re.VERBOSE,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
#: Control characters but tab and line feed, what is half a character, and what is none.
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_LINE = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_BLANKS = re.compile(r"[ \t\r\n\f]+")


def is_html(text: str) -> bool:
    """Is there at least one well-formed tag of an element of HTML in it?

    `<zoe@exemple.invalid>`, `5 < 6`, `<un mètre>`, `&para=2` and `&lt;` by itself are plain text.
    """
    return any(name in _KNOWN for name, _ in _tags(text))


def has_entities(text: str) -> bool:
    """Is there a character of HTML in it (`&eacute;`, `&#39;`), with its semicolon?"""
    return any(_character(found) != found.group() for found in _ENTITY.finditer(text))


def unescaped(text: str) -> str:
    """Return the text with its characters of HTML written out, once; `&para=2` has no semicolon."""
    return _ENTITY.sub(_character, text)


def clean_text(text: str) -> str:
    """Return the text without control characters and halves of characters, which no store takes.

    A vertical tab or a form feed is a line's end, as a word processor means it.
    """
    return _NOT_TEXT.sub("", _LINE.sub("\n", text))


def to_text(html: str) -> str:
    """Rich text without its tags: blocks become lines, paragraphs stand apart, characters of HTML
    are written out. Line ends of the source count only where no block does.
    """
    blocks = has_blocks(html)
    out: list[str] = []
    lines = 0  # that are to come before the next words
    for piece in pieces(html):
        if isinstance(piece, str):
            words = unescaped(_BLANKS.sub(" ", piece) if blocks else piece)
            if lines and not words.strip():
                continue
            out += ["\n" * lines, words]
            lines = 0
        elif piece.name == "br":
            lines += 1
        elif piece.name in BLOCKS:
            lines = max(lines, 2 if piece.name in _PARAGRAPHS else 1)
        elif piece.name in _CELLS:
            out.append(" ")
    kept = [line.strip(" \t\r") for line in clean_text("".join(out)).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def has_blocks(html: str) -> bool:
    """Is there a tag in it that begins a line? Then line ends of the source are blanks."""
    return any(name in BLOCKS for name, _ in _tags(html))


def _tags(text: str) -> Iterator[tuple[str, bool]]:
    for found in _TAG.finditer(text):
        yield found["name"].lower(), bool(found["end"])


@dataclass(frozen=True, slots=True)
class HtmlTag:
    """A tag; `ends` tells `</p>` from `<p>`. `written` is all of it, with its attributes."""

    name: str
    ends: bool
    written: str


def pieces(html: str) -> Iterator[str | HtmlTag]:
    """Yield texts and tags. Comments and what is not for reading are gone."""
    at, text = 0, 0
    lowered = html.lower()
    if len(lowered) != len(html):  # a letter that grows: places would no longer agree
        lowered = html
    endless: set[str] = set()
    while (at := html.find("<", at)) >= 0:
        found = _TAG.match(html, at)
        if found is not None:
            name = found["name"].lower()
            if name not in _KNOWN and ":" not in name:
                at += 1
                continue
            yield html[text:at]
            yield HtmlTag(name, bool(found["end"]), found.group())
            at = text = found.end()
            if name in _UNREAD and not found["end"]:
                at = text = _past(lowered, f"</{name}", at, endless)
            continue
        if html.startswith("<!--", at):
            end = _past(html, "-->", at + 4, endless, len("-->"))
        elif html[at : at + 2] in ("<!", "<?") and html[at + 2 : at + 3].isalpha():
            end = _past(html, ">", at, endless, 1)
        else:
            at += 1
            continue
        if end == at + 4 or end == at:  # it has no end: it is what somebody typed
            at += 1
            continue
        yield html[text:at]
        at = text = end
    yield html[text:]


def _past(html: str, mark: str, at: int, endless: set[str], length: int = 0) -> int:
    """Return where the mark ends; `at` where there is none, which is looked for once only."""
    if mark in endless:
        return at
    found = html.find(mark, at)
    if found < 0:
        endless.add(mark)
        return at
    return found + length


def _character(found: re.Match[str]) -> str:
    entity = found.group()
    if entity[1] == "#":
        return unescape(entity)
    return html5.get(entity[1:], entity)


__all__ = [
    "BLOCKS",
    "HtmlTag",
    "clean_text",
    "has_blocks",
    "has_entities",
    "is_html",
    "pieces",
    "to_text",
    "unescaped",
]
