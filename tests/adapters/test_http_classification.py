"""Every exception that httpx raises for a call has its place in `gateway.sdk.http`."""

from __future__ import annotations

import httpx
import pytest

from gateway.sdk import Misconfigured, TryLater, Unsure, classify_error
from gateway.sdk.conformance import HTTPX_ERRORS

#: What each tells of an unsafe call: settings, never left, or may have been taken.
ROWS: dict[type[Exception], type] = {
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
def test_an_exception_tells_whether_it_may_have_been_taken(kind: type[Exception]) -> None:
    outcome = classify_error(kind("zoe@exemple.invalid"), safe=False)
    assert type(outcome) is ROWS[kind]
    assert "zoe" not in repr(outcome)


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_a_safe_call_is_never_unsure(kind: type[Exception]) -> None:
    assert type(classify_error(kind("x"), safe=True)) in {TryLater, Misconfigured}
