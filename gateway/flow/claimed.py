"""The route and the body that a claimed delivery leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.catalogue.catalogue import Catalogue, Route
from gateway.core.errors import Rejected
from gateway.store.outbox.claiming import Claimed
from gateway.store.rows import StoredRequest


class NoWay(Exception):
    """The configuration no longer leads to the far end; `args[0]` is the catalogue's code."""


class Undecodable(Exception):
    """The event that was kept cannot be read."""


def route_of(catalogue: Catalogue, request: StoredRequest) -> Route:
    """Find where a request goes as things are configured now. Raises NoWay."""
    try:
        return catalogue.route(request.portal, request.commune, request.teleservice)
    except Rejected as error:
        raise NoWay(error.code) from None


def body_of(claimed: Claimed) -> Mapping[str, Any]:
    """Give the body of the event that a delivery owes. Raises Undecodable."""
    if claimed.body is None:
        raise Undecodable
    return claimed.body
