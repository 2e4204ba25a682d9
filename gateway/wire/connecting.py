"""The causes for which no connection to a far end was made: each has its own remedy."""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp

from gateway.wire.network import PrivateAddressError

#: The errors of OpenSSL, by its own names.
_OTHER_THAN_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
)
_CERTIFICATE_ASKED: Final = frozenset(
    {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE"}
)
#: Codes of X509_verify_cert: not valid yet, expired, of another name, of another address.
_OUT_OF_DATE: Final = frozenset({9, 10})
_OTHER_NAME: Final = frozenset({62, 64})


def unconnected(error: BaseException) -> str | None:
    """Return the word of `gateway.core.reasons` for aiohttp's error; None where it says no more
    than that the far end was not reached, or where a connection was made.

    That a certificate of ours is asked for is told after the handshake by TLS 1.3, before anything
    of the call was read.
    """
    inner = getattr(error, "os_error", None) or error.__cause__
    if isinstance(inner, PrivateAddressError):
        return None
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        reason = "unknown_name"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError):
        code = getattr(error.certificate_error, "verify_code", None)
        reason = "certificate_expired" if code in _OUT_OF_DATE else "unknown_authority"
        if code in _OTHER_NAME:
            reason = "wrong_certificate"
    elif isinstance(inner, ssl.SSLError) and inner.reason in _CERTIFICATE_ASKED:
        reason = "certificate_asked"
    elif not isinstance(error, aiohttp.ClientConnectorError):
        return None
    elif isinstance(inner, ConnectionRefusedError):
        reason = "connection_refused"
    elif isinstance(inner, ssl.SSLError):
        reason = "not_tls" if inner.reason in _OTHER_THAN_TLS else "tls_refused"
    else:
        return None
    return reason
