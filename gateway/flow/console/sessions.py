"""The console's sessions: who has proven who they are, for how long."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.core.console import Grant, Reader
from gateway.flow.console.accounts import mark_of
from gateway.flow.environment import Environment
from gateway.store import console, nonces
from gateway.store.console import ConsoleSession
from gateway.store.engine import Store

#: Characters of a session's token.
_TOKEN: Final = 100
#: An act is noted this often at most: else each page would be a write.
_TOUCH: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """An open session: its reader, and the proof that a form is of one of its pages."""

    mark: str
    reader: Reader
    form_token: str


def form_token(secret: str) -> str:
    """Return the proof that a form is of a page of the browser that has this secret."""
    return hmac.new(secret.encode("utf-8", "replace"), b"console form", hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class ConsoleSessions:
    """A session is a random token that its browser alone has; stored is the token's hash."""

    store: Store
    environment: Environment
    idle: timedelta
    longest: timedelta

    async def open(self, account: str, shown_as: str, grant: Grant) -> str:
        """Open a session. Return its token. Raises Unavailable."""
        token, now = secrets.token_urlsafe(32), self.environment.now()
        ends = now + self.longest
        opened = ConsoleSession(mark_of(token), account, shown_as, grant, now, now, ends)
        await self.store.write(console.open_session, opened, now)
        return token

    async def read(self, token: str | None, *, acts: bool) -> OpenSession | None:
        """Return the open session of a token; None for none. `acts`: a person has done something;
        a page that looks for news by itself keeps no session open. Raises Unavailable."""
        if not token or len(token) > _TOKEN:
            return None
        mark, now = mark_of(token), self.environment.now()
        found = await self.store.read(console.session, mark, self.idle, now)
        if found is None:
            return None
        if acts and now - found.seen_at >= _TOUCH:
            await self.store.write(console.touch_session, mark, now)
        reader = Reader(found.account, found.shown_as, found.grant)
        return OpenSession(mark, reader, form_token(token))

    async def end(self, session: OpenSession, *, everywhere: bool) -> None:
        """End a session, or all of its account. Raises Unavailable."""
        if everywhere:
            await self.store.write(console.end_sessions, session.reader.account)
        else:
            await self.store.write(console.end_session, session.mark)

    async def spend(self, session: OpenSession, number: str) -> bool:
        """Spend the number of a form, once. Raises Unavailable."""
        until = self.environment.now() + self.longest
        key = f"console form {session.mark} {number}"
        return bool(number) and await self.store.write(nonces.spend, key, until)

    async def forget(self) -> None:
        """Drop what is over. Raises Unavailable."""
        await self.store.write(console.forget, self.idle, self.environment.now())
