"""Stands before the gateway's `/pivot/v1`: records each call, and provokes the cases of calls."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.core.errors import Rejected
from gateway.sandbox.cases import SandboxCase, operations_of
from gateway.sandbox.exchanges import LONGEST, ExchangeLog, ExchangeVerdict, shown_part
from gateway.sandbox.judging import judge_answer
from gateway.sandbox.judging import say as judged
from gateway.sandbox.pushing import unknown_event, unknown_fields
from gateway.sdk import Unreadable, beside, read_json
from gateway.sim.faults import cut_answer
from gateway.web.problems import problem_of, response_of

#: Cases that wait for a call; items that the sandbox adds to answers.
MOST_ARMED, MOST_ITEMS = 50, 50
#: Bytes of a claim that the sandbox reads; a larger one passes unread.
_LOOKED_INTO = 1_000_000
#: Real seconds that a slow answer takes.
SLOW = 15.0
#: Operations by method and path.
_CALLS = tuple(
    (method, re.compile(pattern), name)
    for method, pattern, name in (
        ("POST", r"/pivot/v1/token\Z", "token"),
        ("POST", r"/pivot/v1/mailbox/claim\Z", "claim"),
        ("POST", r"/pivot/v1/requests/[^/]+/changes\Z", "tell_change"),
        ("GET", r"/pivot/v1/requests/[^/]+/files/[^/]+\Z", "read_file"),
        ("HEAD", r"/pivot/v1/requests/[^/]+/files/[^/]+\Z", "look_at_file"),
        ("GET", r"/pivot/v1/events\Z", "events"),
    )
)
#: The operations of the contract, as the document names them.
OPERATIONS = frozenset(name for _, _, name in _CALLS)
_LOSES = frozenset({"claim", "tell_change"})
_PLANTED = "sandbox."
_PAGE = "<!doctype html><html><body><h1>502 Bad Gateway</h1><hr>proxy</body></html>"
#: Called after a claim, with the references that it gave and the seconds of its lease.
Claimed = Callable[[list[str], int], Awaitable[None]]
#: Called with a reference whose end comes.
Ending = Callable[[str], Awaitable[None]]
_ENDS = frozenset({"done", "refused", "cancelled"})


async def _nobody_waits(*_: object) -> None:
    """Do nothing: no sandbox follows the calls."""


@dataclass(frozen=True, slots=True)
class PlantedItem:
    """An item that the sandbox added to an answer, and the right results for it."""

    case: str
    right: tuple[str, ...]


@dataclass(slots=True)
class CapturedCall:
    """A call that passed, with the beginnings of both bodies."""

    asked: bytearray = field(default_factory=bytearray)
    told: bytearray = field(default_factory=bytearray)
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    #: The case that it met.
    case: SandboxCase | None = None


@dataclass(slots=True)
class PivotGate:
    """ASGI middleware. `armed` are the cases that wait for a call; `planted` are cases by request:
    the claim that gives the request also gives the case's item."""

    app: ASGIApp
    ledger: ExchangeLog
    now: Callable[[], datetime]
    claimed: Claimed = _nobody_waits
    ending: Ending = _nobody_waits
    slow: float = SLOW
    armed: list[SandboxCase] = field(default_factory=list)
    planted: dict[str, str] = field(default_factory=dict)
    _items: dict[str, PlantedItem] = field(default_factory=dict)
    _made: int = 0

    def arm(self, case: SandboxCase) -> bool:
        """Provoke the case with the next call that can meet it. False: too many cases wait."""
        if len(self.armed) >= MOST_ARMED:
            return False
        self.armed.append(case)
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = _operation(scope["method"], scope["path"])
        begun, at = time.monotonic(), self.now()
        seen = CapturedCall(case=self._due(operation))
        try:
            await self._answer(scope, _listening_to(receive, seen), send, seen, operation)
        finally:
            self._record(scope, seen, at, time.monotonic() - begun)

    def _due(self, operation: str) -> SandboxCase | None:
        for n, case in enumerate(self.armed):
            if _meets(case, operation):
                return self.armed.pop(n)
        return None

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        seen: CapturedCall,
        operation: str,
    ) -> None:
        case = seen.case
        word = "" if case is None else case.word
        noting = _noting(send, seen)
        if case is not None and case.problem is not None:
            problem = problem_of(
                Rejected(case.problem.status, word, f"Cas du bac à sable : {word}."), "sandbox"
            )
            await response_of(problem, scope["path"], "sandbox")(scope, receive, noting)
        elif word == "proxy_page":
            await Response(_PAGE, 502, media_type="text/html")(scope, receive, noting)
        elif word == "lost_answer":
            await self._lose(scope, receive, noting, seen, operation)
        else:
            if word == "slow_answer":
                noting = self._slowed(noting, seen)
            if operation == "claim":
                await self._claim(scope, receive, noting)
                return
            if operation == "tell_change":
                receive = await self._heard(scope, receive)
            await self.app(scope, receive, noting)

    def _spare(self, seen: CapturedCall) -> None:
        """Let a case wait on: the call did not count, as one whose token is no good."""
        if seen.case is not None:
            self.armed.insert(0, seen.case)
            seen.case = None

    def _slowed(self, send: Send, seen: CapturedCall) -> Send:
        async def slowly(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= 400:
                    self._spare(seen)
                else:
                    await asyncio.sleep(self.slow)
            await send(message)

        return slowly

    async def _lose(
        self, scope: Scope, receive: Receive, send: Send, seen: CapturedCall, operation: str
    ) -> None:
        """Lose the answer of a call that was taken, and from which something came; pass on any
        other."""
        answer = CapturedCall()
        await self.app(scope, receive, _keeping(answer))
        content = bytes(answer.told)
        counts = answer.status < 400
        if counts and operation == "claim":
            told = await beside(len(content), partial(read_json, content))
            counts = bool(told["items"] or told["settled"])
        if counts:
            seen.status, seen.headers, seen.told = answer.status, answer.headers, answer.told
            await cut_answer(scope, receive)
            return
        self._spare(seen)
        await _answered(answer, content)(scope, receive, send)

    async def _heard(self, scope: Scope, receive: Receive) -> Receive:
        """Bring about what must come before the end of a request, where a change tells that."""
        body = await _whole(receive, _LOOKED_INTO)
        told = None
        if isinstance(body, bytes):
            with suppress(Unreadable):
                told = await beside(len(body), partial(read_json, body))
        if isinstance(told, dict) and told.get("status") in _ENDS:
            await self.ending(scope["path"].split("/")[-2])
        return _replayed(body, receive)

    # --- claims -------------------------------------------------------------------------------

    async def _claim(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a claim on: keep the results of our own items back, and add items to the answer."""
        body = await _whole(receive, _LOOKED_INTO)
        asked = None
        if isinstance(body, bytes):
            with suppress(Unreadable):
                asked = await beside(len(body), partial(read_json, body))
        settled = asked.get("settled") if isinstance(asked, dict) else None
        mine: list[dict[str, Any]] = []
        if isinstance(asked, dict) and isinstance(settled, list):
            mine = [one for one in settled if _is_planted(one)]
            if mine:
                asked["settled"] = [one for one in settled if not _is_planted(one)]
                body = json.dumps(asked).encode()
        answer = CapturedCall()
        await self.app(_sized(scope, body), _replayed(body, receive), _keeping(answer))
        content = bytes(answer.told)
        lease, references = 0, []
        if answer.status == 200 and isinstance(asked, dict):
            told = await beside(len(content), partial(read_json, content))
            told["settled"] += [self._settled(one) for one in mine]
            references = [str(_reference(item["event"])) for item in told["items"]]
            told["items"] += self._plant(told["items"])
            lease = int(asked.get("lease", 600))
            content = await beside(len(content), partial(_written_json, told))
        await _answered(answer, content)(scope, receive, send)
        if references:
            await self.claimed(references, lease)

    def _plant(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for item in items:
            reference = _reference(item["event"])
            case = self.planted.pop(str(reference), None)
            if case == "unknown_field":
                item["event"].update(unknown_fields())
                item.update(unknown_fields())
            elif case is not None and len(self._items) < MOST_ITEMS:
                event = unknown_event(item["event"])
                right: tuple[str, ...] = ("done",)
                if case == "other_recipient":
                    event = item["event"] | {"id": f"{item['event']['id']}-other"}
                    event["recipient"] = event["recipient"] | {"commune": "69998"}
                    right = ("refused",)
                self._made += 1
                token = f"{_PLANTED}{self._made}"
                self._items[token] = PlantedItem(case, right)
                found.append(item | {"token": token, "event": event})
        return found

    def _settled(self, told: dict[str, Any]) -> dict[str, Any]:
        token, result = str(told.get("token")), str(told.get("result"))
        item = self._items.pop(token, None)
        if item is not None:
            right = result in item.right
            self.ledger.record(
                self.now(),
                outgoing=False,
                request=shown_part(token, (), json.dumps(told).encode()),
                answer=None,
                status=200,
                seconds=0,
                verdict=ExchangeVerdict.WELL if right else ExchangeVerdict.FAILED,
                case=item.case,
                why=None
                if right
                else judged("wrong_result", result=result[:50], wanted=", ".join(item.right)),
            )
        return {"token": token, "outcome": "lost" if item is None else "recorded"}

    def _record(
        self,
        scope: Scope,
        seen: CapturedCall,
        at: datetime,
        seconds: float,
    ) -> None:
        case = seen.case
        verdict, why = judge_answer(seen.status, bytes(seen.told))
        if case is not None:
            verdict = ExchangeVerdict.NEUTRAL
            why = judged("provoked", case=case.word, todo=case.text.cure)
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + ("?" + query if query else "")
        headers = Headers(scope=scope).items()
        self.ledger.record(
            at,
            outgoing=False,
            request=shown_part(f"{scope['method']} {target}", headers, bytes(seen.asked)),
            answer=shown_part(f"HTTP {seen.status}", seen.headers, bytes(seen.told)),
            status=seen.status,
            seconds=seconds,
            verdict=verdict,
            case="" if case is None else case.word,
            why=why,
        )


def _written_json(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _operation(method: str, path: str) -> str:
    for verb, pattern, name in _CALLS:
        if verb == method and pattern.match(path):
            return name
    return ""


def _meets(case: SandboxCase, operation: str) -> bool:
    if case.problem is not None:
        among = operations_of(case.word)
        return not among or operation in among
    return operation in _LOSES if case.word == "lost_answer" else operation not in ("", "token")


def _is_planted(told: object) -> bool:
    return isinstance(told, dict) and str(told.get("token", "")).startswith(_PLANTED)


def _reference(event: dict[str, Any]) -> object:
    return event.get("reference") or (event.get("request") or {}).get("reference")


async def _whole(receive: Receive, most: int) -> bytes | list[bytes]:
    """Return a whole body, or the pieces read so far of one with more than `most` bytes."""
    pieces: list[bytes] = []
    size = 0
    while size <= most:
        message = await receive()
        if message["type"] != "http.request":
            return pieces
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if not message.get("more_body", False):
            return b"".join(pieces)
    return pieces


def _replayed(body: bytes | list[bytes], receive: Receive) -> Receive:
    """Return a receiver that gives what was read first, and goes on where it was not all."""
    whole = isinstance(body, bytes)
    left = [body] if isinstance(body, bytes) else list(body)

    async def again() -> Message:
        if left:
            piece = left.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(left) or not whole}
        return await receive()

    return again


def _sized(scope: Scope, body: bytes | list[bytes]) -> Scope:
    if not isinstance(body, bytes):
        return scope
    kept = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}


def _listening_to(receive: Receive, seen: CapturedCall) -> Receive:
    async def listening() -> Message:
        message = await receive()
        if message["type"] == "http.request" and len(seen.asked) <= LONGEST:
            seen.asked += message.get("body", b"")[: LONGEST + 1]
        return message

    return listening


def _noting(send: Send, seen: CapturedCall) -> Send:
    async def noting(message: Message) -> None:
        _note(message, seen, LONGEST)
        await send(message)

    return noting


def _keeping(seen: CapturedCall) -> Send:
    """Return a sender that keeps the whole answer; the gateway bounds a claim's."""

    async def keeping(message: Message) -> None:
        _note(message, seen, None)

    return keeping


def _note(message: Message, seen: CapturedCall, most: int | None) -> None:
    if message["type"] == "http.response.start":
        seen.status = message["status"]
        seen.headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message["headers"]]
    elif most is None or len(seen.told) <= most:
        seen.told += message.get("body", b"")


def _answered(answer: CapturedCall, content: bytes) -> Response:
    """Return an answer that was kept, with this content."""
    headers = {name: value for name, value in answer.headers if name != "content-length"}
    media_type = headers.pop("content-type", None)
    return Response(content, answer.status, headers, media_type)
