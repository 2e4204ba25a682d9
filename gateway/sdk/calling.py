"""Calls with a JSON answer of a known shape, for GRUs that answer by HTTP status."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from gateway.core.outcome import Accepted, CannotTell, Outcome, TryLater
from gateway.sdk.exchange import MOST_BYTES, Answer, UnusableAnswer, failure_of, send, unusable
from gateway.sdk.http import answered
from gateway.sdk.work import beside

_T = TypeVar("_T")


async def call_far_end(
    client: httpx.AsyncClient,
    request: httpx.Request,
    *,
    safe: bool,
    into: type[_T],
    sent: Sequence[str] = (),
    limit: int = MOST_BYTES,
) -> _T | Outcome:
    """Make one call by `send`. Return the value of a success as `into`, otherwise the outcome.

    `into` is a pydantic model, or any type that pydantic reads. A success of another shape may have
    been carried out, so it is unsure, unless the call is `safe`. `sent` holds what the call
    carried, including our secrets: these words are masked in what an operator reads of the answer.
    """
    answer = await send(client, request, safe=safe, limit=limit)
    if not isinstance(answer, Answer):
        return answer
    outcome = failure_of(answer, safe=safe)
    if outcome is None:
        shape = TypeAdapter(into)
        try:
            return await beside(answer.size, lambda: shape.validate_python(answer.value))
        except ValidationError as error:
            what = f"{error.error_count()} fields are not as they should be"
            outcome = unusable(UnusableAnswer("unreadable_answer", what), safe=safe)
    told = partial(answered, outcome, answer.response, answer.content, sent)
    return await beside(answer.size, told)


def cannot_tell(outcome: Outcome) -> CannotTell:
    """Return the finding of a search whose call had this outcome."""
    if isinstance(outcome, Accepted):  # of a call that was to give something
        return CannotTell("unreadable_answer")
    after = outcome.after if isinstance(outcome, TryLater) else None
    return CannotTell(outcome.reason, outcome.detail, after=after, answer=outcome.answer)


__all__ = ["call_far_end", "cannot_tell"]
