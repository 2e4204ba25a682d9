"""One check of a half-connector, as data: its name, its promise, its section of the contract; and
its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.messages import Message, Text

if TYPE_CHECKING:
    from gateway.contracts.half_connector.bench import HalfBench


class HalfState(StrEnum):
    """The result of a check. `not_shown`: nothing proved the promise or the contrary."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_SHOWN = "not_shown"


class Mode(StrEnum):
    """The way in which messages reach the half-connector."""

    PUSH = "push"
    MAILBOX = "mailbox"


class Broken(Exception):
    """The contract is broken. The message says what was seen, and the remedy."""

    def __init__(self, said: Message) -> None:
        super().__init__(said.told())
        self.said = said


class Unshown(Exception):
    """Nothing was seen. The message says what would show the promise."""

    def __init__(self, said: Message) -> None:
        super().__init__(said.told())
        self.said = said


Run = Callable[["HalfBench"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HalfCheck:
    """A check. `section` is the part of the contract with the promise. A `late` check runs alone,
    after the others."""

    name: str
    section: str
    promise: Message
    modes: frozenset[Mode]
    late: bool
    run: Run


@dataclass(frozen=True, slots=True)
class HalfResult:
    """The result of a check; `said` is the reason if it did not pass."""

    check: HalfCheck
    state: HalfState
    said: Message | None
    seconds: float


@dataclass(frozen=True, slots=True)
class HalfReport:
    """A whole run against a half-connector. `where` is its address, None for one that fetches;
    `version` is the contract's; `silence` says why nothing was judged, where nothing was."""

    at: datetime
    seconds: float
    mode: Mode
    where: str | None
    commune: str
    version: str
    results: tuple[HalfResult, ...]
    silence: Message | None

    @property
    def reached(self) -> bool:
        """Did it answer, or ask, anything?"""
        return self.silence is None

    def count(self, state: HalfState) -> int:
        return sum(one.state is state for one in self.results)

    @property
    def passed(self) -> bool:
        return self.reached and not self.count(HalfState.FAILED)


#: All checks by name, in their order.
CHECKS: Final[dict[str, HalfCheck]] = {}


def shows(
    name: str, section: str, en: str, fr: str, *only: Mode, late: bool = False
) -> Callable[[Run], Run]:
    """Add a function to the checks, for `only` these modes or for both."""

    def put(run: Run) -> Run:
        if name in CHECKS:
            raise ValueError(f"two checks are called {name}")
        modes = frozenset(only or Mode)
        CHECKS[name] = HalfCheck(
            name, section, Message(Text(name, en, "", fr, "")), modes, late, run
        )
        return run

    return put
