"""Gives stored files to far ends piece by piece, from the database or the object store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from gateway.core.errors import Unavailable
from gateway.core.outcome import TryLater
from gateway.core.request import Attachment
from gateway.flow.attachments import Attachments
from gateway.flow.environment import Environment
from gateway.sdk import File
from gateway.store import blobs
from gateway.store.blobs import StoredFile
from gateway.store.engine import Store

T = TypeVar("T")

#: Seconds until a file is asked for again that its store did not give.
DATABASE_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class FileOpener:
    """Opens stored files. One per process."""

    store: Store
    environment: Environment
    attachments: Attachments

    def of(self, attachment: Attachment) -> File:
        """Return the file. Its bytes are read when they are asked for."""
        return File(
            attachment.field,
            attachment.filename,
            attachment.content_type,
            attachment.size,
            attachment.sha256,
            lambda: self._pieces(attachment),
        )

    async def _pieces(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """Yield the file's bytes. No transaction stays open while a piece is sent."""
        given, n, size = 0, 0, attachment.size
        file = await self._patiently(partial(self.store.read, blobs.find, attachment.address))
        while n == 0 or given < size:
            piece = await self._patiently(partial(self._piece, file, n, size))
            yield piece
            given, n = given + len(piece), n + 1

    async def _piece(self, file: StoredFile, n: int, size: int) -> bytes | None:
        if file.place is not None:
            return await self.attachments.read(file, n, size)
        return await self.store.read(blobs.piece, file, n, size)

    async def _patiently(self, read: Callable[[], Awaitable[T | None]]) -> T:
        """Read until there is an answer. Raises LookupError when there is nothing to read."""
        while True:
            try:
                found = await read()
            except Unavailable:
                # An outage of ours is waited out; the attempt's time bounds it.
                await self.environment.sleep(DATABASE_PAUSE)
                continue
            if found is None:
                raise LookupError("the file's bytes are gone")
            return found

    async def withheld(self, files: Iterable[Attachment], timeout: float) -> TryLater | None:
        """Return a delay when one of the files to send cannot be read in time. This is asked before
        the call: a file that fails halfway would leave the far end in doubt."""
        try:
            async with asyncio.timeout(timeout):
                await self.attachments.readable(file.address for file in files)
        except Unavailable as error:
            return TryLater("attachments_unavailable", str(error))
        except TimeoutError:
            return TryLater("attachments_unavailable", "the files take too long to be read")
        return None
