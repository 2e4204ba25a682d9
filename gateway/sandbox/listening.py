"""Forwards a commune's messages to a program on a developer's machine, as a push would.

It fetches from a gateway as a half-connector does, pushes each message, signed, to a local address,
and settles it by the answer. It may be stopped at any moment: the gateway gives again whatever was
not settled.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from gateway.core.errors import GatewayError
from gateway.core.outcome import Accepted, Misconfigured, Outcome, Refused
from gateway.sandbox.texts import say
from gateway.sdk import Answer, beside, retry_after, send
from gateway.sdk.pivot_answer import outcome_of_push
from gateway.sdk.webhook_signature import signed_headers
from gateway.sdk.work import weight

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

#: Seconds of a message's lease; seconds that a call waits for a message.
LEASE, WAIT = 60, 20
#: Messages of one claim; bytes of the gateway's answer; bytes of the local program's.
_MOST, _LARGEST, _SMALL = 10, 30_000_000, 256_000
#: Seconds between two tries of a gateway that is away, and between two reads of a feed at its end.
_PAUSES, _END = (1.0, 2.0, 5.0, 15.0, 30.0), 5.0


class GivenToken(BaseModel):
    """The part of a token's answer that we need."""

    access_token: str = Field(min_length=1)


class GivenItem(BaseModel):
    """A message of the mailbox; a later version may give it any shape."""

    token: str
    event: dict[str, Any]


class GivenItems(BaseModel):
    """The answer to a claim."""

    items: list[GivenItem]


class ReadItem(BaseModel):
    """A message of the feed."""

    seq: int
    event: dict[str, Any] | None


class ReadPage(BaseModel):
    """A part of the feed."""

    items: list[ReadItem]
    more: bool


@dataclass(frozen=True, slots=True)
class ForwardedMessage:
    """A forwarded message, without personal data. `status` 0: the local program did not answer."""

    at: datetime
    type: str
    reference: str
    status: int
    result: str


