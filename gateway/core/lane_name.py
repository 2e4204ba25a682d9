"""A lane's name: the commune for which calls go out, and the far end.

The name is a value. Its text, `str(name)`, is stored and shown in health, metrics, logs and
commands: `gru:COMMUNE:GRU` or `portal:PORTAL:COMMUNE`. No other module builds or parses it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GruLane:
    """The lane to one GRU of a commune."""

    commune: str
    gru: str

    def __str__(self) -> str:
        return f"gru:{self.commune}:{self.gru}"


@dataclass(frozen=True, slots=True)
class PortalLane:
    """The lane to a portal for one commune."""

    portal: str
    commune: str

    def __str__(self) -> str:
        return f"portal:{self.portal}:{self.commune}"

    @property
    def far_end(self) -> str:
        """The portal as a far end, shared by the lanes of all its communes."""
        return portal_far_end(self.portal)


LaneName = GruLane | PortalLane


def parse_lane(text: str) -> LaneName:
    """Parse a lane's name. Raises ValueError for a text that is none."""
    kind, _, rest = text.partition(":")
    first, _, second = rest.partition(":")
    if first and second:
        if kind == "gru":
            return GruLane(first, second)
        if kind == "portal":
            return PortalLane(first, second)
    raise ValueError(f"not the name of a lane: {text!r}")


def portal_far_end(portal: str) -> str:
    """Name a portal among the far ends, for budgets, certificates and checks."""
    return f"portal:{portal}"


def portal_of(far_end: str) -> str | None:
    """Return the portal that `portal_far_end` named so; None for any other far end."""
    kind, _, portal = far_end.partition(":")
    return portal if kind == "portal" and portal else None
