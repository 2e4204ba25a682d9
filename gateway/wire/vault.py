"""A key service that wraps keys by a key of its own: the transit engine of HashiCorp Vault and of
OpenBao, by its HTTP API.

What an answer means hangs on its status and its fields, never on its texts. Each was seen on an
OpenBao 2.7.2 (tests/recorded/vault).
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

import httpx

from gateway.core.errors import Unavailable
from gateway.core.messages import Given
from gateway.core.outcome import TryLater
from gateway.core.reasons import of
from gateway.core.sealing import RemoteMaster
from gateway.sdk.exchange import Answer, send
from gateway.wire.clients import open_client
from gateway.wire.network import Network
from gateway.wire.vault_texts import say

#: Bytes of an answer, and of what a wrapped key may be: one is some 90 bytes.
_LARGEST: Final = 256 * 1024
_WRAPPED: Final = 1024
_MARK: Final = "vault:v"
#: Renewed, or logged in anew, once less than this part of its time is left.
_RENEW: Final = 0.5


class VaultFault(StrEnum):
    """One kind of failure. `AWAY` and `SEALED` pass by themselves."""

    AWAY = "away"
    SEALED = "sealed"
    UNUSABLE = "unusable"
    TOKEN = "token"  # noqa: S105 - names a failure
    LOGIN = "login"
    DENIED = "denied"
    NO_MOUNT = "no_mount"
    NO_KEY = "no_key"
    NO_WRAPPER = "no_wrapper"
    TOO_OLD = "too_old"
    NOT_OPENED = "not_opened"
    BAD_ANSWER = "bad_answer"


class VaultFailure(Unavailable):
    """The key service did not do what it was asked."""

    def __init__(self, fault: VaultFault, **given: Given) -> None:
        super().__init__(say(fault.value, **given))
        self.fault = fault

    @property
    def passing(self) -> bool:
        return self.fault in (VaultFault.AWAY, VaultFault.SEALED)


@dataclass(frozen=True, slots=True)
class Vault:
    """A key service and our proof to it: a `token`, or `role_id` and `secret_id` at the mount
    `approle`. `timeout` is in seconds."""

    url: str
    namespace: str | None = None
    token: str | None = field(default=None, repr=False)
    approle: str = "approle"
    role_id: str | None = field(default=None, repr=False)
    secret_id: str | None = field(default=None, repr=False)
    timeout: float = 5.0
    network: Network = field(default_factory=Network)


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key of the service. `wraps`: it can wrap others, as we ask it to. `oldest` is the first
    version that it still opens. `guarded`: no call gives it out."""

    wraps: bool
    newest: int
    oldest: int
    guarded: bool
    deletable: bool


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """The end of our token; None: never. `lasting`: it is renewed, or another is had, in time."""

    ends: datetime | None
    lasting: bool


