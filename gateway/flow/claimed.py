"""Finds the route and the body of a claimed delivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.catalogue.catalogue import Catalogue, Route
from gateway.core.errors import Rejected
from gateway.store.outbox.claiming import Claimed
from gateway.store.rows import StoredRequest


class NoRoute(Exception):
    """The configuration has no route to the far end any more; `args[0]` is the catalogue's code."""


class UndecodableEvent(Exception):
    """The stored event cannot be read."""


def route_of(catalogue: Catalogue, request: StoredRequest) -> Route:
    """Find the request's route in the current configuration. Raises NoRoute."""
    try:
        return catalogue.route(request.portal, request.commune, request.teleservice)
    except Rejected as error:
        raise NoRoute(error.code) from None


def body_of(claimed: Claimed) -> Mapping[str, Any]:
    """Return the body of the event that a delivery carries. Raises UndecodableEvent."""
    if claimed.body is None:
        raise UndecodableEvent
    return claimed.body
