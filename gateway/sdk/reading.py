"""Readers for texts of far ends, which accept common faults of encoding.

JSON and XML come with byte order marks, as Windows-1252 that is declared as UTF-8, with control
characters of a word processor, with `&eacute;` or a bare `&`. A correct text is read strictly; only
an incorrect one is repaired. Values and depth are bounded while the text is read; the caller bounds
the bytes. Larger texts are read in a thread (`gateway.sdk.work`), and nothing here holds the
interpreter lock for long.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from html.entities import html5
from typing import Any, Final, Literal
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import orjson

from gateway.core import richtext
from gateway.core.request import Json
from gateway.sdk import pieces
from gateway.sdk.work import SMALL

#: A text of more bytes, or of more signs between values, is parsed in pieces.
_WHOLE: Final = 512 * 1024
_WHOLE_SIGNS: Final = 30_000
#: More values than this, rows and fields counted alike, are nobody's answer to one question.
MOST_VALUES: Final = 250_000
#: The same of XML, of which each costs more.
MOST_ELEMENTS: Final = 100_000
#: Deeper nesting than this means nothing that an adapter could look for.
DEEPEST: Final = 64
#: A note is cut at this length, and says so.
LONGEST_NOTE: Final = 20_000
_CUT: Final = "… [texte coupé]"
#: The spelling of a text that may be HTML: the text itself shows it, always HTML, never HTML, or
#: HTML that was escaped once more (`&lt;p&gt;`).
Html = Literal["auto", "always", "never", "escaped"]


class Unreadable(ValueError):
    """The text of a far end cannot be read. The message holds nothing of it."""


class TooManyValues(Unreadable):
    """The text holds more values than allowed."""


# --- bytes ----------------------------------------------------------------------------------


def _windows(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes that are not UTF-8 as Windows-1252, which they nearly always are."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return bad.decode("cp1252", "replace"), error.end


codecs.register_error("gateway.windows", _windows)

_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(body: bytes, declared: str | None = None) -> str:
    """Decode bytes: by their byte order mark, else as UTF-8 if valid, else as declared, else as
    UTF-8 with Windows-1252 in between. Servers often declare another encoding than they send."""
    for mark, charset in _MARKS:
        if body.startswith(mark):
            return body.decode(charset, "replace").removeprefix("\ufeff")
    declared = _known(declared)
    for named in (declared if b"\0" in body else None, "utf-8", declared):
        try:
            if named is not None:
                return body.decode(named)
        except (LookupError, ValueError):
            pass
    if len(body) > SMALL and len(body.decode("utf-8", "ignore").encode()) < len(body) * 0.9:
        return body.decode("cp1252", "replace")  # character by character it would take for ever
    return body.decode("utf-8", "gateway.windows")


def _known(charset: str | None) -> str | None:
    """Return the charset if it is a known one. `punycode` is refused: Python decodes it in
    quadratic time."""
    try:
        return charset if charset and _CHARSET.match(codecs.lookup(charset).name) else None
    except (LookupError, ValueError):
        return None


_CHARSET = re.compile(r"utf-(?:8|16|32)|iso8859|cp\d|ascii|mac|koi8")


def read_base64(text: str) -> bytes | None:
    """Decode a Base64 text, or return None for anything else.

    The text may have line breaks, padding or none, either alphabet, and `data:...;base64,` before
    it.
    """
    at = 0
    if text.startswith("data:"):
        at = text.find(",") + 1 or len(text)
    read: list[bytes] = []
    rest, ended = "", False
    try:
        for begin in range(at, len(text), _WHOLE):  # a thread that decodes keeps the interpreter
            packed = rest + "".join(text[begin : begin + _WHOLE].split())
            bare = packed.rstrip("=")
            if "=" in bare or (ended and bare):
                return None
            ended = ended or len(bare) < len(packed)
            whole = len(bare) if ended else len(bare) // 4 * 4
            read.append(_decode(bare[:whole]))
            rest = bare[whole:]
        read.append(_decode(rest))
    except (binascii.Error, ValueError):
        return None
    return b"".join(read)


def _decode(packed: str) -> bytes:
    padded = packed.translate(_ALPHABET) + "=" * (-len(packed) % 4)
    return base64.b64decode(padded, validate=True)


_ALPHABET = str.maketrans("-_", "+/")


# --- JSON -----------------------------------------------------------------------------------

#: An escape that JSON knows, or a lone backslash.
_BACKSLASH = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')
_HALF = re.compile("[\ud800-\udfff]")


def read_json(
    body: bytes,
    declared: str | None = None,
    *,
    numbers_as_text: bool = False,
    values: int = MOST_VALUES,
) -> Json:
    """Parse a JSON text. Raises Unreadable; raises TooManyValues for more than `values` values.

    `declared` is the charset of the Content-Type. `numbers_as_text` keeps `001` and `1.50` as they
    are written. NaN and infinities become null.
    """
    read = partial(_read_piece, declared=declared, numbers_as_text=numbers_as_text)
    if len(body) <= SMALL or (len(body) <= _WHOLE and _signs(body) <= min(values, _WHOLE_SIGNS)):
        value = read(body)
        _check_depth(value)
        return value
    if b"\0" in body[:4] or body.startswith((codecs.BOM_UTF8, *_WIDE)):
        body = decoded(body, declared).lstrip("\ufeff").encode()
    try:
        return pieces.parse_pieces(body, read, values=values, depth=DEEPEST)
    except pieces.TooComplex as error:
        raise TooManyValues(str(error)) from None
    except pieces.NotJson:
        raise Unreadable("not JSON") from None


def _signs(body: bytes) -> int:
    """Return an upper bound of the number of values."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _read_piece(body: bytes, *, declared: str | None, numbers_as_text: bool) -> Json:
    if len(body) > _WHOLE:
        try:
            short, strings = pieces.long_strings(body)
        except pieces.NotJson:
            raise Unreadable("not JSON") from None
        if strings:
            read = partial(_read_piece, declared=declared, numbers_as_text=numbers_as_text)
            long = {word: _long_string(raw, read) for word, raw in strings.items()}
            return pieces.put_back(read(short), long)
    # orjson takes thirteen times the bytes while it works.
    if not numbers_as_text and len(body) <= _WHOLE:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    number = str if numbers_as_text else None
    text = decoded(body, declared).lstrip("\ufeff")
    try:
        try:
            value = _loads(text, number)
        except ValueError:
            mended = _BACKSLASH.sub(lambda m: m[0] if len(m[0]) > 1 else r"\\", text)
            value = _loads(mended, number)
    except (ValueError, RecursionError):
        raise Unreadable("not JSON") from None
    return _without_halves(value) if "\\u" in text else value


