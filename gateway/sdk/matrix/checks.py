"""One check of the fault matrix, and its result.

A check is data: its name, the promise in both languages, the abilities that an adapter needs for
it, and its tier. `AdapterConformance` runs it under pytest, `gru-gateway adapter conformance`
without it. It raises AssertionError for a broken promise.
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

#: Seconds for one check, on a busy machine.
PATIENCE: Final = 300.0


class Tier(IntEnum):
    """The level of an adapter: it passed all checks of its tier and of those below."""

    NONE = 0
    BRONZE = 1  # nothing is lost or sent twice, no secret shows
    SILVER = 2  # a lost reply is asked about, a bad answer costs its own call alone
    GOLD = 3  # texts, files, times and the way back are whole
    PLATINUM = 4  # over real sockets, too


class CheckState(StrEnum):
    """The result of a check. `not_shown`: the suite does not play what the check needs."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_SHOWN = "not_shown"
    DOES_NOT_APPLY = "does_not_apply"


Run = Callable[[AdapterUnderTest], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class MatrixCheck:
    """A check.

    `needs` are names of `Capabilities`, `http` (the adapter speaks HTTP) and `unsafe` (a repeated
    creation makes a second request).
    """

    name: str
    tier: Tier
    promise: Message
    needs: frozenset[str]
    run: Run


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check; `detail` is for the adapter's author, in English."""

    check: MatrixCheck
    state: CheckState
    detail: str = ""


#: All checks by name, in their order.
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
    """Raise AssertionError with the text `otherwise`, unless the condition holds."""
    if not condition:
        raise AssertionError(otherwise)


async def abilities(suite: AdapterUnderTest) -> frozenset[str]:
    """Return the abilities of the adapter under test, in the words of `MatrixCheck.needs`."""
    async with suite.built() as (adapter, _):
        able = adapter.capabilities
    names = ("find", "find_amend", "amends", "statuses", "webhook", "erase", "sends_reference")
    found = {name for name in names if getattr(able, name)}
    found |= {"files"} if able.files is not Files.NEVER else set()
    found |= {"http"} if suite.speaks_http else set()
    found |= set() if suite.idempotent_submit else {"unsafe"}
    return frozenset(found)


async def applies(one: MatrixCheck, suite: AdapterUnderTest) -> bool:
    """Has the adapter under test the abilities that the check needs?"""
    if "http" in one.needs and not suite.speaks_http:
        return False
    return one.needs <= await abilities(suite)


async def run_check(one: MatrixCheck, suite: AdapterUnderTest) -> CheckResult:
    """Run one check. An error of the adapter is a failure, told with the line that raised it."""
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
    """Run the checks over all suites of an adapter, and return one result for each.

    A check fails when one suite fails it, and is shown when one suite shows it.
    """
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
    """Return the highest tier whose checks, and those of all below, passed or do not apply.

    An adapter without HTTP gets bronze at most: nothing shows how it bears a broken connection.
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
