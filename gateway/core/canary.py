"""The communes of synthetic requests: a code that no commune of France has. Pure."""

from __future__ import annotations

from typing import Final

#: Departments are numbered from 01.
PREFIX: Final = "000"


def is_canary(insee: str) -> bool:
    """Is this no commune, but what synthetic requests are for? They count in no statistic."""
    return insee.startswith(PREFIX)


__all__ = ["PREFIX", "is_canary"]
