"""Files that a GRU gives by address: from its own host and from named hosts, within bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx

from gateway.core.outcome import Outcome, Refused
from gateway.sdk.exchange import Answer
from gateway.sdk.http import classify_status

#: Redirects of a file, at most.
HOPS: Final = 4


#: Makes one call for a file; the second argument tells whether it lies at the GRU itself, which
#: alone is to see our credentials.
Get = Callable[[str, bool], Awaitable[Answer | Outcome]]


def same_host(address: str, hosts: Sequence[str]) -> str | None:
    """Return the address when scheme, host and port are those of one of `hosts`, else None."""
    try:
        there = httpx.URL(address)
        known = [httpx.URL(host) for host in hosts]
    except (httpx.InvalidURL, ValueError, TypeError):
        return None
    where = (there.scheme, there.host, there.port)
    same = any(where == (host.scheme, host.host, host.port) for host in known)
    return str(there) if same and not there.userinfo else None


async def fetch_file(
    address: str, *, own: str, others: Sequence[str], get: Get
) -> Answer | Outcome:
    """Fetch the file at `address`, which may be relative to `own`, the GRU's address.

    Only this host and `others` are called, also after redirects. Any other host is refused. So is a
    file that is larger than `get` allows, and a page in the place of a file.
    """
    try:
        at = str(httpx.URL(own + "/").join(address))
    except (httpx.InvalidURL, ValueError):
        return Refused("foreign_file", "not an address")
    for _ in range(HOPS):
        inside = same_host(at, [own])
        there = inside or same_host(at, others)
        if there is None:
            return Refused("foreign_file", "the file is at another host")
        fetched = await get(there, inside is not None)
        if not isinstance(fetched, Answer):
            return fetched
        location = fetched.headers.get("location")
        if fetched.response.is_redirect and location:
            try:
                at = str(httpx.URL(there).join(location))
            except (httpx.InvalidURL, ValueError):
                return Refused("foreign_file", "it leads to no address")
            continue
        told = classify_status(fetched.response, safe=True)
        if told is not None:
            return told
        if fetched.problem is not None:
            return Refused("file_too_large", "it has more bytes than allowed")
        return fetched
    return Refused("foreign_file", "it leads on and on")


__all__ = ["Get", "fetch_file", "same_host"]
