"""Compares arguments with what an operation takes: in the YAML, and once they are rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from adapters.rest.expression import Json, RestExpression
from adapters.soap.answers import Shape

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Misfit:
    """An argument that is unknown, missing, or of another shape. `nearest`: perhaps meant."""

    path: Path
    word: Literal["unknown", "missing", "no_table"]
    nearest: str | None = None

    @property
    def sentence(self) -> str:
        """Return a sentence for an operator, without any value."""
        more = f", perhaps {self.nearest}" if self.nearest else ""
        return f"{'.'.join(self.path)} is {self.word.replace('_', ' ')}{more}"


def find_misfits(arguments: Json, shape: Shape, path: Path = ()) -> list[Misfit]:
    """Return all misfits. An expression fits: its value is known only once it is rendered."""
    return list(_misfits(arguments, shape, path))


def _misfits(value: Json, shape: Shape, path: Path) -> Iterator[Misfit]:
    if isinstance(value, RestExpression) or not shape.children:
        return
    if not isinstance(value, Mapping):
        # Also for an element with one child: it is written as a table, too.
        yield Misfit(path, "no_table")
        return
    for name, inner in value.items():
        known = shape.children.get(name)
        if known is None:
            if not shape.open:
                yield Misfit((*path, name), "unknown", find_nearest(name, shape))
            continue
        for one in inner if isinstance(inner, list) else [inner]:
            yield from _misfits(one, known, (*path, name))
    for name in sorted(shape.required - value.keys()):
        yield Misfit((*path, name), "missing")


def find_nearest(name: str, shape: Shape) -> str | None:
    """Return the closest known name, if one is close."""
    folded = {known.casefold(): known for known in shape.children}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def find_misread(expression: RestExpression, shape: Shape) -> Misfit | None:
    """Return the first name of a path that the answer lacks; None for any other expression."""
    at, path = shape, []
    for step in expression.steps or ():
        path.append(step)
        if not at.children:
            return None
        known = at.children.get(step)
        if known is None:
            return None if at.open else Misfit(tuple(path), "unknown", find_nearest(step, at))
        at = known
    return None


def shape_of_items(expression: RestExpression, shape: Shape) -> Shape:
    """Return the shape of an item of the list at a path; an empty one for other expressions."""
    for step in expression.steps or ():
        shape = shape.children.get(step, Shape())
    return shape if expression.steps is not None else Shape()


__all__ = ["Misfit", "find_misfits", "find_misread", "find_nearest", "shape_of_items"]
