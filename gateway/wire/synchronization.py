"""Authentic's `POST /api/users/synchronization/`: which of these accounts are unknown?

Source: Authentic `api_views.py`. Authentic compares exactly, so it is asked in the normal form,
which is its own; the answer's order means nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.core.account import known_among, normal_account
from gateway.sdk.patience import LONGEST_READING, Patience
from gateway.wire.identity import Outage, ProviderReading
from gateway.wire.identity_call import IdentityAccess, fetch
from gateway.wire.identity_texts import say

#: Accounts in one call; the far end's limit on bodies is undocumented.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Synchronization:
    """Authentic at `base_url`. `canary` is an account that must be known."""

    base_url: str
    client: httpx.AsyncClient
    access: IdentityAccess
    canary: str | None = None
    batch: int = BATCH

    async def read(self, known: Sequence[str], cursor: str | None) -> ProviderReading | Outage:
        """Ask about all of `known`. One batch that fails voids the run."""
        asked = await asyncio.to_thread(self._asked, known)
        gone: set[str] = set()
        calls, patience = 0, Patience(LONGEST_READING)
        for at in range(0, len(asked), self.batch):
            if patience.over:
                return Outage("timeout", say("no_end", count=calls))
            part = asked[at : at + self.batch]
            answer = await self._ask(part)
            calls += 1
            if isinstance(answer, Outage):
                return Outage(answer.reason, say("at_call", n=calls, detail=answer.detail))
            gone |= answer
        canary = self._canary()
        theirs = await asyncio.to_thread(known_among, known, gone) if gone else frozenset[str]()
        return ProviderReading(
            frozenset(theirs - {self.canary, canary}), canary in gone, False, cursor, calls
        )

    async def check(self) -> ProviderReading | Outage:
        """Ask about the canary alone."""
        return await self.read([], None)

    def _canary(self) -> str | None:
        return None if self.canary is None else normal_account(self.canary)

    def _asked(self, known: Sequence[str]) -> list[str]:
        asked = {normal_account(one) for one in known}
        canary = self._canary()
        return sorted(asked if canary is None else asked | {canary})

    async def _ask(self, part: list[str]) -> frozenset[str] | Outage:
        asked = frozenset(part)

        def unknown(answer: Any) -> frozenset[str] | Outage:
            if not isinstance(answer, dict):
                return Outage("malformed", say("no_object"))
            if not no_error(answer.get("err")):
                return Outage("error_told", say("err_told"))
            told = answer.get("unknown_uuids")
            if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
                return Outage("malformed", say("no_unknown_uuids"))
            found = frozenset(normal_account(one) for one in told)
            if not found <= asked:
                return Outage("malformed", say("unasked"))
            return found

        url = f"{self.base_url}/api/users/synchronization/"
        return await fetch(self.client, self.access, "POST", url, {"known_uuids": part}, unknown)


def no_error(err: Any) -> bool:
    """Is this Publik's `err` of a success?"""
    return isinstance(err, int) and not isinstance(err, bool) and err == 0
