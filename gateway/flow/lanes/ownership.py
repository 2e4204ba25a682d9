"""Which lanes are this process's, when several replicas work on one database.

Every replica says each second that it lives. Each lane belongs to the living one that a hash of
both names picks, so that the lane's bounds, breaker and pace are kept by one process at a time,
and a replica that goes takes its lanes along only until it is missed. Two that disagree for a
moment harm nothing: claims are exclusive and fenced by the database.
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
    """This process's part of the lanes. `alone`: all of them, and nobody is asked."""

    def __init__(self, store: Store, environment: Environment, owner: str, *, alone: bool) -> None:
        self._store = store
        self._environment = environment
        self._owner = owner
        self.alone = alone
        self.members: tuple[str, ...] = ()
        self._said_at = float("-inf")
        self._from = 0.0
        self._begun = False
        self._mine: dict[str, bool] = {}

    @property
    def live(self) -> bool:
        """May anything be worked on? Not when the others must think that we are dead."""
        if self.alone:
            return True
        return self._begun and self._environment.monotonic() - self._said_at < SILENT

    def mine(self, lane: str) -> bool:
        """Is it for this process to work on this lane, now?"""
        if self.alone:
            return True
        if not self.live:
            return False
        found = self._mine.get(lane)
        if found is None:
            found = self._mine[lane] = (
                max(self.members, key=lambda owner: _weight(owner, lane)) == self._owner
            )
        return found

    async def ask(self) -> tuple[tuple[str, ...], float]:
        """Say that we live; who lives, and the clock before it was asked. Raises Unavailable."""
        at = self._environment.monotonic()
        now = self._environment.now()
        return await self._store.write(replicas.beat, self._owner, now, SILENT), at

    def take(self, members: tuple[str, ...], at: float) -> None:
        """From now on these share the lanes."""
        if at - self._said_at >= SILENT:
            # The others work on until they have heard of us.
            self._from = at + 2 * BEAT if len(members) > 1 else at
        self._said_at = at
        self._begun = at >= self._from
        if members != self.members:
            self.members = members
            self._mine.clear()

    async def leave(self) -> None:
        """Give everything up at once."""
        if not self.alone and self.members:
            self._begun = False
            await self._store.write(replicas.leave, self._owner)


def _weight(owner: str, lane: str) -> bytes:
    return blake2b(f"{owner} {lane}".encode(), digest_size=8).digest()
