"""Looks at the gateway twice a minute, and has what is amiss become incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from gateway.core.errors import Unavailable
from gateway.core.incident import Symptom, SymptomWord
from gateway.flow.engine import Engine
from gateway.ops.health import health
from gateway.ops.symptoms import BURST_WITHIN, Evidence, symptoms_of
from gateway.store import cursors, incident_notices, refusals, ticks, trail
from gateway.store.outbox import backlog
from gateway.store.outbox.backlog import LanePressure

log = structlog.get_logger()

#: Seconds between two looks.
EVERY = 30.0
#: Seconds between two checks of the trail.
TRAIL_EVERY = 6 * 3600.0
#: Names in the cursors what of the trail does not verify.
BROKEN = "trail:"
#: The same of the services whose availability burns its budget.
BURNS = "availability:"
#: The time between two readings of what weighs on lanes, as a multiple of what one took.
_SHARE = 50


@dataclass(slots=True)
class IncidentWatch:
    """Watches one process. `away_since`: when the database stopped answering us. `pressure` is what
    weighed on the lanes when it was last read; `pressure_again` is when it is read again."""

    engine: Engine
    started_at: datetime
    away_since: datetime | None = None
    pressure: Mapping[str, LanePressure] = field(default_factory=dict)
    pressure_again: float = 0.0

    async def observe(self) -> None:
        """Look, unless another replica does. What the database cannot be told now is told once it
        is back."""
        engine = self.engine
        now = engine.environment.now()
        try:
            await engine.refusals.store_counts()
            if engine.alone:
                await engine.store.write(ticks.probe, now)
                mine = True
            else:
                tick = int(now.timestamp() // max(1.0, engine.incidents.rules.every))
                mine = await engine.store.write(ticks.win, "incidents", tick, now)
            await self._tell_absence()
            if mine:
                await self._observe()
        except Unavailable:
            if self.away_since is None:
                self.away_since = now
                log.error("incident.database_away")

    async def check_trail(self) -> None:
        """Verify every stream of the trail. Raises Unavailable."""
        store, now = self.engine.store, self.engine.environment.now()
        for stream in await store.read(trail.streams):
            broken = bool(await store.read(trail.verify, stream))
            name = BROKEN + stream
            if broken:
                log.error("trail.broken", stream=stream)
                await store.write(cursors.move, name, None, now, SymptomWord.BROKEN_TRAIL.value)
            else:
                await store.write(cursors.forget, name)

    async def _pressure(self) -> Mapping[str, LanePressure]:
        """Return what weighs on the lanes. With a million waiting it takes a second to read: it is
        read for a fiftieth of the time at most."""
        clock = self.engine.environment.monotonic
        begun = clock()
        if begun >= self.pressure_again:
            self.pressure = await self.engine.store.read(backlog.pressure)
            self.pressure_again = begun + _SHARE * (clock() - begun)
        return self.pressure

    async def _tell_absence(self) -> None:
        if self.away_since is None:
            return
        everybody = frozenset(self.engine.catalogue.communes)
        absence = Symptom("database", SymptomWord.DATABASE_AWAY, everybody, since=self.away_since)
        await self.engine.incidents.observe([absence], complete=False)
        self.away_since = None

    async def _observe(self) -> None:
        evidence = await self.evidence()
        found = self.symptoms(evidence)
        await self.engine.incidents.observe(found, complete=evidence.complete)

    def symptoms(self, evidence: Evidence) -> list[Symptom]:
        """Return all that is amiss."""
        return symptoms_of(evidence, self.engine.catalogue, self.engine.incidents.rules)

    async def evidence(self) -> Evidence:
        """Look at everything. Raises Unavailable."""
        engine, store = self.engine, self.engine.store
        seen = await health(engine, ready=True, started_at=self.started_at, counting=False)
        now = seen.now
        positions = await store.read(cursors.get_all)
        return Evidence(
            health=seen,
            pressure=await self._pressure(),
            refused=await store.read(refusals.since, now - BURST_WITHIN),
            broken=[name.removeprefix(BROKEN) for name in positions if name.startswith(BROKEN)],
            untold=await store.read(incident_notices.failing_since),
            burning=[name.removeprefix(BURNS) for name in positions if name.startswith(BURNS)],
        )


__all__ = ["BURNS", "EVERY", "TRAIL_EVERY", "IncidentWatch"]
