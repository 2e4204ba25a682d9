"""The lanes of a configuration, and the bounds of each."""

from __future__ import annotations

from dataclasses import replace

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.settings import DEFAULT_LANE
from gateway.core.breaker import BreakerPolicy
from gateway.core.lane_name import GruLane, PortalLane, parse_lane
from gateway.core.lane_policy import LanePolicy


def lanes_of(catalogue: Catalogue, insee: str) -> list[str]:
    """Name a commune's lanes: to each of its GRUs, and to its portal. Empty for an unknown one."""
    commune = catalogue.communes.get(insee)
    if commune is None:
        return []
    names = [gru.lane_name for gru in commune.grus.values()]
    return [*names, catalogue.portals[commune.portal].lane_name(insee)]


def lanes_that_differ(now: Catalogue, aim: Catalogue, insee: str) -> set[str]:
    """Name a commune's lanes whose calls must end before it changes from `now` to `aim`.

    These are the lanes to GRUs that are other, paused or sent to otherwise, and the lane to the
    portal where reports change.
    """
    before, after = now.communes.get(insee), aim.communes.get(insee)
    every = {*lanes_of(now, insee), *lanes_of(aim, insee)}
    if before is None or after is None or before.portal != after.portal:
        return every
    made = [
        {slug: (route.mapping, route.gru.name) for slug, route in one.routes.items()}
        for one in (before, after)
    ]
    if made[0] != made[1]:
        return every
    names = {
        name
        for name in {*before.grus, *after.grus}
        if before.paused != after.paused or before.grus.get(name) != after.grus.get(name)
    }
    return {str(GruLane(insee, name)) for name in names}


def lane_policy(catalogue: Catalogue, name: str, breaker: BreakerPolicy) -> LanePolicy:
    """Return the bounds of a lane; the defaults for one that is not configured."""
    match parse_lane(name):
        case GruLane(insee, gru) if insee in catalogue.communes:
            commune = catalogue.communes[insee]
            if gru in commune.grus:
                one = commune.grus[gru]
                pulled = one.capabilities.pulled
                return replace(one.lane, breaker=breaker, paused=commune.paused, pulled=pulled)
        case PortalLane(portal) if portal in catalogue.portals:
            return replace(catalogue.portals[portal].lane, breaker=breaker)
    return replace(DEFAULT_LANE, breaker=breaker)
