"""Follows the applied releases and the renewal of secrets.

Each change is made once, and everything that did not change stays as it is.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway import timers
from gateway.catalogue.bundle import SETTINGS
from gateway.catalogue.catalogue import Catalogue
from gateway.contracts.running import CatalogueSource
from gateway.core.errors import ConfigurationFault, Fault, Unavailable
from gateway.core.messages import both, plain
from gateway.flow.engine import Engine
from gateway.store import renewals, running_releases

log = structlog.get_logger()

#: Seconds between two looks for another release or an order to read secrets.
FOLLOW = 3.0


class Following:
    """Keeps an engine on the releases of `source`.

    `asked` is the last order to renew secrets that was given before they were first read. Set
    `renew` to renew them.
    """

    def __init__(
        self, engine: Engine, source: CatalogueSource, asked: str, renew: asyncio.Event
    ) -> None:
        self.engine = engine
        self.source = source
        self.renew = renew
        self._asked = asked
        #: The last releases to run: some may still be on their way.
        self._followed = engine.catalogue
        self._answered: datetime | None = None
        #: The master keys of the last answer.
        self._told: tuple[str, ...] = ()
        self._scheduler: AsyncIOScheduler | None = None
        #: Changes under way.
        self.taking: set[asyncio.Task[None]] = set()

    async def begin(self, scheduler: AsyncIOScheduler) -> None:
        """Show commands which releases run. `scheduler` holds the timers."""
        self._scheduler = scheduler
        if self.engine.alone:
            with suppress(Unavailable):  # for some minutes they still count as running
                await self.engine.store.write(renewals.forget_others, self.engine.lanes.owner)
        await self._record_running()
        await self._record_answer()

    async def until(self, stop: asyncio.Event) -> None:
        """Follow until `stop`. A release that cannot run is reported once; the former one goes
        on."""
        try:
            while True:
                try:
                    async with asyncio.timeout(FOLLOW):
                        await stop.wait()
                        return
                except TimeoutError:
                    pass
                try:
                    await self.check()
                except Unavailable:
                    pass  # health reports it
                except Exception as error:  # what runs goes on
                    log.error("following.failed", error=type(error).__name__)
        finally:
            for task in self.taking:
                task.cancel()
            await asyncio.gather(*self.taking, return_exceptions=True)

    async def check(self) -> None:
        """Exchange the catalogue if other releases are to run now. Raises Unavailable."""
        asked = await self.engine.store.read(renewals.last_order)
        if self.renew.is_set() or asked != self._asked:
            self.renew.clear()
            await self._renew()
            self._asked = asked
            await self._record_answer()
        elif self._silent() or self._masters() != self._told:
            await self._record_answer()
        try:
            # Compared with the target, since a commune may still be on its way there.
            if not await self.source.changed(self.engine.store, self.engine.far_ends.aimed):
                return
            following = await self.source.catalogue(self.engine.store)
        except ConfigurationFault as error:
            _log_faults("release.refused", error.faults)
            return
        self._start_exchange(following)

    async def end(self) -> None:
        """Show commands that nothing runs any more."""
        with suppress(Unavailable):
            await self.engine.store.write(
                running_releases.record, {}, self.engine.environment.now()
            )
            await self.engine.store.write(renewals.forget, self.engine.lanes.owner)

    async def _renew(self) -> None:
        """Read secrets and certificates again. One that cannot be read keeps its value, and is
        reported."""
        engine = self.engine
        try:
            anew = await self.source.anew(engine.store)
        except ConfigurationFault as error:
            engine.secrets.refused = error.faults
            _log_faults("secrets.refused", error.faults)
            return
        except Unavailable:
            self.renew.set()
            raise
        changed, refused = [], anew.refused
        try:
            changed = await engine.prove(anew.catalogue)
        except (OSError, ssl.SSLError) as error:  # the file was valid a moment ago
            what = f"a certificate cannot be used: {type(error).__name__}"
            remedy = "secrets reload, once it is in place"
            refused = (*refused, Fault(SETTINGS, 0, plain(what, remedy)))
        _log_faults("secrets.refused", refused)
        engine.secrets.refused, engine.secrets.read_at = refused, engine.environment.now()
        log.info("secrets.read", changed=changed)
        self._start_exchange(anew.catalogue)

    def _start_exchange(self, following: Catalogue) -> None:
        following = self.engine.far_ends.departures.without(following)
        log_refused(following, self.engine.catalogue)
        following = self._followed = following.keeping(self.engine.catalogue)
        # A commune that hangs must not delay another's next release.
        task = asyncio.create_task(self._exchange(following))
        self.taking.add(task)
        task.add_done_callback(self.taking.discard)

    async def _exchange(self, following: Catalogue) -> None:
        engine = self.engine
        try:
            changed = await engine.follow(following, engine.catalogue.settings.shutdown_grace)
        finally:
            if self._scheduler is not None:
                timers.plan_polls(engine, self._scheduler)
        await self._record_running()
        with suppress(Unavailable):  # each reconcile repeats it
            await engine.reconciler.connect()
        log.info("release.taken", communes=len(following.communes), changed=len(changed))

    async def _record_running(self) -> None:
        """Record for commands which releases run, and which do not."""
        catalogue = self.engine.catalogue
        words: dict[str, tuple[str, str | None]] = {
            insee: (digest, None) for insee, digest in (catalogue.releases or {}).items()
        }
        for insee, refused in catalogue.refused.items():
            words[insee] = (refused.digest, both(*(one.message for one in refused.faults)))
        running = catalogue.releases or {}
        former = {insee: running[insee] for insee in catalogue.refused if insee in running}
        now = self.engine.environment.now()
        with suppress(Unavailable):  # the next release repeats it
            await self.engine.store.write(running_releases.record, words, now, former)

    def _silent(self) -> bool:
        since = self._answered
        now = self.engine.environment.now()
        return since is None or abs((now - since).total_seconds()) >= renewals.BEAT

    async def _record_answer(self) -> None:
        faults = [*self.engine.secrets.refused]
        for one in self._followed.refused.values():
            faults += one.faults
        refused = both(*(one.message for one in faults)) or None
        now, owner = self.engine.environment.now(), self.engine.lanes.owner
        masters = self._masters()
        with suppress(Unavailable):
            await self.engine.store.write(
                renewals.record_answer, owner, self._asked, refused, now, masters
            )
            self._answered, self._told = now, masters

    def _masters(self) -> tuple[str, ...]:
        sealer = self.engine.store.sealer
        return () if sealer is None else tuple(master.id for master in sealer.masters)


def log_refused(catalogue: Catalogue, before: Catalogue | None = None) -> None:
    """Log once the communes that wait because their release cannot run."""
    for insee, refused in catalogue.refused.items():
        if before is None or before.refused.get(insee) != refused:
            _log_faults("release.refused", refused.faults, commune=insee)


def _log_faults(event: str, faults: tuple[Fault, ...], **of: str) -> None:
    for fault in faults:
        log.error(
            event, **of, where=fault.file, line=fault.line, what=fault.what, remedy=fault.remedy
        )
