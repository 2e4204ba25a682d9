"""The addresses at which a far end may be called, and the proxy."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from gateway.catalogue.network import NetworkEntry, NetworkReader
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import Fault
from gateway.sdk import Answer, Misconfigured, Outcome, TryLater, send
from gateway.wire import network as module
from gateway.wire.certificates import good_until
from gateway.wire.clients import open_client
from gateway.wire.network import (
    GuardedResolver,
    Network,
    PrivateAddressError,
    is_private,
    named_hosts,
)
from tests.hostile.answers import far_end, head, whole

OK = whole(head(), b"[]")


async def called(url: str, network: Network | None) -> Answer | Outcome:
    async with open_client(timeout=5, connections=1, network=network) as client:
        return await send(client, client.build_request("GET", url), safe=True)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "[::1]", "::", "fe80::1%eth0",
        "fd00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "::7f00:1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_for_the_world(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize("host", ["93.184.216.34", "2a00:1450:4007::1", "gru.exemple.invalid"])
def test_others_may_be_called(host: str) -> None:
    assert not is_private(host)


async def test_a_private_address_is_called_where_the_configuration_means_it() -> None:
    async with far_end(OK) as url:
        port = url.rpartition(":")[2]
        for host, network in (
            ("127.0.0.1", Network(private=True)),
            ("127.0.0.1", Network(named=named_hosts([url]))),
            ("localhost", Network(named=named_hosts([f"http://LOCALHOST:{port}/api"]))),
            ("127.0.0.1", None),
        ):
            assert isinstance(await called(f"http://{host}:{port}/", network), Answer)
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433"):
            got = await called(f"http://{host}:{port}/", Network(named=frozenset({"10.0.0.1"})))
            assert isinstance(got, Misconfigured)
            assert got.reason in ("private_address", "bad_address")
            assert host not in repr(got)


class Names(AbstractResolver):
    """Gives each list once: a name that means something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for one in self.answers.pop(0)
        ]

    async def close(self) -> None:
        return None


async def test_what_was_looked_at_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(["93.184.216.34"], ["93.184.216.34", "127.0.0.1"], ["10.0.0.1"])
    monkeypatch.setattr(module, "DefaultResolver", lambda: names)
    guarded = GuardedResolver(Network(), proxy="proxy.exemple.invalid")
    found = await guarded.resolve("gru.exemple.invalid", 443)
    assert [one["host"] for one in found] == ["93.184.216.34"], "asked once, and given as it was"
    with pytest.raises(PrivateAddressError):
        await guarded.resolve("gru.exemple.invalid", 443)
    found = await guarded.resolve("proxy.exemple.invalid", 3128)
    assert [one["host"] for one in found] == ["10.0.0.1"], "the operator's own proxy"


async def test_a_proxy_of_its_own_that_asks_for_a_password() -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head() + b"[]")
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        network = Network(proxy=address, proxy_auth=("commune", "mot-de-passe"))
        assert isinstance(await called("http://gru.exemple.invalid/x", network), Answer)
    assert seen[0].startswith(b"GET http://gru.exemple.invalid/x HTTP/1.1\r\n")
    assert b"proxy-authorization: basic y29tbxvuztptb3qtzgutcgfzc2u=" in seen[0].lower()
    assert "mot-de-passe" not in repr(network)


# --- certificates -----------------------------------------------------------------------------


def certificate(
    folder: Path, name: str, by: str | None = None, age: timedelta = timedelta(days=1)
) -> None:
    """A certificate in `name`.pem, its key in `name`.key, signed by that of `by` or by itself.

    It is valid for two days, from `age` ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, issuer = key, subject
    if by is not None:
        signed = (folder / f"{by}.key").read_bytes()
        read = serialization.load_pem_private_key(signed, None)
        assert isinstance(read, ec.EllipticCurvePrivateKey)
        signer = read
        issuer = x509.load_pem_x509_certificate((folder / f"{by}.pem").read_bytes()).subject
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - age)
        .not_valid_after(now - age + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@asynccontextmanager
async def secured(folder: Path) -> AsyncIterator[str]:
    """A far end that is known by a private authority, and asks callers for a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "gru.pem", folder / "gru.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head() + b"[]")
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}/"


