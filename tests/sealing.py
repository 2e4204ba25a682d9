"""Keys for tests: in memory, or in a file beside the database, under an invented master key."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gateway.core.sealing import MasterKey, read_masters
from gateway.store.keys import DatabaseKeys, WrappedKey
from gateway.store.sealer import Sealer


def master(name: str = "essai") -> MasterKey:
    """The master key of this name."""
    (found,) = read_masters(hashlib.sha256(name.encode()).hexdigest())
    return found


class MemoryKeys:
    """A KeyStore in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, WrappedKey] = {}

    @property
    def exists(self) -> bool:
        return bool(self.rows)

    def read(self, ids: Sequence[str]) -> list[WrappedKey]:
        return [self.rows[one] for one in ids if one in self.rows]

    def add(self, keys: Sequence[WrappedKey], period: str = "") -> None:
        for one in keys:
            self.rows.setdefault(one.id, one)

    def destroy(self, ids: Sequence[str]) -> None:
        for one in ids:
            self.rows.pop(one, None)

    def clean(self) -> None:
        pass

    def count_by_master(self) -> dict[str, int]:
        return dict(Counter(one.master for one in self.rows.values()))

    def not_under(self, master: str, after: str, limit: int) -> list[WrappedKey]:
        rows = sorted(self.rows.values())
        return [one for one in rows if one.master != master and one.id > after][:limit]

    def rewrap(
        self, old: Sequence[WrappedKey], new: Sequence[WrappedKey], period: str = ""
    ) -> None:
        for before, after in zip(old, new, strict=True):
            if self.rows.get(before.id) == before:
                self.rows[after.id] = after

    def periods(self) -> list[WrappedKey]:
        return []

    def drop_period(self, period: str, master: str) -> bool:
        return False

    def close(self) -> None:
        pass


_KEYS: dict[str, MemoryKeys] = {}


def in_memory(url: str | None = None) -> Sealer:
    """A Sealer whose keys are gone with it; those of the database at `url`, with this process."""
    keys = MemoryKeys() if url is None else _KEYS.setdefault(url, MemoryKeys())
    return Sealer(keys, [master()])


def in_file(folder: Path, *masters: str) -> Sealer:
    """A Sealer whose keys lie in a file of this folder."""
    named = [master(name) for name in masters or ("essai",)]
    return Sealer(DatabaseKeys(f"sqlite:///{folder / 'keys.db'}"), named)
