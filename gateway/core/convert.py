"""Form values to what a GRU takes: text, numbers, booleans, dates, telephones, places, lengths."""

from __future__ import annotations

import math
import re
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Literal

from gateway.core import phones
from gateway.core.coordinates import OutOfArea, project
from gateway.core.request import Json

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}([.,][0-9]{1,18})?")
_FRENCH_DATE = re.compile(r"\A([0-9]{2})/([0-9]{2})/([0-9]{4})(?=\Z|[ T])")
_TRUE = frozenset({"true", "oui", "1", "on", "vrai", "yes"})
_FALSE = frozenset({"false", "non", "0", "off", "faux", "no"})

#: The `date` word for ISO 8601 with an offset, in seconds: `2026-03-12T08:41:07+01:00`.
ISO = "iso"
#: strftime directives that mean the same on every system and in every language.
DIRECTIVES = frozenset("YmdHMSyjzf%")


ConvertCode = Literal["type", "date", "phone", "coordinates"]
#: The ending of a text that was cut, if the cut is to show.
CUT_NOTICE = "… [texte coupé]"


class PhoneForm(StrEnum):
    """The writing of a telephone number: `+33612345678`, `06 12 34 56 78`, `0612345678`."""

    E164 = "e164"
    NATIONAL = "national"
    DIGITS = "digits"


class ForeignPhone(StrEnum):
    """The fate of a number that is not French: it stays, in E.164, or is refused."""

    LEAVE = "leave"
    REFUSE = "refuse"


class LengthUnit(StrEnum):
    """The thing that a length counts; bytes are those of UTF-8."""

    CHARACTERS = "characters"
    BYTES = "bytes"


class TooLong(StrEnum):
    """The fate of a text that is too long."""

    REFUSE = "refuse"
    CUT = "cut"
    CUT_WITH_NOTICE = "cut_with_notice"


class CannotConvert(Exception):
    """`wanted` completes « n'est pas … »; the value is never told."""

    def __init__(self, code: ConvertCode, wanted: str) -> None:
        super().__init__(wanted)
        self.code: ConvertCode = code
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
    """Return a date or time (ISO's, or `12/03/2026`) in `zone`, as `pattern` (strftime, or `iso`)
    writes it.

    A time without offset is taken as local in `zone`; a date alone as its midnight.
    """
    if not isinstance(value, str):
        raise CannotConvert("date", "une date")
    try:
        moment = datetime.fromisoformat(_FRENCH_DATE.sub(r"\3-\2-\1", value.strip()))
        naive = moment.tzinfo is None
        moment = moment.replace(tzinfo=zone) if naive else moment.astimezone(zone)
        if pattern == ISO:
            return moment.isoformat(timespec="seconds")
        return moment.strftime(pattern)
    except (ValueError, OverflowError):
        raise CannotConvert("date", "une date") from None


def phone_text(value: Json, form: PhoneForm, foreign: ForeignPhone) -> str:
    """Return a telephone number in a form; a foreign one in E.164 whatever the form, if it may
    stay."""
    try:
        number = phones.e164(value if isinstance(value, str) else text_of(value))
    except phones.NotAPhone:
        raise CannotConvert("phone", "un numéro de téléphone") from None
    national = phones.national(number)
    if national is None:
        if foreign is ForeignPhone.REFUSE:
            raise CannotConvert("phone", "un numéro de téléphone français")
        return number
    if form is PhoneForm.E164:
        return number
    return national if form is PhoneForm.NATIONAL else national.replace(" ", "")


def coordinates_of(value: Json, system: str, axis: str | None, decimals: int) -> Json:
    """Return the place `{lat, lon}` in a system: `{x, y}` (east, north), or one of them."""
    try:
        if not isinstance(value, dict):
            raise CannotConvert("coordinates", "un lieu")
        lon, lat = number_of(value.get("lon")), number_of(value.get("lat"))
        x, y = project(system, float(lon), float(lat))
    except (CannotConvert, OverflowError):
        raise CannotConvert("coordinates", "un lieu") from None
    except OutOfArea:
        raise CannotConvert("coordinates", f"un lieu que couvre {system}") from None
    found: dict[str, Json] = {"x": round(x, decimals), "y": round(y, decimals)}
    return found if axis is None else found[axis]


def keep_length(text: str, most: int, unit: LengthUnit, too_long: TooLong) -> str | None:
    """Return a text within a length, cut as `too_long` has it; None when it may not be cut."""
    if _length(text, unit) <= most:
        return text
    if too_long is TooLong.REFUSE:
        return None
    mark = CUT_NOTICE if too_long is TooLong.CUT_WITH_NOTICE else "…"
    room = most - _length(mark, unit)
    if room < 1:  # not even the mark
        return _first(text, most, unit)
    return _first(text, room, unit).rstrip() + mark


def _length(text: str, unit: LengthUnit) -> int:
    return len(text) if unit is LengthUnit.CHARACTERS else len(text.encode("utf-8", "replace"))


def _first(text: str, most: int, unit: LengthUnit) -> str:
    if unit is LengthUnit.CHARACTERS:
        return text[:most]
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