def _long_string(raw: bytes, read: Callable[[bytes], Json]) -> str:
    return "".join([read(b'"%b"' % part) for part in pieces.string_parts(raw)])


def _loads(text: str, number: Any) -> Json:
    return json.loads(
        text, strict=False, parse_int=number, parse_float=number, parse_constant=lambda _: None
    )


def _check_depth(value: Json) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if type(outer) in (dict, list)
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in (dict, list)
        ]
        if not level:
            return
    raise TooManyValues("nested too deeply")


def _without_halves(value: Json) -> Json:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_without_halves(k): _without_halves(v) for k, v in value.items()}
    return [_without_halves(v) for v in value] if isinstance(value, list) else value


# --- XML ------------------------------------------------------------------------------------

# Tied to the beginning: looked for behind each of many spaces, it would be quadratic.
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,400}\?>")
_XML_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{0,31}));")
_OWN = frozenset({"amp", "lt", "gt", "quot", "apos"})
#: An ampersand or a smaller-than sign that XML does not take where it stands.
_LOOSE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)|<(?![A-Za-z_/!?])")


def read_xml(
    body: bytes, rows: frozenset[str] = frozenset(), *, values: int = MOST_ELEMENTS
) -> tuple[Element, int]:
    """Parse an XML document. Return its root, and the number of rows that were lost.

    Raises Unreadable; raises TooManyValues for more than `values` elements and attributes. `rows`:
    the names of the elements of a list; none of them contains another one. If the document cannot
    be read as a whole, each row is read separately, and the readable rows make up the list. A
    document type is refused: its entities can expand without end, or name a file.
    """
    try:
        return _parsed(body, values), 0
    except expat.ExpatError:
        pass
    declared = _DECLARED.match(body.removeprefix(codecs.BOM_UTF8))
    text = decoded(body, declared[1].decode("ascii") if declared else None)
    text = _mended(_DECLARATION.sub("", text, count=1))
    try:
        return _parsed(text, values), 0
    except expat.ExpatError:
        return _row_by_row(text, rows, values)


