"""Durations as people write them in YAML."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from gateway.core.messages import Messages, Text
from gateway.sdk.refusing import refuse

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# fmt: off
say = Messages(
    Text("duration", "not a duration above zero", "seconds, or a text such as 5s, 10m, 2h, 7d",
         "n'est pas une durée supérieure à zéro", "des secondes, ou un texte : 5s, 10m, 2h, 7d"),
)
# fmt: on
_WRITTEN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([smhd])\Z")


def _seconds(value: Any) -> float:
    found: float | None = None
    if isinstance(value, str) and (match := _WRITTEN.match(value.strip())):
        found = float(match[1]) * UNITS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    if found is None or not 0 < found <= 366 * 86400:
        raise refuse(say("duration"))
    return found


#: Seconds, or a text with a unit: 5s, 10m, 2h, 7d. In Python always seconds.
Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *[smhd]$"},
            ]
        }
    ),
]
