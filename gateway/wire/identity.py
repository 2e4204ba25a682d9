"""The port to the identity provider: who, of the accounts we know, is gone?

A source answers for a whole run or not at all: whatever fails, is malformed or contradicts itself
makes the run an `Outage`, and an outage proves nothing about anybody. Accounts are compared in
their normal form (`gateway.core.account`), however the provider or the portal writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProviderReading:
    """A whole run. `gone` holds accounts among those we know, as we write them.

    `positive`: told to be deleted. `cursor` is where the next run begins, `calls` how many this one
    took, `entries` how many a list told, `skipped` how many of them could not be used.
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
    detail: str = ""


class IdentitySource(Protocol):
    """Who, of the accounts we know, is gone?"""

    async def read(self, known: Sequence[str], cursor: str | None) -> ProviderReading | Outage:
        """Ask about all of `known`, from `cursor` (of the run before) on."""
        ...

    async def check(self) -> ProviderReading | Outage:
        """Try what a run needs in a call or two: credentials, rights, shape, canary."""
        ...
