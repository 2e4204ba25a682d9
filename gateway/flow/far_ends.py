"""The open far ends: an adapter for each GRU, a client for each portal, GLC.

One commune at a time may be exchanged, so callers fetch a far end anew at each use. A replaced one
is closed once nobody uses it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import httpx
import structlog

from gateway.catalogue.catalogue import AttachmentStore, Catalogue, Commune, Glc, Gru, Portal
from gateway.catalogue.network import TIMEOUT
from gateway.core.lane_name import PortalLane, parse_lane
from gateway.flow.departures import Departures
from gateway.flow.environment import Environment
from gateway.flow.identity import identity_source
from gateway.sdk import Adapter, Context
from gateway.sdk.work import work_of
from gateway.wire.budget import CallBudget, CallSource, budget
from gateway.wire.clients import open_client
from gateway.wire.identity import IdentitySource
from gateway.wire.mail import MailRelay
from gateway.wire.portal import PortalClient
from gateway.wire.portal_calls import PortalCredentials
from gateway.wire.security_events import KeySource
from gateway.wire.sockets import NetworkConnector

log = structlog.get_logger()

_T = TypeVar("_T")

#: Makes the HTTP transport of a far end by lane name; None is the real one.
Transport = Callable[[str], httpx.AsyncBaseTransport | None]

#: The name of GLC among the far ends.
GLC: Final = "glc"
#: The relay by which people are told.
MAIL: Final = "mail"
#: Seconds. A replaced far end is closed after this long even if a poll or webhook uses it.
PATIENCE = 600.0


@dataclass(slots=True)
class _Side:
    """The connections to one GRU or GLC, and the number of polls and webhooks that use them."""

    since: datetime
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    uses: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)


class FarEnds:
    """Holds all far ends of `catalogue`."""

    def __init__(
        self,
        catalogue: Catalogue,
        environment: Environment,
        transport: Transport,
        shared: CallBudget,
    ) -> None:
        #: The communes that leave, whatever the catalogue says.
        self.departures = Departures(environment)
        #: The catalogue that runs, and the one that runs once every changed commune is exchanged.
        self.catalogue = self.aimed = catalogue
        #: By lane name.
        self.adapters: dict[str, Adapter] = {}
        self.portals: dict[str, PortalClient] = {}
        #: None when GLC is not configured.
        self.identity: IdentitySource | None = None
        #: The tool of the tickets; None: there is none.
        self.ticketing: Adapter | None = None
        #: Expiry of the certificate that each far end showed last.
        self.served: dict[str, datetime] = {}
        self.shared = shared
        self.limits = catalogue.settings.limits
        self._environment = environment
        self.transport = transport
        #: The keys by which GLC signs the events that it pushes; None where none are taken.
        self.event_keys: KeySource | None = None
        #: By lane name, GLC's by `GLC`.
        self._sides: dict[str, _Side] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        #: Replaced far ends that are not closed yet.
        self.closing: set[asyncio.Task[None]] = set()

    def aim(self, following: Catalogue) -> list[str]:
        """Set `following` as the target. Return the communes that `replace` has to exchange.

        What is unchanged stays the same object. Of settings and portals, only `prove` changes
        secrets and certificates.
        """
        now = self.catalogue
        kept = {
            insee: now.communes[insee] if now.communes.get(insee) == one else one
            for insee, one in following.communes.items()
        }
        self.aimed = replace(following, communes=kept, settings=now.settings, portals=now.portals)
        every = dict.fromkeys([*now.communes, *kept])
        changed = [insee for insee in every if self.differs(insee)]
        releases = following.releases
        if releases is not None:
            releases = _with(releases, now.releases or {}, changed)
        communes = _with(kept, now.communes, changed)
        self.catalogue = replace(self.aimed, communes=communes, releases=releases)
        return changed

    def differs(self, insee: str) -> bool:
        """Has this commune still to be exchanged?"""
        return self.catalogue.communes.get(insee) != self.aimed.communes.get(insee)

    @asynccontextmanager
    async def changing(self, insee: str) -> AsyncIterator[None]:
        """Lock a commune: one change of it at a time."""
        lock = self._locks.setdefault(insee, asyncio.Lock())
        async with lock:
            yield

    def replace(self, insee: str) -> None:
        """Exchange a commune for its target, which may be none.

        Unchanged GRUs go on; replaced ones are closed once unused. When an adapter cannot be made,
        everything stays and its error is raised.
        """
        now, aim = self.catalogue, self.aimed
        before, after = _grus(now.communes.get(insee)), _grus(aim.communes.get(insee))
        opened = {name: self._opened(gru) for name, gru in after.items() if before.get(name) != gru}
        gone = [name for name, gru in before.items() if after.get(name) != gru]
        communes = _with(now.communes, aim.communes, [insee])
        releases = now.releases
        if releases is not None:
            releases = _with(releases, aim.releases or {}, [insee])
        self.catalogue = replace(now, communes=communes, releases=releases)
        for name in gone:
            self.adapters.pop(name, None)
            self._leave(name)
        for name, (side, adapter) in opened.items():
            self._sides[name], self.adapters[name] = side, adapter

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Mark a GRU (by lane name) or GLC as used by a poll or webhook. Work in threads counts as
        well."""
        side = self._sides.get(name)
        if side is None:
            yield
            return
        side.uses += 1
        try:
            with work_of(name):
                yield
        finally:
            side.uses -= 1
            side.unused.set()

    def prove(self, following: Catalogue) -> list[str]:
        """Use the secrets and certificates of `following`. Return the names of those that changed.

        They prove us to portals and GLC, and callers to us (`ops`). Calls under way end with the
        former ones. Raises OSError and ssl.SSLError when a certificate cannot be used; everything
        stays then.
        """
        now, theirs = self.catalogue, following.portals
        portals = {
            name: one if theirs.get(name, one) == one else theirs[name]
            for name, one in now.portals.items()
        }
        changed = [name for name, one in portals.items() if one is not now.portals[name]]
        clients = {name: self._portal_client(portals[name]) for name in changed}
        settings, glc = now.settings, following.settings.glc
        if glc is not None and settings.glc is not None and glc != settings.glc:
            side, identity = self._opened_glc(glc)
            self._leave(GLC)
            self._sides[GLC], self.identity = side, identity
            settings = replace(settings, glc=glc)
            changed.append(GLC)
        if following.settings.ops.tokens != settings.ops.tokens:
            ops = replace(settings.ops, tokens=following.settings.ops.tokens)
            settings = replace(settings, ops=ops)
            changed.append("ops")
        for name, client in clients.items():
            self._later(self.portals[name].prove(client, _proof(portals[name])))
        self.catalogue = replace(now, portals=portals, settings=settings)
        self.aimed = replace(self.aimed, portals=portals, settings=settings)
        return changed

    def use_store(self, attachments: AttachmentStore) -> None:
        """Use these settings of the object store from now on."""
        settings = replace(self.catalogue.settings, attachments=attachments)
        self.catalogue = replace(self.catalogue, settings=settings)
        self.aimed = replace(self.aimed, settings=settings)

    def since(self, lane: str) -> datetime | None:
        """Return when a GRU was opened; None for an unknown one."""
        side = self._sides.get(lane)
        return None if side is None else side.since

    def caller(self, lane: str) -> CallSource:
        """Return the source under which calls of this lane take turns."""
        name = parse_lane(lane)
        far_end = name.far_end if isinstance(name, PortalLane) else lane
        return CallSource(name.commune, far_end, lane)

    def open(self) -> None:
        """Open all far ends. None is connected before its first call."""
        for portal in self.catalogue.portals.values():
            proof = _proof(portal)
            self.portals[portal.name] = PortalClient(
                portal.base_url,
                self._portal_client(portal),
                orig=proof.orig,
                key=proof.key,
                basic=proof.basic,
                former=proof.former,
                now=self._environment.now,
                nonce=lambda: secrets.token_hex(16),
                max_file_bytes=self.limits.max_file_bytes,
            )
        for commune in self.catalogue.communes.values():
            for name, gru in _grus(commune).items():
                self._sides[name], self.adapters[name] = self._opened(gru)
        settings = self.catalogue.settings
        if settings.glc is not None:
            self._sides[GLC], self.identity = self._opened_glc(settings.glc)
        if settings.ticketing is not None:
            tool = settings.ticketing.tool
            self._sides[tool.lane_name], self.ticketing = self._opened(tool)

    async def aclose(self) -> None:
        for task in self.closing:
            task.cancel()
        await asyncio.gather(*self.closing, return_exceptions=True)
        for side in self._sides.values():
            await side.stack.aclose()
        for portal in self.portals.values():
            await portal.aclose()

    def _leave(self, name: str) -> None:
        self.served.pop(name, None)
        side = self._sides.pop(name, None)
        if side is not None:
            self._later(_retire(side))

    def _later(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(closing, name="far end closing")
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)

    def _opened(self, gru: Gru) -> tuple[_Side, Adapter]:
        side = _Side(self._environment.now())
        transport = self.transport(gru.lane_name)
        served = partial(self.served.__setitem__, gru.lane_name)
        client = open_client(
            timeout=gru.lane.timeout,
            connections=gru.lane.concurrency + 1,  # one more for polls
            transport=transport,
            shared=self.shared,
            commune=gru.commune,
            far_end=gru.lane_name,
            network=gru.network,
            served=served,
        )
        connector = None
        if transport is None:
            connector = NetworkConnector(
                gru.lane.timeout, gru.network, self.shared, gru.commune, gru.lane_name, served
            )
        side.stack.push_async_callback(client.aclose)
        adapter = self.catalogue.adapters[gru.adapter](
            gru.options,
            Context(
                gru.commune,
                gru.name,
                client,
                self._environment.now,
                gru.production,
                public_url=self.catalogue.settings.public_url,
                connector=connector,
            ),
        )
        side.stack.push_async_callback(adapter.aclose)
        return side, adapter

    def mail_relay(self) -> MailRelay | None:
        """Return the relay by which people are told; None where there is none."""
        settings = self.catalogue.settings.mail
        if settings is None:
            return None
        served = partial(self.served.__setitem__, MAIL)
        lent = NetworkConnector(TIMEOUT, settings.network, self.shared, "", MAIL, served)
        return MailRelay(settings, lent)

    def _opened_glc(self, glc: Glc) -> tuple[_Side, IdentitySource]:
        side = _Side(self._environment.now())
        client = open_client(
            timeout=glc.timeout,
            connections=1,
            transport=self.transport(GLC),
            shared=self.shared,
            far_end=GLC,
            network=glc.network,
            served=partial(self.served.__setitem__, GLC),
        )
        side.stack.push_async_callback(client.aclose)
        self.event_keys = None if glc.events is None else KeySource(glc.events.jwks_url, client)
        return side, identity_source(glc, client, self._environment)

    def _portal_client(self, portal: Portal) -> httpx.AsyncClient:
        name = portal.far_end
        return open_client(
            timeout=portal.lane.timeout,
            connections=None,  # unbounded here: calls to it take turns, over all communes
            transport=self.transport(name),
            shared=self.shared,
            far_end=name,
            network=portal.network,
            served=partial(self.served.__setitem__, name),
        )


