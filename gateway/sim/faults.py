"""A programmable plan of faults, and the middleware that commits them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import httpx
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The ASGI scope extension by which `gateway.sim.server` aborts a connection.
ABORT = "gateway.sim.abort"

#: Calls under this prefix control the simulator: no fault touches them.
CONTROL = "/_sim/"


class FaultKind(StrEnum):
    SLOW = "slow"
    FAIL = "fail"
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    ANSWER_AFTER = "answer_after"
    SAY = "say"


@dataclass(frozen=True, slots=True)
class FaultCondition:
    """The calls that a fault hits. All given conditions must hold.

    `path` is a part of the path, `method` a verb. Of the calls that fit both, the first `after` are
    spared. Then the fault hits only the `first` n calls, only each n-th one (`every`), or a random
    `ratio` of them, which `seed` repeats.
    """

    path: str = ""
    method: str = ""
    after: int = 0
    first: int | None = None
    every: int | None = None
    ratio: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class InjectedFault:
    kind: FaultKind
    when: FaultCondition = FaultCondition()
    seconds: float = 0.0
    status: int = 500
    retry_after: int | None = None
    location: str | None = None
    until: asyncio.Event | None = None
    answer: ASGIApp | None = None
    done: bool = False

    async def wait(self) -> None:
        """The delay."""
        if self.until is not None:
            await self.until.wait()
        else:
            await asyncio.sleep(self.seconds)


@dataclass(slots=True)
class _Rule:
    fault: InjectedFault
    dice: random.Random
    seen: int = 0

    def hits(self, method: str, path: str) -> bool:
        when = self.fault.when
        if when.path not in path or (when.method and when.method.upper() != method):
            return False
        self.seen += 1
        n = self.seen - when.after
        if n <= 0:
            return False
        # The dice are thrown for every fitting call, whatever the other rules do.
        lucky = when.ratio is None or self.dice.random() < when.ratio
        return (
            lucky
            and (when.first is None or n <= when.first)
            and (when.every is None or n % when.every == 0)
        )


@dataclass(frozen=True, slots=True)
class CommittedFault:
    """One fault that was committed."""

    kind: FaultKind
    method: str
    path: str


@dataclass(slots=True)
class Faults:
    """The plan of faults, in order.

    Delays add up. Of the other faults that hit a call, the one that was planned first wins. The
    same calls always meet the same faults. `injected` records the faults that were committed, in
    order.
    """

    injected: list[CommittedFault] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)

    def add(self, fault: InjectedFault) -> None:
        self.rules.append(_Rule(fault, random.Random(fault.when.seed)))

    def slow(self, seconds: float, when: FaultCondition = FaultCondition()) -> None:
        """Wait `seconds` before the call is handled."""
        self.add(InjectedFault(FaultKind.SLOW, when, seconds=seconds))

    def wait_for(self, until: asyncio.Event, when: FaultCondition = FaultCondition()) -> None:
        """Wait for `until` before the call is handled."""
        self.add(InjectedFault(FaultKind.SLOW, when, until=until))

    def fail(
        self, status: int, retry_after: int | None = None, when: FaultCondition = FaultCondition()
    ) -> None:
        """Answer `status` and do nothing; `retry_after` in seconds goes into the header."""
        self.add(InjectedFault(FaultKind.FAIL, when, status=status, retry_after=retry_after))

    def cut_before(self, when: FaultCondition = FaultCondition()) -> None:
        """Do nothing, and drop the connection."""
        self.add(InjectedFault(FaultKind.CUT_BEFORE, when))

    def cut_after(self, when: FaultCondition = FaultCondition()) -> None:
        """Do all, then drop the connection without an answer."""
        self.add(InjectedFault(FaultKind.CUT_AFTER, when))

    def answer_after(
        self,
        status: int,
        when: FaultCondition = FaultCondition(),
        *,
        location: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Do the work, then answer `status`: a redirect, or a failure that is not true."""
        self.add(
            InjectedFault(
                FaultKind.ANSWER_AFTER,
                when,
                status=status,
                location=location,
                retry_after=retry_after,
            )
        )

    def say(
        self, answer: ASGIApp, when: FaultCondition = FaultCondition(), *, done: bool = False
    ) -> None:
        """Answer `answer` instead. With `done` the work is done first, otherwise nothing is
        done."""
        self.add(InjectedFault(FaultKind.SAY, when, answer=answer, done=done))

    def clear(self) -> None:
        """Drop all rules. The record of committed faults stays."""
        self.rules.clear()

    def consult(self, method: str, path: str) -> tuple[list[InjectedFault], InjectedFault | None]:
        """Return the delays of one call, and the fault to commit after them, if any."""
        hits = [rule.fault for rule in self.rules if rule.hits(method, path)]
        delays = [fault for fault in hits if fault.kind is FaultKind.SLOW]
        other = next((fault for fault in hits if fault.kind is not FaultKind.SLOW), None)
        if delays:
            self.injected.append(CommittedFault(FaultKind.SLOW, method, path))
        if other is not None:
            self.injected.append(CommittedFault(other.kind, method, path))
        return delays, other

    def state(self) -> dict[str, Any]:
        """Return the number of committed faults by kind, and of rules that may still hit."""
        kinds = [item.kind for item in self.injected]
        return {
            "rules": len(self.rules),
            "injected": {kind.value: kinds.count(kind) for kind in FaultKind},
        }


async def cut_answer(scope: Scope, receive: Receive) -> None:
    """Drop the connection without a byte of answer."""
    abort = scope.get("extensions", {}).get(ABORT)
    if abort is None:
        # Without a socket (httpx.ASGITransport): the error that the client would raise.
        raise httpx.RemoteProtocolError("connection cut by the simulator")
    abort()
    # Wait until the server has seen the loss; returning earlier makes it answer 500.
    kind: Literal["http.disconnect"] = "http.disconnect"
    while (await receive())["type"] != kind:
        pass


class FaultGate:
    """An ASGI middleware that asks the plan about every call except the control calls."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        delays, fault = self._faults.consult(scope["method"], scope["path"])
        for delay in delays:
            await delay.wait()
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind is FaultKind.FAIL:
            await _answer(fault)(scope, receive, send)
        elif fault.answer is not None:
            if fault.done:
                await self._app(scope, receive, _swallow)
            await fault.answer(scope, receive, send)
        elif fault.kind is FaultKind.ANSWER_AFTER:
            await self._app(scope, receive, _swallow)
            await _answer(fault)(scope, receive, send)
        else:
            if fault.kind is FaultKind.CUT_AFTER:
                await self._app(scope, receive, _swallow)
            await cut_answer(scope, receive)


def _answer(fault: InjectedFault) -> JSONResponse:
    headers = {}
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    if fault.location is not None:
        headers["Location"] = fault.location
    body = {"err": 1, "err_class": "simulated fault", "err_desc": None, "data": None}
    return JSONResponse(body, fault.status, headers)


async def _swallow(message: Message) -> None:
    """Drop an answer."""
