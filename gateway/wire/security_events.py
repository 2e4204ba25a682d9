"""Reads security event tokens (RFC 8417) about accounts, as a provider pushes them (RFC 8935).

Sources: RFC 8417, 8935 and 9493; OpenID RISC, event types and the subjects of its drafts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from gateway.core.account import normal_account
from gateway.core.errors import Unavailable
from gateway.core.expression import Expression, ExpressionError
from gateway.wire.identity import Outage
from gateway.wire.identity_call import ProvenCall, fetch
from gateway.wire.identity_texts import say
from gateway.wire.signed_tokens import Jwk, TokenFault, UnknownKey, public_keys, verify_token

ACCOUNT_PURGED = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
#: Bytes of one token.
LARGEST = 64 * 1024
#: Characters of a token's name (`jti`) and of an account.
_LONGEST = 256
#: A token may come from a clock that is so far ahead.
SKEW = timedelta(minutes=5)
#: Seconds for which a key set is used, and between two tries to read it.
FRESH = 3600.0
AGAIN = 60.0
#: A token that proves nothing, in the words of RFC 8935 and in a sentence.
_UNPROVEN = {
    "malformed": ("invalid_request", "the body is no signed token with a JSON object"),
    "bad_algorithm": ("invalid_key", "the algorithm is not among those that are taken"),
    "unknown_key": ("invalid_key", "the key is not one of the issuer's"),
    "bad_signature": ("authentication_failed", "the signature is not good"),
}


class RefusedEvent(Exception):
    """A token is refused: `code` is a word of RFC 8935, `text` a sentence without identity."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class EventShape:
    """The events of a provider.

    `types` are those that say that an account is gone for good. `subject` finds the account in the
    claims, with the event itself as `event`; None: where the standards and their drafts have it.
    `typed`: the token must call itself a security event, as an ID token of the same provider does
    not. `max_age` is in seconds.
    """

    issuer: str
    audiences: frozenset[str]
    jwks_url: str
    algorithms: tuple[str, ...]
    types: frozenset[str]
    subject: Expression | None
    typed: bool
    max_age: float


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """A token that is believed. `name` is its own within its issuer; `accounts` are those that are
    gone, in normal form, of which one may be missing (`unnamed`): it was named by its mail address,
    say."""

    name: str
    issued_at: datetime
    accounts: frozenset[str]
    unnamed: bool = False


