"""Shares the lanes among the replicas on one database.

Each replica announces every second that it lives. A hash of replica and lane picks the owner among
the living: one process at a time applies a lane's bounds, breaker and pace. The lanes of a replica
that dies wait until it is missed. Two replicas that disagree for a moment do no harm: the database
makes claims exclusive and fences them.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from gateway.flow.environment import Environment
from gateway.store.engine import Store
from gateway.store.outbox import replicas

#: Seconds between two announcements.
BEAT: Final = 1.0
#: A replica that was silent for so many seconds has lost its lanes, and knows it.
SILENT: Final = 4.0


class Ownership:
    """Decides which lanes this process works on. `alone`: all of them."""

    def __init__(self, store: Store, environment: Environment, owner: str, *, alone: bool) -> None:
        self._store = store
        self._environment = environment
        #: This process's name among the replicas.
        self.owner = owner
        self.alone = alone
        self.members: tuple[str, ...] = ()
        self._announced_at = float("-inf")
        self._from = 0.0
        self._begun = False
        self._owned: dict[str, bool] = {}

    @property
    def live(self) -> bool:
        """May this process work? Not once the others must think that it is dead."""
        if self.alone:
            return True
        return self._begun and self._environment.monotonic() - self._announced_at < SILENT

    def owns(self, lane: str) -> bool:
        """Does this process work on this lane now?"""
        if self.alone:
            return True
        if not self.live:
            return False
        found = self._owned.get(lane)
        if found is None:
            best = max(self.members, key=lambda owner: lane_weight(owner, lane))
            found = self._owned[lane] = best == self.owner
        return found

    async def announce(self) -> tuple[tuple[str, ...], float]:
        """Announce this process. Return who lives, and the monotonic time before the question.
        Raises Unavailable."""
        at = self._environment.monotonic()
        now = self._environment.now()
        return await self._store.write(replicas.beat, self.owner, now, SILENT), at

    def adopt(self, members: tuple[str, ...], at: float) -> None:
        """Share the lanes with these members, who lived at the monotonic time `at`."""
        if at - self._announced_at >= SILENT:
            # The others go on until they have heard of us.
            self._from = at + 2 * BEAT if len(members) > 1 else at
        self._announced_at = at
        self._begun = at >= self._from
        if members != self.members:
            self.members = members
            self._owned.clear()

    async def leave(self) -> None:
        """Give up every lane at once. Raises Unavailable."""
        if not self.alone and self.members:
            self._begun = False
            await self._store.write(replicas.leave, self.owner)


def lane_weight(owner: str, lane: str) -> bytes:
    """Return the weight of a replica for a lane: the heaviest owns it."""
    return blake2b(f"{owner} {lane}".encode(), digest_size=8).digest()
