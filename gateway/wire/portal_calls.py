"""One signed call to the portal, bounded, and read to its end.

Every call is signed anew, goes to the portal's own origin only and follows no redirect.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx
import orjson

from gateway.core.content import Content
from gateway.core.outcome import Misconfigured, Outcome, Refused
from gateway.core.request import Json
from gateway.sdk import File, StandIns
from gateway.sdk.http import classify_error
from gateway.wire.addresses import origin
from gateway.wire.answer import Answer
from gateway.wire.signature import sign_url
from gateway.wire.spool import Body, TooLarge

#: Takes the body of a successful answer in, no further than a limit.
Take = Callable[[AsyncIterator[bytes], int], Awaitable[Body | Content]]

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
        self._auth = httpx.BasicAuth(*basic) if basic else None
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
        try:
            target = httpx.URL(self._signed(url))
            base = httpx.URL(self._base)
        except (ValueError, httpx.InvalidURL):
            return Misconfigured("bad_address", "an address of the portal is malformed")
        # Compared as parsed by the library that sends, after all that was done to the text.
        if origin(target) != origin(base) or target.userinfo:
            return Misconfigured("foreign_address", "the address is not the portal's own")
        headers = [(b"Accept", b"application/json"), *(payload.headers if payload else ())]
        content = payload.content if payload else None
        try:
            request = self._client.build_request(method, target, content=content, headers=headers)
            if payload is not None and payload.files is not None:
                request = payload.files.filled(request)
            response = await self._client.send(
                request, auth=self._auth, stream=True, follow_redirects=False
            )
            try:
                return await _received(response, limit, safe, take)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return classify_error(error, safe=safe)

    def _signed(self, url: str) -> str:
        # Signed is what is sent: the URL as the sending library will write it.
        url = str(httpx.URL(url))
        if not self._key:
            return url
        return sign_url(url, self._key, orig=self._orig, now=self._now(), nonce=self._nonce())


async def _received(
    response: httpx.Response, limit: int, safe: bool, take: Take | None
) -> Answer | Outcome:
    if take is not None and response.is_success:
        try:
            kept = await take(response.aiter_bytes(), limit)
        except TooLarge:
            return Refused("too_large", "the portal's answer is larger than allowed")
        return Answer(response, kept.text if isinstance(kept, Body) else b"", kept)
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            if safe and response.is_success:
                return Refused("too_large", "the portal's answer is larger than allowed")
            # A failure, or a write: its status tells, what it goes on to say does not matter.
            break
    return Answer(response, bytes(body))


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
