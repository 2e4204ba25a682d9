"""XML for the YAML: an answer as objects, texts and lists, and a body made from the same.

An element is its text, or an object of its children. `@name` is an attribute; `#text` is the text
of an element with attributes or children. Names lose their prefix when read, and are written as
given. An element that occurs once is not a list, unless `xml_lists` names its parent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from adapters.rest.expression import ExpressionFault, Json, RestExpression
from adapters.rest.texts import say
from gateway.sdk import Message, read_xml

_NAME = re.compile(r"(?:([A-Za-z_][\w.-]{0,99}):)?[A-Za-z_][\w.-]{0,99}", re.ASCII)
#: Characters that XML 1.0 does not have, and halves of pairs.
_NO_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT = "#text"


def read(lists: Mapping[str, str], content: bytes, declared: str | None = None) -> Json:
    """Return a document as one object, by the name of its root. Raises Unreadable."""
    root, _ = read_xml(content, frozenset(lists.values()))
    return {_local(root.tag): _value(root, lists)}


def _value(element: Element, lists: Mapping[str, str]) -> Json:
    listed = lists.get(_local(element.tag))
    inside: dict[str, Json] = {} if listed is None else {listed: []}
    nil = False
    for name, value in element.attrib.items():
        nil = nil or (_local(name) == "nil" and value in ("true", "1"))
        if not name.startswith("xmlns"):
            inside[f"@{_local(name)}"] = value
    if nil:
        return None
    for child in element:
        name, value = _local(child.tag), _value(child, lists)
        before = inside.get(name)
        if name == listed and isinstance(before, list):
            before.append(value)
        elif name not in inside:
            inside[name] = value
        elif isinstance(before, _Several):
            before.append(value)
        else:
            inside[name] = _Several([before, value])
    text = (element.text or "").strip()
    if not inside:
        return text or None
    if text:
        inside[_TEXT] = text
    return {name: list(v) if isinstance(v, _Several) else v for name, v in inside.items()}


class _Several(list[Json]):
    """Elements with one name. It is a class so that it differs from one element whose value is a
    list."""


def _local(name: str) -> str:
    return name.rpartition("}")[2].rpartition(":")[2]


def reading_with(lists: Mapping[str, str]) -> partial[Json]:
    """Return the function by which `gateway.sdk.send` reads an answer."""
    return partial(read, lists)


# --- bodies ---------------------------------------------------------------------------------


def faults_of(tree: Json) -> list[Message]:
    """Return the faults in the tree of a body, as far as the file shows them."""
    if isinstance(tree, RestExpression):
        return []
    if not isinstance(tree, dict) or len(tree) != 1:
        return [say("xml_root")]
    return _faults_in(tree, frozenset({"xml"}))


def _faults_in(tree: Json, prefixes: frozenset[str]) -> list[Message]:
    if isinstance(tree, list):
        return [fault for one in tree for fault in _faults_in(one, prefixes)]
    if not isinstance(tree, dict):
        return []
    faults: list[Message] = []
    for name, child in tree.items():
        within = prefixes | _declared(child)
        wrong = _wrong(name, prefixes if name.startswith("@") else within)
        faults += [wrong] if wrong is not None else _faults_in(child, within)
    return faults


def _declared(value: Json) -> frozenset[str]:
    """Return the prefixes that an element's attributes declare."""
    if isinstance(value, list):
        return frozenset().union(*map(_declared, value))
    if not isinstance(value, dict):
        return frozenset()
    start = "@xmlns:"
    return frozenset(name[len(start) :] for name in value if name.startswith(start))


def _wrong(name: str, prefixes: frozenset[str]) -> Message | None:
    if name == _TEXT:
        return None
    found = _NAME.fullmatch(name.removeprefix("@"))
    if found is None:
        return say("xml_name", name=repr(name))
    prefix = found[1]
    if prefix is None or prefix == "xmlns" or prefix in prefixes:
        return None
    # An attribute may use what its own element declares: that is told when it is written.
    return None if name.startswith("@") else say("xml_prefix", prefix=prefix)


def write(content: Json) -> bytes:
    """Return the document of a rendered body. Raises ExpressionFault."""
    if not isinstance(content, dict) or len(content) != 1:
        raise ExpressionFault("the XML body has not one root element")
    ((name, value),) = content.items()
    if isinstance(value, list):
        raise ExpressionFault("the XML body has not one root element")
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _element(name, value, frozenset({"xml"}), out)
    return "".join(out).encode()


def _element(name: str, value: Json, prefixes: frozenset[str], out: list[str]) -> None:
    """Write an element; for a list, write one per entry. null is left out."""
    if isinstance(value, list):
        for one in value:
            _element(name, one, prefixes, out)
        return
    if value is None:
        return
    within = prefixes | _declared(value)
    _check(name, within)
    out.append(f"<{name}")
    if not isinstance(value, dict):
        out.append(f">{escape(writable_text(value))}</{name}>")
        return
    for key, one in value.items():
        if key.startswith("@") and one is not None:
            _check(key[1:], within)
            out.append(f" {key[1:]}={quoteattr(writable_text(one))}")
    out.append(">")
    for key, one in value.items():
        if key == _TEXT and one is not None:
            out.append(escape(writable_text(one)))
        elif not key.startswith("@"):
            _element(key, one, within, out)
    out.append(f"</{name}>")


def _check(name: str, prefixes: frozenset[str]) -> None:
    found = _NAME.fullmatch(name)
    if found is None:
        raise ExpressionFault("a name of the XML body cannot be one")
    if found[1] is not None and found[1] != "xmlns" and found[1] not in prefixes:
        raise ExpressionFault("a prefix of the XML body is declared nowhere")


def writable_text(value: Json) -> str:
    """Return a value as XML writes it, without what XML cannot write. Raises ExpressionFault."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise ExpressionFault("an attribute or a text of the XML body is an object or a list")
    return _NO_CHARACTER.sub("", value if isinstance(value, str) else str(value))


__all__ = ["faults_of", "read", "reading_with", "writable_text", "write"]
