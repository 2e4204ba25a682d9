"""Connections other than HTTP keep to the operator's rules."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gateway.sdk import Misconfigured, TryLater, Unreached
from gateway.wire.budget import budget
from gateway.wire.departures import departures
from gateway.wire.network import Network, named_hosts
from gateway.wire.sockets import NetworkConnector
from tests.adapters.mail_servers import listening


def connector(network: Network, timeout: float = 10) -> NetworkConnector:
    return NetworkConnector(timeout, network, budget(), "69029", "gru:69029/main", lambda at: None)


async def said(to: NetworkConnector, host: str, port: int) -> bytes:
    loop = asyncio.get_running_loop()
    async with to.connection(host, port) as connected:
        return await loop.sock_recv(connected, 100)


@pytest.mark.parametrize("auth", [None, ("passerelle", "secret")])
async def test_a_proxy_connects_and_resolves_the_name(auth: tuple[str, str] | None) -> None:
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: p\r\n\r\n220 hello")
        await reader.read()

    async with listening(proxy) as port:
        network = Network(proxy=f"http://127.0.0.1:{port}", proxy_auth=auth)
        assert await said(connector(network), "messagerie.exemple.invalid", 587) == b"220 hello"
        with pytest.raises(Unreached) as raised:
            await said(connector(network), "10.0.0.1", 25)
    assert raised.value.outcome == Misconfigured(
        "private_address", "the address lies in a private network"
    )
    assert len(heard) == 1
    assert heard[0].startswith(b"CONNECT messagerie.exemple.invalid:587 HTTP/1.1\r\n")
    assert (b"Proxy-Authorization: Basic " in heard[0]) is (auth is not None)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"", b"x" * 9000, None]
)
async def test_a_proxy_that_does_not_connect_is_told(answer: bytes | None) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await asyncio.Event().wait()
        writer.write(answer or b"")
        await writer.drain()

    async with listening(proxy) as port:
        to = connector(Network(proxy=f"http://127.0.0.1:{port}"), timeout=0.4)
        with pytest.raises(Unreached) as raised:
            await said(to, "messagerie.exemple.invalid", 587)
    assert isinstance(raised.value.outcome, TryLater)


async def test_a_turn_is_taken_and_given_back_whatever_happens() -> None:
    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read()

    async with listening(quiet) as port:
        shared = budget(files=64)
        to = NetworkConnector(
            5, Network(private=True), shared, "69029", "gru:69029/main", lambda at: None
        )
        async with asyncio.TaskGroup() as group:
            for _ in range(shared.turns.most + 3):
                group.create_task(said(to, "127.0.0.1", port))
        with suppress(Unreached):
            await said(to, "127.0.0.1", 1)
    assert (shared.turns.under_way, shared.turns.waiting, shared.sockets.open) == (0, 0, 0)


def test_addresses_of_the_options_are_meant() -> None:
    texts = ["smtp://127.0.0.1:25", "imaps://localhost", "sftp://depot@10.0.0.1/a", "x://10.0.0.2"]
    assert named_hosts(texts) == {"127.0.0.1", "localhost", "10.0.0.1"}


def test_only_what_may_be_acted_upon_is_noted() -> None:
    with departures() as left:
        assert not left.unsafe
        connector(Network()).leaving()
    assert left.unsafe
