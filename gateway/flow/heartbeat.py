"""Asks the far ends that are pushed to for a sign of life, each day: a commune that nobody writes
to for weeks would otherwise learn of its own outage from its citizens.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from gateway.catalogue.catalogue import Gru
from gateway.core import reasons
from gateway.core.error_place import error_place
from gateway.core.outcome import Accepted, Outcome, Refused, TryLater
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.judging import outcome_word
from gateway.store import cursors
from gateway.store.engine import Store

log = structlog.get_logger()

#: A far end that answers is asked again after a day, one that does not after an hour.
EVERY = timedelta(days=1)
AGAIN = timedelta(hours=1)
#: Seconds until a call counts as one without answer.
PATIENCE = 60.0


def heartbeat_name(lane: str) -> str:
    """Return the name under which a lane's last sign of life is kept."""
    return f"heartbeat:{lane}"


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """Asks for signs of life. One per process."""

    store: Store
    far_ends: FarEnds
    environment: Environment

    def asked(self) -> list[Gru]:
        """List the GRUs that are asked: those whose adapter can, and that are not paused."""
        catalogue = self.far_ends.catalogue
        return [
            gru
            for commune in catalogue.communes.values()
            if not commune.paused
            for gru in commune.grus.values()
            if gru.capabilities.pinged
        ]

    async def ask(self) -> None:
        """Ask each GRU whose time has come. Raises Unavailable."""
        now = self.environment.now()
        for gru in self.asked():
            name = heartbeat_name(gru.lane_name)
            last = await self.store.read(cursors.get, name)
            pause = EVERY if last is None or last.failure is None else AGAIN
            if last is not None and now - pause < last.updated_at <= now:
                continue
            with self.far_ends.using(gru.lane_name):
                failure = _failure(await self._ping(gru))
            if failure is not None:
                log.warning("heartbeat.none", lane=gru.lane_name, reason=failure)
            await self.store.write(cursors.move, name, None, self.environment.now(), failure)

    async def _ping(self, gru: Gru) -> Outcome:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.far_ends.adapters[gru.lane_name].ping()
        except TimeoutError:
            return TryLater("timeout", "no sign of life")
        except Exception as error:
            # The error's text can hold personal data; its class and place cannot.
            place, name = error_place(error), type(error).__name__
            log.error("heartbeat.bug", lane=gru.lane_name, error=name, where=place)
            return Refused("bug", f"{name} at {place}")


def _failure(outcome: Outcome) -> str | None:
    """Return the word of the reason for which there is no sign of life."""
    if isinstance(outcome, Accepted):
        return None
    return reasons.of(outcome.reason or outcome_word(outcome)).word


__all__ = ["EVERY", "Heartbeats", "heartbeat_name"]
