"""Ends a commune's connection: stops the intake, lets what waits go, tells the portal, deletes.

The database records each step, and every step may run twice, so any process goes on where another
died. Ordinary deliveries tell the portal.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from gateway.catalogue.catalogue import Settings
from gateway.catalogue.patterns import MAIL_ADDRESS
from gateway.core.decommission import DecommissionStep, announcement
from gateway.core.lane_name import PortalLane
from gateway.core.outcome import Accepted, Outcome
from gateway.flow.attachments import Attachments
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.links import LinkRegister
from gateway.store import (
    condemned,
    cursors,
    decommission_steps,
    decommissions,
    departed,
    departing,
    marker_search,
)
from gateway.store.decommissions import Decommission
from gateway.store.engine import Store

log = structlog.get_logger()

Send = Callable[[Sequence[str], str, str, str], Awaitable[Outcome]]
_ADDRESS = re.compile(MAIL_ADDRESS)
#: Addresses of one commune that are written to.
_MOST = 10

#: Seconds between two looks.
EVERY = 2.0
#: The time in which every process learns of a step: several readings of `Departures`.
SETTLE = timedelta(seconds=10)
#: Seconds until it is looked again for what is left.
AGAIN = 60.0
#: Seconds between two looks at a commune that has left.
LOOK_AGAIN = 3600.0
#: Requests of one transaction, and the pause after it in seconds: others write in between.
BATCH = 50
PAUSE = 0.02
#: The time past which a step that is not over is shown in health, and is an incident.
GRACE = timedelta(minutes=15)
#: Places named at once in which something is left.
_PLACES = 5
#: The time that what waits for the GRU and for the portal has, where nobody says another: seconds.
DRAIN = 86400
TELL = 3 * 86400


@dataclass(frozen=True, slots=True)
class Decommissioner:
    """Advances decommissions. One per process; several may share a database."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    wake: Callable[..., None]
    attachments: Attachments
    #: None when accounts are not linked.
    links: LinkRegister | None = None
    #: Hands a note to the mail relay; None: there is none.
    send: Send | None = None
    settle: timedelta = SETTLE
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    #: By id: not before this time is anything looked for again.
    _tries: dict[str, float] = field(default_factory=dict, repr=False)
    #: By id: the places in which the last search found something.
    _places: dict[str, list[str]] = field(default_factory=dict, repr=False)

    async def advance(self) -> int:
        """Advance every decommission as far as it goes now; return how many steps. A step that
        fails is tried again at the next call."""
        steps = 0
        async with self._alone:
            for one in await self.store.read(decommissions.every):
                if one.live:
                    steps += await self._advance(one)
                else:
                    await self._look_again(one)
        return steps

    async def _advance(self, one: Decommission) -> int:
        steps = 0
        doing = {
            DecommissionStep.ANNOUNCED: self._close,
            DecommissionStep.DRAINING: self._drain,
            DecommissionStep.TELLING: self._tell_portal,
            DecommissionStep.ERASING: self._erase,
        }
        while one.live and await doing[one.step](one):
            steps += 1
            found = await self.store.read(decommissions.current, one.commune)
            if found is None:
                break
            one = found
            log.info("decommission.step", commune=one.commune, step=one.step.value)
            self.environment.crash(f"decommission.{one.step.value}")
        if one.live:
            await self._note_wait(one)
        return steps

    async def _note_wait(self, one: Decommission) -> None:
        """Have health show what it waits for past its time. The next step takes it away."""
        now, places = self.environment.now(), self._places.get(one.id, [])
        if now < one.due_at + GRACE and not places:
            return
        of = one.step, one.commune
        waits: dict[str, Any] = {**await self.store.read(departing.waits_for, *of)}
        if one.step is DecommissionStep.ERASING:
            rows = await self.store.read(departed.rows_left, one.commune, one.codes)
            waits["rows"] = sum(rows.values())
            waits["objects"] = await self.store.read(departed.objects_left, one.id)
            waits["places"] = places[:_PLACES]
        left = one.step is DecommissionStep.ERASING
        reason = "decommission_left" if left else "decommission_waits"
        value = json.dumps({word: what for word, what in waits.items() if what})
        name = decommissions.waiting_name(one.commune)
        known = await self.store.read(cursors.get, name)
        if known is None or (known.value, known.failure) != (value, reason):
            log.warning("decommission.waits", commune=one.commune, step=one.step.value, what=value)
            await self.store.write(cursors.move, name, value, now, reason)

    async def _close(self, one: Decommission) -> bool:
        await self._write_to(one)
        now = self.environment.now()
        if now < one.stop_at:
            return False
        catalogue = self.far_ends.catalogue
        found = catalogue.communes.get(one.commune) or catalogue.unreleased.get(one.commune)
        codes = one.codes if found is None else tuple(sorted(found.codes))
        return await self.store.write(decommission_steps.close, one, codes, now)

    async def _write_to(self, one: Decommission) -> None:
        """Tell the commune's contacts by mail, once; a relay that is away is tried again."""
        found = self.far_ends.catalogue.communes.get(one.commune)
        contacts = {} if found is None else found.contacts
        recipients = [text for text in dict.fromkeys(contacts.values()) if _ADDRESS.match(text)]
        waits = self.environment.monotonic() < self._tries.get(one.id, 0.0)
        if self.send is None or not recipients or "mailed" in one.counts or waits:
            return
        subject, text = announcement(one.name, one.stop_at, one.because)
        outcome = await self.send(recipients[:_MOST], subject, text, f"decommission.{one.id}")
        if isinstance(outcome, Accepted):
            told = {"mailed": len(recipients[:_MOST])}
            await self.store.write(decommissions.count, one, told)
        else:
            log.warning("decommission.not_announced", commune=one.commune)
            self._tries[one.id] = self.environment.monotonic() + AGAIN

    async def _drain(self, one: Decommission) -> bool:
        """Wait for what is under way and for what waits, as long as was agreed."""
        now = self.environment.now()
        if not _is_known(one.closed_at, now, self.settle):
            return False
        owed = await self.store.read(departing.count_owed, one.commune)
        left = owed.waiting + owed.person + owed.reports + owed.erasures
        if left and now < one.drain_until:
            return False
        return await self.store.write(decommission_steps.begin_telling, one, now)

    async def _tell_portal(self, one: Decommission) -> bool:
        if not await self._settled(one):
            return False
        now = self.environment.now()
        if await self.store.read(departing.untold_reports, one.commune):
            if now < one.tell_until:
                return False
            await self.store.write(departing.drop_reports, one.commune, now)
            if await self.store.read(departing.untold_reports, one.commune):
                return False
        if await self.store.read(departing.unfinished_erasures, one.commune):
            return False
        return await self.store.write(decommission_steps.begin_erasing, one, now)

    async def _settled(self, one: Decommission) -> bool:
        """Drop what did not go, and owe the portal the last words. Is all of it done?"""
        after = ""
        portals = {one.portal, *await self.store.read(departing.portals_of, one.commune)}
        while True:
            now = self.environment.now()
            done = await self.store.write(
                decommission_steps.settle_some, one, self.environment.new_id, now, after, BATCH
            )
            if done is None:
                break
            after = done
            self.environment.crash("decommission.settled")
            for portal in portals:
                self.wake(str(PortalLane(portal, one.commune)))
            await self.environment.sleep(PAUSE)
        if after:
            return False  # some of them may have been passed over
        return not await self.store.read(departing.unsettled, one.commune)

    async def _erase(self, one: Decommission) -> bool:
        now = self.environment.now()
        served = one.commune in self.far_ends.catalogue.communes
        if served or not _is_known(one.erasing_at, now, self.settle):
            return False
        if self.environment.monotonic() < self._tries.get(one.id, 0.0):
            return False
        swept = await self._delete(one)
        objects = await self.store.read(departed.objects_left, one.id)
        if objects:
            if not swept:  # their store is away
                self._tries[one.id] = self.environment.monotonic() + AGAIN
            log.warning("decommission.objects_wait", commune=one.commune, objects=objects)
            return False
        if not await self.store.clean():
            log.warning("decommission.files_wait", commune=one.commune)
            return False
        self.environment.crash("decommission.cleaned")
        return await self._end(one)

    async def _delete(self, one: Decommission) -> int:
        """Delete all rows and what hangs on them; return how many objects went."""
        after: str | None = ""
        while after is not None:
            after = await self.store.write(decommission_steps.delete_some, one, after, BATCH)
            self.environment.crash("decommission.deleted")
            await self.environment.sleep(PAUSE)
        await self._end_sessions(one.commune)
        await self.store.write(decommission_steps.delete_rest, one)
        self.environment.crash("decommission.rest_deleted")
        await condemned.destroy(self.store)
        return await self.attachments.sweep()

    async def _look_again(self, one: Decommission) -> None:
        """Delete what came after the end: a process that was frozen within its transaction, for
        longer than all of this took, commits it once it wakes."""
        if self.environment.monotonic() < self._tries.get(one.id, 0.0):
            return
        self._tries[one.id] = self.environment.monotonic() + LOOK_AGAIN
        rows = await self.store.read(departed.rows_left, one.commune, one.codes)
        if any(rows.values()):
            left = {name: number for name, number in rows.items() if number}
            log.error("decommission.came_back", commune=one.commune, rows=left)
            await self._delete(one)

    async def _end_sessions(self, commune: str) -> None:
        """End the sessions in which citizens were about to link an account with the commune's."""
        if self.links is not None:
            await self.links.end_sessions(commune)

    async def _end(self, one: Decommission) -> bool:
        """Look once more, and end it if nothing is left."""
        texts = await self.store.read(departed.read_markers, one.id)
        shared = await self.store.read(departed.shared_markers, one.commune, texts)
        texts = [text for text in texts if text not in shared]
        try:
            found = await search(self.store, self.far_ends.catalogue.settings, texts)
        except OSError as error:
            found = [f"not searched: {type(error).__name__}"]
        rows = await self.store.read(departed.rows_left, one.commune, one.codes)
        left = {name: number for name, number in rows.items() if number}
        self._places[one.id] = found
        if left or found:
            log.error("decommission.left", commune=one.commune, rows=left, places=found)
            self._tries[one.id] = self.environment.monotonic() + AGAIN
            return False
        counts = {"rows": 0, "objects": 0, "markers_found": 0, "markers": len(texts)}
        return await self.store.write(decommission_steps.end, one, self.environment.now(), counts)


