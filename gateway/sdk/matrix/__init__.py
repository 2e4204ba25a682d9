"""The fault matrix: the promises of every adapter, as a list of checks.

`CHECKS` has them by name. `gateway.sdk.conformance` runs them under pytest, and
`gru-gateway adapter conformance` without it. They need respx.
"""

from gateway.sdk.matrix import (
    amending,
    answers,
    calling_back,
    content,
    declaring,
    finding,
    polling,
    privacy,
    submitting,
    wire,
)
from gateway.sdk.matrix.checks import (
    CHECKS,
    CheckResult,
    CheckState,
    MatrixCheck,
    Tier,
    run_check,
    run_matrix,
    tier_of,
)

#: The areas of the checks, in the order of the report; a check is named AREA.WHAT.
AREAS = {
    "declared": declaring,
    "check": declaring,
    "submit": submitting,
    "private": privacy,
    "find": finding,
    "amend": amending,
    "erase": amending,
    "poll": polling,
    "webhook": calling_back,
    "text": content,
    "file": content,
    "answer": answers,
    "wire": wire,
}
_ORDERED = sorted(CHECKS.items(), key=lambda named: list(AREAS).index(named[0].partition(".")[0]))
CHECKS.clear()
CHECKS.update(_ORDERED)

__all__ = [
    "AREAS",
    "CHECKS",
    "CheckResult",
    "CheckState",
    "MatrixCheck",
    "Tier",
    "run_check",
    "run_matrix",
    "tier_of",
]
