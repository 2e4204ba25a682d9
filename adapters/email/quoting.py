"""The new text of a reply, without the quotation of our message and without its signature.

Three parts are cut: all from our mark on, quoted lines at the end with their introduction, and
what follows a signature's dashes. Anything else stays.
"""

from __future__ import annotations

import re
from typing import Final

from adapters.email.composing import MARK

_BARE_MARK: Final = MARK.strip("- ")
_SAID: Final = re.compile(r"\A\s*(?:Le|On)\b.{0,300}(?:a écrit|wrote)\s*:?\s*\Z", re.IGNORECASE)
_RULE: Final = re.compile(
    r"\A\s*(?:-{2,}\s*(?:Message d'origine|Original Message)\s*-{2,}|_{10,})\s*\Z", re.IGNORECASE
)
#: Header lines of a quoted message. Several in a row introduce it; one alone may be the agent's.
_FIELD: Final = re.compile(
    r"\A\s*(?:De|From|Envoyé|Sent|Date|À|To|Cc|Objet|Subject)\s*:", re.IGNORECASE
)
_FIELDS: Final = 3


def new_words(text: str) -> str:
    """Return the sender's own text, perhaps empty."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    marked = next((n for n, line in enumerate(lines) if _is_mark(line)), None)
    if marked is not None:
        lines = _without_introduction(lines[:marked])
    else:
        quoted = _ending_quotation(lines)
        if quoted is not None:
            lines = _without_introduction(lines[:quoted])
    signed = next((n for n, line in enumerate(lines) if line.rstrip("\n") == "-- "), None)
    if signed is not None:
        lines = lines[:signed]
    return "\n".join(line.rstrip() for line in lines).strip()


def _is_mark(line: str) -> bool:
    return line.lstrip("> |\t").strip().strip("-—– ") == _BARE_MARK


def _ending_quotation(lines: list[str]) -> int | None:
    """Return the first line of the quotation that ends the text."""
    at = len(lines)
    while at and (not lines[at - 1].strip() or lines[at - 1].lstrip().startswith(">")):
        at -= 1
    quotes = any(line.strip() for line in lines[at:])
    return at if quotes else None


def _without_introduction(lines: list[str]) -> list[str]:
    """Remove the lines that introduce the quotation."""
    kept = _without_blank(lines)
    fields = 0
    while fields < len(kept) and _FIELD.match(kept[-1 - fields]):
        fields += 1
    if fields >= _FIELDS:
        kept = _without_blank(kept[:-fields])
    elif kept and _SAID.match(kept[-1]):
        kept.pop()
    elif len(kept) > 1 and _SAID.match(" ".join(part.strip() for part in kept[-2:])):
        del kept[-2:]  # a long line, broken in two
    kept = _without_blank(kept)
    return kept[:-1] if kept and _RULE.match(kept[-1]) else kept


def _without_blank(lines: list[str]) -> list[str]:
    kept = list(lines)
    while kept and not kept[-1].strip(" >|\t"):
        kept.pop()
    return kept


__all__ = ["new_words"]
