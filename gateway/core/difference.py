"""The changes that a citizen made in a form, from its former and present values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.core.request import Json

#: Suffixes of values beside the one that people read.
_BESIDE: Final = ("_raw", "_structured", "_digests")
#: Characters of one side of a change.
_LENGTH: Final = 500
#: Changes told of one edit.
_MOST: Final = 200


def difference(
    before: Mapping[str, Json] | None, after: Mapping[str, Json]
) -> list[dict[str, Json]]:
    """Return the changes from `before` to `after`, in the order of the form. Where `before` is gone
    (None) every value is told, without a former one.

    Each has `field` (its variable name), `before` and `after` as people read them (None: empty),
    and `text`, a French sentence of the three. A value beside another (`_raw`, `_structured`) is no
    change of its own.
    """
    known = before is not None
    before = before or {}
    found: list[dict[str, Json]] = []
    for name in dict.fromkeys([*after, *before]):
        if _beside(name, before, after):
            continue
        sides = [(side.get(name), side.get(f"{name}_raw")) for side in (before, after)]
        if sides[0] == sides[1]:
            continue
        old, new = (_shown(value if not _empty(value) else raw) for value, raw in sides)
        if old == new and old is None:
            continue
        found.append(
            {
                "field": name,
                "before": old,
                "after": new,
                "text": _change_text(name, old, new, known=known),
            }
        )
    return found[:_MOST]


def _beside(name: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> bool:
    for ending in _BESIDE:
        base = name.removesuffix(ending)
        if base != name and (base in before or base in after):
            return True
    return False


def _change_text(name: str, old: str | None, new: str | None, *, known: bool) -> str:
    if not known:
        return f"{name} : {_quoted(new)}"
    if old == new:
        return f"{name} : modifié"
    return f"{name} : {_quoted(old)} → {_quoted(new)}"


def _quoted(text: str | None) -> str:
    return "vide" if text is None else f"« {text} »"


def _empty(value: Json) -> bool:
    return value is None or value in ("", [], {})


def _shown(value: Any) -> str | None:
    """Return a value as a person reads it: a file by its name, a place by its coordinates."""
    if _empty(value):
        return None
    if isinstance(value, bool):
        return "oui" if value else "non"
    if isinstance(value, Mapping):
        if "filename" in value:
            return _cut(str(value["filename"]))
        if {"lat", "lon"} <= value.keys():
            return f"{value['lat']}, {value['lon']}"
        parts = [f"{k} {shown}" for k, v in value.items() if (shown := _shown(v)) is not None]
        return _cut(", ".join(parts)) or None
    if isinstance(value, list):
        parts = [shown for one in value if (shown := _shown(one)) is not None]
        return _cut(" ; ".join(parts)) or None
    return _cut(str(value).strip()) or None


def _cut(text: str) -> str:
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1].rstrip() + "…"
