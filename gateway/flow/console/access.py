"""Opens the console's way in: sessions, sign-in and tokens, with its own way to the provider."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.catalogue.catalogue import ConsoleSettings
from gateway.core.console import Reader
from gateway.core.errors import Rejected
from gateway.flow.console.accounts import mark_of
from gateway.flow.console.passwords import Passwords
from gateway.flow.console.sessions import ConsoleSessions
from gateway.flow.console.sign_in import ConsoleSignIn
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds, Transport
from gateway.store import console
from gateway.store.engine import Store
from gateway.wire.clients import open_client

#: The name of the provider among the far ends.
PROVIDER: Final = "console"
#: Calls to it at once.
_CONNECTIONS: Final = 4
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class ConsoleAccess:
    """The way in. One per process."""

    settings: ConsoleSettings
    sessions: ConsoleSessions
    sign_in: ConsoleSignIn
    base: str

    async def program(self, token: str) -> Reader:
        """Return the program with this token. Raises Rejected, Unavailable."""
        told = token.encode("utf-8", "replace")
        if len(told) <= _LONGEST:
            for one in self.settings.programs:
                ours = [secret.get_secret_value().encode() for secret in one.tokens]
                if any(secret and hmac.compare_digest(told, secret) for secret in ours):
                    return Reader(f"token:{one.name}", one.name, one.grant)
            now = self.sessions.environment.now()
            found = await self.sessions.store.read(console.token, mark_of(token), now)
            if found is not None:
                return Reader(f"token:{found.name}", found.name, found.grant)
        raise Rejected(401, "bad_console_token", "The token is not known here, or is too old.")


@asynccontextmanager
async def open_access(
    far_ends: FarEnds, store: Store, environment: Environment, transport: Transport
) -> AsyncIterator[ConsoleAccess | None]:
    """Open it, and close its connections at the end; None where there is no console."""
    settings = far_ends.catalogue.settings.console
    if settings is None:
        yield None
        return
    base = far_ends.catalogue.settings.public_url.rstrip("/")
    sessions = ConsoleSessions(store, environment, settings.idle, settings.longest)
    sign_in = ConsoleSignIn(sessions, Passwords(), settings.accounts, f"{base}/console/retour")
    access = ConsoleAccess(settings, sessions, sign_in, base)
    if settings.openid is None:
        yield access
        return
    from gateway.wire.oidc import OpenIdProvider  # takes a while to load

    client = open_client(
        timeout=settings.openid.timeout,
        connections=_CONNECTIONS,
        transport=transport(PROVIDER),
        shared=far_ends.shared,
        far_end=PROVIDER,
        network=settings.openid.network,
        served=partial(far_ends.served.__setitem__, PROVIDER),
    )
    sign_in.openid, sign_in.provider = settings.openid, OpenIdProvider(client, environment.now)
    try:
        yield access
    finally:
        await client.aclose()
