"""The memory of the demo GRU: references and numbers, and no citizen's data."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class LedgerEntry(BaseModel):
    """One request. More than one of `numbers` means that it was created twice: the fault to
    show."""

    model_config = ConfigDict(extra="forbid")

    numbers: list[str] = []
    amendments: list[str] = []
    tries: int = 0
    polls: int = 0


class _Pages(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = 0
    entries: dict[str, LedgerEntry] = {}


class Ledger:
    """A ledger in memory, and in a JSON file if one is given, which outlives the process.

    Use it within `async with`; changes are on disk when the block ends. Raises OSError when the
    file cannot be used, ValueError when it is not a ledger.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._pages = _Pages()

    async def __aenter__(self) -> Ledger:
        await self._lock.acquire()
        try:
            if self._path is not None:
                self._pages = await asyncio.to_thread(_load, self._path)
        except BaseException:
            self._lock.release()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._path is not None:
                await asyncio.to_thread(_save, self._path, self._pages.model_dump_json(indent=1))
        finally:
            self._lock.release()

    def entry(self, reference: str) -> LedgerEntry:
        return self._pages.entries.setdefault(reference, LedgerEntry())

    def known(self, reference: str) -> LedgerEntry | None:
        """Return the request if it was accepted."""
        entry = self._pages.entries.get(reference)
        return entry if entry is not None and entry.numbers else None

    def create(self, reference: str) -> str:
        """Create the request, even if it exists already, and return its number."""
        self._pages.count += 1
        number = f"DEMO-{self._pages.count:04d}"
        self.entry(reference).numbers.append(number)
        return number

    def drop(self, reference: str) -> bool:
        """Forget a request. Was there one?"""
        return self._pages.entries.pop(reference, None) is not None

    def duplicates(self) -> list[str]:
        """Return the references that were created more than once."""
        return [name for name, entry in self._pages.entries.items() if len(entry.numbers) > 1]


def _load(path: Path) -> _Pages:
    try:
        return _Pages.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _Pages()


def _save(path: Path, text: str) -> None:
    # The file is whole, or the former one, wherever the process dies.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
