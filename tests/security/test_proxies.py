"""The examples for nginx and Caddy do what docs/security.md leaves to them, tried with Debian's.

Where neither is installed there is nothing to try.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.sim.server import run_server
from tests.life import ROOT

NAME = "passerelle.example.org"
DEPLOY = ROOT / "deploy"
PUSH = "/portal/v1/communes/69029/teleservices/x/requests"
#: A query that a signature was made over: each of its odd signs is to arrive as it is.
QUERY = "a=%7e&b=+%2B&c=%C3%A9&d=1;2&e=&&orig=x&signature=A%2Fb%3D"


#: What passes; the last names a citizen in its path, which stays out of the log.
OPEN = (
    *("/gru/v1/communes/69029/grus/main/events", "/pivot/v1/notifications", "/glc/events"),
    *("/lien", "/lien/69029", "/lien/69029/logo.svg", "/linking/v1/backchannel-logout"),
    *("/console", "/api/v1/today"),
)
HIDDEN = ("/linking/v1/communes/69029/links/Identite-De-Quelqu_un",)


@dataclass
class Behind:
    """The server behind the proxy, which records its calls."""

    calls: list[tuple[str, str, Mapping[str, str], int]]
    status: int = 200

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        path, query = scope["raw_path"].decode(), scope["query_string"].decode()
        self.calls.append((path, query, headers, size))
        told = [(b"retry-after", b"7"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": self.status, "headers": told})
        await send({"type": "http.response.body", "body": b"{}"})


@dataclass
class Proxy:
    port: int
    log: Path
    behind: Behind
    trusted: ssl.SSLContext

    async def say(self, *pieces: bytes, host: str = NAME) -> bytes:
        """Everything that is answered to these bytes until the proxy closes."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.trusted, server_hostname=host
        )
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
        except (ConnectionError, ssl.SSLError):
            return b""
        finally:
            writer.close()

    async def get(self, path: str, *headers: str, method: str = "GET") -> bytes:
        start = f"{method} {path} HTTP/1.1\r\nHost: {NAME}:{self.port}\r\nConnection: close\r\n"
        return await self.say((start + "".join(f"{one}\r\n" for one in headers) + "\r\n").encode())


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"the example no longer says {old}"
        text = text.replace(old, new)
    return text


def _nginx(folder: Path, port: int, behind: int, public: Path, private: Path) -> list[str]:
    example = _replaced(
        (DEPLOY / "nginx.conf").read_text(),
        {
            "127.0.0.1:8700": f"127.0.0.1:{behind}",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            f"/etc/ssl/certs/{NAME}.pem": str(public),
            f"/etc/ssl/private/{NAME}.key": str(private),
            "/var/log/nginx/gru-gateway.log": str(folder / "access.log"),
            "client_header_timeout 10s": "client_header_timeout 1s",
            "rate=50r/s": "rate=1r/s",
            "burst=100": "burst=15",
            "client_max_body_size 41m": "client_max_body_size 1m",
        },
    )
    kept = "".join(
        f"{one}_temp_path {folder}/{one};\n"
        for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n{kept}{example}}}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _caddy(folder: Path, port: int, behind: int, public: Path, private: Path) -> list[str]:
    example = _replaced(
        (DEPLOY / "Caddyfile").read_text(),
        {
            "127.0.0.1:8700": f"127.0.0.1:{behind}",
            f"{NAME} {{": f"https://{NAME}:{port} {{\n\tbind 127.0.0.1",
            f"/etc/ssl/certs/{NAME}.pem": str(public),
            f"/etc/ssl/private/{NAME}.key": str(private),
            "/var/log/caddy/gru-gateway.log": str(folder / "access.log"),
            "admin off": "admin off\n\tauto_https off",
            "read_header 10s": "read_header 1s",
            "41MB": "1MB",
        },
    )
    (folder / "Caddyfile").write_text(example)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


STARTS = {"nginx": _nginx, "caddy": _caddy}


@asynccontextmanager
async def _running(kind: str, folder: Path) -> AsyncIterator[Proxy]:
    behind = Behind([])
    public, private = _certificate(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(run_server(behind))
        command = STARTS[kind](folder, port, app.port, public, private)
        environ = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/sbin:/usr/bin"}
        process = subprocess.Popen(  # noqa: ASYNC220 (its end is waited for below)
            command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder
        )
        trusted = ssl.create_default_context(cafile=str(public))
        proxy = Proxy(port, folder / "access.log", behind, trusted)
        try:
            while process.poll() is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
            assert process.poll() is None, (process.stderr or process).read().decode()  # type: ignore[union-attr]
            yield proxy
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.fixture(params=STARTS)
async def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Proxy]:
    if shutil.which(request.param, path="/usr/sbin:/usr/bin") is None:
        pytest.skip(f"{request.param} is not installed")
    async with _running(request.param, tmp_path) as running:
        yield running


