"""Quantities from one unit to another of its kind."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

#: Each unit with its kind, and how much it is of the kind's first one.
UNITS: Final[dict[str, tuple[str, Decimal]]] = {
    name: (kind, Decimal(much))
    for kind, names in {
        "length": {"m": "1", "mm": "0.001", "cm": "0.01", "km": "1000"},
        "area": {"m2": "1", "cm2": "0.0001", "a": "100", "ha": "10000", "km2": "1000000"},
        "volume": {"l": "1", "ml": "0.001", "m3": "1000"},
        "mass": {"kg": "1", "g": "0.001", "t": "1000"},
        "money": {"eur": "1", "cent": "0.01"},
        "time": {"s": "1", "min": "60", "h": "3600", "d": "86400"},
    }.items()
    for name, much in names.items()
}


def converted(value: int | float, of: str, to: str) -> int | float:
    """Return `value` of one unit in another of its kind, exact in decimals to 12 digits."""
    found = Decimal(repr(value)) * UNITS[of][1] / UNITS[to][1]
    rounded = float(f"{found:.12g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
