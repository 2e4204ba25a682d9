"""Reads the two formats of GeoReport, XML and JSON, into the same rows, without network.

JSON has no wrappers for lists, and a single result is an array of one (specification, "JSON").
Every scalar stays text: an identifier such as `001` must not become a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element

from gateway.sdk import TooManyValues, Unreadable, read_json, read_xml

Row = Mapping[str, Any]

#: XML roots and list elements; some servers use them as wrappers in JSON.
WRAPPERS = frozenset(
    {
        "services", "service", "service_requests", "requests", "request", "errors", "error",
        "service_request_updates", "request_updates", "request_update",
    }
)  # fmt: skip

#: The elements that XML lists are made of.
ROWS = frozenset({"service", "request", "request_update", "error"})

#: Rows. The specification allows a thousand at once; some servers send a few thousand.
LONGEST_LIST = 10_000


class GeoReportRows(list[Row]):
    """The rows of an answer. `lost` is the number of unreadable ones."""

    def __init__(self, rows: Iterable[Row] = (), lost: int = 0) -> None:
        super().__init__(rows)
        self.lost = lost


def read_rows(body: bytes, form: str) -> GeoReportRows:
    """Return the rows of an answer in `form` (`xml` or `json`). Raises Unreadable,
    TooManyValues."""
    value, lost = _read(body, form)
    listed = _unwrapped(value)
    if len(listed) > LONGEST_LIST:
        raise TooManyValues(f"more than {LONGEST_LIST} rows")
    rows = [row for row in listed if isinstance(row, Mapping)]
    return GeoReportRows(rows, lost + len(listed) - len(rows))


def read_definition(body: bytes, form: str) -> Row:
    """Return a service definition, the only answer that is an object in JSON. Raises Unreadable."""
    value, _ = _read(body, form)
    if isinstance(value, Mapping):
        value = value.get("service_definition", value)
    if not isinstance(value, Mapping):
        raise Unreadable("the service definition is not an object")
    return value


def _read(body: bytes, form: str) -> tuple[Any, int]:
    if form == "json":
        return read_json(body, numbers_as_text=True), 0
    root, lost = read_xml(body, ROWS)
    if root.tag == "rows":
        return [_element(row) for row in root], lost
    return {root.tag: _element(root)}, lost


def _element(element: Element) -> Any:
    if not len(element):
        return (element.text or "").strip() or None
    if any((part or "").strip() for part in (element.text, *(child.tail for child in element))):
        return _markup(element).strip()  # words with tags among them
    value: dict[str, Any] = {}
    for child in element:
        name, inner = child.tag, _element(child)
        if name not in value:
            value[name] = inner
        elif isinstance(value[name], list):
            value[name].append(inner)
        else:
            value[name] = [value[name], inner]
    return value


def _markup(element: Element) -> str:
    inner = (f"<{child.tag}>{_markup(child)}</{child.tag}>{child.tail or ''}" for child in element)
    return (element.text or "") + "".join(inner)


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
    """Return a scalar of a row as text; None when missing, null, empty or not a scalar."""
    value = row.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() or None if isinstance(value, str) else None


def leaves(value: Any) -> Iterator[str]:
    """Yield every text in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)


def items(value: Any) -> list[Row]:
    """Return a list of rows. XML gives a single row as an object within its wrapper."""
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    found = value if isinstance(value, list) else [value]
    return [row for row in found if isinstance(row, Mapping)]


def parse_time(raw: str | None) -> datetime | None:
    """Return an aware UTC time; None when missing, unreadable or without the mandatory offset."""
    try:
        when = datetime.fromisoformat(raw or "")
        return None if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):  # the year 1 of +01:00 has no place in UTC
        return None


def format_time(when: datetime) -> str:
    """Return a time in GeoReport's form: ISO 8601 with Z, whole seconds."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


__all__ = [
    "GeoReportRows",
    "Row",
    "format_time",
    "items",
    "leaves",
    "parse_time",
    "read_definition",
    "read_rows",
    "text",
]
