"""A clock of a machine that a test may set, for processes that run already."""

from __future__ import annotations

import datetime as times
import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class MachineClock:
    """Read its error in seconds from a file."""

    file: Path

    def set(self, wrong: timedelta) -> None:
        """Set it, for whoever reads it from now on."""
        new = self.file.with_suffix(".new")
        new.write_text(str(wrong.total_seconds()), "utf-8")
        new.replace(self.file)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self.file.read_text("utf-8")))

    def rule(self) -> None:
        """Have this process live by it: the gateway's environment, its timers."""
        import apscheduler.schedulers.base
        import apscheduler.triggers.interval

        import gateway.flow.engine
        import gateway.timers
        from gateway.flow.environment import Environment

        class Kind(type):
            def __instancecheck__(cls, instance: object) -> bool:
                return isinstance(instance, times.datetime)

        class Set(times.datetime, metaclass=Kind):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return self.now().astimezone(tz)

        mine = functools.partial(Environment, now=self.now)
        setattr(gateway.flow.engine, "Environment", mine)  # noqa: B010 - it is a class to the types
        modules: tuple[Any, ...] = (
            apscheduler.schedulers.base,
            apscheduler.triggers.interval,
            gateway.timers,
        )
        for module in modules:
            module.datetime = Set
