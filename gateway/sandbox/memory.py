"""The memory of a sandbox between two runs: its requests, which the simulated portal forgets, and
the time of its clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.sandbox.citizens import CitizenFiling

_FILED, _CLOCK = "filed.jsonl", "clock"


@dataclass(frozen=True, slots=True)
class FiledRow:
    """A stored request: our reference, its case, its number at the portal, and its form."""

    reference: str
    case: str
    id: str
    filing: CitizenFiling


@dataclass(frozen=True, slots=True)
class SandboxMemory:
    """Stores the memory in `folder`; None: stores nothing."""

    folder: Path | None

    def append(self, row: FiledRow) -> None:
        """Store a request."""
        if self.folder is None:
            return
        told = {
            "reference": row.reference,
            "case": row.case,
            "id": row.id,
            "teleservice": row.filing.teleservice,
            "fields": row.filing.fields,
            "user": row.filing.user,
            "geolocations": row.filing.geolocations,
        }
        with (self.folder / _FILED).open("a", encoding="utf-8") as file:
            file.write(json.dumps(told, ensure_ascii=False) + "\n")

    def filed(self) -> Iterator[FiledRow]:
        """Yield the requests of former runs."""
        if self.folder is None or not (self.folder / _FILED).exists():
            return
        for line in (self.folder / _FILED).read_text("utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            names = ("teleservice", "fields", "user", "geolocations")
            filing = CitizenFiling(*(row[name] for name in names))
            yield FiledRow(row["reference"], row["case"], row["id"], filing)

    def save_time(self, now: datetime) -> None:
        """Store the time of the clock."""
        if self.folder is not None:
            (self.folder / _CLOCK).write_text(now.isoformat(), "utf-8")

    def begin(self) -> datetime:
        """Return the time at which the clock begins: now, or the stored time if that is later."""
        now = datetime.now(UTC)
        if self.folder is not None:
            with suppress(OSError, ValueError):
                return max(now, datetime.fromisoformat((self.folder / _CLOCK).read_text("utf-8")))
        return now
