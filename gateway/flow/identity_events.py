"""Takes the events that GLC pushes: an account was purged. Each is taken once, behind the same
brake as the accounts that a poll finds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

import structlog

from gateway.catalogue.catalogue import Glc
from gateway.core.account import known_among
from gateway.core.erasure import ProviderRun
from gateway.core.errors import Unavailable
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.links import LinkRegister
from gateway.store import erasures
from gateway.store.engine import Store
from gateway.wire.identity import IdentitySource, Outage
from gateway.wire.security_events import SKEW, KeySource, SecurityEvent, read_token

log = structlog.get_logger()

SOURCE = "events"


@dataclass(frozen=True, slots=True)
class IdentityEvents:
    """Receives events. One per process."""

    store: Store
    hasher: AccountHasher
    environment: Environment
    #: None when accounts are not linked.
    links: LinkRegister | None = None

    async def receive(
        self, token: bytes, glc: Glc, keys: KeySource, source: IdentitySource | None = None
    ) -> None:
        """Take one token, and what follows from it. One that came before changes nothing. A
        `source` that compares accounts is asked, too: one that it still knows waits for two people,
        or for its next poll, which lets it go.

        Raises RefusedEvent, Unavailable, BadKey and OSError.
        """
        if glc.events is None:
            return
        now = self.environment.now()
        event = await read_token(token, keys, glc.events, now)
        if event.unnamed:
            log.warning("glc.event_unnamed")
        if glc.canary is not None and glc.canary in event.accounts:
            log.warning("glc.event_of_the_canary")
            return
        run = await self._run(event, glc, source)
        judged = await self.store.write(
            erasures.record_event,
            _nonce(glc.events.issuer, event),
            event.issued_at + timedelta(seconds=glc.events.max_age) + 2 * SKEW,
            run,
            lambda: f"ERA-{self.environment.new_name()}",
            now,
        )
        if judged is None:
            log.info("glc.event_repeated")
            return
        say = log.warning if judged.hold else log.info
        say("glc.event", opened=len(judged.erase), held=len(judged.hold), reason=judged.reason)

    async def _run(
        self, event: SecurityEvent, glc: Glc, source: IdentitySource | None
    ) -> erasures.DeletionRun | None:
        """Return the run that the event is; None where nothing of these accounts is here. Raises
        Unavailable where the source cannot be asked: the event is then to be sent again."""
        if not event.accounts:
            return None
        linked = frozenset[str]() if self.links is None else await self.links.accounts()
        gone = await self.store.read(erasures.accounts_among, event.accounts)
        gone |= known_among(linked, event.accounts)
        if not gone:
            return None
        doubted = frozenset[str]()
        if glc.source == "synchronization" and source is not None:
            told = await source.read(sorted(gone), None)
            if isinstance(told, Outage) or told.canary_gone:
                raise Unavailable("the account cannot be looked up now")
            doubted = gone - told.gone
        return erasures.DeletionRun(
            id=f"RUN-{self.environment.new_name()}",
            source=SOURCE,
            reading=ProviderRun(gone, positive=True, doubted=doubted),
            accounts=(),
            marks={account: self.hasher.hash_of(account) for account in gone},
            cursor=None,
            brake=glc.brake,
            confirm_after=timedelta(seconds=glc.confirm_after),
            deadline=timedelta(seconds=glc.deadline),
            polled=False,
            linked=linked,
        )


def _nonce(issuer: str, event: SecurityEvent) -> str:
    """Return the name under which a token is taken once; it may say something of the person."""
    return f"set:{hashlib.sha256(f'{issuer} {event.name}'.encode()).hexdigest()}"


__all__ = ["IdentityEvents"]
