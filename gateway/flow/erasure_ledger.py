"""A file beside the database with the marks of all that was erased: a restored database is older
than some erasures, and they are carried out on it again.

A line of JSON each: first the check value of the key that the marks are made with, then a mark (the
keyed hash of an account or request) and its time. Nothing in it names anybody. Lines are added,
never changed, and are on the disk before an erasure is told to be done. Two ledgers may be put
together with `cat`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from gateway.core.errors import GatewayError
from gateway.core.system_errors import system_error
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.texts import say
from gateway.store import erasure_marks
from gateway.store.engine import Store
from gateway.store.erasure_marks import Remembered, UnerasedRequest

LEDGER_FILE = "erasures.ledger"
#: Bytes of a line.
_LONGEST = 400
_MARK = re.compile(r"[0-9a-f]{64}")


class BadLedger(GatewayError):
    """The ledger cannot be read or written; the text holds no data."""


@dataclass(slots=True)
class _Content:
    key: str | None = None
    marks: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErasureLedger:
    """The ledger at `path`. `key` returns the check value of its key; None: it is not known here,
    and what the file says is taken."""

    path: Path
    key: Callable[[], str | None]

    def read(self) -> dict[str, datetime]:
        """Return the marks with their times; none without a file. A last line that was cut off is
        passed over. Raises BadLedger, also for one of another key."""
        return self._content().marks

    def made_with(self) -> str | None:
        """Return the check value of the key that the file is made with; None without a file.
        Raises BadLedger."""
        return self._content().key

    def add(self, marks: Mapping[str, datetime]) -> int:
        """Write down the marks that are not there yet; return how many. Any number of processes may
        do so at once. Raises BadLedger, also where nothing is new and the file cannot be written.
        """
        try:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            with self._opened(os.O_RDWR | os.O_CREAT) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                known = self._read(file).marks
                new = {mark: at for mark, at in sorted(marks.items()) if mark not in known}
                if new:
                    self._append(file, new)
        except OSError as error:
            why = system_error(error)
            raise BadLedger(say("ledger_unwritten", place=str(self.path), error=why)) from None
        return len(new)

    def _content(self) -> _Content:
        try:
            with self._opened(os.O_RDONLY) as file:
                return self._read(file)
        except FileNotFoundError:
            return _Content()
        except OSError as error:
            why = system_error(error)
            raise BadLedger(say("ledger_unread", place=str(self.path), error=why)) from None

    @contextmanager
    def _opened(self, flags: int) -> Iterator[BinaryIO]:
        # Without O_NONBLOCK a pipe that stands there would be waited for.
        handle = os.open(self.path, flags | os.O_NONBLOCK, 0o600)
        with os.fdopen(handle, "rb" if flags == os.O_RDONLY else "r+b") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise self._damaged(1)
            yield file

    def _read(self, file: BinaryIO) -> _Content:
        """Read from the beginning; leave the file at the end of its last whole line."""
        found, end = _Content(), 0
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), 1):
            if not line.endswith(b"\n"):
                self._cut_off(number, line, file)
                break
            self._read_line(number, line, found)
            end += len(line)
        file.seek(end)
        return found

    def _read_line(self, number: int, line: bytes, found: _Content) -> None:
        try:
            told = json.loads(line)
            # Of two that were put together, the second has a head of its own.
            if number == 1 or "ledger" in told:
                found.key = str(told["key"])
                if self.key() not in (None, found.key):
                    raise BadLedger(say("ledger_of_another_key", place=str(self.path)))
                return
            mark, at = told["mark"], datetime.fromisoformat(told["at"])
            if not _MARK.fullmatch(mark) or at.tzinfo is None:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise self._damaged(number) from None
        found.marks[mark] = at

    def _cut_off(self, number: int, line: bytes, file: BinaryIO) -> None:
        """Raises BadLedger unless the file ends here, or in the zeros that a crash leaves."""
        more = file.read(_LONGEST)
        while more:
            if (line + more).strip(b"\0"):
                raise self._damaged(number)
            more = file.read(_LONGEST)

    def _damaged(self, number: int) -> BadLedger:
        return BadLedger(say("ledger_damaged", place=str(self.path), line=str(number)))

    def _append(self, file: BinaryIO, marks: Mapping[str, datetime]) -> None:
        """Write behind the last whole line, and have it on the disk."""
        end = file.tell()
        file.truncate()
        lines: list[Mapping[str, str]] = []
        if not end:
            key = self.key()
            if key is None:
                raise BadLedger(say("key_missing"))
            lines.append({"ledger": "erasures", "key": key})
        lines += [{"mark": mark, "at": at.isoformat()} for mark, at in marks.items()]
        file.writelines(json.dumps(line).encode("ascii") + b"\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


async def write_elsewhere(store: Store, ours: ErasureLedger, theirs: ErasureLedger) -> int:
    """Have another ledger hold what the database and ours know; return how many marks are new
    there. Raises BadLedger and Unavailable."""
    marks = await store.read(erasure_marks.marks)
    marks |= ours.read()
    return theirs.add(marks) if marks else 0


def recognise(
    marks: Mapping[str, datetime], held: Iterable[UnerasedRequest], hasher: AccountHasher
) -> Remembered:
    """Find what these marks are about among the requests that are held. Raises BadKey."""
    accounts: dict[str, str] = {}
    requests: dict[str, str] = {}
    for one in held:
        theirs, its = hasher.marks_of(one.account, one.portal, one.teleservice, one.ref)
        mark = next((mark for mark in theirs if mark in marks), None)
        if one.account is not None and mark is not None:
            accounts[one.account] = mark
        elif its is not None and its in marks:
            requests[one.id] = its
        elif one.account is None and one.hashed in marks:
            requests[one.id] = one.hashed or ""
    return Remembered(marks, accounts, requests)


__all__ = ["LEDGER_FILE", "BadLedger", "ErasureLedger", "recognise", "write_elsewhere"]
