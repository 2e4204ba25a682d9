"""Rows for a French spreadsheet: semicolons, quoted cells of one line each, and none a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

#: Before the first row: the file is UTF-8.
BEGIN: Final = "\ufeff"
#: A cell that begins so would be a formula to a spreadsheet.
_FORMULA: Final = frozenset("=+-@|%＝＋－＠")


def sheet_row(cells: Iterable[object]) -> str:
    """Return one row with its end; None is an empty cell."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(["" if cell is None else plain_cell(str(cell)) for cell in cells])
    return out.getvalue()


def plain_cell(text: str) -> str:
    """Return a text on one line that no spreadsheet computes."""
    flat = " ".join(text.split())
    return f"'{flat}" if flat[:1] in _FORMULA else flat
