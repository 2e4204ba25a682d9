"""Reads an answer into objects, texts and lists for the YAML's expressions, or into its fault.

An element becomes its text, or an object of its children by their names, without prefixes. `@name`
is an attribute, and `#text` the text of an element that has attributes or children. An element that
the WSDL lets repeat is always a list. Names that the WSDL lacks are read, too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote
from xml.etree.ElementTree import Element
from xml.parsers import expat

from adapters.rest.expression import Json
from adapters.soap.xop import read_parts
from gateway.sdk import Unreadable, read_xml

#: The namespaces of envelopes, by version.
ENVELOPES: Final = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
#: Subcodes that a fault may have, one within the other.
_MOST_CODES: Final = 8
#: Characters kept of a fault's text.
_LONGEST_TEXT: Final = 16_000
#: Bytes that are read at once for the namespace of an answer.
_PIECE: Final = 1 << 16
_CODE: Final = re.compile(r"[\w./-]{1,200}")
#: The bytes that all named parts may come to, in sizes of the answer: a part may be named twice.
_MOST_INCLUDED: Final = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """An element as the WSDL describes it: its children, and those among them that repeat.

    `required` children must be given. An `open` element may have others.
    """

    children: Mapping[str, Shape] = field(default_factory=dict)
    several: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    open: bool = False

    @property
    def wraps(self) -> str | None:
        """Return the name of its only child, if that is a list."""
        (only,) = self.children if len(self.children) == 1 else (None,)
        return only if only in self.several else None


#: The shape of a simple value, or of an element that the WSDL does not describe.
NOTHING: Final = Shape()


@dataclass(frozen=True, slots=True)
class AnswerElement:
    """The element that an answer's body begins with; `space` is its namespace, empty for none."""

    name: str
    space: str = ""


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A fault.

    `codes` have no prefixes: the subcodes come first, then the name of the detail's element, then
    the code itself. `text` is for people; no decision uses it.
    """

    codes: tuple[str, ...]
    text: str = field(default="", repr=False)

    @property
    def listed(self) -> str:
        """Return the codes for an operator."""
        return ", ".join(code[:60] for code in self.codes) or "without a code"


def read_answer(
    shape: Shape, wanted: AnswerElement | None, content: bytes, _: str | None = None
) -> Json | SoapFault:
    """Return the body of an envelope, or its fault. Raises Unreadable.

    `wanted` is the expected element, if it is known.
    """
    root, parts = read_parts(content)
    envelope, _lost = read_xml(root)
    spaces = {value for name, value in envelope.attrib.items() if name.startswith("xmlns")}
    if envelope.tag != "Envelope" or not spaces.intersection(ENVELOPES.values()):
        raise Unreadable("not a SOAP envelope")
    body = envelope.find("Body")
    if body is None or not len(body):
        raise Unreadable("an envelope without a body")
    if body[0].tag == "Fault":
        return _fault(body[0])
    if wanted is not None:
        if body[0].tag != wanted.name:
            raise Unreadable("the answer of another operation")
        if _space_in_body(root) not in (None, wanted.space):
            raise Unreadable("the answer of another namespace")
    return _value(body[0], shape, _Parts(parts, _MOST_INCLUDED * len(content)))


class _Seen(Exception):
    """The namespace of what was looked for."""


def _space_in_body(envelope: bytes) -> str | None:
    """Return the namespace of the first element in the body, empty for none.

    None where the document cannot be read so far, though `read_xml`, which knows no namespaces, has
    mended and read it.
    """
    depth, within = 0, False

    def start(name: str, _: object) -> None:
        nonlocal depth, within
        depth += 1
        space, _, local = name.rpartition("\n")
        if within:
            raise _Seen(space)
        within = depth == 2 and local == "Body"

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate(namespace_separator="\n")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        for at in range(0, len(envelope), _PIECE):
            parser.Parse(envelope[at : at + _PIECE], False)
    except _Seen as seen:
        return str(seen)
    except (expat.ExpatError, LookupError, UnicodeError):
        return None
    return None


def _fault(fault: Element) -> SoapFault:
    codes: list[str] = []
    at = fault.find("Code")
    while at is not None and len(codes) < _MOST_CODES:
        codes.insert(0, at.findtext("Value") or "")
        at = at.find("Subcode")
    if not codes:
        codes = [fault.findtext("faultcode") or ""]
    detail = fault.find("detail")
    detail = fault.find("Detail") if detail is None else detail
    if detail is not None and len(detail):
        codes.insert(-1, detail[0].tag)
    bare = (code.strip().rpartition(":")[2] for code in codes)
    # A code that is no name is a text in the wrong place, and may quote the citizen.
    text = fault.findtext("faultstring") or fault.findtext("Reason/Text") or ""
    return SoapFault(tuple(code for code in bare if _CODE.fullmatch(code)), text[:_LONGEST_TEXT])


@dataclass(slots=True)
class _Parts:
    """The parts of an answer by their names, and the bytes of them that may still be taken."""

    contents: Mapping[str, bytes]
    left: int

    def taken(self, href: str) -> str:
        content = self.contents.get(unquote(href.removeprefix("cid:")))
        if content is None:
            raise Unreadable("a part that is named is not there")
        self.left -= len(content)
        if self.left < 0:
            raise Unreadable("its parts are named too often")
        return base64.b64encode(content).decode("ascii")


def _value(element: Element, shape: Shape, parts: _Parts) -> Json:
    inside: dict[str, Json] = {}
    for name, value in element.attrib.items():
        local = name.rpartition(":")[2]
        if local == "nil" and value.strip() in ("true", "1"):
            return _filled({}, shape) if shape.wraps else None
        if not name.startswith("xmlns"):
            inside[f"@{local}"] = value
    if len(element) == 1 and element[0].tag == "Include" and "href" in element[0].attrib:
        return parts.taken(element[0].attrib["href"])
    for child in element:
        name, value = child.tag, _value(child, shape.children.get(child.tag, NOTHING), parts)
        if name in shape.several:
            inside.setdefault(name, []).append(value)
        elif name not in inside:
            inside[name] = value
        elif isinstance(inside[name], _Several):
            inside[name].append(value)
        else:
            inside[name] = _Several([inside[name], value])
    text = (element.text or "").strip()
    if not inside and (text or not shape.children):
        return text or None
    if text:
        inside["#text"] = text
    return _filled(inside, shape)


def _filled(inside: dict[str, Json], shape: Shape) -> Json:
    """Add the lists that are missing: they are empty."""
    for name in shape.several:
        inside.setdefault(name, [])
    for name, child in shape.children.items():
        if child.wraps and inside.get(name) is None and name not in shape.several:
            inside[name] = {child.wraps: []}
    return {name: list(v) if isinstance(v, _Several) else v for name, v in inside.items()}


class _Several(list[Any]):
    """Several elements of a name that the WSDL does not let repeat."""


__all__ = ["ENVELOPES", "NOTHING", "AnswerElement", "Shape", "SoapFault", "read_answer"]
