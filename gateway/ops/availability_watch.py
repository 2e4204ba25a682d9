"""Writes each minute into the availability ledger: up, or whose it is.

It looks four times a minute until one look saw every service up, on whatever replica: a minute is
down only where all looks of it were. One replica at a time looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from gateway.catalogue.catalogue import Catalogue
from gateway.core.availability import (
    CanaryRun,
    MinuteVerdict,
    commune_verdict,
    glc_verdict,
    minute_of,
    service_verdict,
)
from gateway.core.canary import is_canary
from gateway.core.incident import Symptom, SymptomWord
from gateway.core.lane_name import GruLane, PortalLane
from gateway.flow.availability import burning_services
from gateway.flow.canaries import Canaries
from gateway.ops.incident_watch import BURNS, IncidentWatch
from gateway.ops.shapes import LanePart, LaneState
from gateway.store import availability, cursors, ticks
from gateway.store.availability import Scope
from gateway.store.erasures import CURSOR as GLC

log = structlog.get_logger()

#: Seconds between two looks, and between two looks at what the month comes to.
EVERY = 15.0
BURNS_EVERY = 600.0


@dataclass(frozen=True, slots=True)
class AvailabilityWatch:
    """Watches one process, by what its incident watch sees."""

    watch: IncidentWatch
    #: None: no synthetic requests are sent.
    canaries: Canaries | None = None

    async def observe(self) -> None:
        """Look, unless this minute is up already or another replica looks. Raises Unavailable:
        nothing is written then, and the minute is ours."""
        engine, now = self.watch.engine, self.watch.engine.environment.now()
        minute, services = minute_of(now), services_of(engine.catalogue)
        if await engine.store.read(availability.served, minute, frozenset(services)):
            return
        if not engine.alone:
            tick = int(now.timestamp() // EVERY)
            if not await engine.store.write(ticks.win, "availability", tick, now):
                return
        evidence = await self.watch.evidence()
        seen = self.watch.symptoms(evidence)
        canaries = await self._send_canaries(minute)
        leaves = engine.far_ends.departures.is_closed
        verdicts = {
            scope: verdict
            for scope, verdict in judge(
                engine.catalogue, seen, evidence.health.lanes, canaries
            ).items()
            if not (scope.commune and leaves(scope.commune))
        }
        await engine.store.write(availability.record, minute, verdicts)
        for scope, verdict in verdicts.items():
            if verdict is not MinuteVerdict.UP and not scope.commune:
                log.warning("availability.down", service=scope.service, whose=verdict.value)

    async def _send_canaries(self, minute: int) -> dict[str, CanaryRun]:
        """Send the synthetic requests, all at once, but to portals that are up in this minute.
        Return how far each came, by portal."""
        if self.canaries is None:
            return {}
        store, names = self.watch.engine.store, []
        for portal in self.watch.engine.catalogue.portals.values():
            if not await store.read(availability.served, minute, frozenset({portal.far_end})):
                names.append(portal.name)
        runs = await asyncio.gather(*(self.canaries.run(name) for name in names))
        return {name: run for name, run in zip(names, runs, strict=True) if run is not None}

    async def check_budget(self) -> None:
        """Note which services use up their month's budget too fast. Raises Unavailable."""
        engine, now = self.watch.engine, self.watch.engine.environment.now()
        burning = set(await burning_services(engine.store, now, engine.incidents.rules))
        for service in services_of(engine.catalogue):
            if service in burning:
                word = SymptomWord.AVAILABILITY_BURNS.value
                await engine.store.write(cursors.move, BURNS + service, None, now, word)
            else:
                await engine.store.write(cursors.forget, BURNS + service)


def services_of(catalogue: Catalogue) -> list[str]:
    """Name the services that are judged: the portals, and GLC where it is followed."""
    glc = () if catalogue.settings.glc is None else (GLC,)
    return [*(portal.far_end for portal in catalogue.portals.values()), *glc]


def judge(
    catalogue: Catalogue,
    seen: list[Symptom],
    lanes: Mapping[str, LanePart],
    canaries: Mapping[str, CanaryRun],
) -> dict[Scope, MinuteVerdict]:
    """Judge every service and commune at one moment. `canaries` are by portal. Pure."""
    found: dict[Scope, MinuteVerdict] = {}
    # A release that is refused stops nobody whose former one goes on.
    seen = [
        one
        for one in seen
        if one.word is not SymptomWord.RELEASE_REFUSED or not one.communes <= {*catalogue.communes}
    ]
    for portal in catalogue.portals.values():
        service = service_verdict(portal.far_end, seen, canaries.get(portal.name))
        found[Scope(portal.far_end)] = service
        known = (catalogue.communes, catalogue.refused)
        for insee in sorted(
            {
                insee
                for of in known
                for insee, one in of.items()
                if one.portal == portal.name and not is_canary(insee)
            }
        ):
            paused = _paused(catalogue, insee, portal.name, lanes)
            found[Scope(portal.far_end, insee)] = commune_verdict(insee, service, seen, paused)
    if catalogue.settings.glc is not None:
        found[Scope(GLC)] = glc_verdict(seen)
    return found


def _paused(
    catalogue: Catalogue, insee: str, portal: str, lanes: Mapping[str, LanePart]
) -> MinuteVerdict | None:
    """Return who keeps a lane of the commune still: itself by its file, or an operator."""
    commune = catalogue.communes.get(insee)
    if commune is None:
        return None
    if commune.paused:
        return MinuteVerdict.COMMUNE
    names = [str(GruLane(insee, name)) for name in commune.grus]
    names.append(str(PortalLane(portal, insee)))
    still = any(name in lanes and lanes[name].state is LaneState.PAUSED for name in names)
    return MinuteVerdict.GATEWAY if still else None


__all__ = ["BURNS_EVERY", "EVERY", "AvailabilityWatch", "judge", "services_of"]
