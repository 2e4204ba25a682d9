"""Reading on after a fault, so that one run tells all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.catalogue.config_faults import validate
from gateway.catalogue.yaml_reader import Located
from gateway.core.errors import ConfigurationFault, Fault

M = TypeVar("M", bound=BaseModel)
#: More than the levels of any of our files.
_ROUNDS = 8


def read(
    model: type[M], located: Located, standing_in: Mapping[str, Any] | None = None
) -> tuple[M | None, tuple[Fault, ...]]:
    """The data as `model` with its faults. What is at fault is left out, and the rest read again.

    `standing_in` has values for first-level keys that may not be missing. None when what remains
    is no `model` either. Only a result without faults may be used for more than finding faults.
    """
    try:
        return validate(model, located), ()
    except ConfigurationFault as error:
        faults = error.faults
    if not isinstance(located.value, dict):
        return None, faults
    rest = _copy(located.value)
    for _ in range(_ROUNDS):
        # What lacks what was taken out of it is taken out itself, round after round.
        found = _taken(model, rest)
        for key, value in (standing_in or {}).items():
            rest.setdefault(key, value)
        if found is not None:
            return found, faults
    return _taken(model, rest), faults


def _taken(model: type[M], rest: dict[str, Any]) -> M | None:
    """`rest` as `model`; where it is none, what is at fault is taken out of it."""
    try:
        return model.model_validate(rest)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _drop(rest, detail["loc"])
    return None


def _copy(value: dict[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in value.items()}


def _drop(value: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    """Take out the deepest key that `loc` names; items of a list go with their list."""
    parent: dict[str, Any] | None = None
    last: str | int | None = None
    inside: Any = value
    for step in loc:
        if not isinstance(inside, dict):
            break
        if step in inside:
            parent, last, inside = inside, step, inside[step]
    if parent is not None and isinstance(last, str):
        parent.pop(last, None)
