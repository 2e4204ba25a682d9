"""Bounds the memory and disk of bodies, before and after their sender is proven.

One daemon serves all communes: a body waits, or gets 503, before one sender's bodies take what
belongs to all.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Self

from gateway.core.errors import Unavailable

#: Large bodies of proven senders at once, and those of one sender among them.
LARGE_AT_ONCE = 8
OF_ONE_SENDER = 4
#: Seconds that a large body waits for its turn; the portal gives up after 28.
PATIENCE = 20.0
#: Bytes of a webhook that are always read: nearly all are smaller.
SMALL = 64 * 1024
#: Webhooks read at once: a part of all connections.
BODIES = 200
#: Seconds until a refused caller should come again.
AGAIN = 5


class BodyTurns:
    """Turns for large bodies: `most` at once, `share` of them for one sender."""

    def __init__(self, most: int = LARGE_AT_ONCE, share: int = OF_ONE_SENDER) -> None:
        self.most = most
        self.share = share
        self.here: Counter[str] = Counter()
        self.waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    def _free(self, sender: str) -> bool:
        return self.here.total() < self.most and self.here[sender] < self.share

    async def enter(self, sender: str) -> None:
        if self._free(sender):
            self.here[sender] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((sender, turn))
        try:
            async with asyncio.timeout(PATIENCE):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(sender)
            else:
                self.waiting.remove((sender, turn))
            if isinstance(error, TimeoutError):
                raise Unavailable("too many large bodies at once", AGAIN) from None
            raise

    def leave(self, sender: str) -> None:
        self.here[sender] -= 1
        if not self.here[sender]:
            del self.here[sender]
        for one in list(self.waiting):
            next_sender, turn = one
            if self._free(next_sender):
                self.waiting.remove(one)
                self.here[next_sender] += 1
                turn.set_result(None)


class BodyTurn:
    """One body's turn: taken on demand, given back at the end of the context."""

    def __init__(self, room: BodyTurns, sender: str) -> None:
        self._room = room
        self._sender = sender
        self._taken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    async def wait_turn(self) -> None:
        """Wait for the turn. Raises Unavailable when none comes in time."""
        if not self._taken:
            await self._room.enter(self._sender)
            self._taken = True

    def leave(self) -> None:
        if self._taken:
            self._taken = False
            self._room.leave(self._sender)


class BodyBudget:
    """Bytes of bodies in memory: `most` for the process, `share` of them for one sender, beyond the
    small part of each body that is always read; and `bodies` at once."""

    def __init__(
        self, most: int, share: int | None = None, small: int = SMALL, bodies: int = BODIES
    ) -> None:
        self.most = most
        self.bodies = bodies
        self.here = 0
        self.share = most if share is None else share
        self.small = small
        self.taken = Counter[str]()

    def lease(self, sender: str = "") -> Lease:
        """Return the lease of one body of a sender; all strangers are one sender."""
        return Lease(self, sender)


class Lease:
    """The bytes of a budget that one body holds. Use it as a context."""

    def __init__(self, budget: BodyBudget, sender: str) -> None:
        self._budget = budget
        self._sender = sender
        self._size = 0
        self._held = 0

    def __enter__(self) -> Self:
        if self._budget.here >= self._budget.bodies:
            raise Unavailable("too many bodies are read at once", AGAIN)
        self._budget.here += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.here -= 1
        taken = self._budget.taken
        taken[self._sender] -= self._held
        if not taken[self._sender]:
            del taken[self._sender]
        self._held = 0

    def grow(self, size: int) -> None:
        """Take so many bytes more. Raises Unavailable when there is no room."""
        self._size += size
        more = max(0, self._size - self._budget.small) - self._held
        budget = self._budget
        mine, all_ = budget.taken[self._sender] + more, budget.taken.total() + more
        if more and (mine > budget.share or all_ > budget.most):
            raise Unavailable("too many bodies are read at once", AGAIN)
        budget.taken[self._sender] = mine
        self._held += more


__all__ = ["BodyBudget", "BodyTurn", "BodyTurns", "Lease"]
