"""Deletes what is past its time, in small batches between which everybody else may write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.catalogue.catalogue import Catalogue, Route
from gateway.core.retention import NEVER, Cutoffs, RetentionPolicy, cutoff
from gateway.flow import links
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.store import condemned, console, cursors, erasures, person, retention, trail
from gateway.store.engine import Store
from gateway.store.retention import HeldContent, Purgeable, Purged

log = structlog.get_logger()

#: The streams of the trail that name people who acted, and lose their beginning. Releases are made
#: of theirs.
STREAMS: Final = (erasures.STREAM, person.STREAM, links.STREAM, console.STREAM)
#: The last run, among the cursors.
NAME: Final = "retention"
#: After so long without a run a clock may have been set forward, by years even, and all would be
#: due at once: a person looks first.
PAUSED: Final = timedelta(days=7)
#: Seconds between two runs, and between two batches of one.
EVERY = 3600.0
PAUSE = 0.05
#: Requests read at once, requests of one transaction, attempts of one transaction.
PAGE = 500
BATCH = 20
ATTEMPTS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class PlannedContent:
    """The contents of one kind that are kept for one teleservice of a commune. `next_at`: when the
    oldest goes, should nothing more come; None where it is kept for ever."""

    commune: str
    teleservice: str
    kind: str
    count: int
    due: int
    owed: int
    oldest: datetime
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """The contents that go now, and later. `attempts` of settled deliveries are due."""

    contents: tuple[PlannedContent, ...]
    attempts: int
    attempts_oldest: datetime | None
    #: Entries of the trail that are due.
    trail: int = 0
    #: The last run, where it is so long ago that a person must look at the clock first.
    doubted_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """The numbers of what one run deleted. `doubted_since` is the last run, where it is so long ago
    that nothing was deleted: a person must look at the clock first."""

    purged: Purged = field(default_factory=Purged)
    attempts: int = 0
    trail: int = 0
    doubted_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """Applies the delays of the configuration. One per process; several may share a database."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def plan(self) -> RetentionPlan:
        """Return what is kept, and what of it is due. Changes nothing."""
        return await plan_retention(self.store, self.far_ends.catalogue, self.environment.now())

    async def run(self) -> RetentionRun:
        """Delete all that is due. Raises Unavailable; what was deleted until then is."""
        async with self._alone:
            return await apply_retention(self.store, self.far_ends.catalogue, self.environment)


async def plan_retention(store: Store, catalogue: Catalogue, now: datetime) -> RetentionPlan:
    """Return what is kept, and what of it is due. Changes nothing."""
    policies = Policies(catalogue)
    found: dict[tuple[str, str, str], list[tuple[HeldContent, RetentionPolicy]]] = {}
    for policy in policies.all():
        for one in await store.read(retention.holdings, policy.cutoffs(now)):
            if policies.of(one) == policy:
                found.setdefault((one.commune, one.teleservice, one.kind), []).append((one, policy))
    contents = [_planned(key, parts, now) for key, parts in sorted(found.items())]
    before = cutoff(now, catalogue.settings.attempts_kept)
    count, oldest = await store.read(retention.attempts_before, before)
    doubted = await _doubted_since(store, now)
    entries = await _old_entries(store, cutoff(now, catalogue.settings.trail_kept))
    return RetentionPlan(tuple(contents), count, oldest, entries, doubted)


async def apply_retention(
    store: Store, catalogue: Catalogue, environment: Environment, *, looked: bool = False
) -> RetentionRun:
    """Delete all that is due; see `Retention.run`. `looked`: a person has looked at the clock."""
    now = environment.now()
    policies = Policies(catalogue)
    before = cutoff(now, catalogue.settings.attempts_kept)
    since = None if looked else await _doubted_since(store, now)
    old = cutoff(now, catalogue.settings.trail_kept)
    if since is not None and await _anything(store, policies.latest(now), before, old):
        await _note(store, since, reason="clock_doubted")
        log.error("retention.held", last_run=since.isoformat(), days=(now - since).days)
        return RetentionRun(doubted_since=since)
    purged = await _purge(store, policies, environment, now)
    attempts = await _drop_attempts(store, environment, before, now)
    entries = 0
    for stream in STREAMS:
        while cut := await store.write(trail.cut, stream, old, now, ATTEMPTS_AT_ONCE):
            entries += cut
            await environment.sleep(PAUSE)
    await _note(store, now)
    # Also of a run that was killed behind its commit.
    await condemned.destroy(store)
    if purged.requests:
        await store.clean()
    if purged.requests or attempts or entries:
        log.info(
            "retention.deleted",
            requests=purged.requests,
            events=purged.events,
            files=purged.files,
            attempts=attempts,
            trail=entries,
        )
    return RetentionRun(purged, attempts, entries)


