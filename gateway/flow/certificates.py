"""Certificates by which far ends and we know each other, and how long they are good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.flow.far_ends import GLC, FarEnds
from gateway.wire.network import Network


@dataclass(frozen=True, slots=True)
class Certificate:
    """One of a far end (a GRU by its lane's name, `portal:NAME`, `glc`): our own (`certificate`),
    an authority that we trust (`ca`), or its own (`server`), as it showed it last."""

    far_end: str
    which: str
    ends: datetime

    def days_left(self, now: datetime) -> float:
        """Below zero once it is over."""
        return (self.ends - now) / timedelta(days=1)


def certificates(far_ends: FarEnds) -> list[Certificate]:
    """Return all that are known, the first to end first."""
    found = [
        Certificate(far_end, which, ends)
        for far_end, network in _networks(far_ends)
        for which, ends in (() if network is None else network.ends)
    ]
    found += [Certificate(far_end, "server", ends) for far_end, ends in far_ends.served.items()]
    return sorted(found, key=lambda one: (one.ends, one.far_end, one.which))


def ending(far_ends: FarEnds, now: datetime) -> list[Certificate]:
    """Return those that end within the time of `certificate_warning`, or have."""
    bound = now + timedelta(seconds=far_ends.catalogue.settings.certificate_warning)
    return [one for one in certificates(far_ends) if one.ends <= bound]


def _networks(far_ends: FarEnds) -> Iterator[tuple[str, Network | None]]:
    catalogue = far_ends.catalogue
    for portal in catalogue.portals.values():
        yield portal.far_end, portal.network
    for commune in catalogue.communes.values():
        for gru in commune.grus.values():
            yield gru.lane_name, gru.network
    if catalogue.settings.glc is not None:
        yield GLC, catalogue.settings.glc.network
