"""Telephone numbers as people write them, in E.164 or in the French national form.

The national plan is ARCEP's (décision 2018-0881): ten digits from 0, of which some beginnings are
those of overseas numbers, which have a country code of their own.
"""

from __future__ import annotations

import re
from typing import Final

#: Beginnings of the national plan that are dialled from abroad by another code than 33.
_OVERSEAS: Final = {
    "508": "508", "708": "508",
    "590": "590", "690": "590", "691": "590",
    "594": "594", "694": "594",
    "596": "596", "696": "596", "697": "596",
    "262": "262", "263": "262", "269": "262", "639": "262", "692": "262", "693": "262",
}  # fmt: skip
_CODES: Final = frozenset(_OVERSEAS.values())
#: Saint-Pierre-et-Miquelon's fixed lines have six digits after the code, which is also dialled.
_SHORT: Final = "508"
_SIGNS: Final = re.compile(r"[\s .()/\u2010-\u2015-]+")
_INTERNATIONAL: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_NATIONAL: Final = re.compile(r"0[1-9][0-9]{8}")


class NotAPhone(ValueError):
    """This is no telephone number that can be called from elsewhere."""


def e164(text: str) -> str:
    """Return a number as E.164 has it: `+33612345678`. Raises NotAPhone.

    Without a country code it is a French one. Numbers of three or four digits are none.
    """
    digits = _SIGNS.sub("", text.replace("(0)", ""))
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    if digits.startswith("+"):
        code = next((c for c in ("33", *_CODES) if digits[1:].startswith(c)), "")
        if code and digits[1 + len(code) :].startswith("0"):  # +33 06 12 34 56 78
            digits = f"+{code}{digits[len(code) + 2 :]}"
        if not _INTERNATIONAL.fullmatch(digits) or (code and _nationally(digits) is None):
            raise NotAPhone
        return digits
    if not _NATIONAL.fullmatch(digits):
        raise NotAPhone
    code = _OVERSEAS.get(digits[1:4], "33")
    return f"+{code}{digits[4:] if digits[1:4] == _SHORT else digits[1:]}"


def national(number: str) -> str | None:
    """Return ten digits for a French number in E.164, in pairs: `06 12 34 56 78`; None for a
    foreign one."""
    digits = _nationally(number)
    return None if digits is None else " ".join(digits[i : i + 2] for i in range(0, 10, 2))


def _nationally(number: str) -> str | None:
    for code in ("33", *_CODES):
        if not number.startswith(f"+{code}"):
            continue
        rest = number[1 + len(code) :]
        if code == _SHORT and len(rest) == 6:
            rest = code + rest
        known = len(rest) == 9 and rest[0] != "0" and _OVERSEAS.get(rest[:3], "33") == code
        return f"0{rest}" if known else None
    return None
