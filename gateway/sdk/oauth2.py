"""OAuth2 client credentials (RFC 6749, 4.4), and one token kept for all calls of a far end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from gateway.core.outcome import Misconfigured, Outcome, TryLater
from gateway.sdk.exchange import send

#: Bytes of a token endpoint's answer.
LARGEST = 1_000_000
#: A token is left so long before it ends, or at half of its life when that is shorter.
LEEWAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Token:
    """A token by which we prove ourselves, as a far end gave it. `life` None: it did not say how
    long."""

    value: str = field(repr=False)
    life: timedelta | None = None


class TokenKeeper:
    """Keeps one token until it ends or is forgotten; callers that need one share one fetch."""

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
        """Return the token, fetched if need be; the outcome when none is given."""
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
        """Forget a token that the far end takes no more. One that was fetched since stays."""
        if isinstance(self._got, Token) and self._got.value == value:
            self._got = None

    def _end_of(self, got: Token | Outcome) -> datetime | None:
        if not isinstance(got, Token) or got.life is None:
            return None
        return self._now() + got.life - min(LEEWAY, got.life / 2)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Our account at a token endpoint. `parameters` are added to the form (`audience`...)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    parameters: Mapping[str, str] = field(default_factory=dict)

    async def fetch(self, client: httpx.AsyncClient) -> Token | Outcome:
        """Ask for a token. Never unsure: whatever happens here, nothing of ours was taken."""
        auth = ClientAuth(self.client_id, self.client_secret, self.client_auth)
        body = prepare_token_request(
            "client_credentials", scope=self.scope, redirect_uri=None, **self.parameters
        )
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
        }
        url, headers, body = auth.prepare("POST", self.token_url, headers, body)
        try:
            request = client.build_request("POST", url, headers=headers, content=body)
        except httpx.InvalidURL:
            return Misconfigured("bad_address", "the address of the token endpoint is malformed")
        answer = await send(client, request, safe=True, limit=LARGEST)
        if isinstance(answer, Outcome):
            return answer
        return not_granted(answer.status, "oauth2_refused") or _token(answer.value)


def not_granted(status: int, reason: str) -> Outcome | None:
    """Return the outcome that an HTTP status means for a call that asks for a token or a session;
    None for 2xx."""
    detail = f"HTTP {status} when asking for a token"
    if 200 <= status < 300:
        return None
    if status >= 500 or status in (408, 425, 429):
        return TryLater("no_token", detail)
    return Misconfigured(reason, detail)


def sendable(token: object) -> bool:
    """Can this stand in a header?"""
    return isinstance(token, str) and bool(token) and token.isascii() and token.isprintable()


def _token(body: Any) -> Token | Outcome:
    granted = body if isinstance(body, dict) else {}
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
