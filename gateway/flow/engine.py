"""The use cases built over one catalogue and one database: what the HTTP side and the app drive."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx

from gateway.catalogue.catalogue import Catalogue, Gru
from gateway.core.breaker import BreakerPolicy
from gateway.flow.attachments import Attachments, open_attachments
from gateway.flow.changes import ChangeTaker
from gateway.flow.deliver import Deliverer
from gateway.flow.erase import Eraser
from gateway.flow.identity import IdentityWatch, identity_source
from gateway.flow.lane import LanePolicy
from gateway.flow.lanes import Lanes
from gateway.flow.receive import Receiver
from gateway.flow.reconcile import SETTLE, Reconciler
from gateway.flow.tombstone import Tombstones
from gateway.flow.world import World
from gateway.sdk import Adapter, Context
from gateway.store.engine import Store
from gateway.wire.clients import open_client
from gateway.wire.formdata import Limits
from gateway.wire.portal import PortalClient

#: Makes the HTTP transport of a far end (by lane name); None is the real one.
Transport = Callable[[str], httpx.AsyncBaseTransport | None]

PORTAL_CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a running gateway does, ready to be called.

    `alone`: no other process works on this database.
    """

    catalogue: Catalogue
    store: Store
    world: World
    limits: Limits
    adapters: Mapping[str, Adapter]
    portals: Mapping[str, PortalClient]
    lanes: Lanes
    receiver: Receiver
    changes: ChangeTaker
    reconciler: Reconciler
    eraser: Eraser
    attachments: Attachments
    #: None when GLC is not configured.
    identity: IdentityWatch | None = None
    alone: bool = True

    def lane_names(self) -> list[str]:
        """Every configured lane."""
        return [
            name for insee in self.catalogue.communes for name in lanes_of(self.catalogue, insee)
        ]


def grus(catalogue: Catalogue) -> list[Gru]:
    """Every commune's GRUs."""
    return [gru for commune in catalogue.communes.values() for gru in commune.grus.values()]


def lanes_of(catalogue: Catalogue, insee: str) -> list[str]:
    """A commune's lanes: to each of its GRUs, and back to its portal. None when it is unknown."""
    commune = catalogue.communes.get(insee)
    if commune is None:
        return []
    names = [gru.lane_name for gru in commune.grus.values()]
    return [*names, catalogue.portals[commune.portal].lane_name(insee)]


@asynccontextmanager
async def open_engine(
    catalogue: Catalogue,
    store: Store,
    *,
    world: World | None = None,
    owner: str | None = None,
    alone: bool = True,
    transport: Transport = lambda lane: None,
    breaker: BreakerPolicy | None = None,
    settle: timedelta = SETTLE,
) -> AsyncIterator[Engine]:
    """Build the far ends' clients and adapters, and the use cases over them; close them after.

    `alone` says that no other process works on this database.
    """
    world = world or World()
    breaker = breaker or BreakerPolicy()
    limits = Limits(
        max_bytes=catalogue.settings.limits.body_bytes,
        max_file_bytes=catalogue.settings.limits.file_bytes,
        max_files=catalogue.settings.limits.files,
        max_depth=catalogue.settings.limits.depth,
    )
    async with AsyncExitStack() as stack:
        adapters: dict[str, Adapter] = {}
        for gru in grus(catalogue):
            client = await stack.enter_async_context(
                open_client(
                    timeout=gru.timeout,
                    connections=gru.lane.concurrency + 1,  # one more for polls
                    transport=transport(gru.lane_name),
                )
            )
            adapter = catalogue.adapters[gru.adapter](
                gru.options,
                Context(gru.commune, gru.name, client, world.now, gru.production),
            )
            stack.push_async_callback(adapter.aclose)
            adapters[gru.lane_name] = adapter
        portals: dict[str, PortalClient] = {}
        for portal in catalogue.portals.values():
            client = await stack.enter_async_context(
                open_client(
                    timeout=portal.timeout,
                    connections=PORTAL_CONNECTIONS,
                    transport=transport(f"portal:{portal.name}"),
                )
            )
            portals[portal.name] = PortalClient(
                portal.base_url,
                client,
                orig=portal.orig,
                key=portal.key.get_secret_value() if portal.key else None,
                basic=(portal.basic[0], portal.basic[1].get_secret_value())
                if portal.basic
                else None,
                now=world.now,
                nonce=lambda: secrets.token_hex(16),
                max_file_bytes=limits.max_file_bytes,
            )
        attachments = open_attachments(catalogue.settings.attachments, store, world)
        deliverer = Deliverer(store, catalogue, adapters, portals, world, attachments)
        lanes = Lanes(
            store,
            deliverer,
            world,
            owner=owner or secrets.token_hex(8),
            policy=lambda name: lane_policy(catalogue, name, breaker),
            alone=alone,
        )
        tombstones = Tombstones(catalogue.settings)
        receiver = Receiver(
            store, catalogue, adapters, portals, world, lanes.wake, attachments, tombstones
        )
        identity: IdentityWatch | None = None
        glc = catalogue.settings.glc
        if glc is not None:
            client = await stack.enter_async_context(
                open_client(timeout=glc.timeout, connections=1, transport=transport("glc"))
            )
            source = identity_source(glc, client, world)
            identity = IdentityWatch(store, glc, source, tombstones, world)
        yield Engine(
            catalogue,
            store,
            world,
            limits,
            adapters,
            portals,
            lanes,
            receiver,
            ChangeTaker(store, catalogue, adapters, world, lanes.wake, attachments),
            Reconciler(store, catalogue, portals, receiver, world, limits, settle),
            Eraser(store, tombstones, world, lanes.wake, attachments),
            attachments,
            identity,
            alone,
        )


def lane_policy(catalogue: Catalogue, name: str, breaker: BreakerPolicy) -> LanePolicy:
    """The bounds of a lane by its name. One that is no longer configured keeps the defaults."""
    kind, _, rest = name.partition(":")
    first, _, second = rest.partition(":")
    if kind == "gru" and first in catalogue.communes:
        commune = catalogue.communes[first]
        gru = commune.grus.get(second)
        if gru is not None:
            lane = gru.lane
            return LanePolicy(
                lane.concurrency, lane.rate, gru.timeout, gru.retry, breaker, commune.paused
            )
    if kind == "portal" and first in catalogue.portals:
        portal = catalogue.portals[first]
        return LanePolicy(
            portal.lane.concurrency, portal.lane.rate, portal.timeout, portal.retry, breaker
        )
    return LanePolicy(breaker=breaker)
