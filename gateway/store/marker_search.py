"""Looks for texts in the bytes of files, and in every text of every table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, String, false, func, or_, select
from sqlmodel import SQLModel

#: Bytes read at once; other threads run in between.
_PIECE = 256 * 1024


def search_files(files: Iterable[Path], markers: Sequence[str]) -> list[str]:
    """Return the files in which one of these texts stands, in UTF-8. A file that goes meanwhile is
    passed over. Raises OSError for one that cannot be read."""
    wanted = [one.encode() for one in markers]
    return sorted(str(path) for path in files if _holds(path, wanted))


def _holds(path: Path, wanted: Sequence[bytes]) -> bool:
    overlap = max(map(len, wanted), default=1) - 1
    try:
        with path.open("rb") as file:
            before = b""
            while piece := file.read(_PIECE):
                piece = before + piece
                if any(one in piece for one in wanted):
                    return True
                before = piece[-overlap:] if overlap else b""
                time.sleep(0)
    except FileNotFoundError:
        pass
    return False


def search_tables(connection: Connection, markers: Sequence[str]) -> list[str]:
    """Return the tables in which one of these texts stands in a column of text."""
    found = []
    for table in SQLModel.metadata.sorted_tables:
        columns = [one for one in table.columns if isinstance(_stored(one), String)]
        held = [one.contains(marker, autoescape=True) for one in columns for marker in markers]
        counted = select(func.count()).select_from(table).where(or_(false(), *held))
        if held and connection.execute(counted).scalar():
            found.append(str(table.name))
    return found


def _stored(column: Column[Any]) -> Any:
    """Return the type of what is stored: a decorated type wraps it."""
    return getattr(column.type, "impl", column.type)
