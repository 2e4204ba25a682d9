"""A store that notes in the trail, within the same transaction, what a person does by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from gateway.store import console
from gateway.store.console import PersonalAct
from gateway.store.engine import Store
from gateway.store.sealer import Sealer

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class RecordingStore:
    """Hand it to a use case in place of the store: its first write is an entry of the trail, or is
    not done. Further writes belong to the same act."""

    store: Store
    act: PersonalAct
    now: Callable[[], datetime]
    noted: bool = False

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit, and note the act with the first one."""
        if self.noted:
            return await self.store.write(unit, *args, **kwargs)

        def run(connection: Connection) -> T:
            return unit(connection, *args, **kwargs)

        done = await self.store.write(console.perform, run, self.act, self.now())
        self.noted = True
        return done

    async def note(self) -> None:
        """Note an act that changes nothing else."""
        await self.write(lambda connection: None)

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit that only reads: that is no act."""
        return await self.store.read(unit, *args, **kwargs)

    async def clean(self) -> bool:
        return await self.store.clean()

    @property
    def writable(self) -> bool:
        return self.store.writable

    @writable.setter
    def writable(self, value: bool) -> None:
        self.store.writable = value

    @property
    def sealer(self) -> Sealer | None:
        return self.store.sealer

    @sealer.setter
    def sealer(self, value: Sealer | None) -> None:
        self.store.sealer = value

    @property
    def trouble(self) -> str:
        return self.store.trouble
