"""Makes one signed call to the portal, bounded, and reads the answer to its end. Every call is
signed anew, goes to the portal's own origin only and follows no redirect."""

from __future__ import annotations

import asyncio
import base64
import unicodedata
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import httpx
import orjson

from gateway.core.outcome import Misconfigured, Outcome, Refused
from gateway.core.request import Json
from gateway.sdk import (
    Answer,
    File,
    FilePlaceholders,
    TookTooLong,
    Unreadable,
    UnusableAnswer,
    beside,
    read_json,
    send,
    unusable,
)
from gateway.sdk.exchange import Take
from gateway.sdk.publik.signature import sign_url
from gateway.wire.addresses import origin
from gateway.wire.spool import SpooledBody, TooLarge

#: Values of a formdata or of a page of a list, fields and their parts together.
MOST = 1_000_000

#: Letters of French names without a plain letter in Unicode's tables.
_PLAIN = {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "’": "'", "–": "-", "—": "-", "°": "o"}


@dataclass(frozen=True, slots=True)
class Payload:
    """The body for a hook or trigger: JSON, or a file's bytes."""

    method: str
    content: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    files: FilePlaceholders | None

    @classmethod
    def of(cls, payload: Mapping[str, Json], files: FilePlaceholders | None) -> Payload:
        headers = ((b"Content-Type", b"application/json"),)
        return cls("POST", orjson.dumps(payload), headers, files)

    @classmethod
    def raw(cls, file: File) -> Payload:
        files = FilePlaceholders()
        kind = file.content_type.encode("ascii", "ignore") or b"application/octet-stream"
        headers = ((b"Content-Type", kind), (b"filename", header_text(file.filename)))
        return cls("PUT", files.of(file).encode(), headers, files)


