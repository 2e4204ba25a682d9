"""Has each file from outside looked at by a virus scanner, where one is configured.

No file passes unchecked: while the scanner is away, what bears a file is not taken, and comes
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from gateway.core.content import Content, InMemory
from gateway.core.errors import Unavailable
from gateway.flow.environment import Environment
from gateway.telemetry import sparingly
from gateway.wire.clamav import Clamd

log = structlog.get_logger()

#: Files that one process has looked at, at once.
_AT_ONCE: Final = 4
#: The harmless file that every scanner finds (EICAR), in two halves: whole, it would be found here.
_TEST_FILE: Final = (
    r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-",
    "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*",
)


@dataclass(slots=True)
class Antivirus:
    """The scanner of this process; `clamd` None: files are not looked at. `failing_since`: when the
    first of its last calls failed."""

    clamd: Clamd | None
    environment: Environment
    failing_since: datetime | None = None
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def infected(self, contents: Iterable[Content]) -> frozenset[str]:
        """Return the SHA-256 of those files in which something was found. Raises Unavailable."""
        if self.clamd is None:
            return frozenset()
        files = {content.sha256: content for content in contents}
        found = {
            sha256: name
            for sha256, content in files.items()
            if (name := await self._scan(self.clamd, content)) is not None
        }
        for name in found.values():
            log.warning("antivirus.found", virus=name)
        return frozenset(found)

    async def retry(self) -> None:
        """Ask a scanner that failed whether it is there again; `failing_since` tells."""
        if self.clamd is not None and self.failing_since is not None:
            try:
                await self.clamd.version()
            except Unavailable:
                return
            self.failing_since = None

    async def _scan(self, clamd: Clamd, content: Content) -> str | None:
        try:
            async with asyncio.timeout(clamd.timeout):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("the virus scanner is busy with other files") from None
        try:
            found = await clamd.scan(content)
        except Unavailable as error:
            self.failing_since = self.failing_since or self.environment.now()
            sparingly(log.warning, "antivirus.away", why=str(error))
            raise
        finally:
            self._turns.release()
        self.failing_since = None
        return found


async def try_scanner(clamd: Clamd, largest: int) -> tuple[str, bool]:
    """Return what the scanner says of itself, and whether it finds the test file that each finds.
    Raises Unavailable, also when it takes no file of `largest` bytes."""
    version = await clamd.version()
    large, bad = await asyncio.to_thread(_trials, largest)
    await clamd.scan(large)
    return version, await clamd.scan(bad) is not None


def _trials(largest: int) -> tuple[Content, Content]:
    return InMemory(bytes(largest)), InMemory("".join(_TEST_FILE).encode())


__all__ = ["Antivirus", "try_scanner"]
