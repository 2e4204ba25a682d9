"""The meaning of a half-connector's answer to a message of the pivot contract."""

from __future__ import annotations

from pydantic import ValidationError

from gateway.core.outcome import Accepted, Misconfigured, Outcome, Refused, TryLater
from gateway.sdk.exchange import Answer, failure_of
from gateway.sdk.pivot_models import Acknowledgement
from gateway.sdk.reading import Unreadable, read_json

#: Statuses of an address at which nobody takes anything: a setting is wrong, no request is.
NOT_THERE = frozenset({404, 405, 410})


def outcome_of_push(answer: Answer) -> Outcome:
    """Return the outcome of a message that was answered so.

    A message that is not taken is sent again; one that is refused for good, a person looks at.
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
        # A page in the place of an answer: whoever made it may have taken nothing.
        return TryLater("unreadable_answer", f"HTTP {answer.status} that is no acknowledgement")
    if told.erasure is not None and told.erasure.outcome == "kept":
        return Refused("kept_by_law", "the commune keeps what it holds, and says why")
    proof = {"status": str(answer.status)}
    if told.erasure is not None:
        proof["erasure"] = told.erasure.outcome
    return Accepted(told.reference, told.link, proof)


def _says_again(answer: Answer) -> bool:
    """Does a refusal say, as a problem of the contract, that it is to be sent again?"""
    try:
        told = read_json(answer.content) if answer.value is None else answer.value
    except Unreadable:
        return False
    return isinstance(told, dict) and told.get("retry") in ("after", "now")
