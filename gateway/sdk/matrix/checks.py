"""One check of the fault matrix, and what became of it.

A check is data: its name, what it proves in both languages, what an adapter must be able to do for
it to apply, and the tier that it counts for. It is run by `AdapterConformance` under pytest and by
`gru-gateway adapter conformance`, and raises AssertionError where a promise is broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from gateway.core.error_place import error_place
from gateway.core.messages import Message, Text
from gateway.sdk.adapter import Files
from gateway.sdk.under_test import AdapterUnderTest, NotShown

#: Seconds of the clock within which a check is over, on a machine that is busy with much else.
PATIENCE: Final = 300.0


class Tier(IntEnum):
    """The part of the matrix that an adapter passed: all checks of its tier and of those below."""

    NONE = 0
    BRONZE = 1  # nothing is lost or sent twice, no secret shows
    SILVER = 2  # a lost reply is asked about, a bad answer costs its own call alone
    GOLD = 3  # texts, files, times and the way back are whole
    PLATINUM = 4  # over real sockets, too


class CheckState(StrEnum):
    """The end of a check. `not_shown`: the suite does not give what it needs."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_SHOWN = "not_shown"
    DOES_NOT_APPLY = "does_not_apply"


Run = Callable[[AdapterUnderTest], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class MatrixCheck:
    """A check. `needs`: names of `Capabilities`, `http` (it speaks HTTP) and `unsafe` (a creation
    that is sent twice makes two)."""

    name: str
    tier: Tier
    promise: Message
    needs: frozenset[str]
    run: Run


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The end of a check; `detail` is for the adapter's author, in English."""

    check: MatrixCheck
    state: CheckState
    detail: str = ""


#: All of them, by name, in the order in which they are run.
CHECKS: Final[dict[str, MatrixCheck]] = {}


def proves(name: str, tier: Tier, en: str, fr: str, *needs: str) -> Callable[[Run], Run]:
    """Put a function into the matrix."""

    def put(run: Run) -> Run:
        if name in CHECKS:
            raise ValueError(f"two checks are called {name}")
        promise = Message(Text(name, en, "", fr, ""))
        CHECKS[name] = MatrixCheck(name, tier, promise, frozenset(needs), run)
        return run

    return put


def must(value: object, *kinds: type) -> None:
    """Raise AssertionError unless the value is of one of these kinds."""
    if not isinstance(value, kinds):
        wanted = " | ".join(kind.__name__ for kind in kinds)
        raise AssertionError(f"{wanted} is right, and it is {value!r}"[:400])


def holds(condition: object, otherwise: str) -> None:
    """Raise AssertionError with what is so `otherwise`, unless the condition holds."""
    if not condition:
        raise AssertionError(otherwise)


async def abilities(suite: AdapterUnderTest) -> frozenset[str]:
    """Return what the adapter under test can do, in the words of `MatrixCheck.needs`."""
    async with suite.built() as (adapter, _):
        able = adapter.capabilities
    names = ("find", "find_amend", "amends", "statuses", "webhook", "erase", "sends_reference")
    found = {name for name in names if getattr(able, name)}
    found |= {"files"} if able.files is not Files.NEVER else set()
    found |= {"http"} if suite.speaks_http else set()
    found |= set() if suite.idempotent_submit else {"unsafe"}
    return frozenset(found)


async def applies(one: MatrixCheck, suite: AdapterUnderTest) -> bool:
    """Can the adapter under test do what the check is about?"""
    if "http" in one.needs and not suite.speaks_http:
        return False
    return one.needs <= await abilities(suite)


async def run_check(one: MatrixCheck, suite: AdapterUnderTest) -> CheckResult:
    """Run one check; whatever the adapter raises is its failure, with the line that raised."""
    try:
        if not await applies(one, suite):
            return CheckResult(one, CheckState.DOES_NOT_APPLY)
        async with asyncio.timeout(PATIENCE):
            await one.run(suite)
    except NotShown as told:
        return CheckResult(one, CheckState.NOT_SHOWN, str(told))
    except AssertionError as told:
        return CheckResult(one, CheckState.FAILED, str(told) or error_place(told))
    except Exception as raised:
        detail = f"{type(raised).__name__} escapes: {error_place(raised)}"
        return CheckResult(one, CheckState.FAILED, detail)
    return CheckResult(one, CheckState.PASSED)


async def run_matrix(
    suites: Sequence[AdapterUnderTest], checks: Iterable[MatrixCheck] | None = None
) -> list[CheckResult]:
    """Run the checks over all suites of an adapter, and return one result for each: the worst that
    counts. What one suite shows is shown, and what one of them breaks is broken."""
    results = []
    for one in CHECKS.values() if checks is None else checks:
        found = [await run_check(one, suite) for suite in suites]
        results.append(min(found, key=lambda result: _ORDER[result.state]))
    return results


_ORDER: Final = {
    CheckState.FAILED: 0,
    CheckState.PASSED: 1,
    CheckState.NOT_SHOWN: 2,
    CheckState.DOES_NOT_APPLY: 3,
}


def tier_of(states: Iterable[tuple[Tier, CheckState]], *, http: bool = True) -> Tier:
    """Return the highest tier of which, and of all below, every check passed or does not apply.

    Who speaks no HTTP is not shown to bear the faults of a line: bronze at most.
    """
    stopped = {tier for tier, state in states if state in (CheckState.FAILED, CheckState.NOT_SHOWN)}
    reached = Tier.NONE
    for tier in list(Tier)[1:]:
        if tier in stopped or (not http and tier > Tier.BRONZE):
            break
        reached = tier
    return reached


__all__ = [
    "CHECKS",
    "CheckResult",
    "CheckState",
    "MatrixCheck",
    "Tier",
    "abilities",
    "applies",
    "holds",
    "must",
    "proves",
    "run_check",
    "run_matrix",
    "tier_of",
]
