"""Makes one call to the identity provider: proven, bounded, read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

import httpx

from gateway.core.outcome import Outcome
from gateway.sdk import (
    Answer,
    ClientCredentials,
    Token,
    TokenKeeper,
    classify_error,
    classify_status,
    read_json,
    send,
)
from gateway.sdk.exchange import Read
from gateway.sdk.publik.signature import sign_url
from gateway.wire.identity import Outage
from gateway.wire.identity_texts import say

#: Bytes of one decompressed answer; a longer list comes in pages.
LARGEST = 32 * 1024 * 1024
#: Values in one answer, accounts and their fields together.
MOST = 1_000_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ProvenCall:
    """A call's address and headers, with our proof; `token` is OAuth2's."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)


class IdentityAccess(Protocol):
    """The way in which a call proves us."""

    async def prove(self, url: str) -> ProvenCall | Outcome: ...

    def renew(self, proof: ProvenCall) -> bool:
        """Forget a refused proof. Is there another?"""
        ...


@dataclass(frozen=True, slots=True)
class BasicAccess:
    """HTTP Basic: an API client of Authentic."""

    username: str
    password: str = field(repr=False)

    async def prove(self, url: str) -> ProvenCall:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")
        return ProvenCall(url, {"Authorization": f"Basic {pair}"})

    def renew(self, proof: ProvenCall) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class SignedAccess:
    """Publik's signature, for services that the platform knows."""

    orig: str
    key: str = field(repr=False)
    now: Callable[[], datetime]
    nonce: Callable[[], str]

    async def prove(self, url: str) -> ProvenCall:
        return ProvenCall(
            sign_url(url, self.key, orig=self.orig, now=self.now(), nonce=self.nonce())
        )

    def renew(self, proof: ProvenCall) -> bool:
        return False


class BearerAccess:
    """Client credentials. Stock Authentic does not take them; other providers do."""

    def __init__(
        self, asked: ClientCredentials, client: httpx.AsyncClient, now: Callable[[], datetime]
    ) -> None:
        self._tokens = TokenKeeper(lambda: asked.fetch(client), now)

    async def prove(self, url: str) -> ProvenCall | Outcome:
        token = await self._tokens.get()
        if not isinstance(token, Token):
            return token
        return ProvenCall(url, {"Authorization": f"Bearer {token.value}"}, token.value)

    def renew(self, proof: ProvenCall) -> bool:
        self._tokens.forget(proof.token or "")
        return True


async def fetch(
    client: httpx.AsyncClient,
    access: IdentityAccess,
    method: str,
    url: str,
    body: Any,
    read: Callable[[Any], _T | Outage],
) -> _T | Outage:
    """Return what `read` makes of the JSON of an HTTP 200; nothing else counts. Refused credentials
    are forgotten, and new ones tried once. `read` may run in another thread."""

    def parsed(content: bytes, charset: str | None) -> _T | Outage:
        return read(read_json(content, charset, values=MOST))

    answer, proof = await _proven(client, access, method, url, body, parsed)
    if isinstance(answer, Answer) and answer.status == 401 and proof and access.renew(proof):
        answer, _ = await _proven(client, access, method, url, body, parsed)
    if not isinstance(answer, Answer):
        return _outage(answer)
    failed = classify_status(answer.response, safe=True)
    if failed is not None:
        return _outage(failed)
    if answer.status != 200:
        return Outage("malformed", f"HTTP {answer.status}")
    if answer.too_large and answer.problem is not None:
        return Outage("answer_too_large", say("in_one_answer", size=answer.problem.detail))
    if answer.problem is not None or answer.empty:
        return Outage("malformed", say("no_json"))
    told: _T | Outage = answer.value
    return told


async def _proven(
    client: httpx.AsyncClient, access: IdentityAccess, method: str, url: str, body: Any, read: Read
) -> tuple[Answer | Outcome, ProvenCall | None]:
    proof = await access.prove(url)
    if not isinstance(proof, ProvenCall):
        return proof, None
    headers = {"Accept": "application/json", **proof.headers}
    content = None
    if body is not None:
        content = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    try:
        request = client.build_request(method, proof.url, headers=headers, content=content)
    except httpx.InvalidURL as error:
        return classify_error(error, safe=True), None
    answer = await send(client, request, safe=True, limit=LARGEST, read=read)
    return answer, proof


def _outage(outcome: Outcome) -> Outage:
    return Outage(getattr(outcome, "reason", "refused"), getattr(outcome, "detail", ""))
