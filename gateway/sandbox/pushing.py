"""The transport to the half-connector: records each push, and provokes the cases of pushes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from gateway.sandbox.exchanges import ExchangeLog, ExchangeVerdict, shown_part
from gateway.sandbox.judging import ExpectedAnswer, PushJudgement, judge_push
from gateway.sandbox.judging import say as judged
from gateway.sdk.webhook_signature import ID, SIGNATURE, is_signed, signed_headers

#: Bytes read of an answer; the gateway itself reads fewer.
MOST_BYTES = 300_000
#: The age of the signature of `old_timestamp`; half-connectors accept five minutes.
_AGO = timedelta(minutes=10)
#: The number that an earlier half-connector gave to a request unknown to this one.
FORMER_NUMBER = "ANCIEN-1"
#: A teleservice, and the number that the citizen sees.
FilingKey = tuple[str, str]


@dataclass(slots=True)
class PushLine(httpx.AsyncBaseTransport):
    """The transport of the pushes. `cases` are the cases planned for requests' creations.

    Pushes are signed by the true time, however fast the sandbox's clock runs: a half-connector
    compares it with its own clock. `answered_here` are requests that an earlier half-connector has
    taken.
    """

    inner: httpx.AsyncBaseTransport
    signing: tuple[str, str]
    ledger: ExchangeLog
    now: Callable[[], datetime]
    cases: dict[FilingKey, str] = field(default_factory=dict)
    answered_here: set[FilingKey] = field(default_factory=set)
    #: The creations that were sent, by reference, for `out_of_order`.
    _creations: dict[str, bytes] = field(default_factory=dict)
    #: The numbers in the answers, by message.
    _numbers: dict[str, str | None] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if request.method != "POST":
            signed = is_signed(self.signing, _lowered(request), body, self.now())
            request = self._ping(request, forged=not signed)
            expected = ExpectedAnswer.IGNORED if signed else ExpectedAnswer.REFUSED
            return await self._exchange(request, body, expected, "ping")
        message = json.loads(body)
        about = message.get("request") or {}
        key = (str(about.get("teleservice")), str(about.get("number")))
        if key in self.answered_here and message["type"] == "request.created":
            # The earlier half-connector's answer.
            return httpx.Response(200, json={"reference": FORMER_NUMBER}, request=request)
        first, planned = message["id"] not in self._numbers, self.cases.get(key, "")
        created = message["type"] == "request.created"
        case = planned if first and (created or planned == "out_of_order") else ""
        if case == "answer_lost":
            request, body = self._altered(request, message, body, case)
            self._numbers[message["id"]] = None
            await self._exchange(request, body, ExpectedAnswer.TAKEN, case)
            raise httpx.ReadError("the sandbox loses the answer", request=request)
        await self._before(request, message, case)
        request, body = self._altered(request, message, body, case)
        expected = ExpectedAnswer.TAKEN if first else ExpectedAnswer.SAME
        answer = await self._exchange(request, body, expected, planned)
        await self._after(request, message, body, case)
        return answer

    async def close_line(self) -> None:
        """Close the connections."""
        await self.inner.aclose()

    # --- the cases ----------------------------------------------------------------------------

    async def _before(self, request: httpx.Request, message: dict[str, Any], case: str) -> None:
        """Send the messages that must be refused, before the true one."""
        body, now = request.content, datetime.now(UTC)
        if case == "wrong_signature":
            false = signed_headers(self.signing, message["id"], now, body + b" ")[SIGNATURE]
            headers = signed_headers(self.signing, message["id"], now, body) | {SIGNATURE: false}
            await self._exchange(_again(request, headers, body), body, ExpectedAnswer.REFUSED, case)
        elif case == "old_timestamp":
            headers = signed_headers(self.signing, message["id"], now - _AGO, body)
            await self._exchange(_again(request, headers, body), body, ExpectedAnswer.REFUSED, case)
        elif case == "other_recipient":
            other = message | {"id": f"{message['id']}-other"}
            other["recipient"] = message["recipient"] | {"commune": "69998"}
            await self._send(request, other, ExpectedAnswer.REFUSED, case)

    def _altered(
        self, request: httpx.Request, message: dict[str, Any], body: bytes, case: str
    ) -> tuple[httpx.Request, bytes]:
        """Return the message altered by the case, and signed anew."""
        if case in ("first_secret", "second_secret"):
            secret = self.signing[0 if case == "first_secret" else 1]
            headers = signed_headers([secret], message["id"], datetime.now(UTC), body)
            return _again(request, headers, body), body
        if case == "unknown_field":
            body = json.dumps(message | unknown_fields(), ensure_ascii=False).encode()
            headers = signed_headers(self.signing, message["id"], datetime.now(UTC), body)
            return _again(request, headers | {"X-Sandbox-Unknown": "1"}, body), body
        headers = signed_headers(self.signing, message["id"], datetime.now(UTC), body)
        return _again(request, headers, body), body

    def _ping(self, request: httpx.Request, *, forged: bool) -> httpx.Request:
        """Return a ping signed by the true time, with a right or a forged signature."""
        signed = b"-" if forged else b""
        headers = signed_headers(self.signing, request.headers[ID], datetime.now(UTC), signed)
        return _again(request, headers, b"")

    async def _after(
        self, request: httpx.Request, message: dict[str, Any], body: bytes, case: str
    ) -> None:
        """Send the case's messages after the true one."""
        created = message["type"] == "request.created"
        reference = str((message.get("request") or {}).get("reference"))
        if case == "duplicate":
            await self._send(request, message, ExpectedAnswer.SAME, case)
        elif case == "unknown_event":
            await self._send(request, unknown_event(message), ExpectedAnswer.IGNORED, case)
        elif case == "out_of_order" and created:
            self._creations[reference] = body
        elif case == "out_of_order" and reference in self._creations:
            creation = json.loads(self._creations.pop(reference))
            await self._send(request, creation, ExpectedAnswer.SAME, case)

    async def _send(
        self, like: httpx.Request, message: dict[str, Any], expected: ExpectedAnswer, case: str
    ) -> None:
        body = json.dumps(message, ensure_ascii=False).encode()
        headers = signed_headers(self.signing, message["id"], datetime.now(UTC), body)
        await self._exchange(_again(like, headers, body), body, expected, case)

    # --- one call -----------------------------------------------------------------------------

    async def _exchange(
        self, request: httpx.Request, body: bytes, expected: ExpectedAnswer, case: str
    ) -> httpx.Response:
        """Make one call, judge its answer, and record both."""
        begun, at = time.monotonic(), self.now()
        asked = shown_part(_first_line(request), request.headers.items(), body)
        known = self._numbers.get(request.headers.get(ID, ""))
        try:
            answer, content = await self._answer(request)
        except httpx.HTTPError as error:
            why = judged("silent", error=type(error).__name__)
            self.ledger.record(
                at,
                outgoing=True,
                request=asked,
                answer=None,
                status=0,
                seconds=time.monotonic() - begun,
                verdict=ExchangeVerdict.FAILED,
                case=case,
                expected=judge_push(expected, 0, b"", known).expected,
                why=why,
            )
            raise
        found: PushJudgement = judge_push(expected, answer.status_code, content, known)
        if expected is ExpectedAnswer.TAKEN:
            self._numbers[request.headers.get(ID, "")] = found.number
        self.ledger.record(
            at,
            outgoing=True,
            request=asked,
            answer=shown_part(f"HTTP {answer.status_code}", answer.headers.items(), content),
            status=answer.status_code,
            seconds=time.monotonic() - begun,
            verdict=found.verdict,
            case=case,
            expected=found.expected,
            why=found.why,
        )
        return answer

    async def _answer(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        request.headers["Accept-Encoding"] = "identity"
        answer = await self.inner.handle_async_request(request)
        raw = b""
        try:
            async for piece in _pieces(answer):
                raw += piece
                if len(raw) > MOST_BYTES:
                    break
        finally:
            await answer.aclose()
        copy = httpx.Response(
            answer.status_code,
            headers=answer.headers,
            stream=httpx.ByteStream(raw),
            request=request,
        )
        return copy, raw


def unknown_event(message: dict[str, Any]) -> dict[str, Any]:
    """Return an event of a type that a later version may add."""
    return message | {"id": f"{message['id']}-unknown", "type": "request.archived"}


def unknown_fields() -> dict[str, Any]:
    """Return fields that a later version may add."""
    return {"added_later": {"since": "1.9.0"}, "priority": None}


def _again(like: httpx.Request, headers: dict[str, str], body: bytes) -> httpx.Request:
    kept = {"Content-Type": "application/json", "User-Agent": like.headers.get("User-Agent", "")}
    again = httpx.Request(like.method, like.url, headers=kept | headers, content=body)
    again.extensions = dict(like.extensions)
    return again


def _pieces(answer: httpx.Response) -> httpx.AsyncByteStream:
    """Return the body as a stream, also one that was already read."""
    if isinstance(answer.stream, httpx.AsyncByteStream):
        return answer.stream
    raise TypeError("the line is asynchronous")


def _first_line(request: httpx.Request) -> str:
    return f"{request.method} {request.url}"


def _lowered(request: httpx.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
