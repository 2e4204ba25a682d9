"""The meaning of the portal's HTTP answers by status and shape: w.c.s. translates its texts, and
gives every refusal the code `access-denied`, so neither decides."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

from gateway.core.outcome import Accepted, Misconfigured, Outcome, Refused, Unsure
from gateway.core.request import Json
from gateway.sdk.exchange import Answer
from gateway.sdk.http import answered, classify_status
from gateway.sdk.publik.signature import WINDOW


def with_answer(outcome: Outcome, answer: Answer) -> Outcome:
    """Return the outcome with the portal's words."""
    return answered(outcome, answer.response, answer.content)


def json_kind(value: object) -> str:
    """Return what a JSON value is, in words that are neither English nor French."""
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return f"JSON {kinds.get(type(value), 'number')}"


def write_outcome(answer: Answer) -> Outcome:
    """Return the outcome of a POST or PUT; 403 and 404 need another look."""
    return with_answer(_written(answer), answer)


def _written(answer: Answer) -> Outcome:
    failure = classify_status(answer.response, safe=False)
    if failure is not None:
        return failure
    value = answer.value
    if not isinstance(value, dict) or "err" not in value:
        # Perhaps the page of a proxy: not the portal's word.
        return Unsure("unreadable_answer", "success without the portal's own answer")
    if is_error(value):
        return Refused("application_error")
    return Accepted()


def refused_credentials(response: httpx.Response, now: datetime) -> Misconfigured:
    """Return the outcome of a 401 or 403 to any call. The text is not read, since w.c.s. translates
    it; a clock that differs too much shows in the Date."""
    detail = f"HTTP {response.status_code}"
    try:
        there = parsedate_to_datetime(response.headers["date"])
        apart = abs(there - now)
    except (KeyError, ValueError, TypeError, OverflowError):
        return Misconfigured("access_denied", detail)
    if apart > WINDOW:
        seconds = apart.total_seconds()
        detail += f": the portal's clock and ours differ by {seconds:.0f} s, more than it allows"
    return Misconfigured("access_denied", detail)


def is_error(value: Json) -> bool:
    """Has this answer an application error (a truthy `err`, number or text)?"""
    return isinstance(value, dict) and value.get("err") not in (None, 0, "", "0", False)


def holds_event(value: Json, event_id: str) -> bool:
    """Is this the payload of the report `event_id`?"""
    return isinstance(value, dict) and value.get("evenement") == event_id
