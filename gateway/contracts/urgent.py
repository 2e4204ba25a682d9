"""The urgent path: in an outage, a GRU's address may change before its commune has signed. It is
recorded with who did it and why; everything else stays as signed."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from gateway.catalogue.bundle import COMMUNES
from gateway.catalogue.release import Release
from gateway.contracts.difference import Difference, differences
from gateway.core.errors import file_line


def beyond_addresses(signed: Release, release: Release) -> list[str]:
    """List the differences from a signed release beyond the ways to its GRUs (addresses, and
    `network` that keeps TLS)."""
    found = [
        f"{file_line(one.file, one.line)} {one.path}"
        for one in differences(signed, release)
        if not is_another_address(one)
    ]
    if signed.rendered != release.rendered:
        found.append("what leaves in its cases")
    return found


def is_another_address(one: Difference) -> bool:
    place = one.path.split(".")
    if not one.file.startswith(COMMUNES) or place[0] != "gru" or len(place) < 3:
        return False
    if place[2] == "network":
        return True
    before, after = _scheme(one.before), _scheme(one.after)
    # Haste does not take a call off TLS.
    return place[2] == "options" and bool(before and after) and (before, after) != ("https", "http")


def _scheme(value: str | None) -> str | None:
    """Return `http` or `https` of an address, None for another text."""
    told = None if value is None else json.loads(value)
    if not isinstance(told, str):
        return None
    try:
        address = urlsplit(told)
    except ValueError:
        return None
    return address.scheme if address.scheme in ("http", "https") and address.netloc else None
