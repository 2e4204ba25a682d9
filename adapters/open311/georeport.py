"""GeoReport's two spellings, XML and JSON, as the same rows. No network here.

In JSON the wrappers of lists vanish, and even one result is an array of one (specification,
"JSON"). Every scalar is kept as text: identifiers such as `001` must not become numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

Row = Mapping[str, Any]

#: XML roots and list elements; some servers keep them as wrappers in JSON.
WRAPPERS = frozenset(
    {
        "services", "service", "service_requests", "requests", "request", "errors", "error",
        "service_request_updates", "request_updates", "request_update",
    }
)  # fmt: skip

FORBIDDEN_XML = re.compile(rb"<!\s*(doctype|entity)", re.IGNORECASE)


class UnreadableAnswer(ValueError):
    """The body is not what GeoReport promises. The text holds nothing of the body."""


def read_rows(body: bytes, form: str) -> list[Row]:
    """The rows of an answer in `form` (`xml` or `json`). Raises UnreadableAnswer."""
    value = _read_xml(body) if form == "xml" else _read_json(body)
    return [row for row in _unwrapped(value) if isinstance(row, Mapping)]


def read_definition(body: bytes, form: str) -> Row:
    """A service definition: the one answer that is an object in JSON. Raises UnreadableAnswer."""
    value = _read_xml(body) if form == "xml" else _read_json(body)
    if isinstance(value, Mapping):
        value = value.get("service_definition", value)
    if not isinstance(value, Mapping):
        raise UnreadableAnswer("the service definition is not an object")
    return value


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise UnreadableAnswer("the answer is not JSON") from None


def _read_xml(body: bytes) -> Any:
    # A declared entity can expand without end or name a file: no GeoReport answer has one. A zero
    # byte is UTF-16 or UTF-32, in which the declaration would not be seen.
    if b"\0" in body or FORBIDDEN_XML.search(body):
        raise UnreadableAnswer("the answer declares a document type")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - declarations are refused just above
    except ElementTree.ParseError:
        raise UnreadableAnswer("the answer is not XML") from None
    try:
        return {_name(root): _element(root)}
    except RecursionError:
        raise UnreadableAnswer("the answer is nested too deeply") from None


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _element(element: ElementTree.Element) -> Any:
    if not len(element):
        return (element.text or "").strip() or None
    value: dict[str, Any] = {}
    for child in element:
        name, inner = _name(child), _element(child)
        if name not in value:
            value[name] = inner
        elif isinstance(value[name], list):
            value[name].append(inner)
        else:
            value[name] = [value[name], inner]
    return value


def _unwrapped(value: Any) -> Sequence[Any]:
    while isinstance(value, Mapping) and len(value) == 1:
        name = next(iter(value))
        if name not in WRAPPERS:
            break
        value = value[name]
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(row: Row, name: str) -> str | None:
    """A scalar of a row as text; None when missing, null, empty or not a scalar."""
    value = row.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() or None if isinstance(value, str) else None


def leaves(value: Any) -> Iterator[str]:
    """Every text within a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)


def items(value: Any) -> list[Row]:
    """A list of rows, whether XML made a lone one an object within its wrapper or not."""
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    found = value if isinstance(value, list) else [value]
    return [row for row in found if isinstance(row, Mapping)]


def moment(raw: str | None) -> datetime | None:
    """An aware UTC time; None when missing, unreadable or without the mandatory offset."""
    try:
        when = datetime.fromisoformat(raw or "")
    except ValueError:
        return None
    return None if when.tzinfo is None else when.astimezone(UTC)


def stamp(when: datetime) -> str:
    """A time as GeoReport wants it: ISO 8601 with Z, whole seconds."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


__all__ = [
    "Row",
    "UnreadableAnswer",
    "items",
    "leaves",
    "moment",
    "read_definition",
    "read_rows",
    "stamp",
    "text",
]
