"""Announces maintenance and changes to communes, and notes who has read of it.

The notes go by the queue of those about incidents. Each bears a link that is the commune's own; who
has it may read the announcement, and say so.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.catalogue import Catalogue
from gateway.core.announcement import AnnouncementKind, AnnouncementRules
from gateway.core.errors import NotFound
from gateway.flow.announcement_texts import CANCELLED, CHANGE, MAINTENANCE
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.far_ends import FarEnds
from gateway.flow.incident_notes import commune_named, paris_time
from gateway.flow.texts import say
from gateway.store import announcements
from gateway.store.announcements import Announcement, ConcernedCommune
from gateway.store.engine import Store
from gateway.store.incident_notices import IncidentNotice

#: The path of the page that a link leads to.
PATH = "/annonces"
#: Named in the trail for a reading by the link of a mail: nobody signed in.
BY_LINK = "lien"


@dataclass(frozen=True, slots=True)
class AnnouncementPlan:
    """An announcement to be made. `ends_at` None: a change."""

    title: str
    body: str
    starts_at: datetime
    ends_at: datetime | None
    communes: Collection[str]
    by: str

    @property
    def kind(self) -> AnnouncementKind:
        return AnnouncementKind.CHANGE if self.ends_at is None else AnnouncementKind.MAINTENANCE


async def announce(
    store: Store, environment: Environment, rules: AnnouncementRules, plan: AnnouncementPlan
) -> Announcement:
    """Make it: its communes are told by the daemon. Raises Unavailable."""
    one = Announcement(
        id=f"ANN-{environment.new_name()}",
        kind=plan.kind,
        title=plan.title,
        body=plan.body,
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        notice=rules.notice(plan.kind),
        announced_at=environment.now(),
        by=plan.by,
    )
    return await store.write(announcements.make, one, plan.communes)


async def cancel(
    store: Store, announcement: str, because: str, by: str, *, now: datetime
) -> Announcement:
    """Call it off; who was told is told. Raises NotFound, and Conflict for one that is over."""
    return await store.write(announcements.cancel, announcement, because, by, now=now)


async def note_read(
    store: Store, announcement: str, commune: str, by: str, *, now: datetime
) -> Announcement:
    """Note that a commune has read it; the first reading counts. Raises NotFound."""
    return await store.write(announcements.note_read, announcement, commune, by, now=now)


async def announcements_of(
    store: Store, commune: str | None, now: datetime, *, everything: bool = False, limit: int = 100
) -> list[Announcement]:
    """List what is announced to a commune (None: to any) that is to come or under way; with
    `everything` all of it, the last one first."""
    return await store.read(
        announcements.listed, now, everything=everything, commune=commune, limit=limit
    )


async def read_announcement(store: Store, name: str) -> Announcement:
    """Return one announcement. Raises NotFound."""
    return await store.read(announcements.get, name)


@dataclass(frozen=True, slots=True)
class AnnouncementDesk:
    """Makes the links of announcements, and believes them. One per process."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    hasher: AccountHasher

    def link(self, announcement: str, commune: str) -> str:
        """Return the address at which a commune reads an announcement. Raises BadKey, OSError."""
        token = self.hasher.hash_of_announcement(announcement, commune)
        base = self.far_ends.catalogue.settings.public_url.rstrip("/")
        return f"{base}{PATH}/{announcement}/{commune}/{token}"

    async def of_link(self, announcement: str, commune: str, token: str) -> Announcement:
        """Return what a link leads to. Raises NotFound, also for a token that proves nothing."""
        if self.hasher.lost():
            raise NotFound(say("no_such_link"))
        mine = self.hasher.hash_of_announcement(announcement, commune)
        if not hmac.compare_digest(mine.encode(), token.encode()):
            raise NotFound(say("no_such_link"))
        return await self.store.read(announcements.get, announcement)

    async def read_by_link(self, announcement: str, commune: str, token: str) -> Announcement:
        """Note that a commune has read it, by its link. Raises NotFound."""
        one = await self.of_link(announcement, commune, token)
        now = self.environment.now()
        return await note_read(self.store, one.id, commune, BY_LINK, now=now)

    async def note_of(self, notice: IncidentNotice) -> tuple[str, str]:
        """Return subject and text of a note that is owed. Raises BadKey and OSError."""
        one = await self.store.read(announcements.get, notice.incident_id)
        catalogue = self.far_ends.catalogue
        if notice.step == announcements.CANCELLED:
            return _cancellation(one, notice.audience, catalogue)
        return _announcement(one, notice.audience, catalogue, self.link(one.id, notice.audience))


def _announcement(
    one: Announcement, insee: str, catalogue: Catalogue, link: str
) -> tuple[str, str]:
    change = one.kind is AnnouncementKind.CHANGE
    commune = commune_named(insee, catalogue)
    text = (CHANGE if change else MAINTENANCE).format(
        id=one.id,
        commune=commune,
        title=one.title,
        body=one.body,
        starts=paris_time(one.starts_at),
        ends=paris_time(one.ends_at),
        link=link,
    )
    what = "changement technique" if change else "maintenance planifiée"
    return f"Toodego, {commune} : {what} le {paris_time(one.starts_at)} ({one.id})", text


def _cancellation(one: Announcement, insee: str, catalogue: Catalogue) -> tuple[str, str]:
    commune = commune_named(insee, catalogue)
    text = CANCELLED.format(
        id=one.id,
        commune=commune,
        title=one.title,
        starts=paris_time(one.starts_at),
        because=one.because or "",
    )
    return f"Toodego, {commune} : annonce annulée ({one.id})", text


__all__ = ["BY_LINK", "PATH", "Announcement", "AnnouncementDesk", "AnnouncementPlan"]
__all__ += ["ConcernedCommune", "announce", "announcements_of", "cancel"]
__all__ += ["note_read", "read_announcement"]
