"""Reads the values of a JSON object, each of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

_Kind = TypeVar("_Kind")


class Unreadable(Exception):
    """An answer against the contract. The sentence names the field, not its value."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that is not in this contract: to be acknowledged, and passed over."""

    id: str
    type: str

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Unknown:
        """Return it from JSON. Raises Unreadable."""
        return cls(id=text(raw, "id"), type=text(raw, "type"))


def text(raw: Mapping[str, Any], name: str) -> str:
    """Return a text. Raises Unreadable, as all of these do."""
    return _typed(raw, name, str)


def text_or_none(raw: Mapping[str, Any], name: str) -> str | None:
    """Return a text, or None where there is none."""
    return None if raw.get(name) is None else text(raw, name)


def texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts."""
    found = _typed({name: raw.get(name) or []}, name, list)
    return tuple(_typed({name: one}, name, str) for one in found)


def whole(raw: Mapping[str, Any], name: str) -> int:
    """Return a whole number."""
    return _typed(raw, name, int)


def whole_or_none(raw: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number, or None where there is none."""
    return None if raw.get(name) is None else whole(raw, name)


def truth(raw: Mapping[str, Any], name: str) -> bool:
    """Return a yes or no."""
    return _typed(raw, name, bool)


def moment(raw: Mapping[str, Any], name: str) -> datetime:
    """Return a moment, with its offset from UTC."""
    try:
        found = datetime.fromisoformat(text(raw, name))
    except ValueError:
        raise Unreadable(f"`{name}` is not a date and time") from None
    if found.tzinfo is None:
        raise Unreadable(f"`{name}` has no offset from UTC")
    return found


def moment_or_none(raw: Mapping[str, Any], name: str) -> datetime | None:
    """Return a moment, or None where there is none."""
    return None if raw.get(name) is None else moment(raw, name)


def object(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a JSON object as it is."""
    return model(raw, name)


def model(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an inner object."""
    return _typed(raw, name, dict)


def model_or_none(
    raw: Mapping[str, Any], name: str, read: Callable[[Mapping[str, Any]], _Kind]
) -> _Kind | None:
    """Return an inner object, read, or None where there is none."""
    return None if raw.get(name) is None else read(model(raw, name))


def models(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return a list of inner objects."""
    return [_typed({name: one}, name, dict) for one in _typed(raw, name, list)]


def models_or_none(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return a list of inner objects; an empty one where an earlier contract has none."""
    return [] if raw.get(name) is None else models(raw, name)


def _typed(raw: Mapping[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    found = raw.get(name)
    # For Python a truth is a number, too.
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise Unreadable(f"`{name}` is missing, or is not what the contract says")
    return found