def _grus(commune: Commune | None) -> dict[str, Gru]:
    """Return a commune's GRUs by lane name."""
    return {} if commune is None else {gru.lane_name: gru for gru in commune.grus.values()}


def _proof(portal: Portal) -> PortalCredentials:
    basic = portal.basic
    return PortalCredentials(
        orig=portal.orig,
        key=portal.key.get_secret_value() if portal.key else None,
        basic=(basic[0], basic[1].get_secret_value()) if basic else None,
        former=portal.former.get_secret_value() if portal.former else None,
    )


async def _retire(side: _Side) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while side.uses:
                side.unused.clear()
                await side.unused.wait()
    except TimeoutError:
        log.warning("far_ends.cut", uses=side.uses)
    finally:
        await side.stack.aclose()


@asynccontextmanager
async def open_far_ends(
    catalogue: Catalogue,
    *,
    environment: Environment | None = None,
    transport: Transport = lambda lane: None,
    shared: CallBudget | None = None,
) -> AsyncIterator[FarEnds]:
    """Open a catalogue's far ends; close them at the end. `shared` bounds all calls together."""
    if shared is None:
        shared = budget({one.far_end: one.calls for one in catalogue.portals.values()})
    far_ends = FarEnds(catalogue, environment or Environment(), transport, shared)
    try:
        far_ends.open()
        yield far_ends
    finally:
        await far_ends.aclose()


def _with(base: Mapping[str, _T], other: Mapping[str, _T], keys: Iterable[str]) -> dict[str, _T]:
    """Copy `base`, with these keys taken from `other`."""
    found = dict(base)
    for key in keys:
        found.pop(key, None)
        if key in other:
            found[key] = other[key]
    return found
