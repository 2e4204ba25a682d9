"""One poll of the returns: each whole file is told once, and moved by the next poll.

The gateway stores the cursor (JSON) together with the changes of the same poll. `done` and `errors`
are the files of that poll: the next one moves them, since their changes are on disk by then.
`sizes` are the sizes of files that may have been growing. A file that is read twice meanwhile is
known by its content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from adapters.sftp.depot import Depot, DepotFailed, Entry, NotThere, open_depot
from adapters.sftp.formats import Row, read_returns
from adapters.sftp.options import Returns, SftpOptions
from gateway.sdk import (
    REFERENCE,
    Change,
    Changes,
    Clock,
    Connector,
    Document,
    Misconfigured,
    Outcome,
    Patience,
    TookTooLong,
    TryLater,
    Unreadable,
    beside,
    note_text,
    read_cursor,
    read_moment,
)

#: Returns read by one poll, and names that a cursor remembers.
MOST, _REMEMBERED = 200, 1000
#: Seconds of one session.
_SESSION: Final = 120.0
_UNFINISHED: Final = (".part", ".tmp", ".filepart")
_CHECKSUM: Final = ".sha256"
#: A file name, and no path.
_NAME: Final = re.compile(r"[^/\\\x00-\x1f]{1,200}")
#: The zone of times without an offset.
_PARIS: Final = ZoneInfo("Europe/Paris")
_TRUE: Final = frozenset({"true", "vrai", "oui", "1"})
_MEDIA: Final = {
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "txt": "text/plain",
}


@dataclass(slots=True)
class ReturnCursor:
    """The cursor of the poll."""

    done: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sizes: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> ReturnCursor:
        """Read the cursor. An unreadable one begins anew: repeats are known by their keys."""
        raw = read_cursor(cursor)
        names = {key: _names(raw.get(key)) for key in ("done", "errors")}
        sizes = raw.get("sizes")
        return cls(**names, sizes=dict(sizes) if isinstance(sizes, Mapping) else {})

    def write(self) -> str:
        value = {
            "done": self.done[-_REMEMBERED:],
            "errors": self.errors[-_REMEMBERED:],
            "sizes": dict(list(self.sizes.items())[-_REMEMBERED:]),
        }
        return json.dumps({name: one for name, one in value.items() if one})


def _names(raw: object) -> list[str]:
    found = raw if isinstance(raw, list) else []
    return [one for one in found if isinstance(one, str) and _NAME.fullmatch(one)]


class ReturnPoll:
    """One poll. A failure keeps the changes read so far, and the cursor up to there."""

    def __init__(self, options: SftpOptions, returns: Returns, connector: Connector) -> None:
        self._options = options
        self._returns = returns
        self._connector = connector
        self._items: list[Change] = []
        self._most = int(returns.max_mb * 1_000_000)

    async def run(self, cursor: str | None) -> Changes:
        state = ReturnCursor.read(cursor)
        failure: Outcome | None = None
        clock = Clock(_SESSION)
        try:
            async with clock, open_depot(self._options, self._connector, clock) as depot:
                await self._put_away(depot, state)
                failure = await self._read(depot, state)
                waiting = len(state.errors) + await _count(depot, self._returns.errors)
            if failure is None and waiting:
                failure = Misconfigured("file_for_a_person", f"{waiting} files")
        except NotThere:
            failure = Misconfigured("no_such_remote_folder", self._returns.folder)
        except DepotFailed as error:
            failure = error.outcome
        except TimeoutError:
            if not clock.over:
                raise
            failure = TryLater("timeout", "the returns were not read in time")
        return Changes(self._items, state.write(), failure, asked=())

    async def _put_away(self, depot: Depot, state: ReturnCursor) -> None:
        for names, folder in (
            (state.done, self._returns.done),
            (state.errors, self._returns.errors),
        ):
            for name in tuple(names):
                await depot.put_away(f"{self._returns.folder}/{name}", folder)
                names.remove(name)

    async def _read(self, depot: Depot, state: ReturnCursor) -> Outcome | None:
        there = {one.name: one for one in await depot.entries(self._returns.folder)}
        called = {one.shown: one for one in there.values()} | there
        before, state.sizes = state.sizes, {}
        ending = f".{self._options.format}"
        patience, read = Patience(), 0
        for one in there.values():
            if not one.name.endswith(ending) or one.name.startswith(".") or _is_growing(one.name):
                continue
            if not _NAME.fullmatch(one.name):
                continue
            if self._returns.ready == "stable":
                state.sizes[one.name] = [one.size, one.changed]
                if before.get(one.name) != [one.size, one.changed]:
                    continue
            if self._returns.ready == "checksum" and f"{one.name}{_CHECKSUM}" not in there:
                continue
            if read >= MOST or patience.over:
                return TryLater("poll_too_long", f"{read} returns were read, more wait")
            await self._read_return(depot, one, called, state)
            read += 1
        return None

    async def _read_return(
        self, depot: Depot, one: Entry, there: Mapping[str, Entry], state: ReturnCursor
    ) -> None:
        """Read one return; leave an unreadable one to a person."""
        folder = self._returns.folder
        try:
            content = await depot.read(f"{folder}/{one.name}", self._most)
        except NotThere:
            return  # somebody has moved it meanwhile
        names = [one.name]
        digest = await beside(len(content), lambda: hashlib.sha256(content).hexdigest())
        if self._returns.ready == "checksum":
            told = await depot.read(f"{folder}/{one.name}{_CHECKSUM}", 1000)
            if told.split()[:1] != [digest.encode()]:
                return  # one of the two is unfinished
            names.append(f"{one.name}{_CHECKSUM}")
        try:
            if len(content) > self._most:
                raise Unreadable("it is too large")
            rows = await beside(len(content), partial(read_returns, content, self._options))
            found = [
                await self._change(depot, row, f"f:{digest[:24]}.{n}", there, names)
                for n, row in enumerate(rows, 1)
            ]
        except (Unreadable, TookTooLong):
            state.errors += names
            return
        self._items += found
        state.done += names

    async def _change(
        self,
        depot: Depot,
        row: Row,
        key: str,
        there: Mapping[str, Entry],
        names: list[str],
    ) -> Change:
        """Read one row. `key` stands in for a number of its own; the files that the row names are
        added to `names`."""
        reference = _text(row, "reference") or ""
        if REFERENCE.fullmatch(reference) is None:
            raise Unreadable("no reference")
        files = _listed(row.get("fichiers"))
        documents, unreadable = [], max(0, len(files) - self._returns.max_files)
        for name in files[: self._returns.max_files]:
            known = there.get(name)
            if known is None or known.size > self._most:
                unreadable += 1
                continue
            raw = await depot.read(f"{self._returns.folder}/{known.name}", self._most)
            documents.append(Document(known.shown, _media(known.shown), raw))
            names.append(known.name)
        text = _text(row, "message")
        return Change(
            _text(row, "cle") or key,
            reference=reference,
            status=(_text(row, "statut") or "").lower() or None,
            message=await beside(len(text or ""), lambda: note_text(text, "never")),
            public=self._returns.public and _is_public(row),
            at=_moment(_text(row, "date")),
            documents=documents,
            unreadable=unreadable,
        )


async def _count(depot: Depot, folder: str) -> int:
    try:
        return len(await depot.entries(folder))
    except NotThere:
        return 0


def _is_growing(name: str) -> bool:
    return name.lower().endswith(_UNFINISHED)


def _is_public(row: Row) -> bool:
    """Is a row for the citizen? By default it is."""
    told = row.get("public", True)
    return told if isinstance(told, bool) else str(told).strip().lower() in _TRUE


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return value.strip()[:100_000] or None if isinstance(value, str) else None


def _listed(value: object) -> Sequence[str]:
    """Return the names in a list, or in a text with separators."""
    names = value if isinstance(value, list) else str(value or "").split("|")
    found = [str(name).strip() for name in names]
    return [name for name in found if name and _NAME.fullmatch(name)]


def _media(name: str) -> str:
    return _MEDIA.get(name.rpartition(".")[2].lower(), "application/octet-stream")


def _moment(text: str | None) -> datetime | None:
    return None if text is None else read_moment(text, "iso", _PARIS)


__all__ = ["ReturnCursor", "ReturnPoll"]