@dataclass(slots=True)
class KeySource:
    """The key set at an address, fetched when it is needed and kept for an hour."""

    url: str
    client: httpx.AsyncClient
    clock: Callable[[], float] = time.monotonic
    _keys: tuple[Jwk, ...] | None = field(default=None, init=False)
    _fetched_at: float = field(default=0.0, init=False)
    _tried_at: float | None = field(default=None, init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def keys(self, *, anew: bool = False) -> tuple[Jwk, ...]:
        """Return the keys; `anew`: one was missing. Raises Unavailable when there are none.

        Whoever sends tokens, the provider is asked at most once in `AGAIN`; meanwhile, and while it
        fails, what is kept goes on.
        """
        async with self._turn:
            now = self.clock()
            old = anew or self._keys is None or now - self._fetched_at >= FRESH
            if old and (self._tried_at is None or now - self._tried_at >= AGAIN):
                self._tried_at = now
                found = await self.fetch()
                if not isinstance(found, Outage):
                    self._keys, self._fetched_at = found, now
            if self._keys is None:
                raise Unavailable("the provider's keys cannot be read now")
            return self._keys

    async def fetch(self) -> tuple[Jwk, ...] | Outage:
        """Fetch the keys, whatever is kept."""
        return await fetch(self.client, _Open(), "GET", self.url, None, _key_set)


@dataclass(frozen=True, slots=True)
class _Open:
    """A call that needs no proof."""

    async def prove(self, url: str) -> ProvenCall:
        return ProvenCall(url)

    def renew(self, proof: ProvenCall) -> bool:
        return False


def _key_set(answer: Any) -> tuple[Jwk, ...] | Outage:
    keys = public_keys(answer)
    return Outage("malformed", say("no_keys")) if keys is None else keys


async def read_token(
    token: bytes, source: KeySource, shape: EventShape, now: datetime
) -> SecurityEvent:
    """Return the event of a token. Raises RefusedEvent, and Unavailable without keys."""
    text = token.strip().decode("latin-1")
    try:
        try:
            return await _read(text, await source.keys(), shape, now)
        except UnknownKey:
            return await _read(text, await source.keys(anew=True), shape, now)
    except TokenFault as fault:
        raise RefusedEvent(*_UNPROVEN[fault.word]) from None


async def _read(text: str, keys: Sequence[Jwk], shape: EventShape, now: datetime) -> SecurityEvent:
    return await asyncio.to_thread(_read_with, keys, text, shape, now)


def _read_with(keys: Sequence[Jwk], text: str, shape: EventShape, now: datetime) -> SecurityEvent:
    signed = verify_token(text, keys, shape.algorithms, LARGEST)
    if shape.typed and signed.kind != "secevent+jwt":
        raise RefusedEvent("invalid_request", "the token does not call itself secevent+jwt")
    return _judged(signed.claims, shape, now)


def _judged(claims: Mapping[str, Any], shape: EventShape, now: datetime) -> SecurityEvent:
    """Return the event that the claims tell. Raises RefusedEvent."""
    if claims.get("iss") != shape.issuer:
        raise RefusedEvent("invalid_issuer", "the issuer is another one")
    aud = claims.get("aud")
    if not shape.audiences & {*_texts(aud)}:
        raise RefusedEvent("invalid_audience", "the token is meant for somebody else")
    name = claims.get("jti")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
        raise RefusedEvent("invalid_request", "the token has no name (jti)")
    issued_at = _moment(claims.get("iat"))
    if issued_at is None or issued_at > now + SKEW:
        raise RefusedEvent("invalid_request", "the token's time (iat) is missing, or to come")
    if now - issued_at > timedelta(seconds=shape.max_age):
        raise RefusedEvent("invalid_request", "the token is too old")
    if "exp" in claims and (_moment(claims["exp"]) or issued_at) <= now - SKEW:
        raise RefusedEvent("invalid_request", "the token has expired")
    events = claims.get("events")
    if not isinstance(events, dict) or not events:
        raise RefusedEvent("invalid_request", "the token tells no event")
    subjects = [_subject(claims, events[one], shape) for one in sorted(shape.types & {*events})]
    accounts = frozenset(one for one in subjects if one is not None)
    return SecurityEvent(name, issued_at, accounts, unnamed=None in subjects)


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, str)]


def _moment(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _subject(claims: Mapping[str, Any], event: Any, shape: EventShape) -> str | None:
    """Return the account that an event is about; None where it is not named in a way that tells
    accounts apart."""
    if shape.subject is not None:
        try:
            return _account(shape.subject.search({**claims, "event": event}))
        except ExpressionError:
            return None
    told = event.get("subject") if isinstance(event, dict) else None
    for one in (claims.get("sub_id"), told):
        if isinstance(one, dict):
            return _identified(one, shape)
    return _account(claims.get("sub"))


def _identified(subject: Mapping[str, Any], shape: EventShape) -> str | None:
    """Read a subject identifier (RFC 9493, and the drafts before it)."""
    form = str(subject.get("format") or subject.get("subject_type") or "").replace("-", "_")
    if form == "opaque":
        return _account(subject.get("id"))
    if form == "iss_sub" and subject.get("iss") == shape.issuer:
        return _account(subject.get("sub"))
    return None


def _account(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        return None
    return normal_account(value)


__all__ = [
    "ACCOUNT_PURGED",
    "LARGEST",
    "EventShape",
    "KeySource",
    "RefusedEvent",
    "SecurityEvent",
    "read_token",
]
