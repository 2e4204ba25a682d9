"""Every exception that httpx raises for a call has its place in `gateway.sdk.http`."""

from __future__ import annotations

import httpx
import pytest

from gateway.sdk import (
    Misconfigured,
    Refused,
    TryLater,
    Unsure,
    classify_error,
    classify_status,
    retry_after,
)
from gateway.sdk.conformance import HTTPX_ERRORS

Kind = type[httpx.HTTPError | httpx.InvalidURL]
#: What each tells of an unsafe call: settings, never left, or may have been taken.
ROWS: dict[Kind, type] = {
    httpx.CloseError: Unsure,
    httpx.ConnectError: TryLater,
    httpx.ConnectTimeout: TryLater,
    httpx.DecodingError: Unsure,
    httpx.InvalidURL: Misconfigured,
    httpx.LocalProtocolError: TryLater,
    httpx.NetworkError: Unsure,
    httpx.PoolTimeout: TryLater,
    httpx.ProtocolError: Unsure,
    httpx.ProxyError: TryLater,
    httpx.ReadError: Unsure,
    httpx.ReadTimeout: Unsure,
    httpx.RemoteProtocolError: Unsure,
    httpx.TimeoutException: Unsure,
    httpx.TooManyRedirects: Unsure,
    httpx.TransportError: Unsure,
    httpx.UnsupportedProtocol: Misconfigured,
    httpx.WriteError: Unsure,
    httpx.WriteTimeout: Unsure,
}


def test_no_exception_is_without_a_row() -> None:
    assert set(ROWS) == set(HTTPX_ERRORS)


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_an_exception_tells_whether_it_may_have_been_taken(
    kind: Kind,
) -> None:
    outcome = classify_error(kind("zoe@exemple.invalid"), safe=False)
    assert type(outcome) is ROWS[kind]
    assert "zoe" not in repr(outcome)


#: What each status tells of an unsafe call, its reason, and whether the far end may be at work.
STATUSES: dict[int, tuple[type, str, bool | None]] = {
    301: (Unsure, "redirected", False),
    302: (Unsure, "see_other", False),
    303: (Unsure, "see_other", False),
    304: (Unsure, "redirected", False),
    307: (Unsure, "redirected", False),
    308: (Unsure, "redirected", False),
    400: (Refused, "refused", None),
    401: (Misconfigured, "access_denied", None),
    403: (Misconfigured, "access_denied", None),
    404: (Refused, "refused", None),
    407: (Misconfigured, "access_denied", None),
    408: (Unsure, "timeout", True),
    409: (Unsure, "conflict", False),
    413: (Refused, "refused", None),
    415: (Refused, "refused", None),
    422: (Refused, "refused", None),
    425: (TryLater, "busy", None),
    429: (Unsure, "busy", True),
    500: (Unsure, "far_end_error", True),
    502: (Unsure, "far_end_error", True),
    503: (Unsure, "busy", True),
    504: (Unsure, "far_end_error", True),
    507: (Unsure, "far_end_error", True),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_tells_whether_it_may_have_been_taken(status: int) -> None:
    """Proof that nothing was done is the far end's own refusal, and nothing else."""
    kind, reason, at_work = STATUSES[status]
    outcome = classify_status(httpx.Response(status, headers={"retry-after": "7"}), safe=False)
    assert type(outcome) is kind
    assert getattr(outcome, "reason", None) == reason
    if isinstance(outcome, Unsure):
        assert (outcome.at_work, outcome.after) == (at_work, 7)
    safe = classify_status(httpx.Response(status), safe=True)
    assert type(safe) in {TryLater, Misconfigured, Refused}
    assert type(safe) is kind or kind is Unsure


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_a_safe_call_is_never_unsure(kind: Kind) -> None:
    assert type(classify_error(kind("x"), safe=True)) in {TryLater, Misconfigured}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (b"120", 120.0),
        (b"Thu, 12 Mar 2026 08:02:00 GMT", 120.0),
        (b"Thu, 12 Mar 2026 07:00:00 GMT", 0.0),
        (b"", None),
        (b"-5", None),
        (b"soon", None),
        (b"\xb2", None),  # Latin-1 for a raised two, which Python calls a digit
        ("٣".encode(), None),
        (b"9" * 400, 366 * 86400.0),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", 366 * 86400.0),
        (b"Mon, 01 Jan 2026 00:00:00 -99999999999999999999", None),
        (b"1 Jan 99999999999999999999 0:0:0", None),
    ],
)
def test_whatever_a_server_says_of_when_to_come_back_is_a_time_or_nothing(
    said: bytes, seconds: float | None
) -> None:
    date = (b"date", b"Thu, 12 Mar 2026 08:00:00 GMT")
    response = httpx.Response(503, headers=[(b"retry-after", said), date])
    assert retry_after(response) == seconds
    assert classify_status(response, safe=False) == Unsure("busy", "HTTP 503", after=seconds)


THURSDAY = "Thu, 12 Mar 2026 08:0{}:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": THURSDAY.format(2), "date": THURSDAY.format(0)}, 120.0),
        ({"retry-after": THURSDAY.format(0), "date": THURSDAY.format(2)}, 0.0),
        # By whose clock, it does not say.
        ({"retry-after": THURSDAY.format(2)}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_as_servers_write_it(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(httpx.Response(429, headers=headers)) == seconds
