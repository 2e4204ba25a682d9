"""The parts of a French postal address, as the Base adresse nationale names them.

From one line of text (`12 bis rue de la Paix, 69500 Bron`), a part of one, or the object that an
address field with suggestions keeps.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from gateway.core.request import Json


class AddressPart(StrEnum):
    """A part of an address: `number` and `suffix` are `12` and `bis` of `12 bis`."""

    NUMBER = "number"
    SUFFIX = "suffix"
    STREET = "street"
    POSTCODE = "postcode"
    CITY = "city"
    INSEE = "insee"
    LABEL = "label"


#: Names of the parts in BAN's answers, and in those of the portal's connector to it.
_NAMES: Final[dict[AddressPart, tuple[str, ...]]] = {
    AddressPart.STREET: ("street", "road", "name"),
    AddressPart.POSTCODE: ("postcode",),
    AddressPart.CITY: ("city", "town", "village"),
    AddressPart.INSEE: ("citycode",),
    AddressPart.LABEL: ("label", "display_name", "text"),
}
_NUMBERS: Final = ("housenumber", "house_number")
_LONGEST: Final = 500
_TOWN: Final = re.compile(r"(?<![^\s,])(?P<postcode>[0-9]{5}) (?P<city>[^0-9,][^,]{0,99})$")
_NUMBER: Final = re.compile(
    r"(?P<number>[0-9]{1,5}(?: ?[-/à] ?[0-9]{1,5})?) ?"
    r"(?P<suffix>bis|ter|quater|quinquies|[a-z])?(?![^\s,])",
    re.IGNORECASE,
)


def address_part(value: Json, part: AddressPart) -> str:
    """Return one part of an address; empty where it is not in there."""
    if isinstance(value, dict):
        return _kept(value, part)
    if not isinstance(value, str) or len(value) > _LONGEST:
        return ""
    text = " ".join(value.split())
    if part is AddressPart.LABEL:
        return text
    town = _TOWN.search(text)
    if part in (AddressPart.POSTCODE, AddressPart.CITY):
        if town is None:
            alone = re.fullmatch(r"[0-9]{5}", text)
            return text if alone and part is AddressPart.POSTCODE else ""
        return town[part.value].strip()
    line = text[: town.start()].strip(" ,") if town is not None else text
    if re.fullmatch(r"[0-9]{5}", line):  # a postcode by itself
        return ""
    found = _NUMBER.match(line)
    match part:
        case AddressPart.NUMBER | AddressPart.SUFFIX:
            return (found[part.value] or "").lower() if found is not None else ""
        case AddressPart.STREET:
            return line[found.end() :].strip(" ,") if found is not None else line
        case _:
            return ""  # the code of a commune stands in no line


def _kept(value: dict[str, Json], part: AddressPart) -> str:
    inner = [one for name in ("properties", "address") for one in [value.get(name)]]
    places = [one for one in (*inner, value) if isinstance(one, dict)]

    def first(names: tuple[str, ...]) -> str:
        found = (place.get(name) for place in places for name in names)
        return next((text for text in found if isinstance(text, str) and text), "")

    if part in (AddressPart.NUMBER, AddressPart.SUFFIX):
        return address_part(first(_NUMBERS), part)
    return first(_NAMES[part])
