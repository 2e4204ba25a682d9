"""The calls that lists, items and files are read by: HTTP's own (`RestClient`), or another
adapter's, whose calls are described otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from adapters.rest.expression import Json
from gateway.sdk import Answer, Outcome


class Exchange(Protocol):
    """Makes calls as their description says. `accounts` are the names of our own account."""

    accounts: frozenset[str]

    async def run(
        self,
        call: Any,
        scope: Mapping[str, Json],
        *,
        safe: bool,
        address: str | None = None,
        expected: Sequence[int] = (),
    ) -> Answer | Outcome:
        """Make a call: its answer when it succeeded or has a status in `expected`, else the
        outcome."""

    async def download(self, address: str, limit: int, *, ours: bool = False) -> Answer | Outcome:
        """Fetch a file of `limit` bytes at most."""

    def within(self, url: str) -> str | None:
        """Return the address of a next page, None when it leads away from this GRU."""


__all__ = ["Exchange"]
