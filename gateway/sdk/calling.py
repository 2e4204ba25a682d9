"""A call whose answer is JSON of a known shape, for adapters whose GRU answers by HTTP status."""

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
    """Make one call by `send`, and return the value of a success as `into`, else the outcome.

    `into` is a pydantic model, or any type that pydantic reads; a success of another shape may have
    been done, so that it is unsure unless it is `safe`. `sent` is what the call carried, our
    secrets among it: an operator reads what the far end said without these words.
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
    """Return the finding of a search that came to this outcome."""
    if isinstance(outcome, Accepted):  # of a call that was to give something
        return CannotTell("unreadable_answer")
    after = outcome.after if isinstance(outcome, TryLater) else None
    return CannotTell(outcome.reason, outcome.detail, after=after, answer=outcome.answer)


__all__ = ["call_far_end", "cannot_tell"]