async def search(store: Store, settings: Settings, markers: list[str]) -> list[str]:
    """Return the places in which one of these texts stands: files of the data directory, and of the
    database where it has any here, else its tables. Raises OSError, Unavailable."""
    if not markers:
        return []
    url = settings.database.get_secret_value()
    folder = settings.data_dir
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if url.startswith("sqlite:///"):
        place = Path(url.removeprefix("sqlite:///"))
        files += [path for path in place.parent.glob(place.name + "*") if path not in files]
        return await asyncio.to_thread(marker_search.search_files, files, markers)
    found = await asyncio.to_thread(marker_search.search_files, files, markers)
    return found + await store.read(marker_search.search_tables, markers)


async def announce(store: Store, one: Decommission) -> None:
    """Record that a commune will leave, as a person decided. Raises Conflict, Unavailable."""
    await store.write(decommissions.announce, one)


async def cancel(store: Store, commune: str, by: str, now: datetime) -> Decommission:
    """Give a decommission up. Raises NotFound, Conflict, Unavailable."""
    return await store.write(decommissions.cancel, commune, by, now)


async def hurry(store: Store, commune: str, by: str, now: datetime) -> Decommission:
    """Wait no longer in the present step. Raises NotFound, Conflict, Unavailable."""
    return await store.write(decommissions.hurry, commune, by, now)


async def reopen(store: Store, commune: str, by: str, now: datetime) -> Decommission:
    """Let a commune that has left be connected again. Raises NotFound, Conflict, Unavailable."""
    return await store.write(decommissions.reopen, commune, by, now)


def _is_known(since: datetime | None, now: datetime, settle: timedelta) -> bool:
    """Has every process learnt of a step by now? A clock that was set back delays nothing."""
    return since is None or not since <= now < since + settle
