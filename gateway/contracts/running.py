"""The catalogue that the daemon runs, and how it learns of changes.

In production: the active releases, whatever the files say. With `--dev`, and in the demo: the
files, as the trail and each start's log say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from gateway.catalogue.build import Base, build, build_base
from gateway.catalogue.bundle import COMMUNES
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.released import BuiltParts, build_released
from gateway.contracts import gate
from gateway.contracts.leaving import releases_of
from gateway.core.errors import ConfigurationFault, Fault
from gateway.sdk import Adapter
from gateway.store import applied, releases
from gateway.store.engine import Store

log = structlog.get_logger()

Bundle = Mapping[str, str]

#: Seconds until a release that cannot be run is tried again.
AGAIN = 60.0


class CatalogueSource(Protocol):
    """A source of the daemon's catalogue."""

    async def catalogue(self, store: Store) -> Catalogue:
        """Return what is to run now. Raises ConfigurationFault with every fault."""
        ...

    async def changed(self, store: Store, running: Catalogue) -> bool:
        """Is something else to run than `running`?"""
        ...

    async def anew(self, store: Store) -> ReloadedCatalogue:
        """Return the same with all secrets and certificates read again. Raises ConfigurationFault
        when nothing can be believed."""
        ...


@dataclass(frozen=True, slots=True)
class ReloadedCatalogue:
    """The catalogue with secrets read again. `refused`: faults of settings and portals, which stay
    as they were; communes' faults are in `Catalogue.refused`."""

    catalogue: Catalogue
    refused: tuple[Fault, ...] = ()


@dataclass(slots=True)
class ReleasedSource:
    """The active releases. `read` gives the files; their settings are those of the start. Unchanged
    parts stay the same objects, with their secrets."""

    read: Callable[[], Bundle]
    environ: Mapping[str, str]
    adapters: Mapping[str, type[Adapter]] | None = None
    #: The folder of gateway.yaml.
    folder: Path = Path()
    #: Moves a fault to the file as it is stored.
    locate: Callable[[Fault], Fault] = lambda fault: fault
    _start: Bundle | None = None
    _mark: int = field(default=-1)
    _built_at: float = field(default=float("-inf"))
    _applied: Mapping[str, str] = field(default_factory=dict)
    _known: gate.KnownReleases = field(default_factory=gate.KnownReleases)
    _kept: BuiltParts = field(default_factory=BuiltParts)

    async def catalogue(self, store: Store) -> Catalogue:
        """Return the catalogue. A release that cannot be run stops its commune alone. Raises
        ConfigurationFault when nothing can be believed; nothing runs then."""
        mark = await store.read(releases.last_entry)
        self._built_at = time.monotonic()
        try:
            built = await self._built(store, self._kept)
        except ConfigurationFault as error:
            self._mark = mark  # reported once
            raise ConfigurationFault([self.locate(fault) for fault in error.faults]) from None
        self._mark = mark
        return built

    async def anew(self, store: Store) -> ReloadedCatalogue:
        refused: tuple[Fault, ...] = ()
        try:
            kept = BuiltParts(await asyncio.to_thread(self._base))
        except ConfigurationFault as error:
            kept = BuiltParts(self._kept.base)
            refused = tuple(self.locate(fault) for fault in error.faults)
        built = await self._built(store, kept)
        self._kept = kept
        return ReloadedCatalogue(built, refused)

    def _base(self) -> Base:
        files = self._files()
        return build_base(files, environ=self.environ, adapters=self.adapters, folder=self.folder)

    async def changed(self, store: Store, running: Catalogue) -> bool:
        mark = await store.read(releases.last_entry)
        if mark == self._mark:
            # The fault may be mended by now: a secret is in its file.
            return bool(running.refused) and time.monotonic() >= self._built_at + AGAIN
        ledger = await store.read(releases.ledger)
        active = {insee: one.digest for insee, one in ledger.active.items()}
        same = active == running.releases
        if same:
            same = await store.read(applied.files) == self._applied
        if same:
            self._mark = mark
        return not same

    async def _built(self, store: Store, kept: BuiltParts) -> Catalogue:
        found = await gate.to_run(store, self._known)
        self._applied = await store.read(applied.files)
        # In a thread: reading and checking one commune would block the loop.
        built = await asyncio.to_thread(
            build_released,
            self._files(),
            found.releases,
            environ=self.environ,
            adapters=self.adapters,
            folder=self.folder,
            unfit=found.unfit,
            applied=self._applied,
            kept=kept,
        )
        refused = {
            insee: replace(one, faults=tuple(self.locate(fault) for fault in one.faults))
            for insee, one in built.refused.items()
        }
        return replace(built, refused=refused)

    def _files(self) -> Bundle:
        if self._start is None:
            self._start = self.read()
            return self._start
        try:
            today = self.read()
        except ConfigurationFault:
            return self._start  # somebody is editing them
        kept = {file: text for file, text in self._start.items() if not file.startswith(COMMUNES)}
        return kept | {file: text for file, text in today.items() if file.startswith(COMMUNES)}


@dataclass(frozen=True, slots=True)
class UnsignedSource:
    """The files as they are, activated without an agreement. `warn` is told the communes whose
    release was never signed, or did not pass."""

    bundle: Bundle
    built: Catalogue
    warn: Callable[[tuple[str, ...]], None] = lambda communes: None
    environ: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()

    async def catalogue(self, store: Store) -> Catalogue:
        files = releases_of(self.bundle, self.built)
        unsigned = await gate.adopt(store, files, lambda: datetime.now(UTC))
        if unsigned:
            log.warning("release.unsigned", communes=unsigned)
            self.warn(tuple(unsigned))
        return self.built

    async def changed(self, store: Store, running: Catalogue) -> bool:
        return False

    async def anew(self, store: Store) -> ReloadedCatalogue:
        try:
            read = partial(build, self.bundle, environ=self.environ, folder=self.folder)
            return ReloadedCatalogue(await asyncio.to_thread(read))
        except ConfigurationFault as error:
            return ReloadedCatalogue(self.built, error.faults)
