"""The far ends of what runs: an adapter for each GRU, a client for each portal, GLC.

What runs may change while it does, one commune at a time: whoever works with far ends asks for them
anew at each use. What a commune no longer has is closed once nobody uses it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import httpx
import structlog

from gateway.catalogue.catalogue import Catalogue, Commune, Gru, Portal
from gateway.flow.identity import identity_source
from gateway.flow.world import World
from gateway.sdk import Adapter, Context
from gateway.wire.budget import Budget, Caller, budget
from gateway.wire.clients import open_client
from gateway.wire.formdata import Limits
from gateway.wire.identity import IdentitySource
from gateway.wire.portal import PortalClient

log = structlog.get_logger()

_T = TypeVar("_T")

#: Makes the HTTP transport of a far end (by lane name); None is the real one.
Transport = Callable[[str], httpx.AsyncBaseTransport | None]

#: A poll or a webhook that still uses what was replaced is waited for so long, in seconds.
PATIENCE = 600.0


@dataclass(slots=True)
class _Side:
    """What is open for one commune, and how many polls and webhooks use it."""

    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    uses: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)


class FarEnds:
    """All far ends, as `catalogue` has them."""

    def __init__(
        self, catalogue: Catalogue, world: World, transport: Transport, shared: Budget
    ) -> None:
        #: What runs, and what is to run once the communes that differ have been changed.
        self.catalogue = self.aimed = catalogue
        #: By lane name.
        self.adapters: dict[str, Adapter] = {}
        self.portals: dict[str, PortalClient] = {}
        #: None when GLC is not configured.
        self.identity: IdentitySource | None = None
        self.shared = shared
        self.limits = limits_of(catalogue)
        self._world = world
        self._transport = transport
        self._common = AsyncExitStack()
        self._sides: dict[str, _Side] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def aim(self, following: Catalogue) -> list[str]:
        """`following` is what is to run; the communes that `replace` has yet to change for it."""
        now, self.aimed = self.catalogue, following
        every = dict.fromkeys([*now.communes, *following.communes])
        changed = [insee for insee in every if self.differs(insee)]
        releases = following.releases
        if releases is not None:
            releases = _with(releases, now.releases or {}, changed)
        communes = _with(following.communes, now.communes, changed)
        self.catalogue = replace(following, communes=communes, releases=releases)
        return changed

    def differs(self, insee: str) -> bool:
        """Is this commune to run otherwise than it does?"""
        return self.catalogue.communes.get(insee) != self.aimed.communes.get(insee)

    @asynccontextmanager
    async def changing(self, insee: str) -> AsyncIterator[None]:
        """One changes a commune at a time."""
        lock = self._locks.setdefault(insee, asyncio.Lock())
        async with lock:
            yield

    def replace(self, insee: str) -> None:
        """From now on a commune is as it is to be, which may be not at all. What it had is closed
        once nobody uses it. When an adapter cannot be made all stays as it was, and its error is
        raised."""
        now, aim = self.catalogue, self.aimed
        side, adapters = self._opened(aim.communes.get(insee))
        old = now.communes.get(insee)
        for gru in () if old is None else old.grus.values():
            self.adapters.pop(gru.lane_name, None)
        communes = _with(now.communes, aim.communes, [insee])
        releases = now.releases
        if releases is not None:
            releases = _with(releases, aim.releases or {}, [insee])
        self.catalogue = replace(now, communes=communes, releases=releases)
        self.adapters.update(adapters)
        before, self._sides[insee] = self._sides.pop(insee, None), side
        if before is not None:
            task = asyncio.create_task(self._retire(before), name=f"retire {insee}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    @contextmanager
    def using(self, insee: str) -> Iterator[None]:
        """A poll or a webhook of this commune works with what it has open."""
        side = self._sides.get(insee)
        if side is None:
            yield
            return
        side.uses += 1
        try:
            yield
        finally:
            side.uses -= 1
            side.unused.set()

    def caller(self, lane: str) -> Caller:
        """Whose turn a call of this lane takes."""
        kind, _, rest = lane.partition(":")
        first, _, second = rest.partition(":")
        if kind == "portal":
            return Caller(second, f"portal:{first}", lane)
        return Caller(first, lane, lane)

    def open(self) -> None:
        """Make all of them. Nothing is connected before the first call."""
        for portal in self.catalogue.portals.values():
            self.portals[portal.name] = self._portal(portal)
        for commune in self.catalogue.communes.values():
            self._sides[commune.insee], adapters = self._opened(commune)
            self.adapters.update(adapters)
        glc = self.catalogue.settings.glc
        if glc is not None:
            client = open_client(
                timeout=glc.timeout,
                connections=1,
                transport=self._transport("glc"),
                shared=self.shared,
                far_end="glc",
                network=glc.network,
            )
            self._common.push_async_callback(client.aclose)
            self.identity = identity_source(glc, client, self._world)

    async def aclose(self) -> None:
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for side in self._sides.values():
            await side.stack.aclose()
        await self._common.aclose()

    async def _retire(self, side: _Side) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while side.uses:
                    side.unused.clear()
                    await side.unused.wait()
        except TimeoutError:
            log.warning("far_ends.cut", uses=side.uses)
        finally:
            await side.stack.aclose()

    def _opened(self, commune: Commune | None) -> tuple[_Side, Mapping[str, Adapter]]:
        side = _Side()
        if commune is None:
            return side, {}
        return side, {gru.lane_name: self._adapter(gru, side) for gru in commune.grus.values()}

    def _adapter(self, gru: Gru, side: _Side) -> Adapter:
        client = open_client(
            timeout=gru.timeout,
            connections=gru.lane.concurrency + 1,  # one more for polls
            transport=self._transport(gru.lane_name),
            shared=self.shared,
            commune=gru.commune,
            far_end=gru.lane_name,
            network=gru.network,
        )
        side.stack.push_async_callback(client.aclose)
        adapter = self.catalogue.adapters[gru.adapter](
            gru.options, Context(gru.commune, gru.name, client, self._world.now, gru.production)
        )
        side.stack.push_async_callback(adapter.aclose)
        return adapter

    def _portal(self, portal: Portal) -> PortalClient:
        name = f"portal:{portal.name}"
        client = open_client(
            timeout=portal.timeout,
            connections=None,  # its bound is for all communes together, who take turns
            transport=self._transport(name),
            shared=self.shared,
            far_end=name,
            network=portal.network,
        )
        self._common.push_async_callback(client.aclose)
        return PortalClient(
            portal.base_url,
            client,
            orig=portal.orig,
            key=portal.key.get_secret_value() if portal.key else None,
            basic=(portal.basic[0], portal.basic[1].get_secret_value()) if portal.basic else None,
            now=self._world.now,
            nonce=lambda: secrets.token_hex(16),
            max_file_bytes=self.limits.max_file_bytes,
        )


@asynccontextmanager
async def open_far_ends(
    catalogue: Catalogue,
    *,
    world: World | None = None,
    transport: Transport = lambda lane: None,
    shared: Budget | None = None,
) -> AsyncIterator[FarEnds]:
    """The far ends of a catalogue; closed after. `shared` is what their calls may use at once."""
    if shared is None:
        shared = budget({f"portal:{one.name}": one.calls for one in catalogue.portals.values()})
    far_ends = FarEnds(catalogue, world or World(), transport, shared)
    try:
        far_ends.open()
        yield far_ends
    finally:
        await far_ends.aclose()


def _with(base: Mapping[str, _T], other: Mapping[str, _T], keys: Iterable[str]) -> dict[str, _T]:
    """`base`, but for these keys, which are as `other` has them."""
    found = dict(base)
    for key in keys:
        found.pop(key, None)
        if key in other:
            found[key] = other[key]
    return found


def limits_of(catalogue: Catalogue) -> Limits:
    """What a formdata may be, however it comes."""
    limits = catalogue.settings.limits
    return Limits(
        max_bytes=limits.body_bytes,
        max_file_bytes=limits.file_bytes,
        max_files=limits.files,
        max_depth=limits.depth,
    )
