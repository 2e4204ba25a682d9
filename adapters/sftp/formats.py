"""Fields as a file, and a file as rows: JSON, CSV (RFC 4180, with semicolons) or XML."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from adapters.sftp.options import SftpOptions
from gateway.sdk import Unreadable, decoded, read_json, read_xml

#: Columns and rows of a return, at most.
_COLUMNS, _ROWS = 100, 1000
#: Characters that begin a formula in a spreadsheet.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
#: The separator of a list's values in one cell.
_JOIN: Final = " | "

Row = dict[str, Any]


class UnfitText(ValueError):
    """A text has a character that the encoding lacks."""


def flat_fields(value: Any, path: str = "") -> dict[str, str]:
    """Return the texts within a value by dotted path, without empty ones."""
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for name, inner in value.items():
            found |= flat_fields(inner, f"{path}.{name}" if path else str(name))
        return found
    if isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(one, Mapping) for one in value):
            return flat_fields({str(n): one for n, one in enumerate(value, 1)}, path)
        return {path: _JOIN.join(_cell(one) for one in value)} if value else {}
    return {} if value is None else {path: _cell(value)}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _shown(str(value))


def _shown(text: str) -> str:
    """Return the text without characters that XML forbids."""
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept)


def written_file(fields: Mapping[str, Any], options: SftpOptions) -> bytes:
    """Write the fields as a file. Raises UnfitText."""
    if options.format == "json":
        return (json.dumps(fields, ensure_ascii=False, indent=1) + "\n").encode()
    if options.format == "xml":
        root = ET.Element("demande")
        for name, text in flat_fields(fields).items():
            ET.SubElement(root, "champ", {"nom": name}).text = text
        document: bytes = ET.tostring(root, options.encoding, xml_declaration=True)
        return document + b"\n"
    cells = flat_fields(fields)
    if options.spreadsheet:
        cells = {n: f"'{t}" if t.startswith(_FORMULA) else t for n, t in cells.items()}
    table = io.StringIO()
    rows = csv.writer(table, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    rows.writerow(cells)
    rows.writerow(cells.values())
    return _encoded(table.getvalue(), options)


def _encoded(text: str, options: SftpOptions) -> bytes:
    try:
        return text.encode(options.encoding)
    except UnicodeEncodeError:
        if options.unfit == "refuse":
            raise UnfitText from None
    return b"".join(_nearest(char, options.encoding) for char in text)


def _nearest(char: str, encoding: str) -> bytes:
    try:
        return char.encode(encoding)
    except UnicodeEncodeError:
        bare = unicodedata.normalize("NFKD", char)
        return bare.encode("ascii", "ignore") or b"?"


def read_returns(content: bytes, options: SftpOptions) -> list[Row]:
    """Read the rows of a return, by name. Raises Unreadable."""
    if options.format == "json":
        value = read_json(content, None)
        rows = value if isinstance(value, list) else [value]
        found = [row for row in rows if isinstance(row, dict)]
        if len(found) != len(rows):
            raise Unreadable("rows are objects")
    elif options.format == "xml":
        found = _xml_rows(content)
    else:
        found = _csv_rows(decoded(content, options.encoding))
    if not 0 < len(found) <= _ROWS:
        raise Unreadable(f"1 to {_ROWS} rows")
    return found


def _csv_rows(text: str) -> list[Row]:
    try:
        lines = list(csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=";"))
    except csv.Error as error:
        raise Unreadable("no CSV") from error
    lines = [line for line in lines if any(line)]
    if not lines or len(lines[0]) > _COLUMNS:
        raise Unreadable("no header")
    names = [name.strip() for name in lines[0]]
    if any(len(line) != len(names) for line in lines):
        raise Unreadable("rows and header differ")
    return [dict(zip(names, line, strict=True)) for line in lines[1:]]


def _xml_rows(content: bytes) -> list[Row]:
    root, lost = read_xml(content)
    if lost:
        raise Unreadable("some rows cannot be read")
    rows: list[Row] = []
    for one in root.findall("retour") or [root]:
        row: Row = {}
        for field in list(one)[:_COLUMNS]:
            name = field.get("nom") or field.tag
            row.setdefault(name, []).append(field.text or "")
        rows.append({name: texts[0] if len(texts) == 1 else texts for name, texts in row.items()})
    return rows


__all__ = ["Row", "UnfitText", "flat_fields", "read_returns", "written_file"]
