"""The name that a file goes by at the GRU."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

#: The parts of a pattern.
PLACES: Final = frozenset({"name", "extension", "n", "reference"})
_PLACE: Final = re.compile(r"\{([a-z]*)\}")
#: Letters that are more than a letter with an accent.
_LETTERS: Final = str.maketrans(
    {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o", "Ø": "O", "’": "-", "'": "-"}
)


@dataclass(frozen=True, slots=True)
class NamePolicy:
    """The names of files: by a `pattern` of `{name}`, `{extension}` (with its point), `{n}` (from
    1) and `{reference}` (ours), in ASCII letters only, in so many characters."""

    pattern: str = "{name}{extension}"
    ascii: bool = False
    max_length: int | None = None

    def name(self, filename: str, n: int, reference: str) -> str:
        """Return the name of the n-th file of the request `reference`."""
        stem, extension = _split(filename)
        if self.ascii:
            stem, extension = _ascii(stem) or "piece", _ascii(extension)
        parts = {"extension": extension, "n": str(n), "reference": reference}
        if self.max_length is not None:
            rest = _filled(self.pattern, {**parts, "name": ""})
            stem = stem[: max(1, self.max_length - len(rest))]
        return _filled(self.pattern, {**parts, "name": stem})


def odd_places(pattern: str) -> list[str]:
    """Return what a pattern names and no file has."""
    return [name for name in _PLACE.findall(pattern) if name not in PLACES]


def _filled(pattern: str, parts: dict[str, str]) -> str:
    return _PLACE.sub(lambda found: parts[found[1]], pattern)


def _split(filename: str) -> tuple[str, str]:
    stem, point, extension = filename.rpartition(".")
    fits = bool(stem) and 0 < len(extension) <= 10 and extension.isalnum()
    return (stem, point + extension) if fits else (filename, "")


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    letters = plain.encode("ascii", "ignore").decode()
    return re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9._-]+", "-", letters)).strip("-")
