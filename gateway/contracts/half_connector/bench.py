"""The bench of a check: the half-connector, our side, and invented citizens."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.contracts.half_connector.checks import Broken, Unshown
from gateway.contracts.half_connector.invented import PICTURE, Citizens, file_told
from gateway.contracts.half_connector.our_side import OfferedFile, OurSide
from gateway.contracts.half_connector.reached import (
    FetchingHalf,
    HalfAnswer,
    PushedHalf,
    give_until_over,
)
from gateway.contracts.half_connector.texts import say


@dataclass(slots=True)
class HalfBench:
    """One run's bench. `wait`: seconds to wait for what the half-connector does by itself."""

    half: PushedHalf | FetchingHalf
    ours: OurSide
    citizens: Citizens
    wait: float

    @property
    def pushed(self) -> PushedHalf:
        """Return the half-connector of push mode. Raises TypeError in mailbox mode."""
        if not isinstance(self.half, PushedHalf):
            raise TypeError("a check of push runs in mailbox mode")
        return self.half

    async def give(self, message: Mapping[str, Any]) -> HalfAnswer:
        """Give a message until it is settled. Raises Broken without an answer of the contract."""
        self.ours.references.add(_reference(message))
        return answer_of_contract(await give_until_over(self.half, message))

    async def give_once(self, message: Mapping[str, Any]) -> HalfAnswer:
        """Give a message once, also when the answer is "later". Raises Broken as `give` does."""
        self.ours.references.add(_reference(message))
        return answer_of_contract(await self.half.give(message))

    async def taken(self, message: Mapping[str, Any]) -> HalfAnswer:
        """Give a message that must be taken. Raises Broken if it is not."""
        told = await self.give(message)
        if told.told != "done":
            raise Broken(say("not_taken", seen=told.shown))
        return told

    async def request(self, **changes: Any) -> tuple[str, HalfAnswer]:
        """Give a new request that must be taken. Return its reference and the answer."""
        reference = self.citizens.reference()
        return reference, await self.taken(self.citizens.created(reference, **changes))

    def linked(self, reference: str, first: str = "whole") -> tuple[dict[str, Any], OfferedFile]:
        """Return a file with a link, for a message. Raises Unshown if we cannot be reached."""
        if self.ours.base_url is None:
            raise Unshown(say("no_way_to_us"))
        content = PICTURE + hashlib.shake_256(reference.encode()).digest(60_000)
        digest = hashlib.sha256(content).hexdigest()
        url = self.ours.offer_file(reference, content, digest, first)
        return file_told(content, url=url), self.ours.files[
            url.split("?")[0][len(self.ours.base_url) :]
        ]

    async def until(self, holds: Callable[[], bool], wait: float | None = None) -> bool:
        """Wait until `holds` is true. Return whether it was, in time."""
        end = time.monotonic() + (self.wait if wait is None else wait)
        while not holds():
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(0.05)
        return True


def answer_of_contract(told: HalfAnswer) -> HalfAnswer:
    """Return the answer. Raises Broken if it is none of the contract."""
    word = {
        "lost": "no_answer",
        "slow": "slow_answer",
        "redirect": "redirected",
        "unreadable": "unreadable_answer",
        "large": "large_answer",
        "nothing": "not_settled",
    }.get(told.told)
    if word is not None:
        raise Broken(say(word, seen=told.shown))
    return told


def same_number(first: HalfAnswer, second: HalfAnswer) -> None:
    """Check that two answers name one ticket. Raises Broken, Unshown."""
    if first.reference is None:
        raise Unshown(say("no_number"))
    if second.reference != first.reference:
        raise Broken(say("two_numbers"))


def _reference(message: Mapping[str, Any]) -> str:
    request = message.get("request")
    inner = request.get("reference") if isinstance(request, dict) else None
    return str(inner or message.get("reference") or "")
