"""The port to the identity provider: which of the accounts we know are gone?

A source answers for a whole run or not at all: a failure, a malformed answer or a contradiction
makes the run an `Outage`, which proves nothing about anybody. Accounts are compared in their normal
form (`gateway.core.account`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.messages import Message


@dataclass(frozen=True, slots=True)
class ProviderReading:
    """A whole run. `gone` are accounts that we know, as we write them.

    `positive`: they were reported deleted. `cursor` is the next run's beginning, `calls` the number
    of calls, `entries` the listed entries, `skipped` the unusable ones.
    """

    gone: frozenset[str]
    canary_gone: bool
    positive: bool
    cursor: str | None = None
    calls: int = 0
    entries: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Outage:
    """The run is void. `reason` is a constant word; `detail` holds no personal data."""

    reason: str
    detail: str | Message = ""


class IdentitySource(Protocol):
    """Which of the accounts we know are gone?"""

    async def read(self, known: Sequence[str], cursor: str | None) -> ProviderReading | Outage:
        """Ask about all of `known`, from the former run's `cursor` on."""
        ...

    async def check(self) -> ProviderReading | Outage:
        """Try what a run needs in a call or two: credentials, rights, shape, canary."""
        ...
