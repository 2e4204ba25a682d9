"""Invented people and their requests: each teleservice's sample, varied by a seed."""

from __future__ import annotations

import copy
import json
import random
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.core.request import Json
from gateway.sim.formdata import file_value

SAMPLE = "formulaire.json"
#: The invented commune, with a code of none.
INSEE, NAME, POSTCODE = "69999", "Ville-Inventée", "69999"
#: Fields for free text, by their names in the shipped forms.
_FREE = ("description", "precisions", "remarques", "motif", "acces")
_PEOPLE = (
    "Zoé Fictive-Exemple",
    "Gaston Personne-Inventée",
    "Łucja Wymyślona",
    "Nguyễn Không Có Thật",
    "سلمى المخترعة",
    "Anne-Laure d’Essai",
)
#: Bytes of a file sent by a link, and of one within the message.
LARGE, SMALL = 200_000, 600

TEXTS: Mapping[str, str] = {
    "plain": "Un canapé et des gravats sur le trottoir, devant le n°12.",
    "emoji": "Un canapé 🛋️ et des gravats 🧱 devant chez nous 👩‍👩‍👧‍👦, merci ! 🙏🏽",
    "right-to-left": "توجد أريكة قديمة على الرصيف أمام رقم 12. לידה של פח גדול ברחוב.",
    "long": "Le tas grossit de jour en jour, et personne ne sait d’où il vient. " * 60,
    # Escaped, so that a mapping from HTML to text keeps the angle brackets.
    "markup": "<p>&lt;script&gt;alert('essai')&lt;/script&gt; &amp; \"guillemets\" ' OR 1=1 --</p>",
}


@dataclass(frozen=True, slots=True)
class CitizenFiling:
    """A filled-in form."""

    teleservice: str
    fields: Mapping[str, Json] = field(repr=False)
    user: Mapping[str, Json] = field(repr=False)
    geolocations: Mapping[str, Json] | None = field(default=None, repr=False)

    @property
    def account(self) -> str:
        """The account of this citizen alone."""
        ids = self.user["NameID"]
        return str(ids[0]) if isinstance(ids, list) else str(ids)


def sample_of(mappings: Path, teleservice: str) -> dict[str, Any]:
    """Return the shipped formdata of a teleservice."""
    text = (mappings / teleservice / SAMPLE).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def fill_in(
    sample: Mapping[str, Any],
    teleservice: str,
    dice: random.Random,
    *,
    text: str = TEXTS["plain"],
    large: bool = False,
) -> CitizenFiling:
    """Fill a form in for the invented commune, as a new person with an account of their own."""
    fields: dict[str, Any] = copy.deepcopy(dict(sample["fields"]))
    fields["commune"], fields["commune_raw"] = NAME, INSEE
    if "commune_structured" in fields:
        fields["commune_structured"] = {"id": INSEE, "text": NAME, "code_postal": POSTCODE}
    free = next((name for name in _FREE if name in fields), None)
    if free is not None:
        fields[free] = text
    for name, value in fields.items():
        if isinstance(value, dict) and "filename" in value:
            fields[name] = _file(dice, LARGE if large else SMALL)
            large = False
    person = dice.choice(_PEOPLE)
    user: dict[str, Json] = {
        "id": dice.randrange(1000, 90_000),
        "name": person,
        "email": f"personne.{dice.randrange(1000, 90_000)}@exemple.invalid",
        "NameID": [f"{dice.getrandbits(128):032x}"],
    }
    return CitizenFiling(teleservice, fields, user, sample.get("geolocations"))


def _file(dice: random.Random, size: int) -> dict[str, Json]:
    """Return a picture of about `size` bytes, with a name as citizens give them."""
    width = max(1, size // 4)
    noise = b"".join(b"\0" + dice.randbytes(width) for _ in range(4))
    parts = [
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, 4, 8, 0, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(noise, 1)),
        _chunk(b"IEND", b""),
    ]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    return file_value("dépôt été – 2026 📷.png", "image/png", content)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
