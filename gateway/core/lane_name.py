"""A lane's name: on whose behalf calls go out on it, and to which far end.

The name is a value here. Its text, `str(name)`, is what the database keeps, and what people read in
health, metrics, logs and commands: `gru:COMMUNE:GRU` or `portal:PORTAL:COMMUNE`. No other module
builds that text or takes it apart.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GruLane:
    """The way out to one GRU of a commune."""

    commune: str
    gru: str

    def __str__(self) -> str:
        return f"gru:{self.commune}:{self.gru}"


@dataclass(frozen=True, slots=True)
class PortalLane:
    """The way out to a portal on behalf of one commune."""

    portal: str
    commune: str

    def __str__(self) -> str:
        return f"portal:{self.portal}:{self.commune}"

    @property
    def far_end(self) -> str:
        """The portal as a far end, which the lanes of all its communes share."""
        return portal_far_end(self.portal)


LaneName = GruLane | PortalLane


def parse_lane(text: str) -> LaneName:
    """Read a lane's name from its text. Raises ValueError when it is none."""
    kind, _, rest = text.partition(":")
    first, _, second = rest.partition(":")
    if first and second:
        if kind == "gru":
            return GruLane(first, second)
        if kind == "portal":
            return PortalLane(first, second)
    raise ValueError(f"not the name of a lane: {text!r}")


def portal_far_end(portal: str) -> str:
    """Name a portal among the far ends, as budgets, certificates and checks do."""
    return f"portal:{portal}"
