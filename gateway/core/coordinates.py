"""Longitude and latitude to the plane coordinates that French maps use.

Lambert's conformal conic projection with two standard parallels on the ellipsoid GRS 1980 (EPSG
method 9802), written out: the formulas of IGN's note NTG 71 and EPSG guidance 7-2. WGS 84 and
RGF93 are taken as one, as everybody does: they are within a metre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

_A: Final = 6378137.0
_F: Final = 1 / 298.257222101
_E: Final = math.sqrt(_F * (2 - _F))


@dataclass(frozen=True, slots=True)
class ConicZone:
    """A conic projection: degrees, metres. `area` is where it is used: west, south, east, north."""

    parallels: tuple[float, float]
    origin: tuple[float, float]
    false: tuple[float, float]
    area: tuple[float, float, float, float]


#: The systems that a mapping may name. None: longitude and latitude themselves.
SYSTEMS: Final[dict[str, ConicZone | None]] = {
    "EPSG:4326": None,
    # RGF93 / Lambert-93, metropolitan France.
    "EPSG:2154": ConicZone((49, 44), (3, 46.5), (700_000, 6_600_000), (-9.86, 41.15, 10.38, 51.56)),
    # RGF93 / CC46, from 45° to 47° north.
    "EPSG:3946": ConicZone((45.25, 46.75), (3, 46), (1_700_000, 5_200_000), (-2.21, 45, 7.16, 47)),
}


class OutOfArea(ValueError):
    """The place is not where the system is used, or is no place."""


def project(system: str, longitude: float, latitude: float) -> tuple[float, float]:
    """Return x (east) and y (north) of a place in a system of `SYSTEMS`: metres, or degrees as they
    are. Raises OutOfArea."""
    if not (abs(longitude) <= 180 and abs(latitude) <= 90):
        raise OutOfArea
    zone = SYSTEMS[system]
    if zone is None:
        return longitude, latitude
    west, south, east, north = zone.area
    if not (west <= longitude <= east and south <= latitude <= north):
        raise OutOfArea
    n, scale, radius = _constants(zone)
    r = scale * _t(math.radians(latitude)) ** n
    theta = n * math.radians(longitude - zone.origin[0])
    return zone.false[0] + r * math.sin(theta), zone.false[1] + radius - r * math.cos(theta)


@cache
def _constants(zone: ConicZone) -> tuple[float, float, float]:
    """Return the cone's exponent, its scale, and the radius at the origin's latitude."""
    one, two = map(math.radians, zone.parallels)
    n = math.log(_m(one) / _m(two)) / math.log(_t(one) / _t(two))
    scale = _A * _m(one) / (n * _t(one) ** n)
    return n, scale, scale * float(_t(math.radians(zone.origin[1])) ** n)


def _m(latitude: float) -> float:
    sine = math.sin(latitude)
    return math.cos(latitude) / math.sqrt(1 - (_E * sine) ** 2)


def _t(latitude: float) -> float:
    sine = _E * math.sin(latitude)
    return math.tan(math.pi / 4 - latitude / 2) / math.pow((1 - sine) / (1 + sine), _E / 2)
