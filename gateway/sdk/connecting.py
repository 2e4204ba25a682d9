"""Connections of far ends that do not speak HTTP (mail, SFTP): lent by the gateway, like `client`.

An adapter never opens a connection by itself: which addresses may be called, through which proxy
and with which certificates is the operator's (`network` in the commune's file).
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

#: Where what would leave is told to, when far ends are answered for. It is nobody's address.
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
    """No connection was made, so that nothing was sent. `reason` is a word of
    `gateway.core.reasons`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail

    @property
    def outcome(self) -> Outcome:
        """Return the outcome of the call that was to go there."""
        mine = self.reason in ("private_address", "bad_address")
        return (Misconfigured if mine else TryLater)(self.reason, self.detail)


class Connector(ABC):
    """Connects to one far end. `timeout`: seconds that a call to it may take."""

    timeout: float

    @abstractmethod
    def connection(self, host: str, port: int) -> AbstractAsyncContextManager[socket.socket]:
        """Connect: a socket that is closed after the block, without a turn of its own meanwhile.

        Abort what you made of it (a transport) before the block ends. Raises Unreached.
        """

    @abstractmethod
    async def tls(self) -> ssl.SSLContext:
        """Return what TLS is spoken with: certificates are checked, as `network` says."""

    @abstractmethod
    def leaving(self) -> None:
        """Say it before something leaves that the far end may act upon: what fails from then on may
        have been done."""

    @abstractmethod
    def served(self, certificate: Mapping[str, object] | None) -> None:
        """Tell the certificate that the far end showed (`peercert`): its end is watched."""


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
    """Return why no connection was made, from the error of whoever tried, or from its causes."""
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
    """Tell what would leave, where far ends are answered for (`Context.connector` is None): a POST
    of these fields and files, which cases and previews show. The answer is the case's."""
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
