"""Counts refused calls, by which an attack shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from gateway.core.incident import SymptomWord
from gateway.flow.environment import Environment
from gateway.store import refusals
from gateway.store.engine import Store

#: Codes of refusals that say: whoever calls does not have the key.
_UNPROVEN: Final = frozenset(
    {"wrong_signature", "bad_signature", "bad_credentials", "bad_token", "bad_link"}
)
#: A call that was good once.
_REPLAYED: Final = frozenset({"replayed", "stale"})
#: The console's and operators': a wrong password or token, and a form of another site, or sent
#: twice.
_SIGN_INS: Final = frozenset(
    {"bad_login", "bad_console_token", "bad_ops_token", "bad_setup", "foreign_sign_in"}
)
_FORGED: Final = frozenset({"forged_form"})
#: Routes that far ends call, which an adapter or a provider's keys prove.
_WEBHOOKS: Final = ("/gru/", "/glc/")


@dataclass(frozen=True, slots=True)
class RefusalMeter:
    """Counts in memory until `store_counts`. One per process. Bounded: it knows five kinds."""

    store: Store
    environment: Environment
    counts: Counter[str] = field(default_factory=Counter)

    def refused(self, route: str, status: int, code: str) -> None:
        """Take note of an answer: its route's template, status and code."""
        kind: SymptomWord | None = None
        if status == 401 and route.startswith(_WEBHOOKS):
            kind = SymptomWord.FORGED_WEBHOOKS
        elif code in _REPLAYED:
            kind = SymptomWord.REPLAYED_CALLS
        elif code in _SIGN_INS:
            kind = SymptomWord.REFUSED_SIGN_INS
        elif code in _FORGED:
            kind = SymptomWord.FORGED_FORMS
        elif code in _UNPROVEN:
            kind = SymptomWord.REFUSED_SIGNATURES
        if kind is not None:
            self.counts[kind.value] += 1

    async def store_counts(self) -> None:
        """Store what was counted. Raises Unavailable, and keeps it then."""
        counts = dict(self.counts)
        if counts:
            await self.store.write(refusals.count, counts, self.environment.now())
            self.counts.subtract(counts)
            for kind in [kind for kind, left in self.counts.items() if not left]:
                del self.counts[kind]


__all__ = ["RefusalMeter"]
