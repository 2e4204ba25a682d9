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
from dataclasses import dataclass


class GatewayError(Exception):
    """Something the gateway can name."""


class Rejected(GatewayError):
    """The caller sent something we will never take: `status` is HTTP, `code` a constant word."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text


class Unavailable(GatewayError):
    """We cannot keep a promise now; `after` seconds is when to ask again."""

    def __init__(self, text: str, after: int = 30) -> None:
        super().__init__(text)
        self.text = text
        self.after = after


class NotFound(GatewayError):
    """There is no such thing."""


class Conflict(GatewayError):
    """What was asked does not fit the state of the thing."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault in a file: where it is, what is wrong, what to do."""

    file: str
    line: int
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.what}" + (f" ({self.remedy})" if self.remedy else "")


class ConfigurationFault(GatewayError):
    """Files or secrets that do not fit together; `faults` holds all of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(f) for f in self.faults))