class VaultClient:
    """Makes the calls, within `opened`. Every method raises VaultFailure. A token that was had is
    kept."""

    def __init__(self, vault: Vault, now: Callable[[], datetime]) -> None:
        self.vault = vault
        self._now = now
        self._token = vault.token
        self._opened: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        vault = self.vault
        try:
            client = open_client(timeout=vault.timeout, connections=4, network=vault.network)
        except OSError as error:  # ssl.SSLError is one
            raise VaultFailure(VaultFault.UNUSABLE, why=type(error).__name__) from None
        async with client:
            self._opened = client
            try:
                yield
            finally:
                self._opened = None

    @property
    def _client(self) -> httpx.AsyncClient:
        if self._opened is None:
            raise RuntimeError("a call of a client that is not opened")
        return self._opened

    async def wrap(self, master: RemoteMaster, key: bytes) -> bytes:
        """Return the key, wrapped. It is opened again before it counts as such."""
        # To ask for a key that is not there would make it, where the policy allows that.
        if not (await self.facts(master)).wraps:
            raise VaultFailure(VaultFault.NO_WRAPPER, key=master.id)
        told = await self._transit(master, "encrypt", plaintext=_encoded(key))
        wrapped = _text(told, "ciphertext")
        if version_of(wrapped.encode()) is None or len(wrapped) > _WRAPPED:
            raise VaultFailure(VaultFault.BAD_ANSWER, what="ciphertext")
        if await self.unwrap(master, wrapped.encode()) != key:
            raise VaultFailure(VaultFault.BAD_ANSWER, what="plaintext")
        return wrapped.encode()

    async def unwrap(self, master: RemoteMaster, wrapped: bytes) -> bytes:
        """Return the wrapped key."""
        told = await self._transit(master, "decrypt", ciphertext=wrapped.decode("ascii", "replace"))
        return _decoded(_text(told, "plaintext"))

    async def facts(self, master: RemoteMaster) -> KeyFacts:
        """Return what the service says of its key."""
        path = f"{master.mount}/keys/{master.key}"
        answer = await self._call("GET", path)
        if answer.status == 404:
            # A mount without handler says so in words alone; a key that is unknown, in none.
            unrouted = isinstance(answer.value, dict) and bool(answer.value.get("errors"))
            kind = VaultFault.NO_MOUNT if unrouted else VaultFault.NO_KEY
            raise VaultFailure(kind, mount=master.mount, key=master.key)
        told = _data(answer, path)
        try:
            return KeyFacts(
                told["supports_encryption"] is True and told["derived"] is False,
                int(told["latest_version"]),
                int(told["min_decryption_version"]),
                guarded=not (told["exportable"] or told["allow_plaintext_backup"]),
                deletable=bool(told["deletion_allowed"]),
            )
        except (KeyError, TypeError, ValueError):
            raise VaultFailure(VaultFault.BAD_ANSWER, what=path) from None

    async def token(self) -> TokenFacts:
        """Return what the service says of our token. One that ends soon is renewed."""
        path = "auth/token/lookup-self"
        told = _data(await self._proven("GET", path), path)
        left, whole = told.get("ttl"), told.get("creation_ttl")
        if not (isinstance(left, int) and isinstance(whole, int)):
            raise VaultFailure(VaultFault.BAD_ANSWER, what=path)
        if told.get("renewable") is True and left < whole * _RENEW:
            left = await self._renewed(left)
        lasting = told.get("renewable") is True and left >= whole * _RENEW
        if self.vault.token is None:
            if left < whole * _RENEW:
                self._token = None  # another one for the next call
            lasting = True
        ends = self._now() + timedelta(seconds=left) if left or whole else None
        return TokenFacts(ends, lasting or ends is None)

    async def _renewed(self, left: int) -> int:
        answer = await self._proven("POST", "auth/token/renew-self", {})
        auth = answer.value.get("auth") if isinstance(answer.value, dict) else None
        new = auth.get("lease_duration") if isinstance(auth, dict) else None
        return new if isinstance(new, int) else left

    async def _transit(self, master: RemoteMaster, act: str, **body: str) -> dict[str, Any]:
        path = f"{master.mount}/{act}/{master.key}"
        answer = await self._call("POST", path, body)
        if answer.status in (400, 404):
            facts = await self.facts(master)  # raises what is wrong with mount or key
            version = version_of(body.get("ciphertext", "").encode())
            old = version is not None and version < facts.oldest
            fault = VaultFault.TOO_OLD if old else VaultFault.NOT_OPENED
            raise VaultFailure(fault, key=master.id, version=version or 0)
        return _data(answer, path)

    async def _call(self, method: str, path: str, body: Any = None) -> Answer:
        """Make a call. 200, 400 and 404 are for the caller to read. A token of our own that is
        refused is had anew once."""
        answer = await self._proven(method, path, body)
        if answer.status != 403:
            return answer
        if self.vault.token is None:
            self._token = None
            answer = await self._proven(method, path, body)
        if answer.status == 403:
            await self._proven("GET", "auth/token/lookup-self")  # raises if it is the token
            raise VaultFailure(VaultFault.DENIED, path=path)
        return answer

    async def _proven(self, method: str, path: str, body: Any = None) -> Answer:
        if self._token is None:
            self._token = await self._login()
        answer = await self._send(method, path, body, {"X-Vault-Token": self._token})
        if answer.status == 403 and path.startswith("auth/token/"):
            raise VaultFailure(VaultFault.TOKEN)
        return answer

    async def _login(self) -> str:
        path = f"auth/{self.vault.approle}/login"
        proof = {"role_id": self.vault.role_id, "secret_id": self.vault.secret_id}
        answer = await self._send("POST", path, proof, {})
        if answer.status in (400, 403, 404):
            raise VaultFailure(VaultFault.LOGIN, path=path)
        auth = answer.value.get("auth") if isinstance(answer.value, dict) else None
        if not isinstance(auth, dict):
            raise VaultFailure(VaultFault.BAD_ANSWER, what=path)
        return _text(auth, "client_token")

    async def _send(self, method: str, path: str, body: Any, proof: dict[str, str]) -> Answer:
        headers = proof | {"X-Vault-Request": "true"}
        if self.vault.namespace is not None:
            headers["X-Vault-Namespace"] = self.vault.namespace
        url = f"{self.vault.url.rstrip('/')}/v1/{quote(path)}"
        request = self._client.build_request(method, url, json=body, headers=headers)
        # To wrap a key twice does no harm: what was wrapped is known by its answer alone.
        answer = await send(self._client, request, safe=True, limit=_LARGEST)
        if not isinstance(answer, Answer):
            kind = VaultFault.AWAY if isinstance(answer, TryLater) else VaultFault.UNUSABLE
            raise VaultFailure(kind, why=of(getattr(answer, "reason", "no_answer")).said)
        if answer.status in (200, 204, 400, 403, 404) and answer.readable:
            return answer
        if answer.status == 503 and await self._is_sealed():
            raise VaultFailure(VaultFault.SEALED)
        kind = (
            VaultFault.AWAY if answer.status in (429, *range(500, 600)) else VaultFault.BAD_ANSWER
        )
        what = f"HTTP {answer.status}"
        raise VaultFailure(kind, why=what, what=what)

    async def _is_sealed(self) -> bool:
        """Does the service say so, to anybody who asks?"""
        url = f"{self.vault.url.rstrip('/')}/v1/sys/seal-status"
        answer = await send(
            self._client, self._client.build_request("GET", url), safe=True, limit=_LARGEST
        )
        told = answer.value if isinstance(answer, Answer) else None
        return isinstance(told, dict) and told.get("sealed") is True


def version_of(wrapped: bytes) -> int | None:
    """Return the version of the service's key that wrapped this; None for what it never wrapped."""
    text = wrapped.decode("ascii", "replace")
    number, colon, rest = text.removeprefix(_MARK).partition(":")
    known = text.startswith(_MARK) and colon and rest and number.isascii() and number.isdigit()
    return int(number[:9]) if known else None


def _encoded(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise VaultFailure(VaultFault.BAD_ANSWER, what="plaintext") from None


def _data(answer: Answer, path: str) -> dict[str, Any]:
    told = answer.value.get("data") if isinstance(answer.value, dict) else None
    if answer.status != 200 or not isinstance(told, dict):
        raise VaultFailure(VaultFault.BAD_ANSWER, what=path)
    return told


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not value:
        raise VaultFailure(VaultFault.BAD_ANSWER, what=name)
    return value


__all__ = [
    "KeyFacts",
    "TokenFacts",
    "Vault",
    "VaultClient",
    "VaultFailure",
    "VaultFault",
    "version_of",
]
