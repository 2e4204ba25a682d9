"""Moves files' bytes to and from the object store, where one is configured.

A file is put before the transaction that refers to it, and deleted after the one that drops it.
Both are noted in the database first, so a crash leaves nothing behind for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Final, Literal

import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.catalogue.catalogue import AttachmentStore
from gateway.core.content import Content, InMemory, ObjectContent
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.sealing import KEY, SealedContent, sealed_size, unseal_piece
from gateway.flow.environment import Environment
from gateway.flow.texts import say as say_flow
from gateway.store import blobs, object_gc
from gateway.store.blobs import StoredFile
from gateway.store.engine import Store
from gateway.store.objects import RANGE, Objects, new_place, say

log = structlog.get_logger()

#: A request of a killed process may still reach the store for this long.
ARRIVING: Final = timedelta(seconds=5)
#: The sweep of orphans: seconds between two, and objects deleted by one.
EVERY: Final = 60.0
AT_ONCE: Final = 500
#: A sweep ends after this many faults.
_FAULTS: Final = 3
#: Seconds between two tries of a store that failed.
RETRY: Final = 30.0
_TRIAL: Final = b"gru-gateway"

Operation = Literal["put", "read", "delete"]


@dataclass(slots=True)
class StoreHealth:
    """The health of the object store, as this process's own calls show it."""

    #: The operations whose last call failed, each with the time of its first failure.
    failing: dict[Operation, datetime] = field(default_factory=dict)
    #: No try before this time of the monotonic clock.
    retry_at: float = 0.0
    on_failure: Callable[[Operation], None] = lambda operation: None


