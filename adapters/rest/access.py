"""How each call proves who we are: fixed headers, an OAuth2 token, or a session."""

from __future__ import annotations

import asyncio
import base64
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from pydantic import SecretStr

from adapters.rest.call import Call
from adapters.rest.expression import Json
from adapters.rest.options import (
    Auth,
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    NoAuth,
    OAuth2Auth,
    SessionAuth,
)
from adapters.rest.reading import Answer
from gateway.sdk import Misconfigured, Outcome, TryLater

#: A token is left this many seconds before it ends.
LEEWAY = timedelta(seconds=30)

Send = Callable[[httpx.Request], Awaitable[Answer | Outcome]]
Build = Callable[[Call, Mapping[str, Json]], httpx.Request]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call carries; `token` is what `=session` gives."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)


class Access(ABC):
    """Credentials, got when needed. `forget` those that the GRU no longer takes."""

    @abstractmethod
    async def credentials(self) -> Credentials | Outcome: ...

    def expired(self, answer: Answer) -> bool:
        return False

    def forget(self, credentials: Credentials) -> None:
        return None


class FixedAccess(Access):
    def __init__(self, headers: Mapping[str, str]) -> None:
        self._credentials = Credentials(headers)

    async def credentials(self) -> Credentials:
        return self._credentials


class TokenAccess(Access):
    """A token kept until it ends. Calls that need one at the same time wait for the same fetch."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = asyncio.Lock()
        self._held: Credentials | None = None
        self._ends: datetime | None = None

    async def credentials(self) -> Credentials | Outcome:
        async with self._lock:
            if self._held is not None and (self._ends is None or self._now() < self._ends):
                return self._held
            self._held = None
            fetched = await self._fetch()
            if not isinstance(fetched, tuple):
                return fetched
            self._held, life = fetched
            self._ends = None if life is None else self._now() + life
            return self._held

    def forget(self, credentials: Credentials) -> None:
        # Another call may have renewed it in between.
        if self._held is credentials:
            self._held = None

    @abstractmethod
    async def _fetch(self) -> tuple[Credentials, timedelta | None] | Outcome: ...


class OAuth2Access(TokenAccess):
    """RFC 6749 client credentials. Nothing of ours was taken whatever happens here."""

    def __init__(self, auth: OAuth2Auth, now: Callable[[], datetime], send: Send) -> None:
        super().__init__(now)
        self._auth = auth
        self._send = send

    def expired(self, answer: Answer) -> bool:
        return answer.status == 401

    async def _fetch(self) -> tuple[Credentials, timedelta | None] | Outcome:
        auth = self._auth
        client = ClientAuth(auth.client_id, _clear(auth.client_secret), auth.client_auth)
        body = prepare_token_request(
            "client_credentials", scope=auth.scope, redirect_uri=None, **auth.parameters
        )
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
        }
        url, headers, body = client.prepare("POST", auth.token_url, headers, body)
        answer = await self._send(httpx.Request("POST", url, headers=headers, content=body))
        if not isinstance(answer, Answer):
            return answer
        fault = _not_granted(answer, "oauth2_refused")
        if fault is not None:
            return fault
        granted = answer.body if isinstance(answer.body, dict) else {}
        token = granted.get("access_token")
        if not isinstance(token, str) or not _sendable(token):
            return Misconfigured("oauth2_refused", "the token endpoint gave no access_token")
        life = granted.get("expires_in")
        seconds = float(life) if isinstance(life, int | float | str) and _is_number(life) else None
        ends = None if seconds is None else max(timedelta(), timedelta(seconds=seconds) - LEEWAY)
        return Credentials({"Authorization": f"Bearer {token}"}, token), ends


class SessionAccess(TokenAccess):
    """A login call described in the YAML, made on demand and once more when the session ends."""

    def __init__(
        self,
        auth: SessionAuth,
        now: Callable[[], datetime],
        send: Send,
        build: Build,
        scope: Mapping[str, Json],
    ) -> None:
        super().__init__(now)
        self._auth = auth
        self._send = send
        self._build = build
        self._scope = scope

    def expired(self, answer: Answer) -> bool:
        rule = self._auth.expired
        if rule.status is not None and answer.status == rule.status and rule.when is None:
            return True
        if rule.when is None or not answer.readable or not truthy(rule.when.read(answer.body)):
            return False
        # With a condition, the default status 401 is one way among two, any other is part of it.
        return rule.status in (None, 401, answer.status)

    async def _fetch(self) -> tuple[Credentials, timedelta | None] | Outcome:
        answer = await self._send(self._build(self._auth.login, self._scope))
        if not isinstance(answer, Answer):
            return answer
        fault = _not_granted(answer, "login_refused")
        if fault is not None:
            return fault
        token = self._auth.token.read(answer.body)
        if isinstance(token, int) and not isinstance(token, bool):
            token = str(token)
        if not isinstance(token, str) or not _sendable(token):
            return Misconfigured("login_refused", "the login call gave no token")
        header = self._auth.header
        headers = {} if header is None else {header: f"{self._auth.prefix}{token}"}
        life = None if self._auth.ttl is None else timedelta(seconds=self._auth.ttl)
        return Credentials(headers, token), life


def access(
    auth: Auth,
    now: Callable[[], datetime],
    send: Send,
    build: Build,
    scope: Mapping[str, Json],
) -> Access:
    """The access that the options describe. `send` makes a call that is safe to repeat."""
    match auth:
        case NoAuth():
            return FixedAccess({})
        case BasicAuth():
            pair = f"{auth.username}:{_clear(auth.password)}".encode()
            return FixedAccess({"Authorization": "Basic " + base64.b64encode(pair).decode()})
        case HeaderAuth():
            return FixedAccess({auth.name: f"{auth.prefix}{_clear(auth.value)}"})
        case BearerAuth():
            return FixedAccess({"Authorization": f"Bearer {_clear(auth.token)}"})
        case OAuth2Auth():
            return OAuth2Access(auth, now, send)
        case SessionAuth():
            return SessionAccess(auth, now, send, build, scope)


def truthy(value: Json) -> bool:
    """JMESPath's own idea of true: null, false and empty things are not, 0 is."""
    return not (value is None or value is False or value in ("", [], {}))


def _not_granted(answer: Answer, reason: str) -> Outcome | None:
    if answer.status < 300:
        return None
    if answer.status >= 500 or answer.status in (408, 425, 429):
        return TryLater("no_token", f"HTTP {answer.status} when asking for a token")
    return Misconfigured(reason, f"HTTP {answer.status} when asking for a token")


def _clear(secret: SecretStr) -> str:
    return secret.get_secret_value()


def _sendable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable()


def _is_number(value: int | float | str) -> bool:
    try:
        return 0 <= float(value) < 1e9
    except ValueError:
        return False