@dataclass(frozen=True, slots=True)
class PortalCredentials:
    """Our credentials: a signature with `key`, HTTP Basic with `basic`. `former` is the former
    secret, for a portal that does not know the new one yet."""

    orig: str | None = None
    key: str | None = field(default=None, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    former: str | None = field(default=None, repr=False)

    @property
    def before(self) -> PortalCredentials | None:
        """Return the same with the former secret."""
        if self.former is None:
            return None
        basic = None if self.basic is None else (self.basic[0], self.former)
        return PortalCredentials(self.orig, self.former if self.key else None, basic)

    @property
    def header(self) -> bytes | None:
        """The Authorization of HTTP Basic."""
        if self.basic is None:
            return None
        return b"Basic " + base64.b64encode(":".join(self.basic).encode())


class _Line:
    """A client and its credentials, the last accepted one first, until another line replaces it."""

    def __init__(self, client: httpx.AsyncClient, proof: PortalCredentials) -> None:
        self.client = client
        self.proofs = (proof, proof.before)
        self._calls = 0
        self._idle = asyncio.Event()

    @contextmanager
    def call(self) -> Iterator[None]:
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._idle.set()

    async def aclose(self) -> None:
        """Close it once no call is under way."""
        try:
            while self._calls:
                self._idle.clear()
                await self._idle.wait()
        finally:
            await self.client.aclose()


class PortalCalls:
    """Calls to one portal, each proven anew. It closes the client."""

    def __init__(
        self,
        base_url: str,
        client: httpx.AsyncClient,
        proof: PortalCredentials,
        *,
        now: Callable[[], datetime],
        nonce: Callable[[], str],
    ) -> None:
        self._base = base_url.rstrip("/")
        self._line = _Line(client, proof)
        self._now = now
        self._nonce = nonce

    def prove(
        self, client: httpx.AsyncClient, proof: PortalCredentials
    ) -> Coroutine[Any, Any, None]:
        """Call by `client` with `proof` from now on. The result closes the former client once its
        calls are over."""
        before, self._line = self._line, _Line(client, proof)
        return before.aclose()

    async def aclose(self) -> None:
        await self._line.client.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        safe: bool,
        limit: int,
        payload: Payload | None = None,
        take: Take | None = None,
    ) -> Answer | Outcome:
        line = self._line
        proof, other = line.proofs
        call = partial(self._once, method, url, safe=safe, limit=limit, payload=payload, take=take)
        with line.call():
            answer = await call(line.client, proof)
            if other is not None and _turned_away(answer):
                # Nothing was done: the portal may only know the other secret.
                again = await call(line.client, other)
                if not _turned_away(again):
                    answer, line.proofs = again, (other, proof)
        if not isinstance(answer, Answer):
            return answer
        if answer.too_large and safe and answer.response.is_success:
            return Refused("too_large")
        text = answer.taken.text if isinstance(answer.taken, SpooledBody) else answer.content
        try:
            return replace(answer, value=await beside(len(text), partial(_value, text)))
        except TookTooLong as error:
            return unusable(UnusableAnswer("took_too_long", str(error)), safe=safe)

    async def _once(
        self,
        method: str,
        url: str,
        client: httpx.AsyncClient,
        proof: PortalCredentials,
        *,
        safe: bool,
        limit: int,
        payload: Payload | None,
        take: Take | None,
    ) -> Answer | Outcome:
        def build() -> httpx.Request | Misconfigured:
            return self._request(client, proof, method, url, payload)

        first = build()
        if isinstance(first, Misconfigured):
            return first
        prepared: list[httpx.Request] = [first]

        def request() -> httpx.Request:
            again = prepared.pop() if prepared else build()
            assert isinstance(again, httpx.Request)  # noqa: S101 - as the first was
            return again

        try:
            return await send(client, request, safe=safe, limit=limit, read=None, take=take)
        except TooLarge:  # in text or in values, whatever its bytes
            return Refused("too_large")

    def _request(
        self,
        client: httpx.AsyncClient,
        proof: PortalCredentials,
        method: str,
        url: str,
        payload: Payload | None,
    ) -> httpx.Request | Misconfigured:
        """Make the request, signed anew."""
        try:
            target = httpx.URL(self._signed(proof, url))
            base = httpx.URL(self._base)
        except (ValueError, httpx.InvalidURL):
            return Misconfigured("bad_address")
        # Compared as the sending library parses it, after all changes to the text.
        if origin(target) != origin(base) or target.userinfo:
            return Misconfigured("foreign_address")
        headers = [(b"Accept", b"application/json"), *(payload.headers if payload else ())]
        if proof.header is not None:
            headers.append((b"Authorization", proof.header))
        content = payload.content if payload else None
        request = client.build_request(method, target, content=content, headers=headers)
        if payload is not None and payload.files is not None:
            return payload.files.filled(request)
        return request

    def _signed(self, proof: PortalCredentials, url: str) -> str:
        # Signed as the sending library writes it.
        url = str(httpx.URL(url))
        if not proof.key:
            return url
        return sign_url(url, proof.key, orig=proof.orig, now=self._now(), nonce=self._nonce())


def _turned_away(answer: Answer | Outcome) -> bool:
    return isinstance(answer, Answer) and answer.status in (401, 403)


def _value(text: bytes) -> Json:
    """Return the JSON value of a text, None when it is not acceptable."""
    try:
        return read_json(text, values=MOST) if text else None
    except Unreadable:
        return None


def header_text(name: str) -> bytes:
    """Return a file's name in ASCII, for a header: w.c.s. garbles other letters. A letter loses its
    accent; one without a plain form becomes `_`."""
    letters = []
    for letter in unicodedata.normalize("NFC", name):
        plain = _PLAIN.get(letter) or unicodedata.normalize("NFKD", letter)
        kept = plain.encode("ascii", "ignore").decode("ascii")
        letters.append(kept if kept and kept.isprintable() else "_")
    return "".join(letters).strip().encode("ascii") or b"document"