def _status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0


async def test_what_passes_and_what_does_not(proxy: Proxy) -> None:
    said = await proxy.get(f"{PUSH}?{QUERY}", "X-Forwarded-For: 192.0.2.1")
    assert _status(said) == 200
    assert b"strict-transport-security: max-age=31536000" in said.lower()
    path, query, headers, _ = proxy.behind.calls.pop()
    assert (path, query) == (PUSH, QUERY), "a signature is made over these very bytes"
    assert "x-forwarded-for" not in headers
    assert headers["host"].startswith(NAME)

    # As it came: neither decoded nor put right.
    for odd in ("/portal/v1/%2e%2e/a", "/portal/v1/a%2Fb", "/portal/v1/%C3%A9"):
        said = await proxy.get(odd)
        assert [one[0] for one in proxy.behind.calls] in ([odd], []), said
        proxy.behind.calls.clear()

    # Every part of the surface that is for others, and no more of its neighbours.
    for way in (*OPEN, *HIDDEN):
        assert _status(await proxy.get(way)) == 200, way
    assert [one[0] for one in proxy.behind.calls] == [*OPEN, *HIDDEN]
    proxy.behind.calls.clear()
    for shut in (
        *("/ops/live", "/ops/metrics", "/ops", "/", "/portal", "/portal/v1/../../ops/live"),
        "/consolex",
        *("/lienx", "/linking", "/glc/eventsx", "/glc/events/x", "/pivot/v2/x", "/contract/v1/x"),
    ):
        assert _status(await proxy.get(shut)) in (400, 404)
    assert proxy.behind.calls == []
    assert _status(await proxy.get("/contract/v1/openapi.json")) == 200
    proxy.behind.calls.clear()

    # What is answered passes as it is: a 503 is not asked again, and says when to come back.
    proxy.behind.status = 503
    said = await proxy.get(PUSH, "Content-Length: 0", method="POST")
    assert _status(said) == 503
    assert b"retry-after: 7" in said.lower()
    assert len(proxy.behind.calls) == 1
    proxy.behind.status = 200
    proxy.behind.calls.clear()

    # Too large: never passed on as if it were whole, and never answered as if it were taken.
    size = 1_500_000
    host = f"Host: {NAME}:{proxy.port}\r\n"
    begun = f"POST /gru/v1/x HTTP/1.1\r\n{host}Connection: close\r\n".encode()
    announced = b"Content-Length: %d\r\n\r\n" % size
    said = await proxy.say(begun, announced, *[b"x" * 50_000] * 30)
    assert _status(said) in (413, 502, 0), said
    assert all(one[3] < size for one in proxy.behind.calls)
    proxy.behind.calls.clear()

    # Two lengths, of which each side may believe another: nothing is smuggled behind it.
    hidden = b"0\r\n\r\nGET /ops/live HTTP/1.1\r\nHost: x\r\n\r\n"
    lengths = b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(hidden)
    await proxy.say(begun, lengths, hidden)
    assert all(one[0] == "/gru/v1/x" and one[3] == 0 for one in proxy.behind.calls)
    proxy.behind.calls.clear()

    # A head without end, and one that does not come.
    begun = f"GET {PUSH} HTTP/1.1\r\n{host}".encode()
    assert _status(await proxy.say(begun, b"X: ", *[b"a" * 4096] * 100)) in (0, 400, 431)
    assert _status(await proxy.say(begun)) in (0, 400, 408)
    assert proxy.behind.calls == []

    text = proxy.log.read_text()
    assert all(json.loads(line) for line in text.splitlines())
    assert PUSH in text
    assert '"/linking/v1/communes/69029/links/"' in text
    for secret in ("signature", "A%2Fb", "orig=x", "Quelqu_un"):
        assert secret not in text


async def test_nginx_bounds_what_one_address_asks_for(tmp_path: Path) -> None:
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("nginx is not installed")
    async with _running("nginx", tmp_path) as proxy:
        statuses = [_status(await proxy.get(PUSH)) for _ in range(25)]
    assert statuses.count(200) < 25
    assert set(statuses) == {200, 429}
