"""Form values to what a GRU takes: text, numbers, booleans, dates, text without HTML."""

from __future__ import annotations

import math
import re
from datetime import datetime, tzinfo
from typing import Literal

from gateway.core.request import Json
from gateway.core.richtext import is_html, to_text

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}([.,][0-9]{1,18})?")
_TRUE = frozenset({"true", "oui", "1", "on", "vrai", "yes"})
_FALSE = frozenset({"false", "non", "0", "off", "faux", "no"})

#: The `date` word for ISO 8601 with an offset, in seconds: `2026-03-12T08:41:07+01:00`.
ISO = "iso"
#: strftime directives that mean the same on every system and in every language.
DIRECTIVES = frozenset("YmdHMSyjzf%")


class CannotConvert(Exception):
    """`wanted` completes « n'est pas … »; the value is never told."""

    def __init__(self, code: Literal["type", "date"], wanted: str) -> None:
        super().__init__(wanted)
        self.code: Literal["type", "date"] = code
        self.wanted = wanted


def text_of(value: Json) -> str:
    """Text of a scalar (`true`, `12`, `1.5`) or of a list of them, joined with a comma."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        try:
            return str(value)
        except ValueError:
            raise CannotConvert("type", "un nombre raisonnable") from None
    if isinstance(value, list) and not any(isinstance(i, list | dict) for i in value):
        return ", ".join(text_of(item) for item in value if item is not None)
    raise CannotConvert("type", "un texte")


def integer_of(value: Json) -> int:
    """Return an integer, from one, from a whole number or from digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    raise CannotConvert("type", "un nombre entier")


def number_of(value: Json) -> int | float:
    """Return a finite number, from one or from text with a point or a comma."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = value.strip().replace(",", ".")
        return float(number) if "." in number else int(number)
    raise CannotConvert("type", "un nombre")


def boolean_of(value: Json) -> bool:
    """Return a boolean, from one or from oui/non, true/false, 1/0, on/off."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int):
        word = str(value).strip().casefold() if isinstance(value, str) else str(value % 10**6)
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise CannotConvert("type", "oui ou non")


def date_text(value: Json, pattern: str, zone: tzinfo) -> str:
    """Return an ISO date or time in `zone`, as `pattern` (strftime, or `iso`) writes it.

    A time without offset is taken as local in `zone`; a date alone as its midnight.
    """
    if not isinstance(value, str):
        raise CannotConvert("date", "une date")
    try:
        moment = datetime.fromisoformat(value.strip())
        naive = moment.tzinfo is None
        moment = moment.replace(tzinfo=zone) if naive else moment.astimezone(zone)
        if pattern == ISO:
            return moment.isoformat(timespec="seconds")
        return moment.strftime(pattern)
    except (ValueError, OverflowError):
        raise CannotConvert("date", "une date") from None


def plain_text(text: str) -> str:
    """Rich text without its tags, one line for each of its blocks; plain text to the letter."""
    if not is_html(text):
        return text
    return "\n".join(line for line in to_text(text).split("\n") if line)
