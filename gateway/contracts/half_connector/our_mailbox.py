"""Our side's mailbox for one run: it gives messages under a lease, takes their results, and fails
as a check asks."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from gateway.contracts.half_connector.reached import HalfAnswer
from gateway.sdk.pivot_models import ClaimResultTold, PivotClaim

#: Records of one kind, at most: a half-connector that runs wild fills no memory.
MOST: Final = 10_000
Fault = Literal["unavailable", "bad_token", "unheard", "unsaid"]


@dataclass(slots=True)
class Offer:
    """A message in the mailbox. `tokens` are those it was given with; `told` is the answer."""

    message: Mapping[str, Any]
    tokens: list[str] = field(default_factory=list)
    free_at: float = 0.0
    lease_until: float = 0.0
    attempts: int = 0
    told: HalfAnswer | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    #: Results that get `lost`, as if somebody else had fetched the message since.
    lose: int = 0
    #: An `extend` is answered `lost`, as if it had been kept for too long.
    no_longer: bool = False
    #: The tokens whose `extend` was answered so.
    ended: set[str] = field(default_factory=set)

    @property
    def reference(self) -> str:
        request = self.message.get("request") or {}
        return str(request.get("reference") or self.message.get("reference") or "")


@dataclass(frozen=True, slots=True)
class ClaimBroken:
    """A claim that got a fault: the fault, its time, and the tokens of the claim's results."""

    fault: Fault
    at: float
    tokens: tuple[str, ...]


@dataclass(slots=True)
class OurMailbox:
    """The mailbox. `claims` are the times of the calls; `results` are those of each token.

    `faults` answer the next suitable claims: `unavailable`, `bad_token`, `unheard` (a claim with
    results is cut before anything is recorded), `unsaid` (a claim that gets messages is cut after
    it).
    """

    offers: list[Offer] = field(default_factory=list)
    by_token: dict[str, Offer] = field(default_factory=dict)
    results: dict[str, list[str]] = field(default_factory=dict)
    late_results: set[str] = field(default_factory=set)
    claims: list[float] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    broken: list[ClaimBroken] = field(default_factory=list)

    def offer(self, message: Mapping[str, Any]) -> Offer:
        """Put a message into the mailbox."""
        one = Offer(message)
        self.offers.append(one)
        return one

    def count_call(self) -> None:
        """Record that a claim came."""
        if len(self.claims) < MOST:
            self.claims.append(time.monotonic())

    async def claim(self, told: PivotClaim) -> dict[str, Any] | Fault:
        """Return the answer to a claim, or the fault that it gets."""
        fault = self._claim_fault(told)
        if fault is not None:
            tokens = tuple(one.token for one in told.settled)
            self.broken.append(ClaimBroken(fault, self.claims[-1], tokens))
        if fault is not None and fault != "unsaid":
            return fault
        settled = [self._settle(one, told.lease) for one in told.settled]
        items = self._given(told)
        if not items and told.max and told.wait:
            items = await self._awaited(told)
        if fault is not None:
            for item in items:
                self.by_token[str(item["token"])].free_at = time.monotonic() + 1.0
            return fault
        return self._claim_answer(settled, items)

    def _claim_fault(self, told: PivotClaim) -> Fault | None:
        if not self.faults:
            return None
        if self.faults[0] == "unheard" and not told.settled:
            return None
        if self.faults[0] == "unsaid" and not (told.max and self._free()):
            return None
        return self.faults.popleft()

    async def _awaited(self, told: PivotClaim) -> list[dict[str, Any]]:
        until = time.monotonic() + told.wait
        while (left := until - time.monotonic()) > 0:
            items = self._given(told)
            if items or self.faults:
                return items
            await asyncio.sleep(min(0.1, left))
        return []

    def _free(self) -> list[Offer]:
        """Return the messages that may be fetched now: the first unsettled one of each request."""
        found: dict[str, Offer] = {}
        for one in self.offers:
            if not one.settled.is_set():
                found.setdefault(one.reference, one)
        now = time.monotonic()
        return [one for one in found.values() if one.free_at <= now]

    def _given(self, told: PivotClaim) -> list[dict[str, Any]]:
        items = []
        now = time.monotonic()
        for one in self._free()[: told.max]:
            one.attempts += 1
            token = f"essai-{secrets.token_hex(6)}"
            one.tokens.append(token)
            self.by_token[token] = one
            one.free_at = one.lease_until = now + told.lease
            until = datetime.now(UTC) + timedelta(seconds=told.lease)
            items.append(
                {
                    "token": token,
                    "lease_until": until.isoformat(),
                    "attempt": one.attempts,
                    "event": one.message,
                }
            )
        return items

    def _settle(self, told: ClaimResultTold, lease: int) -> dict[str, str]:
        said = told.model_dump_json(exclude={"token"})
        self.results.setdefault(told.token, []).append(said)
        one = self.by_token.get(told.token)
        outcome = "recorded"
        if one is None or (one.settled.is_set() and one.told is not None):
            same = one is not None and one.told is not None and one.told.told == told.result
            outcome = "known" if same else "lost"
        elif one.lose:
            one.lose -= 1
            one.free_at = time.monotonic() + 0.2
            outcome = "lost"
        elif one.tokens[-1] != told.token or told.token in one.ended:
            outcome = "lost"
        elif told.result == "extend" and one.no_longer:
            one.ended.add(told.token)
            one.free_at = time.monotonic() + 0.2
            self.results[told.token].pop()
            outcome = "lost"
        elif told.result == "extend":
            one.free_at = one.lease_until = time.monotonic() + lease
            until = datetime.now(UTC) + timedelta(seconds=lease)
            self.results[told.token].pop()  # no result: `extend` may come any number of times
            return {"token": told.token, "outcome": outcome, "lease_until": until.isoformat()}
        else:
            if time.monotonic() > one.lease_until:
                self.late_results.add(told.token)
            if told.result in ("later", "release"):
                one.free_at = time.monotonic() + min(1.0, float(told.after or 0))
            one.told = HalfAnswer.of_result(told)
            one.settled.set()
        return {"token": told.token, "outcome": outcome}

    def _claim_answer(
        self, settled: list[dict[str, str]], items: list[dict[str, Any]]
    ) -> dict[str, Any]:
        waiting = len(self._free())
        now = datetime.now(UTC).isoformat()
        return {
            "settled": settled,
            "items": items,
            "more": waiting > 0,
            "heartbeat": {
                "at": now,
                "waiting": waiting,
                "oldest_at": now if waiting else None,
                "last_seq": len(self.offers),
            },
        }
