"""The exchanges with a half-connector: a ring of the last ones, with secrets masked."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.core.messages import Message, harmless

#: Exchanges kept; bytes kept of each body.
MOST, LONGEST = 200, 32_768
MASK = "•••"
#: A credential in a header, an address, a form or JSON.
_SECRETS = re.compile(
    r"(?P<head>(?<![\w-])(?:client_secret|access_token|signature)[\"']?\s*[=:]\s*[\"']?)"
    r"(?P<value>[^\s&\"',}]+)",
    re.IGNORECASE,
)
_PROOFS = frozenset({"authorization", "cookie", "set-cookie"})


class ExchangeVerdict(StrEnum):
    """The verdict on an exchange: did the half-connector keep the contract?"""

    WELL = "well"
    FAILED = "failed"
    #: There was nothing to judge, or the sandbox itself caused the failure.
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A request or an answer for the page. `first` is its first line."""

    first: str
    headers: tuple[tuple[str, str], ...]
    body: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class VendorExchange:
    """One exchange. `outgoing`: we called the half-connector. `answer` None: there was none.

    `case` is the case that it belongs to; `expected` and `why` are for people.
    """

    number: int
    at: datetime
    outgoing: bool
    request: ShownPart
    answer: ShownPart | None
    status: int
    seconds: float
    verdict: ExchangeVerdict
    case: str = ""
    expected: Message | None = None
    why: Message | None = None


@dataclass(slots=True)
class ExchangeLog:
    """The last exchanges, the newest first."""

    exchanges: deque[VendorExchange] = field(default_factory=lambda: deque(maxlen=MOST))
    count: int = 0

    def record(
        self,
        at: datetime,
        *,
        outgoing: bool,
        request: ShownPart,
        answer: ShownPart | None,
        status: int,
        seconds: float,
        verdict: ExchangeVerdict,
        case: str = "",
        expected: Message | None = None,
        why: Message | None = None,
    ) -> VendorExchange:
        """Record one exchange; drop the oldest when there are too many."""
        self.count += 1
        one = VendorExchange(
            self.count,
            at,
            outgoing,
            request,
            answer,
            status,
            seconds,
            verdict,
            case,
            expected,
            why,
        )
        self.exchanges.appendleft(one)
        return one


def shown_part(first: str, headers: Iterable[tuple[str, str]], body: bytes) -> ShownPart:
    """Return a request or an answer for the page: without secrets, the body cut.

    A binary body is told by its size. Characters that act on a screen are written as `\\u202e`.
    """
    shown = tuple(
        (_printed(name), MASK if name.lower() in _PROOFS else _printed(without_proofs(value)))
        for name, value in headers
    )
    try:
        # The cut may be within a character: the decoder drops it.
        text = getincrementaldecoder("utf-8")().decode(body[:LONGEST], len(body) <= LONGEST)
    except UnicodeDecodeError:
        text = f"({len(body)} bytes)"
    told = _printed(without_proofs(text))
    return ShownPart(_printed(without_proofs(first)), shown, told, len(body) > LONGEST)


def _printed(text: str) -> str:
    """Return a text with its line ends, and no other character that acts on a screen."""
    return "\n".join(harmless(line) for line in text.replace("\r\n", "\n").split("\n"))


def without_proofs(text: str) -> str:
    """Return a text without credentials.

    A webhook's signature stays: it proves one message alone, and helps to find a fault.
    """
    return _SECRETS.sub(lambda found: found["head"] + MASK, text)
