"""The gateway as a reader may see it: what is not theirs does not exist.

The one place where scope is kept. Views and acts read by it alone, and never read the store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from gateway.catalogue.catalogue import Commune
from gateway.core.console import Reader
from gateway.core.errors import NotFound
from gateway.core.lane_name import parse_lane
from gateway.flow.engine import Engine
from gateway.flow.lanes.configured import lanes_of
from gateway.ops.health import health
from gateway.ops.shapes import DriftedForm, Health, LanePart
from gateway.ops.why import Cause, causes_of
from gateway.store import incidents, releases, requests, untold
from gateway.store.incidents import Incident
from gateway.store.outbox import backlog
from gateway.store.outbox.rows import Delivery
from gateway.store.releases import ReleaseLedger
from gateway.store.rows import StoredRequest, Trace, Untold
from gateway.web.state import DaemonCondition

_T = TypeVar("_T")
#: Rows of a list, and seconds for which a look at health serves all readers.
MOST = 200
FRESH = 5.0


@dataclass(frozen=True, slots=True)
class TownName:
    """A commune as the console names it. `served` False: its files are there, no release runs."""

    insee: str
    name: str
    portal: str
    served: bool


@dataclass(frozen=True, slots=True)
class ChainLook:
    """The last verification of a stream of the trail: up to which entry, and when (`looked`: by the
    clock that is never set)."""

    last: int
    looked: float
    at: datetime
    intact: bool
    faults: tuple[str, ...]


@dataclass(slots=True)
class HealthLook:
    """The last look at health, for all readers together: each costs some twenty reads. `chains`:
    that at each stream of the trail, whose every entry is read."""

    engine: Engine
    condition: DaemonCondition
    found: Health | None = None
    at: float = 0.0
    chains: dict[str, ChainLook] = field(default_factory=dict)

    async def read(self) -> Health:
        """Return health as it was some seconds ago at most."""
        now = self.engine.environment.monotonic()
        if self.found is None or now - self.at > FRESH:
            started = self.condition.started_at
            ready = self.condition.ready
            self.found = await health(self.engine, ready=ready, started_at=started, counting=False)
            self.at = now
        return self.found


@dataclass(frozen=True, slots=True)
class Sight:
    """One reader's. Whatever raises NotFound does so for what is not there and for what is not
    theirs alike. Reading raises Unavailable."""

    engine: Engine
    look: HealthLook
    reader: Reader
    #: Notes of views for their page; see `gateway.console.views`.
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return self.engine.environment.now()

    def sees(self, insee: str | None) -> bool:
        """Is it of a commune of theirs? What is of no commune is for those who see all."""
        grant = self.reader.grant
        return grant.sees_all if insee is None else grant.sees(insee)

    def theirs(self, insee: str | None) -> None:
        """Raises NotFound for what is not theirs."""
        if not self.sees(insee):
            raise NotFound("it is not there, or not theirs")

    # --- communes -----------------------------------------------------------------------------

    def towns(self) -> list[TownName]:
        """List their communes, by name."""
        catalogue = self.engine.catalogue
        found = [TownName(c.insee, c.name, c.portal, True) for c in catalogue.communes.values()]
        found += [TownName(c.insee, c.name, c.portal, False) for c in catalogue.unreleased.values()]
        known = {one.insee for one in found}
        found += [
            TownName(insee, one.name, one.portal, False)
            for insee, one in catalogue.refused.items()
            if insee not in known
        ]
        return sorted((one for one in found if self.sees(one.insee)), key=lambda one: one.name)

    def town(self, insee: str) -> TownName:
        """Return a commune of theirs. Raises NotFound."""
        self.theirs(insee)
        for one in self.towns():
            if one.insee == insee:
                return one
        raise NotFound("no such commune")

    def commune(self, insee: str) -> Commune | None:
        """Return what is configured of a commune of theirs; None where its files do not run. Raises
        NotFound."""
        self.town(insee)
        catalogue = self.engine.catalogue
        return catalogue.communes.get(insee) or catalogue.unreleased.get(insee)

    def name_of(self, insee: str) -> str:
        """Return a commune's name, or its code where it has none here."""
        return next((one.name for one in self.towns() if one.insee == insee), insee)

    # --- what runs ----------------------------------------------------------------------------

    async def health(self) -> Health:
        """Return health with nothing but their communes in it; what is of no commune as it is, for
        those who see all."""
        found = await self.look.read()
        if self.reader.grant.sees_all:
            return found
        lanes = {name: part for name, part in found.lanes.items() if self._sees_lane(name)}
        drift = found.drift
        if drift is not None:
            drift = replace(drift, found=tuple(d for d in drift.found if self._sees_form(d)))
        secrets = replace(found.secrets, refused=())
        certificates = replace(found.certificates, ending=(), detail="")
        return replace(
            found,
            lanes=lanes,
            timers={},
            requests=None,
            drift=drift,
            secrets=secrets,
            certificates=certificates,
            glc=None,
            releases=None,
            passed_over=None,
            incidents=None,
        )

    async def lanes(self, insee: str) -> dict[str, LanePart]:
        """Return a commune's lanes. Raises NotFound."""
        self.theirs(insee)
        found = (await self.look.read()).lanes
        return {n: part for n, part in found.items() if parse_lane(n).commune == insee}

    def lane_names(self, insee: str) -> list[str]:
        """List the names of a commune's lanes. Raises NotFound."""
        self.theirs(insee)
        return list(lanes_of(self.engine.catalogue, insee))

    def _sees_lane(self, name: str) -> bool:
        return self.sees(parse_lane(name).commune)

    def _sees_form(self, form: DriftedForm) -> bool:
        return any(map(self.sees, form.communes))

    # --- what waits ---------------------------------------------------------------------------

    async def waiting(self, *, commune: str | None = None, limit: int = MOST) -> list[Delivery]:
        """List the deliveries that wait for a person, oldest first. Raises NotFound."""
        now = self.now

        async def of(insee: str | None) -> list[Delivery]:
            store = self.engine.store
            return await store.read(backlog.listing, commune=insee, limit=limit, now=now)

        found = await self._of_each(commune, of)
        return sorted(found, key=lambda one: one.created_at)[:limit]

    async def untold(self, *, commune: str | None = None, limit: int = MOST) -> list[Untold]:
        """List the GRUs' changes that citizens cannot be told. Raises NotFound."""

        async def of(insee: str | None) -> list[Untold]:
            return [*await self.engine.store.read(untold.listing, commune=insee, limit=limit)]

        found = await self._of_each(commune, of)
        return sorted(found, key=lambda one: one.received_at)[:limit]

    async def delivery(self, which: str) -> Delivery | Untold:
        """Return a delivery, or a GRU's change. Raises NotFound."""
        store = self.engine.store
        found: Delivery | Untold | None = await store.read(backlog.find_delivery, which)
        if found is None:
            found = await store.read(untold.find, which)
        if found is None:
            raise NotFound("no such delivery")
        self.theirs(parse_lane(found.lane).commune)
        return found

    # --- requests -----------------------------------------------------------------------------

    async def latest(self, *, commune: str | None = None, limit: int = MOST) -> list[StoredRequest]:
        """List the latest requests. Raises NotFound."""

        async def of(insee: str | None) -> list[StoredRequest]:
            return await self.engine.store.read(requests.listing, commune=insee, limit=limit)

        found = await self._of_each(commune, of)
        return sorted(found, key=lambda one: one.received_at, reverse=True)[:limit]

    async def search(self, text: str) -> list[StoredRequest]:
        """Find requests by our id, the portal's number or the GRU's reference."""
        communes = self.reader.grant.communes
        found = await self.engine.store.read(requests.search, text, communes=communes)
        return [one for one in found if self.sees(one.commune)]

    async def trace(self, request_id: str) -> Trace:
        """Return all that happened to a request, by our id. Raises NotFound."""
        found = await self.engine.store.read(requests.trace, request_id)
        if found is None:
            raise NotFound("no such request")
        self.theirs(found.request.commune)
        return found

    async def causes(self, request_id: str) -> tuple[Cause, ...]:
        """Return why a request waits. Raises NotFound."""
        await self.trace(request_id)
        return await causes_of(self.engine.store, self.engine.catalogue, request_id, self.now)

    # --- incidents and releases ---------------------------------------------------------------

    async def incidents(
        self, *, everything: bool = False, commune: str | None = None, limit: int = MOST
    ) -> list[Incident]:
        """List incidents, the last one first, with their communes alone in each. Raises
        NotFound."""

        async def of(insee: str | None) -> list[Incident]:
            store = self.engine.store
            return await store.read(
                incidents.opened, everything=everything, commune=insee, limit=limit
            )

        found = {one.id: self.as_theirs(one) for one in await self._of_each(commune, of)}
        return sorted(found.values(), key=lambda one: one.first_seen_at, reverse=True)[:limit]

    async def incident(self, which: str) -> Incident:
        """Return an incident that hits a commune of theirs, with these alone. Raises NotFound."""
        found = self.as_theirs(await self.engine.store.read(incidents.get, which))
        if not (found.communes or self.reader.grant.sees_all):
            raise NotFound("no such incident")
        return found

    async def sees_whole(self, which: str) -> bool:
        """Are all the communes that an incident hits theirs? Raises NotFound."""
        found = await self.engine.store.read(incidents.get, which)
        return self.reader.grant.sees_all or all(map(self.sees, found.communes))

    def as_theirs(self, one: Incident) -> Incident:
        """Return an incident with their communes alone. Texts of people may name any commune that
        it hits: they are for who sees all of these."""
        theirs = tuple(filter(self.sees, one.communes))
        if theirs == one.communes or self.reader.grant.sees_all:
            return one
        pauses = tuple(
            one if self.sees(one.commune) else replace(one, commune=None, because="", by="")
            for one in one.pauses
        )
        return replace(one, communes=theirs, pauses=pauses, because=None, post_mortem=None)

    async def ledger(self) -> ReleaseLedger:
        """Return the state of releases: of all communes, so show those of `towns` alone."""
        return await self.engine.store.read(releases.ledger)

    async def _of_each(
        self, commune: str | None, of: Callable[[str | None], Awaitable[list[_T]]]
    ) -> list[_T]:
        """Read for one commune, or for each of theirs."""
        if commune is not None:
            self.theirs(commune)
            return await of(commune)
        mine = self.reader.grant.communes
        if mine is None:
            return await of(None)
        return [one for insee in sorted(mine) for one in await of(insee)]


__all__ = ["ChainLook", "HealthLook", "Sight", "TownName"]
