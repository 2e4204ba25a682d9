"""The network of a far end: allowed addresses, the way there, and certificates.

A name is resolved and its addresses are checked, then these very addresses are connected to: a name
that changes a moment later is checked again.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: RFC 6052: an IPv4 address within an IPv6 one.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_HOST: Final = re.compile(
    r"(?i)(?:https?|smtps?|imaps?|sftp)://(?:[^\s/?#@]+@)?(\[[0-9a-f:.%]+\]|[^\s/:?#@\[\]]+)"
)


class PrivateAddressError(OSError):
    """The name means an address at which this far end may not be called. The text holds neither."""


@dataclass(frozen=True, slots=True)
class Network:
    """The way to one far end.

    `private`: addresses of private networks, loopback and link-local are allowed; `named`: hosts
    that the configuration itself writes as such an address. `proxy`: all calls go through it, and
    it resolves names. `ca`: a PEM file of further trusted authorities; `certificate` and `key`: PEM
    files of our own certificate. `files` is a digest of these; `ends` the ends of those in `ca` and
    `certificate`; `context` is made of them, which takes 40 ms of the processor and must not happen
    on the loop.
    """

    private: bool = False
    named: frozenset[str] = frozenset()
    proxy: str | None = None
    proxy_auth: tuple[str, str] | None = field(default=None, repr=False)
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    files: str = ""
    ends: tuple[tuple[str, datetime], ...] = ()
    context: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    def allows(self, host: str) -> bool:
        """May this host be called at any address?"""
        return self.private or host.strip("[]").lower() in self.named

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context; None for the default. Raises OSError, ssl.SSLError."""
        if self.context is not None or (self.ca is None and self.certificate is None):
            return self.context
        context = ssl.create_default_context()
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        return context


def _no_password() -> str:
    # Without this, OpenSSL would ask for it on the terminal.
    raise ssl.SSLError("the key is protected by a password")


def named_hosts(texts: Iterable[str]) -> frozenset[str]:
    """Return the hosts of the addresses in these texts that are numbers or localhost."""
    found = {host.strip("[]").lower() for text in texts for host in _HOST.findall(text)}
    return frozenset(host for host in found if host == "localhost" or _parsed(host) is not None)


@lru_cache(maxsize=1024)
def is_private(host: str) -> bool:
    """Is this text an address that is not public? False for a name."""
    address = _parsed(host)
    return address is not None and any(_is_inside(one) for one in _meant(address))


def _parsed(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _meant(address: _Address) -> list[_Address]:
    """Return the address, and the one that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    within = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        within.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [address] if not any(within) else [one for one in within if one is not None]


def _is_inside(address: _Address) -> bool:
    return not address.is_global or address.is_multicast or address.is_reserved


class GuardedResolver(AbstractResolver):
    """Resolves names as the system does, without forbidden addresses."""

    def __init__(self, network: Network, proxy: str | None = None) -> None:
        self._network = network
        self._proxy = proxy
        self._inner: AbstractResolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self._inner is None:
            self._inner = DefaultResolver()
        found = await self._inner.resolve(host, port, family)
        free = host == self._proxy or self._network.allows(host)
        if not free and any(is_private(one["host"]) for one in found):
            raise PrivateAddressError
        return found

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()


__all__ = ["GuardedResolver", "Network", "PrivateAddressError", "is_private", "named_hosts"]
