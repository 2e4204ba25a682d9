"""The addresses that a GRU's calls come from, for one that cannot sign them.

What counts is the address that the connection comes from. Nobody's word about another one is
believed (`Forwarded`, `X-Forwarded-For`), so this is of use only where nothing stands in between: a
call that came through a proxy proves nothing.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from adapters.rest.texts import say
from gateway.sdk import WebhookCall, refuse

#: Headers by which a proxy shows that it was there.
_PASSED_ON: Final = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})
#: The widest network that is one GRU's, in bits: wider ones prove nothing.
_WIDEST: Final = {4: 8, 6: 16}


def _network(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError:
        raise refuse(say("source_network")) from None
    if network.is_loopback or network.prefixlen < _WIDEST[network.version]:
        raise refuse(say("source_wide"))
    return text


Sources = Annotated[
    tuple[Annotated[str, Field(max_length=50), AfterValidator(_network)], ...],
    Field(max_length=20),
]


def comes_from(sources: Sources, call: WebhookCall) -> bool:
    """Does a call come straight from one of these networks?"""
    if any(name.lower() in _PASSED_ON for name in call.headers):
        return False
    try:
        peer = ip_address(call.peer or "")
    except ValueError:
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    networks: list[IPv4Network | IPv6Network] = [ip_network(one) for one in sources]
    return any(peer in network for network in networks)


__all__ = ["Sources", "comes_from"]
