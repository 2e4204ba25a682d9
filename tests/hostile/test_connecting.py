"""The causes of a failed connection are told apart, each with its remedy."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.core import reasons
from gateway.sdk import TryLater
from gateway.wire.network import Network
from tests.hostile.answers import head
from tests.hostile.test_network import called, certificate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certificate(tmp_path, "ca")
    certificate(tmp_path, "gru", by="ca")
    return tmp_path


def _served(folder: Path, name: str = "gru") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def _serve(listening: socket.socket, context: ssl.SSLContext | None, answer: bytes) -> None:
    """Answers whoever connects, until the socket is closed. OpenSSL's own server: it says by an
    alert what it does not like, as web servers do."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection.dup() as bare:  # wrapping takes the first one
            with suppress(OSError), _spoken(connection, context) as spoken:
                spoken.recv(1 << 16)
                spoken.sendall(answer)
                continue
            # Closed with something unread, it would be reset, and the alert be lost on its way.
            with suppress(OSError):
                while bare.recv(1 << 16):
                    pass


def _spoken(connection: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    return connection if context is None else context.wrap_socket(connection, server_side=True)


@asynccontextmanager
async def _listening(context: ssl.SSLContext | None, answer: bytes) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, context, answer), daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            await asyncio.to_thread(thread.join)


async def _why(folder: Path, context: ssl.SSLContext, host: str = "localhost") -> str:
    """The reason of a call to a far end that speaks TLS in this way."""
    async with _listening(context, head() + b"[]") as port:
        network = Network(private=True, ca=str(folder / "ca.pem"))
        return _reason(await called(f"https://{host}:{port}/", network))


def _reason(got: object) -> str:
    assert isinstance(got, TryLater), got
    known = reasons.of(got.reason)
    assert known.unconnected
    assert known.do
    assert known.faire
    return got.reason


async def test_certificates(folder: Path) -> None:
    certificate(folder, "stranger")
    certificate(folder, "old", by="ca", age=timedelta(days=3))
    assert await _why(folder, _served(folder, "stranger")) == "unknown_authority"
    assert await _why(folder, _served(folder, "old")) == "certificate_expired"
    assert await _why(folder, _served(folder), host="127.0.0.1") == "wrong_certificate"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_of_ours_is_asked_for(folder: Path, version: ssl.TLSVersion) -> None:
    context = _served(folder)
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    told = await _why(folder, context)
    # Before TLS 1.3 a server that is not given a certificate says no more than that it refuses.
    assert told == ("certificate_asked" if version is ssl.TLSVersion.TLSv1_3 else "tls_refused")


async def test_no_version_that_is_safe(folder: Path) -> None:
    context = _served(folder)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA")  # of RSA keys alone: nothing in common
    assert await _why(folder, context) == "tls_refused"


async def test_what_speaks_no_tls_or_is_not_there() -> None:
    async with _listening(None, b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        got = await called(f"https://127.0.0.1:{port}/", Network(private=True))
        assert _reason(got) == "not_tls"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    got = await called(f"http://127.0.0.1:{port}/", Network(private=True))
    assert _reason(got) == "connection_refused"
    got = await called("http://gru.exemple.invalid/", Network())
    assert _reason(got) == "unknown_name"
