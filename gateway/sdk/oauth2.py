"""OAuth2: client credentials, refresh tokens and signed assertions, and one token for all calls to
a far end."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
from authlib.oauth2.auth import ClientAuth

from gateway.core.outcome import Misconfigured, Outcome, TryLater
from gateway.sdk.exchange import send

#: Bytes of a token endpoint's answer.
LARGEST = 1_000_000
#: A token is left so long before it ends, or at half of its life when that is shorter.
LEEWAY = timedelta(seconds=30)
#: Seconds for which an assertion of ours is good.
ASSERTED = 180

#: The place of a client's secret in a call for a token; `none`: it gives its id alone.
ClientAuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `life` is its lifetime in seconds; None when the far end gave none."""

    value: str = field(repr=False)
    life: timedelta | None = None


class TokenKeeper:
    """Keeps one token until it ends or is forgotten. Callers that need one at the same time share
    one fetch."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Token | Outcome]],
        now: Callable[[], datetime],
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._lock = asyncio.Lock()
        self._got: Token | Outcome | None = None
        self._ends: datetime | None = None
        self._fetched = 0

    async def get(self) -> Token | Outcome:
        """Return the token, and fetch one if needed. Return the outcome when none is given."""
        before = self._fetched
        async with self._lock:
            if self._fetched != before and self._got is not None:
                return self._got  # was fetched while this call waited, so for it, too
            if isinstance(self._got, Token) and (self._ends is None or self._now() < self._ends):
                return self._got
            self._got = None
            self._got = await self._fetch()
            self._fetched += 1
            self._ends = self._end_of(self._got)
            return self._got

    def forget(self, value: str) -> None:
        """Forget a token that the far end refuses. A token that was fetched since then stays."""
        if isinstance(self._got, Token) and self._got.value == value:
            self._got = None

    def _end_of(self, got: Token | Outcome) -> datetime | None:
        if not isinstance(got, Token) or got.life is None:
            return None
        return self._now() + got.life - min(LEEWAY, got.life / 2)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Our account at a token endpoint (RFC 6749, 4.4). `parameters` are added to the form
    (`audience`...)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    client_auth: ClientAuthMethod = "client_secret_basic"
    parameters: Mapping[str, str] = field(default_factory=dict)

    async def fetch(self, client: httpx.AsyncClient) -> Token | Outcome:
        """Ask for a token. Never unsure: the call carries nothing of a request."""
        form = {"grant_type": "client_credentials", "scope": self.scope, **self.parameters}
        granted = await _ask(client, self, form)
        return granted if isinstance(granted, Outcome) else _token(granted)


@dataclass(slots=True)
class RefreshToken:
    """A person's consent, given once in a browser (authorization code, RFC 6749, 4.1), as a refresh
    token (6).

    The server may replace the token at each use. The newest one is kept in the file `kept_in`,
    which only we may read, as long as it descends from `refresh_token`. Without a file it is lost
    when the process ends.
    """

    token_url: str
    client_id: str
    refresh_token: str = field(repr=False)
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    client_auth: ClientAuthMethod = "client_secret_basic"
    parameters: Mapping[str, str] = field(default_factory=dict)
    kept_in: Path | None = None
    _newest: str | None = field(default=None, repr=False)

    async def fetch(self, client: httpx.AsyncClient) -> Token | Outcome:
        """Ask for a token. Never unsure."""
        newest = await asyncio.to_thread(self._read) or self._newest or self.refresh_token
        form = {"grant_type": "refresh_token", "refresh_token": newest, "scope": self.scope}
        granted = await _ask(client, self, {**form, **self.parameters})
        if isinstance(granted, Outcome):
            return granted
        token, replaced = _token(granted), granted.get("refresh_token")
        if isinstance(token, Token) and isinstance(replaced, str) and replaced != newest:
            self._newest = replaced
            try:
                await asyncio.to_thread(self._store, replaced)
            except OSError as error:
                what = f"the new refresh token cannot be kept ({type(error).__name__})"
                return Misconfigured("oauth2_unkept", what)
        return token

    @property
    def _origin(self) -> str:
        return hashlib.sha256(self.refresh_token.encode()).hexdigest()

    def _read(self) -> str | None:
        if self.kept_in is None:
            return None
        with suppress(OSError, ValueError, TypeError):
            kept = json.loads(self.kept_in.read_bytes()[:LARGEST])
            if kept["of"] == self._origin and isinstance(kept["refresh_token"], str):
                return str(kept["refresh_token"])
        return None

    def _store(self, newest: str) -> None:
        """Write a new file and put it in the place of the old one: at any moment one of the two is
        complete."""
        if self.kept_in is None:
            return
        beside = self.kept_in.with_name(f".{self.kept_in.name}.new")
        opened = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            json.dump({"of": self._origin, "refresh_token": newest}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.kept_in)


@dataclass(frozen=True, slots=True)
class JwtBearer:
    """A signed assertion instead of a secret (RFC 7523, 2.1). `private_key` is a PEM."""

    token_url: str
    issuer: str
    private_key: str = field(repr=False)
    audience: str
    subject: str | None = None
    algorithm: Literal["RS256", "RS512", "PS256", "ES256"] = "RS256"
    key_id: str | None = None
    scope: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    client_id: str = ""
    client_secret: str | None = field(default=None, repr=False)
    client_auth: ClientAuthMethod = "none"

    async def fetch(self, client: httpx.AsyncClient) -> Token | Outcome:
        """Ask for a token. Never unsure."""
        try:
            assertion = await asyncio.to_thread(self._assertion)
        except ValueError:  # its text could hold the key
            return Misconfigured("oauth2_key", "the private key is none, or of another kind")
        form = {"grant_type": _JWT_BEARER, "assertion": assertion, "scope": self.scope}
        granted = await _ask(client, self, {**form, **self.parameters})
        return granted if isinstance(granted, Outcome) else _token(granted)

    def _assertion(self) -> str:
        # Takes a while to load, and few need it.
        from joserfc import jwt
        from joserfc.jwk import ECKey, RSAKey

        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.issuer, "aud": self.audience, "iat": now}
        claims |= {"exp": now + ASSERTED, "jti": secrets.token_urlsafe(16)}
        if self.subject is not None:
            claims["sub"] = self.subject
        header = {"alg": self.algorithm} | ({"kid": self.key_id} if self.key_id else {})
        kind = ECKey if self.algorithm.startswith("ES") else RSAKey
        try:
            key = kind.import_key(self.private_key)
            return jwt.encode(header, claims, key, algorithms=[self.algorithm])
        except Exception as error:  # of two libraries, each with its own
            raise ValueError(type(error).__name__) from None


_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def _ask(
    client: httpx.AsyncClient,
    account: ClientCredentials | RefreshToken | JwtBearer,
    form: Mapping[str, str | None],
) -> dict[str, Any] | Outcome:
    """Return the token that an endpoint grants, or the outcome."""
    method = account.client_auth if account.client_id else "none"
    given = {name: value for name, value in form.items() if value is not None}
    if account.client_id and method == "none":
        given["client_id"] = account.client_id
    body = str(httpx.QueryParams(given))
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
    }
    url = account.token_url
    if method != "none":
        auth = ClientAuth(account.client_id, account.client_secret or "", method)
        url, headers, body = auth.prepare("POST", url, headers, body)
    try:
        request = client.build_request("POST", url, headers=headers, content=body)
    except httpx.InvalidURL:
        return Misconfigured("bad_address", "the address of the token endpoint is malformed")
    answer = await send(client, request, safe=True, limit=LARGEST)
    if isinstance(answer, Outcome):
        return answer
    fault = not_granted(answer.status, "oauth2_refused")
    if fault is not None:
        return fault
    return answer.value if isinstance(answer.value, dict) else {}


def not_granted(status: int, reason: str) -> Outcome | None:
    """Return the outcome of a status that a token or session endpoint gave. None for 2xx."""
    detail = f"HTTP {status} when asking for a token"
    if 200 <= status < 300:
        return None
    if status >= 500 or status in (408, 425, 429):
        return TryLater("no_token", detail)
    return Misconfigured(reason, detail)


def sendable(token: object) -> bool:
    """Can this text stand in a header?"""
    return isinstance(token, str) and bool(token) and token.isascii() and token.isprintable()


def _token(granted: Mapping[str, Any]) -> Token | Outcome:
    value = granted.get("access_token")
    if not isinstance(value, str) or not sendable(value):
        return Misconfigured("oauth2_refused", "the token endpoint gave no access_token")
    return Token(value, _life(granted.get("expires_in")))


def _life(told: Any) -> timedelta | None:
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        seconds = float(told)
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 <= seconds < 1e9 else None
