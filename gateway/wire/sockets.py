"""Connects to far ends that do not speak HTTP.

The rules are those of HTTP: addresses are checked before they are connected to, only the proxy of
the commune's file is used, and a call waits for its turn first.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final

from yarl import URL

from gateway.sdk.connecting import Connector, Unreached, unreached
from gateway.wire.budget import CallBudget, CallSource, has_turn
from gateway.wire.departures import note_departure
from gateway.wire.network import Network, is_private

#: Bytes of the head of a proxy's answer.
_HEAD: Final = 8192


class NetworkConnector(Connector):
    """Connects as `network` says, within `shared`; `served` is called with the end of the far end's
    certificate."""

    def __init__(
        self,
        timeout: float,
        network: Network | None,
        shared: CallBudget,
        commune: str,
        far_end: str,
        served: Callable[[datetime], None],
    ) -> None:
        self.timeout = timeout
        self._network = Network(private=True) if network is None else network
        self._shared = shared
        self._commune = commune
        self._far_end = far_end
        self._served = served
        self._calls = 0
        self._tls: ssl.SSLContext | None = self._network.context

    @asynccontextmanager
    async def connection(self, host: str, port: int) -> AsyncIterator[socket.socket]:
        waited = not has_turn()
        caller = CallSource(self._commune, self._far_end, id(call := object()))
        if waited:
            await self._shared.turns.wait(caller)
        try:
            self._calls += 1
            try:
                await self._shared.sockets.using(id(self), self._calls, self._nothing)
                connected = await self._connected(host, port)
                try:
                    yield connected
                finally:
                    connected.close()
            finally:
                self._calls -= 1
                self._shared.sockets.used(id(self), self._calls)
                if not self._calls:
                    await self._shared.sockets.close(id(self))
        finally:
            if waited:
                self._shared.turns.give_back(caller)
            del call  # its id was the caller's name until here

    async def tls(self) -> ssl.SSLContext:
        if self._tls is None:
            # It takes 40 ms of the processor.
            self._tls = await asyncio.to_thread(
                lambda: self._network.tls() or ssl.create_default_context()
            )
        return self._tls

    def leaving(self) -> None:
        note_departure()

    def served(self, certificate: Mapping[str, object] | None) -> None:
        # An unreadable certificate is not reported, and the call goes on.
        with suppress(LookupError, ValueError, OverflowError, OSError, TypeError):
            ends = ssl.cert_time_to_seconds(str((certificate or {})["notAfter"]))
            self._served(datetime.fromtimestamp(ends, UTC))

    async def _nothing(self) -> None:
        """Close nothing: no connection is kept."""

    async def _connected(self, host: str, port: int) -> socket.socket:
        network = self._network
        free = network.allows(host)
        if not free and is_private(host):
            raise Unreached("private_address", "the address lies in a private network")
        try:
            # Connecting has half of it: a far end that was not reached has nothing of the call.
            async with asyncio.timeout(min(self.timeout / 2, 10.0)):
                if network.proxy is None:
                    return await _reached(host, port, free=free)
                return await self._through(URL(network.proxy), host, port)
        except (OSError, TimeoutError) as error:
            raise unreached(error) from None

    async def _through(self, proxy: URL, host: str, port: int) -> socket.socket:
        """Connect through an HTTP proxy, which resolves the name itself (RFC 9110, 9.3.6)."""
        if proxy.host is None or proxy.scheme != "http":
            raise Unreached("bad_address", "the proxy's address must be http://")
        connected = await _reached(proxy.host, proxy.port or 3128, free=True)
        try:
            there = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            head = [f"CONNECT {there} HTTP/1.1", f"Host: {there}"]
            if self._network.proxy_auth is not None:
                pair = base64.b64encode(":".join(self._network.proxy_auth).encode()).decode("ascii")
                head.append(f"Proxy-Authorization: Basic {pair}")
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connected, "\r\n".join([*head, "", ""]).encode("ascii"))
            answer = b""
            # Byte by byte: what follows the head is the far end's.
            while not answer.endswith(b"\r\n\r\n"):
                piece = await loop.sock_recv(connected, 1)
                answer += piece
                if not piece or len(answer) > _HEAD:
                    raise Unreached("unreachable", "the proxy broke off")
            code = answer.split(b" ", 2)[1:2]
            if code != [b"200"]:
                raise Unreached("unreachable", "the proxy does not connect there")
        except BaseException:
            connected.close()
            raise
        return connected


async def _reached(host: str, port: int, *, free: bool) -> socket.socket:
    """Connect to the name's address. Raises OSError, Unreached."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not free and any(is_private(str(address[0])) for *_, address in found):
        raise Unreached("private_address", "the address lies in a private network")
    error: OSError = OSError("no address")
    for family, kind, protocol, _, address in found[:4]:
        connected = socket.socket(family, kind, protocol)
        connected.setblocking(False)
        try:
            await loop.sock_connect(connected, address)
        except OSError as refused:
            connected.close()
            error = refused
        except BaseException:
            connected.close()
            raise
        else:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected
    raise error


__all__ = ["NetworkConnector"]
