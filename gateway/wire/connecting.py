"""Causes for which no connection to a far end was made: each has its own remedy."""

from __future__ import annotations

import ssl

import aiohttp

from gateway.sdk.connecting import CERTIFICATE_ASKED, why_tls_failed
from gateway.wire.network import PrivateAddressError


def unconnected(error: BaseException) -> str | None:
    """Return the reason of aiohttp's error; None for a plain failure to reach the far end, or when
    a connection was made.

    TLS 1.3 asks for our certificate after the handshake, before any of the call was read.
    """
    inner = getattr(error, "os_error", None) or error.__cause__
    if isinstance(inner, PrivateAddressError):
        return None
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        reason = "unknown_name"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError):
        found = error.certificate_error
        reason = "unknown_authority"
        if isinstance(found, ssl.SSLCertVerificationError):
            reason = why_tls_failed(found)
    elif isinstance(inner, ssl.SSLError) and inner.reason in CERTIFICATE_ASKED:
        reason = "certificate_asked"
    elif not isinstance(error, aiohttp.ClientConnectorError):
        return None
    elif isinstance(inner, ConnectionRefusedError):
        reason = "connection_refused"
    elif isinstance(inner, ssl.SSLError):
        reason = why_tls_failed(inner)
    else:
        return None
    return reason