@dataclass(slots=True)
class Listener:
    """Fetches and forwards.

    `gateway` and `local` are clients; `target` is the local address, `signing` its secrets.
    `cursor` is the file with the last number read in the feed of a commune that is pushed to; None:
    the commune has a mailbox. `show` is called after each message, `away` when the gateway does not
    answer. Unless `production` is set, messages of a production commune are given back.
    """

    gateway: httpx.AsyncClient
    local: httpx.AsyncClient
    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    target: str
    signing: tuple[str, ...] = field(repr=False)
    show: Callable[[ForwardedMessage], None]
    away: Callable[[str, float], None]
    cursor: Path | None = None
    production: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _token: str = field(default="", repr=False)
    #: A message of a production commune came.
    _real: bool = False

    async def run(self) -> None:
        """Forward until `stop`.

        Raises GatewayError for wrong credentials, a commune of the other mode, or one in
        production.
        """
        await (self._fetch() if self.cursor is None else self._follow())
        if self._real:
            raise GatewayError(say("in_production"))

    # --- the mailbox --------------------------------------------------------------------------

    async def _fetch(self) -> None:
        settled: list[dict[str, object]] = []
        try:
            while not self.stop.is_set():
                told = {"max": _MOST, "lease": LEASE, "wait": WAIT, "settled": settled}
                answer = await self._call("POST", "/pivot/v1/mailbox/claim", told)
                if answer is None:
                    break
                settled.clear()
                for item in self._shaped(GivenItems, answer).items:
                    settled.append(await self._settle(item))
        finally:
            if settled:
                self.stop.clear()
                told = {"max": 0, "settled": settled}
                await self._call("POST", "/pivot/v1/mailbox/claim", told, patient=False)

    async def _settle(self, item: GivenItem) -> dict[str, object]:
        if self.stop.is_set() or not self._may(item.event):
            return {"token": item.token, "result": "release"}
        outcome, body = await self._forward(item.event)
        return {"token": item.token, **_result(outcome, body)}

    # --- the feed -----------------------------------------------------------------------------

    async def _follow(self) -> None:
        at, failures = self._read_cursor(), 0
        while not self.stop.is_set():
            answer = await self._call("GET", f"/pivot/v1/events?after={at}&limit={_MOST}", None)
            if answer is None:
                return
            page = self._shaped(ReadPage, answer)
            for item in page.items:
                event = item.event
                if event is not None and self._may(event):
                    outcome, _ = await self._forward(event)
                    if not isinstance(outcome, Accepted | Refused):
                        await self._pause(_PAUSES[min(failures, len(_PAUSES) - 1)])
                        failures += 1
                        break
                if self._real:
                    return
                failures, at = 0, item.seq
                self._write_cursor(at)
                if self.stop.is_set():
                    return
            else:
                if not page.more:
                    await self._pause(_END)

    def _read_cursor(self) -> int:
        try:
            text = "" if self.cursor is None else self.cursor.read_text("ascii").strip()
        except FileNotFoundError:
            return 0
        if not text.isdigit() or len(text) > 16:
            raise GatewayError(say("odd_cursor", place=str(self.cursor)))
        return int(text)

    def _write_cursor(self, at: int) -> None:
        if self.cursor is not None:
            self.cursor.write_text(f"{at}\n", "ascii")

    # --- one message --------------------------------------------------------------------------

    def _may(self, event: Mapping[str, Any]) -> bool:
        """May the message be forwarded? If it may not, a real person's message ends the run."""
        recipient = event.get("recipient")
        real = not isinstance(recipient, dict) or recipient.get("environment") != "test"
        if real and not self.production:
            self._real = True
            self.stop.set()
            return False
        return True

    async def _forward(self, event: Mapping[str, Any]) -> tuple[Outcome, Any]:
        body = await beside(weight(event), partial(_as_pushed, event))

        def build() -> httpx.Request:
            headers = signed_headers(self.signing, str(event.get("id")), datetime.now(UTC), body)
            headers["Content-Type"] = "application/json"
            return self.local.build_request("POST", self.target, content=body, headers=headers)

        answer = await send(self.local, build, safe=True, limit=_SMALL)
        outcome = outcome_of_push(answer) if isinstance(answer, Answer) else answer
        request = event.get("request")
        about = request if isinstance(request, dict) else event
        self.show(
            ForwardedMessage(
                at=datetime.now(UTC),
                type=str(event.get("type")),
                reference=str(about.get("reference")),
                status=answer.status if isinstance(answer, Answer) else 0,
                result=str(_result(outcome, None)["result"]),
            )
        )
        return outcome, answer.value if isinstance(answer, Answer) else None

    # --- calls of the gateway -----------------------------------------------------------------

    async def _call(self, method: str, path: str, body: object, *, patient: bool = True) -> object:
        """Repeat a call until it is answered. None: it was stopped, or was not to be `patient`."""
        failures = 0
        while not self.stop.is_set():
            answer = await self._until_stopped(self._once(method, path, body))
            if isinstance(answer, Answer) and answer.status < 300 and answer.value:
                return answer.value
            if not isinstance(answer, Answer):
                status, wait = getattr(answer, "reason", "-"), None
            else:
                status, wait = str(answer.status), retry_after(answer.response)
                self._check(answer)
            if not patient or self.stop.is_set():
                return None
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)] if wait is None else min(wait, 300.0)
            failures += 1
            self.away(status, pause)
            await self._pause(pause)
        return None

    async def _once(self, method: str, path: str, body: object) -> Answer | Outcome:
        if not self._token:
            asked = self.gateway.build_request(
                "POST",
                f"{self.base_url}/pivot/v1/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": self.client_id,
                    "client_secret": self.client_secret,
                },
            )
            given = await send(self.gateway, asked, safe=True, limit=_SMALL)
            if not isinstance(given, Answer) or given.status != 200:
                return given
            self._token = self._shaped(GivenToken, given.value).access_token
        request = self.gateway.build_request(
            method,
            f"{self.base_url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._token}"},
        )
        answer = await send(self.gateway, request, safe=True, limit=_LARGEST)
        if isinstance(answer, Answer) and answer.status == 401:
            self._token = ""
        return answer

    def _shaped(self, model: type[M], value: object) -> M:
        """Return the gateway's answer. Raises GatewayError for one of another server."""
        try:
            return model.model_validate(value)
        except ValidationError:
            raise GatewayError(say("no_gateway", url=self.base_url)) from None

    def _check(self, answer: Answer) -> None:
        """Raise GatewayError for an answer that would come again."""
        told = answer.value if isinstance(answer.value, dict) else {}
        if told.get("error") == "invalid_client":
            raise GatewayError(say("bad_credentials", client=self.client_id))
        if str(told.get("type", "")).endswith(":no_mailbox"):
            raise GatewayError(say("is_pushed_to"))
        if answer.status in (400, 403, 404, 405, 409, 413, 422):
            raise GatewayError(say("gateway_refused", status=answer.status, url=self.base_url))

    async def _pause(self, seconds: float) -> None:
        await self._until_stopped(asyncio.sleep(seconds))

    async def _until_stopped(self, work: Awaitable[T]) -> T | None:
        """Return the result of `work`. When it is stopped before, cancel `work` and return None."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self.stop.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        return None


def _as_pushed(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _result(outcome: Outcome, body: object) -> dict[str, object]:
    """Return the result for the mailbox, by the local program's answer."""
    if isinstance(outcome, Accepted):
        told: dict[str, object] = {"result": "done"}
        for name in ("reference", "link", "erasure"):
            if isinstance(body, dict) and body.get(name):
                told[name] = body[name]
        return told
    if isinstance(outcome, Refused):
        receipt = body.get("erasure") if isinstance(body, dict) else None
        if receipt:  # data kept by law: a right answer
            return {"result": "done", "erasure": receipt}
        return {"result": "refused", "problems": [f"{outcome.reason}: {outcome.detail}"[:500]]}
    after = getattr(outcome, "after", None)
    pause = 30 if isinstance(outcome, Misconfigured) else 5
    return {"result": "later", "after": int(min(after or pause, 86_400))}