async def _doubted_since(store: Store, now: datetime) -> datetime | None:
    """Return the last run, where it was so long ago that the clock may have been set since."""
    last = await store.read(cursors.get, NAME)
    return None if last is None or now - last.updated_at <= PAUSED else last.updated_at


async def _note(store: Store, last_run: datetime, *, reason: str | None = None) -> None:
    """Note the last run, and why there was none since."""
    await store.write(cursors.move, NAME, None, last_run, reason)


async def _anything(store: Store, latest: Cutoffs, before: datetime, old: datetime) -> bool:
    count, _ = await store.read(retention.attempts_before, before)
    if count or await _old_entries(store, old):
        return True
    return bool(await store.read(retention.due, latest, None, 1))


async def _old_entries(store: Store, before: datetime) -> int:
    return sum([await store.read(trail.old, stream, before) for stream in STREAMS])


async def _purge(
    store: Store, policies: Policies, environment: Environment, now: datetime
) -> Purged:
    latest = policies.latest(now)
    after: tuple[datetime, str] | None = None
    purged = Purged()
    while page := await store.read(retention.due, latest, after, PAGE):
        after = (page[-1].status_at, page[-1].id)
        aimed = [(one, policies.of(one).cutoffs(now).of(one.status)) for one in page]
        chosen = [(one, before) for one, before in aimed if one.status_at < before]
        for start in range(0, len(chosen), BATCH):
            purged += await store.write(retention.purge, chosen[start : start + BATCH], now)
            environment.crash("retention.purged")
            await environment.sleep(PAUSE)
    return purged


async def _drop_attempts(
    store: Store, environment: Environment, before: datetime, now: datetime
) -> int:
    after, dropped = 0, 0
    while page := await store.read(retention.attempts, after, ATTEMPTS_AT_ONCE):
        after = page[-1].id
        old = [one.id for one in page if one.over and one.started_at < before]
        if old:
            dropped += await store.write(retention.drop_attempts, old)
            await environment.sleep(PAUSE)
        # A time ahead of now is of a clock that was ahead, and says nothing of what follows.
        if before <= page[-1].started_at <= now:
            break
    return dropped


class Policies:
    """The delays of each route."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.default = catalogue.settings.retention
        self._forms = {
            (portal.name, slug): one.retention
            for portal in catalogue.portals.values()
            for slug, one in portal.teleservices.items()
            if one.retention is not None
        }
        self._follow = {
            (commune.insee, gru.name): gru.follow
            for commune in catalogue.communes.values()
            for gru in commune.grus.values()
            if gru.poll is not None and gru.capabilities.statuses
        }

    def of(self, one: Purgeable | HeldContent) -> RetentionPolicy:
        """Return the delays of a request's route."""
        own = self._forms.get((one.portal, one.teleservice), self.default)
        return own.following(self._follow.get((one.commune, one.gru)))

    def of_route(self, route: Route) -> RetentionPolicy:
        """Return the delays of what comes by a route."""
        own = self._forms.get((route.portal, route.teleservice), self.default)
        return own.following(self._follow.get((route.commune, route.gru.name)))

    def all(self) -> Iterator[RetentionPolicy]:
        """Yield every policy that may apply, once."""
        seen: set[RetentionPolicy] = set()
        for own in (self.default, *self._forms.values()):
            for follow in (None, *self._follow.values()):
                policy = own.following(follow)
                if policy not in seen:
                    seen.add(policy)
                    yield policy

    def latest(self, now: datetime) -> Cutoffs:
        every = [policy.cutoffs(now) for policy in self.all()]
        return Cutoffs(max(one.ended for one in every), max(one.silent for one in every))


def _planned(
    key: tuple[str, str, str],
    parts: list[tuple[HeldContent, RetentionPolicy]],
    now: datetime,
) -> PlannedContent:
    commune, teleservice, kind = key
    goes = [
        one.oldest + (now - before)
        for one, policy in parts
        if (before := _cutoff(policy, one, now)) != NEVER
    ]
    return PlannedContent(
        commune,
        teleservice,
        kind,
        count=sum(one.count for one, _ in parts),
        due=sum(one.due - one.owed for one, _ in parts),
        owed=sum(one.owed for one, _ in parts),
        oldest=min(one.oldest for one, _ in parts),
        next_at=min(goes, default=None),
    )


def _cutoff(policy: RetentionPolicy, one: HeldContent, now: datetime) -> datetime:
    cutoffs = policy.cutoffs(now)
    return cutoffs.ended if one.ended else cutoffs.silent
