"""The certificates of far ends and our own, and the days until they expire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.flow.far_ends import GLC, FarEnds
from gateway.wire.network import Network


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate: our own (`certificate`), a trusted authority's (`ca`), or the one that the
    far end showed last (`server`). `far_end` is a lane's name, `portal:NAME` or `glc`."""

    far_end: str
    which: str
    ends: datetime

    def days_left(self, now: datetime) -> float:
        """Count the days until it expires; below zero afterwards."""
        return (self.ends - now) / timedelta(days=1)


def certificates(far_ends: FarEnds) -> list[Certificate]:
    """Return all known certificates, the first to expire first."""
    found = [
        Certificate(far_end, which, ends)
        for far_end, network in _networks(far_ends)
        for which, ends in (() if network is None else network.ends)
    ]
    found += [Certificate(far_end, "server", ends) for far_end, ends in far_ends.served.items()]
    return sorted(found, key=lambda one: (one.ends, one.far_end, one.which))


def ending(far_ends: FarEnds, now: datetime) -> list[Certificate]:
    """Return those that expire within `certificate_warning`, or have expired."""
    bound = now + timedelta(seconds=far_ends.catalogue.settings.certificate_warning)
    return [one for one in certificates(far_ends) if one.ends <= bound]


def _networks(far_ends: FarEnds) -> Iterator[tuple[str, Network | None]]:
    catalogue = far_ends.catalogue
    for portal in catalogue.portals.values():
        yield portal.far_end, portal.network
    for commune in catalogue.communes.values():
        for gru in commune.grus.values():
            yield gru.lane_name, gru.network
    ticketing = catalogue.settings.ticketing
    if ticketing is not None:
        yield ticketing.tool.lane_name, ticketing.tool.network
    if catalogue.settings.glc is not None:
        yield GLC, catalogue.settings.glc.network
