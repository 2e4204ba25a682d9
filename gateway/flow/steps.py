"""Noticing that the machine's clock was set: by an operator, by NTP, or over a suspension."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from gateway.flow.world import World

#: What a clock drifts, or is slewed by, between two looks is less than this.
STEP: Final = timedelta(seconds=5)


class Steps:
    """Compares the clock that may be set with the one that never goes back."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._apart = self._ask()

    def look(self) -> timedelta:
        """By how much the clock was set since the last look; zero when it was not."""
        apart = self._ask()
        step = timedelta(seconds=apart - self._apart)
        if abs(step) < STEP:
            step = timedelta()
        self._apart = apart
        return step

    def _ask(self) -> float:
        return self._world.now().timestamp() - self._world.clock()
