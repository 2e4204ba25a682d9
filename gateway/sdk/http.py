"""Turns a result of httpx into an outcome: one table for all adapters and for the portal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

import httpx

from gateway.core.outcome import Accepted, Misconfigured, Outcome, Refused, TryLater, Unsure
from gateway.sdk.redaction import answer_text

#: The connection was never made, or the request never left: nothing can have been taken.
NOT_SENT: tuple[type[httpx.HTTPError], ...] = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
    httpx.LocalProtocolError,
)


class PrivateAddress(httpx.ConnectError):
    """The far end's name or address lies in a private network in which it may not be called."""


class NotConnected(httpx.ConnectError):
    """No connection was made. `reason` says why: a word of `gateway.core.reasons`."""

    def __init__(self, message: str, *, request: httpx.Request, reason: str) -> None:
        super().__init__(message, request=request)
        self.reason = reason


#: Nobody is waited for longer than this, in seconds, and no header may say a number without end.
_LONGEST_WAIT = 366 * 86400.0


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of Retry-After (RFC 9110, 10.2.3), one year at most. None if absent or
    unreadable."""
    raw = response.headers.get("retry-after", "").strip()
    if not raw:
        return None
    try:
        if raw.isascii() and raw.isdigit():
            return min(float(raw), _LONGEST_WAIT)
        when = parsedate_to_datetime(raw)
        here = parsedate_to_datetime(response.headers["date"])
        return min(max(0.0, (when - here).total_seconds()), _LONGEST_WAIT)
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def classify_error(error: httpx.HTTPError | httpx.InvalidURL, *, safe: bool) -> Outcome:
    """Return the outcome of a call that raised. A `safe` call (a read, an idempotent write) is
    never unsure.

    A detail names the class of the error only: its text can hold a URL with personal data.
    """
    name = type(error).__name__
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return Misconfigured("bad_address", name)
    if isinstance(error, PrivateAddress):
        return Misconfigured("private_address", "the address lies in a private network")
    if isinstance(error, NotConnected):
        return TryLater(error.reason, name)
    if isinstance(error, httpx.PoolTimeout):
        return TryLater("no_connection", name)  # ours to give: it says nothing of the far end
    if safe or isinstance(error, NOT_SENT):
        return TryLater("unreachable" if isinstance(error, NOT_SENT) else "no_answer", name)
    return Unsure("no_answer", name)


def classify_status(response: httpx.Response, *, safe: bool) -> Outcome | None:
    """Return the outcome of an HTTP status. None for 2xx, which the caller reads.

    For an unsafe call only a refusal proves that nothing was done: 425 (RFC 8470) and the other
    4xx. A redirect, 408, 409, 429 and 5xx also come from servers and proxies that did carry out the
    call.
    """
    code = response.status_code
    if 200 <= code < 300:
        return None
    detail, after = f"HTTP {code}", retry_after(response)
    if not safe and (doubt := _doubt(code, detail, after)) is not None:
        return doubt
    if code in (425, 429, 503):
        return TryLater("busy", detail, after)
    if code == 408:
        return TryLater("timeout", detail, after)
    if code >= 500:
        return TryLater("far_end_error", detail, after)
    if code in (401, 403, 407):
        return Misconfigured("access_denied", detail)
    if code < 400:
        return Misconfigured("redirected", detail)
    return Refused("refused", detail)


def _doubt(code: int, detail: str, after: float | None) -> Unsure | None:
    """Must the far end be asked whether it carried out an unsafe call? None when the status says
    it."""
    if code in (429, 503):
        return Unsure("busy", detail, after=after)
    if code == 408:
        return Unsure("timeout", detail, after=after)
    if code == 409:  # it may conflict with what we have sent ourselves
        return Unsure("conflict", detail, after=after)
    if code in (302, 303):  # what a web form answers once it has taken what was posted
        return Unsure("see_other", detail, after=after)
    if code < 400:
        return Unsure("redirected", detail, after=after)
    return Unsure("far_end_error", detail, after=after) if code >= 500 else None


def answered(
    outcome: Outcome, response: httpx.Response, content: bytes, sent: Iterable[str] = ()
) -> Outcome:
    """Return the outcome with the far end's words (`answer_text`). An acceptance is returned
    unchanged."""
    if isinstance(outcome, Accepted):
        return outcome
    return dataclasses.replace(outcome, answer=answer_text(response, content, sent))
