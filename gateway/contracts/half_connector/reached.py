"""The two ways of a message to a half-connector: we push it, or the half-connector fetches it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx
import orjson
from pydantic import ValidationError

from gateway.sdk import Unreadable, read_json
from gateway.sdk.pivot_models import Acknowledgement, ClaimResultTold, ErasureReceipt
from gateway.sdk.webhook_signature import signed_headers

if TYPE_CHECKING:
    from gateway.contracts.half_connector.our_side import OurSide

#: Bytes of an answer, the adapter's bound.
MOST_BYTES: Final = 256_000
#: Seconds for an answer, the default of a commune's file.
ANSWER_TIME: Final = 20.0
#: Statuses of a wrong setting: the gateway tries again slowly, and tells a person.
SETTING: Final = frozenset({401, 403, 404, 405, 410})
PASSING: Final = frozenset({408, 425, 429})
#: A problem's own word: the end of its `type`.
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}\Z")


@dataclass(frozen=True, slots=True)
class HalfAnswer:
    """A half-connector's answer to a message, as the gateway reads it.

    `told`: done, refused, later, setting (401, 403, 404, 405, 410), redirect, unreadable, large,
    slow, lost (no whole answer came) or nothing (it was not fetched or settled). `word` is that of
    the problem that it answered, where it names one.
    """

    told: str
    status: int | None = None
    reference: str | None = None
    erasure: ErasureReceipt | None = None
    word: str = ""

    @classmethod
    def of_result(cls, told: ClaimResultTold) -> HalfAnswer:
        return cls(told.result, None, told.reference, told.erasure)

    @property
    def shown(self) -> str:
        """Return what was seen: a status with the problem's word, or a result of the contract."""
        if self.status is None:
            return self.told
        return f"HTTP {self.status}" + (f" ({self.word})" if self.word else "")


@dataclass(frozen=True, slots=True)
class SeenAnswer:
    """An answer to a pushed call: its status, duration, size and type."""

    status: int
    seconds: float
    size: int
    content_type: str


class Half(Protocol):
    """A half-connector to which messages can be given."""

    patience: float

    async def give(self, message: Mapping[str, Any]) -> HalfAnswer:
        """Give a message once, and return the answer."""
        ...


async def give_until_over(half: Half, message: Mapping[str, Any]) -> HalfAnswer:
    """Give a message, and give it again while the answer is "later", as the gateway does."""
    until = time.monotonic() + half.patience
    while True:
        told = await half.give(message)
        if told.told not in ("later", "release") or time.monotonic() >= until:
            return told
        await asyncio.sleep(min(1.0, half.patience / 10))


@dataclass(slots=True)
class PushedHalf:
    """A half-connector at an address. `secrets` are the signing secrets, the new one first.

    `silence` says why the last call had no whole answer: `nobody`, `cut` or `slow`.
    """

    url: str
    secrets: Sequence[str]
    client: httpx.AsyncClient
    patience: float
    seen: list[SeenAnswer] = field(default_factory=list)
    silence: str = "nobody"

    async def give(self, message: Mapping[str, Any]) -> HalfAnswer:
        body = orjson.dumps(message)
        return await self.post(body, self.signed(str(message["id"]), body))

    def signed(
        self, message_id: str, body: bytes, *, late: float = 0, secrets: Sequence[str] | None = None
    ) -> dict[str, str]:
        """Return the headers of a message signed now, or `late` seconds ago."""
        at = datetime.now(UTC) - timedelta(seconds=late)
        return signed_headers(secrets or self.secrets, message_id, at, body)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> HalfAnswer:
        """Make a call with these headers, right or wrong."""
        return await self._call("POST", body, {"Content-Type": "application/json", **headers})

    async def ping(self, headers: Mapping[str, str]) -> HalfAnswer:
        """Make the empty call of `check`."""
        return await self._call("GET", None, headers)

    async def _call(
        self, method: str, body: bytes | None, headers: Mapping[str, str]
    ) -> HalfAnswer:
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_TIME):
                request = self.client.build_request(
                    method, self.url, content=body, headers=dict(headers)
                )
                answer = await self.client.send(request, stream=True)
                content = bytearray()
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        break
                await answer.aclose()
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            self.silence = "slow"
            return HalfAnswer("slow")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL):
            self.silence = "nobody"
            return HalfAnswer("lost")
        except (httpx.HTTPError, OSError):
            self.silence = "cut"
            return HalfAnswer("lost")
        kind = answer.headers.get("content-type", "")
        one = SeenAnswer(answer.status_code, time.monotonic() - began, len(content), kind)
        self.seen.append(one)
        return (
            HalfAnswer("large", one.status) if one.size > MOST_BYTES else _read(one, bytes(content))
        )


def _read(one: SeenAnswer, content: bytes) -> HalfAnswer:
    status = one.status
    if 200 <= status < 300:
        return _acknowledged(status, content)
    if status < 400:
        return HalfAnswer("redirect", status)
    problem = _problem(content)
    told = "refused"
    if status in SETTING:
        told = "setting"
    elif status >= 500 or status in PASSING or problem.get("retry") in ("after", "now"):
        told = "later"
    return HalfAnswer(told, status, word=_word(problem.get("type")))


def _acknowledged(status: int, content: bytes) -> HalfAnswer:
    if not content.strip():
        return HalfAnswer("done", status)
    try:
        found = Acknowledgement.model_validate(read_json(content))
    except (Unreadable, ValidationError):
        return HalfAnswer("unreadable", status)
    return HalfAnswer("done", status, found.reference, found.erasure)


def _problem(content: bytes) -> Mapping[str, Any]:
    try:
        told = read_json(content)
    except Unreadable:
        return {}
    return told if isinstance(told, dict) else {}


def _word(kind: object) -> str:
    """Return the word of a problem by its `type`, which is a URN or an address."""
    if not isinstance(kind, str) or kind == "about:blank":
        return ""
    word = re.split(r"[:/#]", kind[-200:])[-1]
    return word if _WORD.match(word) else ""


@dataclass(slots=True)
class FetchingHalf:
    """A half-connector that fetches from our side."""

    ours: OurSide
    patience: float

    async def give(self, message: Mapping[str, Any]) -> HalfAnswer:
        one = self.ours.mailbox.offer(message)
        try:
            async with asyncio.timeout(self.patience):
                await one.settled.wait()
        except TimeoutError:
            one.settled.set()  # out of the mailbox, so that it holds back no later message
        return one.told or HalfAnswer("nothing")
