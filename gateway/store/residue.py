"""Overwrite what SQLite leaves of deleted rows: in its log, and in the unused part of its pages.

`secure_delete` overwrites rows where they lay and pages that are given up. But rows move between
pages as these fill, and a page that is filled anew keeps, in the part that it does not use, what it
had there before: a copy that no later delete finds. VACUUM would leave none and writes the whole
file, while whoever is to write waits. Here only the pages that hold such bytes are written, a few
at a time, and of these only bytes that SQLite itself never looks at
(https://www.sqlite.org/fileformat2.html#b_tree_pages).

They are written past SQLite, which is safe while all of these hold:
- the log is empty, and nobody can add to it: the write lock is held by who looks. So the file is
  whole, and nobody moves anything into it;
- nobody keeps an old copy of the page to write it back later: this connection's cache is emptied,
  and a row that is changed in the same transaction makes all others forget theirs;
- the file is never closed here: POSIX drops all of a process's locks on a file when the process
  closes any descriptor of it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.store.engine import Database

#: Pages searched at once; and pages written by one transaction.
PIECE: Final = 4096
HOLD: Final = 256
#: Pages read at once; other threads run in between.
_READ: Final = 64
#: Tries to find a moment without readers of the log or writers, and the seconds between them.
TRIES: Final = 40
PAUSE: Final = 0.05
#: First byte of a page of a table or an index. Other pages begin with another page's number.
_TREE: Final = frozenset({2, 5, 10, 13})
_INNER: Final = frozenset({2, 5})
#: From here on such a number's first byte is not 0. 64 GB with pages of 4 KB.
_MOST_PAGES: Final = 1 << 24
#: Any change will do.
_TOUCH: Final = (
    "INSERT INTO tick (job, tick, at) VALUES ('residue', 0, 0)"
    " ON CONFLICT (job, tick) DO UPDATE SET at = at + 1"
)

#: By device and inode; see above.
_open_files: dict[tuple[int, int], int] = {}


@dataclass(frozen=True, slots=True)
class _File:
    """A database file. From the second page on, each `mapped`-th page is a pointer map (0: none
    is); it may look like a table's page."""

    number: int
    page: int
    usable: int
    mapped: int

    @property
    def pages(self) -> int:
        return os.fstat(self.number).st_size // self.page

    def is_map(self, page: int) -> bool:
        return self.mapped > 0 and (page - 2) % self.mapped == 0


async def clean(database: Database) -> bool:
    """Overwrite all that is left of deleted rows in the file, and empty the log. Return False when
    readers or writers leave no gap: it must be tried again.

    Requests go on: the writer waits for some milliseconds at a time. A later call does not repeat
    what was done.
    """
    path = Path(database.engine.url.database or "")
    if not await _tried(database, path, []):
        return False
    file = _opened(path)
    last = file.pages
    if last >= _MOST_PAGES:
        return False
    for first in range(2, last + 1, PIECE):
        found = await asyncio.to_thread(_with_residue, file, first, min(first + PIECE, last + 1))
        for at in range(0, len(found), HOLD):
            if not await _tried(database, path, found[at : at + HOLD]):
                return False
            await asyncio.to_thread(os.fdatasync, file.number)
    return await _tried(database, path, [])


async def _tried(database: Database, path: Path, pages: list[int]) -> bool:
    for _ in range(TRIES):
        if await database.alone(_overwrite, path, pages):
            return True
        await asyncio.sleep(PAUSE)
    return False


def _overwrite(connection: sqlite3.Connection, path: Path, pages: list[int]) -> bool:
    """Empty the log, then the unused parts of these pages. Return False at once when somebody is in
    the way."""
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy or not pages:
            return not busy
        connection.execute("BEGIN IMMEDIATE")
        try:
            log = path.with_name(path.name + "-wal")
            if log.exists() and log.stat().st_size:
                return False  # another process wrote in between
            connection.execute("PRAGMA shrink_memory")
            file = _opened(path)
            for page in pages:
                _wipe(file, page)
            connection.execute(_TOUCH)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")
    return True


def _wipe(file: _File, page: int) -> None:
    at = (page - 1) * file.page
    content = os.pread(file.number, file.page, at)
    for begin, end in _residue(content, file.usable):
        os.pwrite(file.number, bytes(end - begin), at + begin)


def _with_residue(file: _File, first: int, end: int) -> list[int]:
    """List the pages from `first` to before `end` whose unused parts are not empty."""
    found = []
    for start in range(first, end, _READ):
        count = min(_READ, end - start)
        content = os.pread(file.number, count * file.page, (start - 1) * file.page)
        for n in range(len(content) // file.page):
            page = content[n * file.page : (n + 1) * file.page]
            if not file.is_map(start + n) and any(_residue(page, file.usable)):
                found.append(start + n)
        time.sleep(0.001)
    return found


def _residue(page: bytes, usable: int) -> Iterator[tuple[int, int]]:
    """Yield the unused parts of a page that are not all zero, as (from, before)."""
    for begin, end in _unused(page, usable):
        if page.count(0, begin, end) != end - begin:
            yield begin, end


def _unused(page: bytes, usable: int) -> Iterator[tuple[int, int]]:
    if page[0] not in _TREE:
        return
    cells = int.from_bytes(page[3:5])
    begin = (12 if page[0] in _INNER else 8) + 2 * cells
    top = int.from_bytes(page[5:7]) or 65536
    if not begin <= top <= usable:
        return
    yield begin, top
    block, before = int.from_bytes(page[1:3]), top - 1
    while before < block <= usable - 4:
        size = int.from_bytes(page[block + 2 : block + 4])
        if not 4 <= size <= usable - block:
            return
        yield block + 4, block + size
        before, block = block + size - 1, int.from_bytes(page[block : block + 2])


def _opened(path: Path) -> _File:
    found = path.stat()
    number = _open_files.get((found.st_dev, found.st_ino))
    if number is None:
        number = _open_files[found.st_dev, found.st_ino] = os.open(path, os.O_RDWR)
    head = os.pread(number, 100, 0)
    size = int.from_bytes(head[16:18])
    page = 65536 if size == 1 else size
    usable = page - head[20]
    mapped = usable // 5 + 1 if any(head[52:56]) else 0
    return _File(number, page, usable, mapped)
