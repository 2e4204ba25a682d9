"""The gateway's errors, grouped by who can mend them.

GatewayError
+-- Rejected          the caller must send something else (4xx to the portal, nothing is kept)
+-- Unavailable       ours, passing: try again (503 with Retry-After)
+-- ConfigurationFault   an operator must mend files or secrets; carries every fault at once
+-- NotFound          the thing asked for does not exist
+-- Conflict          the thing exists, and what was asked does not fit its state
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.messages import Language, Message, Text, plain


class GatewayError(Exception):
    """An error that the gateway can name: `said` in the reader's language, `str` in English."""

    said: Message

    def __init__(self, said: str | Message) -> None:
        self.said = said if isinstance(said, Message) else plain(said)
        super().__init__(self.said.told())


class Rejected(GatewayError):
    """A call that we will never accept: `status` is HTTP, `code` a constant word."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text


class Unavailable(GatewayError):
    """A promise that we cannot keep now; `after` is seconds until the next try."""

    def __init__(self, text: str | Message, after: int = 30) -> None:
        super().__init__(text)
        self.text = self.said.what()
        self.after = after


class NotFound(GatewayError):
    """It does not exist."""


class Conflict(GatewayError):
    """Its state does not allow the request."""


def file_line(file: str, line: int) -> str:
    """Return a place as `file:line`; the file alone when `line` is 0 (the whole file)."""
    return f"{file}:{line}" if line else file


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in a file: its place and its sentence. Sorted by place. `column` 0: unknown, or the
    whole line is at fault."""

    file: str
    line: int
    said: Message
    column: int = field(default=0, compare=False)

    @property
    def what(self) -> str:
        """Return what is wrong, in English."""
        return self.said.what()

    @property
    def remedy(self) -> str:
        """Return what to do, in English."""
        return self.said.remedy()

    @property
    def message(self) -> Message:
        """Return the fault, with its place, as a message that may fill a place of another."""
        given = ("place", file_line(self.file, self.line)), ("said", self.said)
        return Message(_PLACED, (*given, ("cure", self.said.cure)))

    def told(self, language: Language = "en") -> str:
        """Return the fault as a line: `file:line: what (remedy)`."""
        return f"{file_line(self.file, self.line)}: {self.said.told(language)}"

    @property
    def place(self) -> str:
        """Return its place as `file:line:column`, as far as it is known."""
        column = f":{self.column}" if self.line and self.column else ""
        return f"{file_line(self.file, self.line)}{column}"

    def placed(self, language: Language = "en") -> str:
        """Return the fault as `told` does, with its column where that is known."""
        return f"{self.place}: {self.said.told(language)}"

    def __str__(self) -> str:
        return self.told()

    def __lt__(self, other: Fault) -> bool:
        # Sentences are made of parts: they are put together only where the places are the same.
        mine, others = (self.file, self.line), (other.file, other.line)
        return str(self.said) < str(other.said) if mine == others else mine < others


_PLACED = Text("fault_at", "{place}: {said}", "{cure}", "{place}: {said}", "{cure}")


class ConfigurationFault(GatewayError):
    """Files or secrets that do not fit; `faults` has all of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        # Many faults are many sentences: they are put together only for whoever reads them.
        Exception.__init__(self, self.faults)

    @property
    def said(self) -> Message:  # type: ignore[override]
        """Return all faults as one message, in English."""
        return plain(str(self))

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))