@dataclass(slots=True)
class Attachments:
    """Puts, reads and deletes files. One per process. `objects` is None when all files are in the
    database. It may be replaced at any time by the same store with other credentials."""

    store: Store
    environment: Environment
    objects: Objects | None = None
    write: bool = False
    health: StoreHealth = field(default_factory=StoreHealth)

    @property
    def external(self) -> bool:
        """Do new files go to the object store? They are put before the transaction, not in it."""
        return self.objects is not None and self.write

    async def put(
        self,
        contents: Mapping[str, Content],
        within: float | None = None,
        *,
        request_id: str | None = None,
    ) -> Mapping[str, Content]:
        """Put these contents (by SHA-256) in their place. Return them as the database is to keep
        them.

        Raises Unavailable, also when all take more than `within` seconds. What is kept already of
        the request that they belong to, if that is known, is not put again.
        """
        if not self.external or not contents:
            return contents
        known: frozenset[str] = frozenset()
        if request_id is not None:
            known = await self.store.read(blobs.stored_among, request_id, list(contents))
        sealed = self.store.sealer is not None
        fresh = {
            sha256: ObjectContent(content, new_place(), token_bytes(KEY) if sealed else None)
            for sha256, content in contents.items()
            if sha256 not in known
        }
        if not fresh:
            return contents
        reserved = [content.place for content in fresh.values()]
        await self.store.write(object_gc.reserve, reserved, self.environment.now())
        try:
            with self._asking("put") as objects:
                await _put(objects, fresh.values(), within)
        except Unavailable as error:
            log.warning("attachments.not_put", files=len(fresh), why=str(error))
            raise
        self.environment.crash("attachments.put")
        return {**contents, **fresh}

    async def drop(self, contents: Iterable[Content]) -> None:
        """Have those of these files deleted that the ended transaction did not keep."""
        left = [content.place for content in contents if isinstance(content, ObjectContent)]
        if left:
            await self.store.write(object_gc.condemn, left)

    async def readable(self, addresses: Iterable[str]) -> None:
        """Raises Unavailable when the object store does not give one of these files."""
        if self.objects is None:
            return
        for address in addresses:
            file = await self.store.read(blobs.find, address)
            if file is not None and file.place is not None:
                with self._asking("read") as objects:
                    await objects.read(file.place, 0, 0)

    async def read(self, file: StoredFile, n: int, size: int) -> bytes:
        """Return the n-th piece of a file of `size` bytes that lies in the object store. Raises
        NotOpened."""
        lies = size if file.key is None else sealed_size(size, RANGE)
        at = n * RANGE
        with self._asking("read") as objects:
            data = await objects.read(file.place or "", at, min(RANGE, lies - at))
        if file.key is None:
            return data
        return await asyncio.to_thread(unseal_piece, AESGCM(file.key), n, size, data)

    async def sweep(self) -> int:
        """Delete the objects that no file refers to; return how many. A failed one waits."""
        if self.objects is None:
            return 0
        gone: list[str] = []
        faults = 0
        for place in await self.store.write(object_gc.due, self.environment.now(), AT_ONCE):
            try:
                with self._asking("delete") as objects:
                    await objects.delete(place)
            except Unavailable as error:
                faults += 1
                log.warning("attachments.not_deleted", why=str(error))
                if faults == _FAULTS:
                    break
            else:
                gone.append(place)
        if gone:
            self.environment.crash("attachments.deleted")
            await self.store.write(object_gc.emptied, gone)
            log.info("attachments.deleted", objects=len(gone))
        return len(gone)

    async def adopt_orphans(self) -> None:
        """Mark what a dead process was putting as orphaned. For a process that starts alone: beside
        others such an object could be theirs; it is swept when its time is over."""
        if self.objects is not None:
            await self.store.write(object_gc.adopt_orphans, self.environment.now() + ARRIVING)

    async def check_reach(self) -> None:
        """Raises GatewayError when files lie in an object store that is not configured."""
        if self.objects is None and await self.store.read(object_gc.any_used):
            raise GatewayError(say_flow("objects_unconfigured"))

    async def retry(self) -> None:
        """Try a store that failed a while ago. Raises Unavailable. Without traffic it would
        otherwise stay reported as failing."""
        if not self.health.failing or self.environment.monotonic() < self.health.retry_at:
            return
        self.health.retry_at = self.environment.monotonic() + RETRY  # others who ask meanwhile wait
        place = new_place()
        await self.store.write(object_gc.reserve, [place], self.environment.now())
        await _try(self._asking, place)
        await self.store.write(object_gc.emptied, [place])

    @contextmanager
    def _asking(self, operation: Operation) -> Iterator[Objects]:
        """Ask the store within the block, and record in `health` how that went. Raises
        Unavailable."""
        if self.objects is None:
            raise Unavailable("the file lies in an object store, and none is configured")
        try:
            yield self.objects
        except Unavailable:
            self.health.failing.setdefault(operation, self.environment.now())
            self.health.retry_at = self.environment.monotonic() + RETRY
            self.health.on_failure(operation)
            raise
        self.health.failing.pop(operation, None)


async def attempt(objects: Objects) -> None:
    """Put, read and delete a small object. Raises Unavailable."""
    place = new_place()
    try:
        await _try(lambda operation: nullcontext(objects), place)
    except Unavailable:
        with suppress(Unavailable):
            await objects.delete(place)
        raise


async def _try(asking: Callable[[Operation], AbstractContextManager[Objects]], place: str) -> None:
    with asking("put") as objects:
        await objects.put(place, InMemory(_TRIAL))
    with asking("read") as objects:
        if await objects.read(place, 0, len(_TRIAL)) != _TRIAL:
            raise Unavailable(say("objects_other"))
    with asking("delete") as objects:
        await objects.delete(place)


async def _put(objects: Objects, contents: Iterable[ObjectContent], within: float | None) -> None:
    try:
        async with asyncio.timeout(within):
            for content in contents:
                key = content.key
                lies = content if key is None else SealedContent(content, key, RANGE)
                await objects.put(content.place, lies)
    except TimeoutError:
        raise Unavailable("the files take too long to the object store") from None


def open_objects(settings: AttachmentStore | None) -> Objects | None:
    """Return the object store that the settings name; None when files are in the database."""
    if settings is None:
        return None
    options = {name: value.get_secret_value() for name, value in settings.options.items()}
    return Objects(settings.url, options)


def open_attachments(
    settings: AttachmentStore | None, store: Store, environment: Environment
) -> Attachments:
    """Make the attachments' access as the settings say."""
    write = settings is not None and settings.write
    return Attachments(store, environment, open_objects(settings), write)
