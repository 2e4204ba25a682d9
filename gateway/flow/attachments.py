"""Files' bytes on their way to and from the object store, where one is configured.

Putting comes before the transaction that counts on it, deleting after the one that gave it up, and
both are written down in the database first, so that a crash leaves nothing behind for long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from gateway.catalogue.catalogue import AttachmentStore
from gateway.core.content import Content, InMemory, Placed
from gateway.core.errors import GatewayError, Unavailable
from gateway.flow.world import World
from gateway.store import blobs, places
from gateway.store.blobs import Place
from gateway.store.engine import Store
from gateway.store.objects import RANGE, Objects, new_place

log = structlog.get_logger()

#: So long an upload may be under way before what it has put is taken for lost.
UNDER_WAY: Final = timedelta(hours=1)
#: How often what is lost is looked for, in seconds, and how much goes at once.
EVERY: Final = 60.0
AT_ONCE: Final = 500
#: After so many faults in one run the rest waits for the next.
_FAULTS: Final = 3
#: What the trial of `check` puts, reads and deletes.
_TRIAL: Final = b"gru-gateway"


@dataclass(frozen=True, slots=True)
class Attachments:
    """One per process. `objects` None: all files are in the database."""

    store: Store
    world: World
    objects: Objects | None = None
    write: bool = False

    async def put(self, contents: Mapping[str, Content]) -> Mapping[str, Content]:
        """The contents (by SHA-256) as the database is to keep them, put where they are to lie.

        Raises Unavailable. What is kept already is not put again.
        """
        if self.objects is None or not self.write or not contents:
            return contents
        known = await self.store.read(blobs.here, list(contents))
        fresh = {
            sha256: Placed(content, new_place())
            for sha256, content in contents.items()
            if sha256 not in known
        }
        if not fresh:
            return contents
        reserved = [content.place for content in fresh.values()]
        await self.store.write(places.reserve, reserved, self.world.now() + UNDER_WAY)
        try:
            for placed in fresh.values():
                await self.objects.put(placed.place, placed)
        except Unavailable as error:
            log.warning("attachments.not_put", files=len(fresh), why=str(error))
            raise
        self.world.crash("attachments.put")
        return {**contents, **fresh}

    async def give_up(self, contents: Iterable[Content]) -> None:
        """The transaction is over: what it has not taken of these is deleted soon."""
        left = [content.place for content in contents if isinstance(content, Placed)]
        if left:
            await self.store.write(places.condemn, left)

    async def readable(self, sha256s: Iterable[str]) -> None:
        """Raises Unavailable when the object store does not give one of these files now."""
        if self.objects is None:
            return
        for sha256 in sha256s:
            first = await self.store.read(blobs.piece, sha256, 0)
            if isinstance(first, Place):
                await self.objects.read(first, 0, 0)

    async def read(self, place: Place, at: int, size: int) -> bytes:
        """A range of a file of `size` bytes, from `at` on."""
        return await self._objects().read(place, at, min(RANGE, size - at))

    async def sweep(self) -> int:
        """Delete what no file counts on; how many objects. What fails is tried again next time."""
        if self.objects is None:
            return 0
        gone: list[str] = []
        faults = 0
        for place in await self.store.write(places.due, self.world.now(), AT_ONCE):
            try:
                await self.objects.delete(place)
            except Unavailable as error:
                faults += 1
                log.warning("attachments.not_deleted", why=str(error))
                if faults == _FAULTS:
                    break
            else:
                gone.append(place)
        if gone:
            self.world.crash("attachments.deleted")
            await self.store.write(places.emptied, gone)
            log.info("attachments.deleted", objects=len(gone))
        return len(gone)

    async def check_reach(self) -> None:
        """Raises GatewayError when files lie in an object store and none is configured."""
        if self.objects is None and await self.store.read(places.any_used):
            raise GatewayError(
                "files lie in an object store and none is configured: give `attachments` again,"
                " with `write: false` to have new files in the database"
            )

    async def attempt(self) -> None:
        """Put, read and delete a small object. Raises Unavailable."""
        objects, place = self._objects(), new_place()
        await objects.put(place, InMemory(_TRIAL))
        try:
            if await objects.read(place, 0, len(_TRIAL)) != _TRIAL:
                raise Unavailable("the object store gives something else than was put there")
        finally:
            await objects.delete(place)

    def _objects(self) -> Objects:
        if self.objects is None:
            raise Unavailable("the file lies in an object store, and none is configured")
        return self.objects


def open_attachments(settings: AttachmentStore | None, store: Store, world: World) -> Attachments:
    """As the settings say."""
    if settings is None:
        return Attachments(store, world)
    options = {name: value.get_secret_value() for name, value in settings.options.items()}
    return Attachments(store, world, Objects(settings.url, options), settings.write)
