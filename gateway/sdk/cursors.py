"""A poll's cursor, which an adapter writes and gets back at its next poll."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def read_cursor(cursor: str | None) -> Mapping[str, Any]:
    """Return what a cursor holds that was written as a JSON object.

    Empty for none, and for one that cannot be read: the poll then begins anew, since repeats are
    known by their keys. Its values are to be checked: another version may have written them.
    """
    try:
        values = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return values if isinstance(values, Mapping) else {}


__all__ = ["read_cursor"]
