"""Claims whose owner is gone. They are watched: when they were made is not asked of a clock that
may have been set since, lest a live call be taken for a dead one and sent a second time."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.lane_policy import LanePolicy
from gateway.flow.environment import Environment
from gateway.store.engine import Store
from gateway.store.outbox import leases


class LeaseReaper:
    """Takes away claims that stood unchanged for their lease, by this process's steady clock."""

    def __init__(
        self, store: Store, environment: Environment, policy: Callable[[str], LanePolicy]
    ) -> None:
        self._store = store
        self._environment = environment
        self._policy = policy
        self._seen: dict[tuple[str, int], float] = {}

    async def inherit(self) -> list[str]:
        """Take away every claim there is, as a lone process may before it makes its first: all are
        a dead one's. The lanes that lost one. Raises Unavailable."""
        return await self._store.write(
            leases.reap_all, self._environment.now(), lambda name: self._policy(name).timeout
        )

    async def look(self) -> list[str]:
        """The lanes that lost a claim. Raises Unavailable."""
        asked = self._environment.monotonic()
        claims = await self._store.read(leases.under_way)
        told = self._environment.monotonic()
        self._seen = {(c.id, c.fence): self._seen.get((c.id, c.fence), told) for c in claims}
        silent = {
            c.id: c.fence
            for c in claims
            if asked - self._seen[c.id, c.fence] > self._policy(c.lane).lease
        }
        if not silent:
            return []
        return await self._store.write(leases.reap, silent, self._environment.now())
