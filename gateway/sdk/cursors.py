"""The cursor of a poll, which an adapter writes and gets back at its next poll."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def read_cursor(cursor: str | None) -> Mapping[str, Any]:
    """Return the content of a cursor that was written as a JSON object.

    Returns {} for no cursor, and for one that cannot be read: the poll then begins anew, which is
    safe, since repeats are recognised by their keys. Check the values: another version may have
    written them.
    """
    try:
        values = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return values if isinstance(values, Mapping) else {}


__all__ = ["read_cursor"]
