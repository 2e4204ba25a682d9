"""Takes away claims whose owner is gone.

Claims are watched by the monotonic clock, not judged by the time at which they were made: after a
clock step a live call would be taken for a dead one, and sent twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from gateway.core.lane_policy import LanePolicy
from gateway.flow.environment import Environment
from gateway.store.engine import Store
from gateway.store.outbox import leases, mailbox

log = structlog.get_logger()

#: Seconds between two looks.
REAP_EVERY = 2.0


@dataclass(eq=False, slots=True)
class LeaseReaper:
    """Takes away claims that stood unchanged for their lease, by the monotonic clock. `policy`
    gives a lane's bounds by its name; `wake` names lanes where something may be due."""

    store: Store
    environment: Environment
    policy: Callable[[str], LanePolicy]
    wake: Callable[..., None]
    #: Claims seen, by id and fence, with the monotonic time of the first look.
    _seen: dict[tuple[str, int], float] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Take away such claims until cancelled."""
        while True:
            try:
                await self._reap()
            except Exception as error:
                log.error("outbox.reap_failed", error=type(error).__name__)
            await self.environment.sleep(REAP_EVERY)

    async def inherit(self) -> None:
        """Take away every claim: all are a dead process's. For a process that is alone, before its
        first claim. Raises Unavailable."""
        busy = self._busy_for
        self._freed(await self.store.write(leases.reap_all, self.environment.now(), busy))

    async def _reap(self) -> None:
        asked = self.environment.monotonic()
        claims = await self.store.read(leases.under_way)
        told = self.environment.monotonic()
        self._seen = {(c.id, c.fence): self._seen.get((c.id, c.fence), told) for c in claims}
        silent = {
            c.id: c.fence
            for c in claims
            if asked - self._seen[c.id, c.fence] > self.policy(c.lane).lease
        }
        now = self.environment.now()
        over = await self.store.read(mailbox.ended_claims, now)
        if over:
            self._freed(await self.store.write(mailbox.end_claims, over, now))
        if silent:
            self._freed(await self.store.write(leases.reap, silent, self.environment.now()))

    def _freed(self, lanes: list[str]) -> None:
        if lanes:
            log.warning("outbox.reaped", lanes=lanes)
            self.wake(*lanes)

    def _busy_for(self, lane: str) -> float:
        return self.policy(lane).timeout
