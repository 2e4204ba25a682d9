"""One signed call to the portal, bounded, and read to its end.

Every call is signed anew, goes to the portal's own origin only and follows no redirect.
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import httpx
import orjson

from gateway.core.outcome import Misconfigured, Outcome, Refused
from gateway.core.request import Json
from gateway.sdk import (
    Answer,
    File,
    Problem,
    StandIns,
    TookTooLong,
    Unreadable,
    beside,
    doubt,
    read_json,
    send,
)
from gateway.sdk.exchange import Take
from gateway.wire.addresses import origin
from gateway.wire.signature import sign_url
from gateway.wire.spool import Body, TooLarge

#: Values of a formdata or of a page of a list, fields and their parts counted alike.
MOST = 1_000_000

#: What French names hold that has no plain letter in Unicode's tables.
_PLAIN = {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "’": "'", "–": "-", "—": "-", "°": "o"}


@dataclass(frozen=True, slots=True)
class Payload:
    """What a hook or trigger is given: JSON, or the bytes of a file."""

    method: str
    content: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    files: StandIns | None

    @classmethod
    def of(cls, payload: Mapping[str, Json], files: StandIns | None) -> Payload:
        headers = ((b"Content-Type", b"application/json"),)
        return cls("POST", orjson.dumps(payload), headers, files)

    @classmethod
    def raw(cls, file: File) -> Payload:
        files = StandIns()
        kind = file.content_type.encode("ascii", "ignore") or b"application/octet-stream"
        headers = ((b"Content-Type", kind), (b"filename", header_text(file.filename)))
        return cls("PUT", files.of(file).encode(), headers, files)


class PortalCalls:
    """Calls to one portal. Signs when there is a `key`, adds HTTP Basic when there is `basic`."""

    def __init__(
        self,
        base_url: str,
        client: httpx.AsyncClient,
        *,
        orig: str | None,
        key: str | None,
        basic: tuple[str, str] | None,
        now: Callable[[], datetime],
        nonce: Callable[[], str],
    ) -> None:
        self._base = base_url.rstrip("/")
        self._client = client
        self._orig = orig
        self._key = key
        pair = None if basic is None else base64.b64encode(":".join(basic).encode())
        self._auth = None if pair is None else b"Basic " + pair
        self._now = now
        self._nonce = nonce

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
        def build() -> httpx.Request | Misconfigured:
            return self._request(method, url, payload)

        first = build()
        if isinstance(first, Misconfigured):
            return first
        prepared: list[httpx.Request] = [first]

        def request() -> httpx.Request:
            again = prepared.pop() if prepared else build()
            assert isinstance(again, httpx.Request)  # noqa: S101 - as the first was
            return again

        try:
            answer = await send(self._client, request, safe=safe, limit=limit, read=None, take=take)
        except TooLarge:  # in text or in values, whatever its bytes
            return Refused("too_large", "the portal's answer is larger than allowed")
        if not isinstance(answer, Answer):
            return answer
        if answer.too_large and safe and answer.response.is_success:
            return Refused("too_large", "the portal's answer is larger than allowed")
        text = answer.taken.text if isinstance(answer.taken, Body) else answer.content
        try:
            return replace(answer, value=await beside(len(text), partial(_value, text)))
        except TookTooLong as error:
            return doubt(Problem("took_too_long", str(error)), safe=safe)

    def _request(
        self, method: str, url: str, payload: Payload | None
    ) -> httpx.Request | Misconfigured:
        """Signed anew."""
        try:
            target = httpx.URL(self._signed(url))
            base = httpx.URL(self._base)
        except (ValueError, httpx.InvalidURL):
            return Misconfigured("bad_address", "an address of the portal is malformed")
        # Compared as parsed by the library that sends, after all that was done to the text.
        if origin(target) != origin(base) or target.userinfo:
            return Misconfigured("foreign_address", "the address is not the portal's own")
        headers = [(b"Accept", b"application/json"), *(payload.headers if payload else ())]
        if self._auth is not None:
            headers.append((b"Authorization", self._auth))
        content = payload.content if payload else None
        request = self._client.build_request(method, target, content=content, headers=headers)
        if payload is not None and payload.files is not None:
            return payload.files.filled(request)
        return request

    def _signed(self, url: str) -> str:
        # Signed is what is sent: the URL as the sending library will write it.
        url = str(httpx.URL(url))
        if not self._key:
            return url
        return sign_url(url, self._key, orig=self._orig, now=self._now(), nonce=self._nonce())


def _value(text: bytes) -> Json:
    """The JSON value of a text, None when it is none that we take."""
    try:
        return read_json(text, values=MOST) if text else None
    except Unreadable:
        return None


def header_text(name: str) -> bytes:
    """A file's name for a header, in ASCII: what w.c.s. makes of other letters is unreadable.

    A letter loses its accent; one that is nothing without it becomes `_`.
    """
    letters = []
    for letter in unicodedata.normalize("NFC", name):
        plain = _PLAIN.get(letter) or unicodedata.normalize("NFKD", letter)
        kept = plain.encode("ascii", "ignore").decode("ascii")
        letters.append(kept if kept and kept.isprintable() else "_")
    return "".join(letters).strip().encode("ascii") or b"document"
