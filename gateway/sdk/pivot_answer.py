"""The outcome of a message of the pivot contract, by the half-connector's answer."""

from __future__ import annotations

from pydantic import ValidationError

from gateway.core.outcome import (
    Accepted,
    ErasureAnswer,
    ErasureResult,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
)
from gateway.sdk.exchange import Answer, failure_of
from gateway.sdk.pivot_models import Acknowledgement, ErasureReceipt
from gateway.sdk.reading import Unreadable, read_json

#: Statuses of an address where nobody takes messages: the options are at fault, not the request.
NOT_THERE = frozenset({404, 405, 410})


def outcome_of_push(answer: Answer) -> Outcome:
    """Return the outcome of a message.

    A final refusal waits for a person; after any other failure the message is sent again.
    """
    if answer.status in NOT_THERE:
        return Misconfigured("not_there", f"HTTP {answer.status}")
    failure = failure_of(answer, safe=True)
    if isinstance(failure, Refused) and _says_again(answer):
        return TryLater("busy", f"HTTP {answer.status}: to be sent again, as it says")
    if failure is not None:
        return failure
    if answer.empty:
        return Accepted(proof={"status": str(answer.status)})
    try:
        told = Acknowledgement.model_validate(answer.value)
    except ValidationError:
        # A page instead of an answer: a proxy may have made it, and nothing was taken.
        return TryLater("unreadable_answer", f"HTTP {answer.status} that is no acknowledgement")
    proof = {"status": str(answer.status)}
    return Accepted(told.reference, told.link, proof, erasure=erasure_answer(told.erasure))


def erasure_answer(receipt: ErasureReceipt | None) -> ErasureAnswer | None:
    """Return what a commune's receipt says; None for none."""
    if receipt is None:
        return None
    result, ground, by = ErasureResult(receipt.outcome), _line(receipt.ground), receipt.decided_by
    return ErasureAnswer(result, ground, receipt.until, _line(by))


def _line(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None


def _says_again(answer: Answer) -> bool:
    """Is the refusal a problem of the contract that asks for another try?"""
    try:
        told = read_json(answer.content) if answer.value is None else answer.value
    except Unreadable:
        return False
    return isinstance(told, dict) and told.get("retry") in ("after", "now")
