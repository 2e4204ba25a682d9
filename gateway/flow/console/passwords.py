"""Hashes passwords, a few at once: each takes some memory and a twentieth of a second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from gateway.core.errors import Unavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

#: Those that may wait for their turn, and the seconds after which others come again.
_WAITING: Final = 20
_AGAIN: Final = 5


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # few commands need it

    # OWASP's second choice, which bounds memory: 19 MiB, two passes.
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobody() -> str:
    """The hash of a password that nobody has: for unknown names, which take as long."""
    return _hasher().hash("personne n'a ce mot de passe")


@dataclass(slots=True)
class Passwords:
    """`known` turns are for browsers that have signed in before: others cannot take them."""

    known: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    others: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    waiting: int = 0

    async def make(self, password: str) -> str:
        """Return the hash of a password."""
        async with self.known:
            return await asyncio.to_thread(_hasher().hash, password)

    async def fits(self, made: str | None, password: str, *, known: bool) -> bool:
        """Is it the password of this hash? None: of nobody's. Raises Unavailable when too many
        wait."""
        if not known and self.waiting >= _WAITING:
            raise Unavailable("too many sign-ins at once", _AGAIN)
        self.waiting += not known
        try:
            async with self.known if known else self.others:
                return await asyncio.to_thread(_verify, made, password)
        finally:
            self.waiting -= not known


def is_outdated(made: str) -> bool:
    """Was it made with other costs than those of now?"""
    return _hasher().check_needs_rehash(made)


def _verify(made: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(made or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return made is not None
