"""Connections to far ends that do not speak HTTP (mail, SFTP). The gateway lends them, as `client`.

An adapter never opens a connection by itself: the operator decides which addresses may be called,
through which proxy and with which certificates (`network` in the commune's file).
"""

from __future__ import annotations

import errno
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import httpx

from gateway.core.outcome import Accepted, Misconfigured, Outcome, TryLater
from gateway.sdk.adapter import File
from gateway.sdk.exchange import Answer, failure_of, send

#: The address, of nobody, to which calls are told when far ends are simulated.
REHEARSED: Final = "http://rehearsal.invalid"
#: The errors of OpenSSL, by its own names.
_OTHER_THAN_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
)
CERTIFICATE_ASKED: Final = frozenset(
    {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE"}
)
#: Codes of X509_verify_cert: not valid yet, expired, of another name, of another address.
_OUT_OF_DATE: Final = frozenset({9, 10})
_OTHER_NAME: Final = frozenset({62, 64})


class Unreached(OSError):
    """No connection was made, so nothing was sent. `reason` is a word of `gateway.core.reasons`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail

    @property
    def outcome(self) -> Outcome:
        """Return the outcome of the call that the connection was for."""
        mine = self.reason in ("private_address", "bad_address")
        return (Misconfigured if mine else TryLater)(self.reason, self.detail)


class Connector(ABC):
    """Opens connections to one far end. `timeout`: the seconds that one call may take."""

    timeout: float

    @abstractmethod
    def connection(self, host: str, port: int) -> AbstractAsyncContextManager[socket.socket]:
        """Connect. The socket is closed after the block, and the time of the call runs meanwhile.

        Close what you made of the socket (a transport) before the block ends. Raises Unreached.
        """

    @abstractmethod
    async def tls(self) -> ssl.SSLContext:
        """Return the TLS context. Certificates are verified as `network` says."""

    @abstractmethod
    def leaving(self) -> None:
        """Call this before anything is sent that the far end may act upon.

        A call that fails from then on may have been carried out.
        """

    @abstractmethod
    def served(self, certificate: Mapping[str, object] | None) -> None:
        """Record the certificate that the far end showed (`peercert`), so that its end is
        watched."""


def why_tls_failed(error: ssl.SSLError) -> str:
    """Return the word of `gateway.core.reasons` for a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        reason = "certificate_expired" if code in _OUT_OF_DATE else "unknown_authority"
        if code in _OTHER_NAME:
            reason = "wrong_certificate"
    elif error.reason in CERTIFICATE_ASKED:
        reason = "certificate_asked"
    else:
        reason = "not_tls" if error.reason in _OTHER_THAN_TLS else "tls_refused"
    return reason


def unreached(error: BaseException) -> Unreached:
    """Return the reason why no connection was made, from the error that was raised or from its
    causes."""
    inner: BaseException | None = error
    while inner is not None:
        name = type(inner).__name__
        match inner:
            case Unreached():
                return inner
            case ssl.SSLError():
                return Unreached(why_tls_failed(inner), name)
            case socket.gaierror():
                return Unreached("unknown_name", name)
            case ConnectionRefusedError():
                return Unreached("connection_refused", name)
            case OSError(errno=errno.EMFILE | errno.ENFILE | errno.EADDRNOTAVAIL):
                return Unreached("no_connection", name)
        inner = inner.__cause__
    return Unreached("unreachable", type(error).__name__)


async def rehearse(
    client: httpx.AsyncClient, path: str, fields: Mapping[str, str], files: Sequence[File] = ()
) -> Outcome:
    """Record what would be sent, where no far end is called (`Context.connector` is None).

    Cases and previews show it as a POST of these fields and files. The answer is the case's.
    """
    parts = [
        (one.field or "file", (one.filename, await one.read(), one.content_type)) for one in files
    ]
    request = client.build_request(
        "POST", f"{REHEARSED}/{path.lstrip('/')}", data=dict(fields), files=parts or None
    )
    answer = await send(client, request, safe=False, read=None)
    if not isinstance(answer, Answer):
        return answer
    return failure_of(answer, safe=False) or Accepted()


__all__ = [
    "CERTIFICATE_ASKED",
    "REHEARSED",
    "Connector",
    "Unreached",
    "rehearse",
    "unreached",
    "why_tls_failed",
]