async def test_a_private_authority_and_a_certificate_of_ours(tmp_path: Path) -> None:
    certificate(tmp_path, "ca")
    for name in ("gru", "passerelle"):
        certificate(tmp_path, name, by="ca")
    ca, own = str(tmp_path / "ca.pem"), str(tmp_path / "passerelle.pem")
    async with secured(tmp_path) as url:
        known = Network(private=True, ca=ca, certificate=own, key=own.replace(".pem", ".key"))
        shown: list[datetime] = []
        client = open_client(timeout=5, connections=1, network=known, served=shown.append)
        async with client:
            assert isinstance(
                await send(client, client.build_request("GET", url), safe=True), Answer
            )
        assert shown == [good_until((tmp_path / "gru.pem").read_bytes())]
        for unknown in (Network(private=True), Network(private=True, ca=ca)):
            assert isinstance(await called(url, unknown), TryLater)


# --- in the files -----------------------------------------------------------------------------


def test_files_that_cannot_be_used_are_faults_at_their_line(tmp_path: Path) -> None:
    certificate(tmp_path, "ca")
    certificate(tmp_path, "other")
    (tmp_path / "bad.pem").write_text("no certificate")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 10**10)
    ca, bad = str(tmp_path / "ca.pem"), str(tmp_path / "bad.pem")
    other = str(tmp_path / "other.key")
    for written, line, told in (
        (f"ca: {ca}", None, ""),
        (f"ca: {tmp_path}/none.pem", 4, "cannot be read"),
        (f"ca: {bad}", 4, "not PEM files"),
        (f"ca: {tmp_path}/pipe", 4, "cannot be read"),
        (f"ca: {tmp_path}/huge", 4, "cannot be read"),
        (f"ca: {tmp_path}", 4, "cannot be read"),
        (f"certificate: {ca}\n      key: {other}", 4, "not PEM files"),
    ):
        text = f"portals:\n  toodego:\n    network:\n      {written}\n"
        located = load_yaml(text, "gateway.yaml")
        found: list[Fault] = []
        path = ("portals", "toodego", "network")
        entry = NetworkEntry.model_validate(located.value["portals"]["toodego"]["network"])
        networks = NetworkReader(found, checked=True)
        networks.read(entry, located, path, ["https://toodego.exemple.invalid"])
        faults = [(fault.line, told in fault.what) for fault in found]
        assert faults == ([] if line is None else [(line, True)])


def test_until_when_certificates_are_good_and_that_others_came_in_their_place(
    tmp_path: Path,
) -> None:
    certificate(tmp_path, "ca")
    certificate(tmp_path, "own", by="ca")
    both = (tmp_path / "ca.pem", tmp_path / "own.pem")
    text = f"network: {{ca: {both[0]}, certificate: {both[1]}, key: {tmp_path}/own.key}}\n"
    located = load_yaml(text, "gateway.yaml")
    entry = NetworkEntry.model_validate(located.value["network"])

    def read() -> Network:
        faults: list[Fault] = []
        found = NetworkReader(faults, checked=True).read(entry, located, ("network",), [])
        assert not faults
        return found

    first = read()
    # On the loop it is not made anew: for each GRU that trusts such a file, that stalled all.
    assert first.tls() is first.tls() is first.context is not None
    ends = [x509.load_pem_x509_certificate(one.read_bytes()).not_valid_after_utc for one in both]
    assert first.ends == (("ca", ends[0]), ("certificate", ends[1]))
    assert read() == first
    certificate(tmp_path, "own", by="ca")
    assert read() != first
    # The first to end of a file of several; what is no certificate is passed over.
    later = both[0].read_bytes() + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert good_until(later + both[1].read_bytes()) == min(ends)
    assert good_until(b"") is None


@pytest.mark.parametrize("fields", [0, 1, 3, 5])
def test_a_certificate_that_breaks_off_is_passed_over(fields: int) -> None:
    """Seen: secrets were never read anew while such a file lay there."""
    part = b"\xa0\x00" + b"\x30\x00" * 4
    inner = b"\x30" + bytes([2 * fields]) + part[: 2 * fields]
    text = base64.b64encode(b"\x30" + bytes([len(inner)]) + inner).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
    assert good_until(pem.encode()) is None


def test_what_belongs_together_is_asked_for_together() -> None:
    for value in ({"key": "/k.pem"}, {"proxy_auth": {"username": "a", "password": "env:P"}}):
        with pytest.raises(ValidationError):
            NetworkEntry.model_validate(value)