def _parsed(document: bytes | str, values: int) -> Element:
    """Raises ExpatError where it is not well-formed, Unreadable where it is not wanted."""
    builder = TreeBuilder()
    depth = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth += 1
        count += 1 + len(attributes)
        if depth > DEEPEST:
            raise TooManyValues("nested too deeply")
        if count > values:
            raise TooManyValues(f"more than {values} values")
        builder.start(name.rpartition("}")[2].rpartition(":")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition("}")[2].rpartition(":")[2])

    def refuse(*_: object) -> None:
        raise Unreadable("declares a document type")

    parser = expat.ParserCreate(None if isinstance(document, bytes) else "utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        for at in range(0, len(document), _WHOLE):
            parser.Parse(document[at : at + _WHOLE], False)
        parser.Parse(b"", True)
    except (LookupError, UnicodeError):
        # A charset that nobody knows, or half a character.
        raise expat.ExpatError("unknown encoding") from None
    return builder.close()


def _mended(text: str) -> str:
    """Return the text with the characters that XML forbids escaped or removed. CDATA sections
    stay."""
    out: list[str] = []
    for piece in _pieces(text):
        for part, as_it_is in _sections(richtext.clean_text(piece)):
            out.append(part if as_it_is else _LOOSE.sub(_escaped, _XML_ENTITY.sub(_allowed, part)))
    return "".join(out)


def _pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces that end after a tag and outside of CDATA sections, where
    possible."""
    at = 0
    while at < len(text):
        end = at + _WHOLE // 2
        section = text.rfind("<![CDATA[", at, end)
        if section >= 0 and text.find("]]>", section, end) < 0:
            inside = text.find("]]>", end)
            end = inside if inside >= 0 else end
        cut = text.find(">", end) if end < len(text) else -1
        end = cut + 1 if cut >= 0 else len(text)
        yield text[at:end]
        at = end


def _sections(text: str) -> Iterator[tuple[str, bool]]:
    at = 0
    while (begin := text.find("<![CDATA[", at)) >= 0 and (end := text.find("]]>", begin)) >= 0:
        yield text[at:begin], False
        yield text[begin : end + 3], True
        at = end + 3
    yield text[at:], False


def _allowed(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name is not None:
        if name in _OWN:
            return found[0]
        known = html5.get(name + ";")
        return f"&amp;{name};" if known is None else _in_xml(known)
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return _in_xml(richtext.clean_text(chr(code))) if code <= 0x10FFFF else ""


def _in_xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _escaped(found: re.Match[str]) -> str:
    return "&amp;" if found[0] == "&" else "&lt;"


def _row_by_row(text: str, rows: frozenset[str], values: int) -> tuple[Element, int]:
    if "<!DOCTYPE" in text.upper():
        raise Unreadable("declares a document type")
    root, lost = Element("rows"), 0
    for name in sorted(rows):
        opening = re.compile(rf"<{re.escape(name)}(?=[\s>])")
        closing = f"</{name}>"
        at = 0
        while (begin := opening.search(text, at)) is not None:
            end = text.find(closing, begin.start())
            if end < 0:
                lost += 1  # the list was cut short
                break
            at = end + len(closing)
            try:
                root.append(_parsed(text[begin.start() : at], values))
            except (expat.ExpatError, Unreadable):
                lost += 1
            if len(root) + lost > values // 10:
                raise TooManyValues(f"more than {values // 10} rows")
    if not len(root):
        raise Unreadable("not XML")
    return root, lost


# --- words ----------------------------------------------------------------------------------


#: Of a note so many characters are looked at.
_NOTE_READ: Final = 2 * LONGEST_NOTE
_PICTURE = re.compile(r"data:[A-Za-z0-9.+/;=,-]{200,}")


def note_text(value: Json, html: Html = "auto") -> str | None:
    """Return a text that somebody wrote, as the citizen is to read it. None if it is no text, or
    empty.

    `auto`: `gateway.core.richtext` decides whether it is HTML or plain text, also if it was escaped
    twice. Control characters are removed, and a text longer than `LONGEST_NOTE` is cut.
    """
    if not isinstance(value, str):
        return None
    text = value
    if len(text) > _NOTE_READ:
        # Pictures may stand in it as long as they like; of words, so many are nobody's note.
        text = _PICTURE.sub("", text)[:_NOTE_READ]
    if html == "escaped":
        text = richtext.unescaped(text)
    if html in ("always", "escaped") or (html == "auto" and richtext.is_html(text)):
        text = richtext.to_text(text)
    elif html == "auto" and richtext.has_entities(text):
        text = richtext.unescaped(text)
        if richtext.is_html(text):
            text = richtext.to_text(text)
    text = richtext.clean_text(text).strip()
    if len(text) > LONGEST_NOTE:
        text = text[: LONGEST_NOTE - len(_CUT)] + _CUT
    return text or None


__all__ = [
    "DEEPEST",
    "LONGEST_NOTE",
    "MOST_VALUES",
    "Html",
    "TooManyValues",
    "Unreadable",
    "decoded",
    "note_text",
    "read_base64",
    "read_json",
    "read_xml",
]
