"""Watches GrandLyon Connect: one poll asks who is gone, and stores what follows."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
import structlog

from gateway.catalogue.catalogue import Glc, GlcAuth
from gateway.core.erasure import ProviderRun, VoidRun
from gateway.core.messages import Message
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.links import LinkRegister
from gateway.sdk import ClientCredentials
from gateway.store import cursors, erasures, scrub
from gateway.store.cursors import CursorValue
from gateway.store.engine import Store
from gateway.store.erasures import Counts
from gateway.wire.deletions import Deletions
from gateway.wire.identity import IdentitySource, Outage
from gateway.wire.identity_call import BasicAccess, BearerAccess, IdentityAccess, SignedAccess
from gateway.wire.synchronization import Synchronization

log = structlog.get_logger()

#: Reason of a run that is believed though some listed entries could not be read.
ENTRIES_SKIPPED = "entries_skipped"


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll. `failure` is a constant word; nothing was believed then.

    Numbers: `held` erasures wait for two people, `opened` ones began, `suspects` are to be
    confirmed, `cleared` accounts turned out to exist, `skipped` entries could not be used. `reason`
    is `brake`, `contradiction`, `entries_skipped` or empty. `waiting`: the runs, this or earlier,
    of which erasures wait for two people.
    """

    run: str
    known: int
    gone: int = 0
    skipped: int = 0
    calls: int = 0
    opened: int = 0
    held: int = 0
    suspects: int = 0
    cleared: int = 0
    reason: str = ""
    detail: str | Message = ""
    failure: str | None = None
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchState:
    """The `last` poll of GLC, whether it failed, and how much waits."""

    last: CursorValue | None
    counts: Counts


async def watch_state(store: Store, now: datetime) -> WatchState:
    """Read the state of the watch at `now`. Raises Unavailable."""
    last = await store.read(cursors.get, erasures.CURSOR)
    return WatchState(last, await store.read(erasures.counts, now))


@dataclass(slots=True)
class IdentityWatch:
    """Polls the identity provider. One per process. `glc` and `source` may be replaced at any time;
    a poll ends with those that it began with."""

    store: Store
    glc: Glc
    source: IdentitySource
    hasher: AccountHasher
    environment: Environment
    using: Callable[[], AbstractContextManager[None]] = nullcontext
    #: None when accounts are not linked.
    links: LinkRegister | None = None

    async def poll(self) -> PollResult:
        """Make one whole run. Nothing of a failed run is believed; the next one begins anew."""
        with self.using():
            return await self._poll(self.glc, self.source)

    async def _poll(self, glc: Glc, source: IdentitySource) -> PollResult:
        run = f"RUN-{self.environment.new_name()}"
        known = await self.store.read(erasures.known_accounts)
        # Who has linked accounts may have filed no request.
        linked = frozenset() if self.links is None else await self.links.accounts()
        if linked:
            known = sorted({*known, *linked})
        cursor = await self.store.read(cursors.get, erasures.CURSOR)
        told = await source.read(known, None if cursor is None else cursor.value)
        now = self.environment.now()
        if isinstance(told, Outage):
            await self.store.write(erasures.record_failed_run, told.reason, now)
            log.warning("glc.failed", run=run, reason=told.reason, detail=str(told.detail))
            return PollResult(run, len(known), detail=told.detail, failure=told.reason)
        marks = {account: self.hasher.hash_of(account) for account in told.gone}
        judged = await self.store.write(
            erasures.record_run,
            erasures.DeletionRun(
                id=run,
                source=glc.source,
                reading=ProviderRun(told.gone, told.canary_gone, told.positive),
                accounts=tuple(known),
                marks=marks,
                cursor=told.cursor,
                brake=glc.brake,
                confirm_after=timedelta(seconds=glc.confirm_after),
                deadline=timedelta(seconds=glc.deadline),
                note=ENTRIES_SKIPPED if told.skipped else None,
                linked=linked,
            ),
            lambda: f"ERA-{self.environment.new_name()}",
            now,
        )
        if isinstance(judged, VoidRun):
            log.warning("glc.failed", run=run, reason=judged.reason, detail=judged.detail)
            return PollResult(
                run,
                len(known),
                len(told.gone),
                calls=told.calls,
                failure=judged.reason,
            )
        if judged.stop:
            stopped = await self.store.write(scrub.reinstate, sorted(judged.stop), run, now)
            log.warning("erasure.withdrawn", run=run, accounts=stopped)
        if judged.erase or judged.hold:
            self.environment.crash("erase.found")
        waiting = await self.store.read(erasures.held_runs) if judged.hold else []
        poll = PollResult(
            run=run,
            known=len(known),
            gone=len(told.gone),
            skipped=told.skipped,
            calls=told.calls,
            opened=len(judged.erase),
            held=len(judged.hold),
            suspects=len(judged.suspects),
            cleared=len(judged.cleared),
            reason=judged.reason or (ENTRIES_SKIPPED if told.skipped else ""),
            detail=judged.detail,
            waiting=tuple(waiting),
        )
        say = log.warning if poll.reason else log.info
        say(
            "glc.polled",
            run=run,
            known=poll.known,
            gone=poll.gone,
            calls=poll.calls,
            skipped=poll.skipped,
            opened=poll.opened,
            held=poll.held,
            suspects=poll.suspects,
            cleared=poll.cleared,
            reason=poll.reason,
        )
        return poll


def identity_source(
    glc: Glc, client: httpx.AsyncClient, environment: Environment
) -> IdentitySource:
    """Return the port to GLC that the configuration describes."""
    access = _access(glc.auth, client, environment)
    if glc.source == "synchronization":
        return Synchronization(glc.base_url, client, access, glc.canary)
    return Deletions(glc.base_url, client, access, glc.deletions, environment.now, glc.canary)


def _access(auth: GlcAuth, client: httpx.AsyncClient, environment: Environment) -> IdentityAccess:
    secret = auth.secret.get_secret_value()
    match auth.kind:
        case "basic":
            return BasicAccess(auth.name, secret)
        case "signature":
            return SignedAccess(auth.name, secret, environment.now, lambda: secrets.token_hex(16))
        case _:
            asked = ClientCredentials(auth.token_url or "", auth.name, secret, auth.scope)
            return BearerAccess(asked, client, environment.now)
