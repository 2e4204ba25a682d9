"""The lanes that are this process's, when several replicas work on one database.

Every replica announces each second that it lives. A lane belongs to the living replica that a hash
of both names picks: one process at a time keeps its bounds, breaker and pace. A replica that goes
holds its lanes only until it is missed. Two that disagree for a moment harm nothing: the database
makes claims exclusive, and fences them.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from gateway.flow.environment import Environment
from gateway.store.engine import Store
from gateway.store.outbox import replicas

#: Seconds between two signs of life.
BEAT: Final = 1.0
#: A replica that was silent for this long has lost its lanes, and knows it.
SILENT: Final = 4.0


class Ownership:
    """Decides which lanes this process works on. `alone`: all of them, and nobody is asked."""

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
        """May anything be worked on? Not when the others must think that we are dead."""
        if self.alone:
            return True
        return self._begun and self._environment.monotonic() - self._announced_at < SILENT

    def owns(self, lane: str) -> bool:
        """Is it for this process to work on this lane, now?"""
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
        """Say that we live. Return who lives, and the monotonic time before it was asked.

        Raises Unavailable.
        """
        at = self._environment.monotonic()
        now = self._environment.now()
        return await self._store.write(replicas.beat, self.owner, now, SILENT), at

    def adopt(self, members: tuple[str, ...], at: float) -> None:
        """Share the lanes with these from now on. They lived at `at`, by the monotonic clock."""
        if at - self._announced_at >= SILENT:
            # The others work on until they have heard of us.
            self._from = at + 2 * BEAT if len(members) > 1 else at
        self._announced_at = at
        self._begun = at >= self._from
        if members != self.members:
            self.members = members
            self._owned.clear()

    async def leave(self) -> None:
        """Give every lane up at once. Raises Unavailable."""
        if not self.alone and self.members:
            self._begun = False
            await self._store.write(replicas.leave, self.owner)


def lane_weight(owner: str, lane: str) -> bytes:
    """Weigh a replica for a lane: the heaviest has it."""
    return blake2b(f"{owner} {lane}".encode(), digest_size=8).digest()
