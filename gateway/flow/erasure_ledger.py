"""A file beside the database with the marks of all that was erased: a restored database is older
than some erasures, and they are carried out on it again.

A line of JSON each: first the check value of the key that the marks are made with, then a mark (the
keyed hash of an account or request) and its time. Nothing in it names anybody. Lines are added,
never changed, and are on the disk before an erasure is told to be done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.core.system_errors import system_error
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.texts import say
from gateway.store.erasure_marks import Remembered, UnerasedRequest

LEDGER_FILE = "erasures.ledger"
#: Characters of a line.
_LONGEST = 400


class BadLedger(GatewayError):
    """The ledger cannot be read or written; the text holds no data."""


@dataclass(frozen=True, slots=True)
class ErasureLedger:
    """The ledger at `path`. `key` returns the check value of its key; None: it is not known here,
    and what the file says is taken."""

    path: Path
    key: Callable[[], str | None]

    def read(self) -> dict[str, datetime]:
        """Return the marks with their times; none without a file. A last line that was cut off is
        passed over. Raises BadLedger, also for one of another key."""
        found: dict[str, datetime] = {}
        try:
            with self.path.open("r", encoding="ascii") as file:
                for number, line in enumerate(iter(lambda: file.readline(_LONGEST), ""), 1):
                    if not line.endswith("\n"):
                        break
                    self._read_line(number, line, found)
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError:
            raise BadLedger(say("ledger_damaged", place=str(self.path), line="?")) from None
        except OSError as error:
            why = system_error(error)
            raise BadLedger(say("ledger_unread", place=str(self.path), error=why)) from None
        return found

    def _read_line(self, number: int, line: str, found: dict[str, datetime]) -> None:
        try:
            told = json.loads(line)
            if number == 1:
                if self.key() not in (None, told["key"]):
                    raise BadLedger(say("ledger_of_another_key", place=str(self.path)))
                return
            mark, at = told["mark"], datetime.fromisoformat(told["at"])
            if not isinstance(mark, str) or not mark or at.tzinfo is None:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            place, line_number = str(self.path), str(number)
            raise BadLedger(say("ledger_damaged", place=place, line=line_number)) from None
        found[mark] = at

    def add(self, marks: Mapping[str, datetime]) -> int:
        """Write down the marks that are not there yet; return how many. Raises BadLedger."""
        known = self.read()
        new = {mark: at for mark, at in marks.items() if mark not in known}
        if not new:
            return 0
        lines = [{"mark": mark, "at": at.isoformat()} for mark, at in sorted(new.items())]
        try:
            self._append(lines)
        except OSError as error:
            why = system_error(error)
            raise BadLedger(say("ledger_unwritten", place=str(self.path), error=why)) from None
        return len(new)

    def _append(self, lines: Iterable[Mapping[str, str]]) -> None:
        self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(handle, "r+b") as file:
            end = _whole_lines(file.read())
            file.seek(end)
            file.truncate()
            head = [] if end else [{"ledger": "erasures", "key": self.key() or ""}]
            for line in [*head, *lines]:
                file.write(json.dumps(line).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _whole_lines(content: bytes) -> int:
    """Return the length of the content up to the end of its last whole line."""
    return content.rfind(b"\n") + 1


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
    return Remembered(marks, accounts, requests)


__all__ = ["LEDGER_FILE", "BadLedger", "ErasureLedger", "recognise"]
