"""Looks for texts in the bytes of files, and in every text of every table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, String, false, func, or_, select
from sqlmodel import SQLModel

from gateway.store import byte_search

#: Seconds for all files.
_PATIENCE = 3600.0


def search_files(files: Iterable[Path], markers: Sequence[str]) -> list[str]:
    """Return the files in which one of these texts stands, in UTF-8. A file that goes meanwhile is
    passed over. Raises OSError for one that cannot be read.

    A process of its own reads them. Whoever closes a file loses all the locks that its process has
    on it: the next command that closes the database would believe that nobody else has it open, and
    delete the log into which this process goes on writing.
    """
    told = json.dumps({"files": [str(path) for path in files], "markers": list(markers)})
    program = [sys.executable, "-I", byte_search.__file__]
    try:
        done = subprocess.run(
            program, input=told.encode(), capture_output=True, timeout=_PATIENCE, check=True
        )
        answer = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise OSError(f"the files were not searched: {type(error).__name__}") from None
    if answer["unread"] is not None:
        raise OSError(answer["unread"])
    found: list[str] = answer["found"]
    return found


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
