"""A measured figure: the quoted one is a ratio to a reference of the same run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    `ratio` is value/reference, or the median of it over pairs of turns. The aim is met when the
    measure named by `of` ("ratio" or "value") is at least the aim (`atleast`), or at most.
    """

    name: str
    value: float
    unit: str
    reference_name: str
    reference: float
    ratio: float
    aim: float
    aim_text: str
    met: bool

    def row(self) -> dict[str, Any]:
        """Return the figure as bench.json writes it."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "reference_name": self.reference_name,
            "reference": round(self.reference, 3),
            "ratio": round(self.ratio, 3),
            "aim": self.aim,
            "aim_text": self.aim_text,
            "met": self.met,
        }


def faster(
    name: str, value: float, unit: str, reference_name: str, reference: float, aim: float
) -> Figure:
    """A throughput that should be at least `aim` times its reference."""
    ratio = value / reference
    met = ratio >= aim
    return Figure(
        name, value, unit, reference_name, reference, ratio, aim, f"at least {aim:g} x", met
    )


def slower(
    name: str, value: float, unit: str, reference_name: str, reference: float, aim: float
) -> Figure:
    """A duration that should be at most `aim` times its reference."""
    ratio = value / reference
    met = ratio <= aim
    return Figure(
        name, value, unit, reference_name, reference, ratio, aim, f"at most {aim:g} x", met
    )


def paired(
    name: str,
    values: Sequence[float],
    unit: str,
    reference_name: str,
    references: Sequence[float],
    aim: float,
) -> Figure:
    """A duration and its reference, measured turn by turn: at most `aim` times it.

    Medians are told of both, but `ratio` is the median of the ratios within each pair of turns:
    what else the machine does changes more from pair to pair than within one.
    """
    ratio = statistics.median(v / r for v, r in zip(values, references, strict=True))
    value, reference = statistics.median(values), statistics.median(references)
    text = f"at most {aim:g} x"
    return Figure(name, value, unit, reference_name, reference, ratio, aim, text, ratio <= aim)


def bounded(
    name: str, value: float, unit: str, reference_name: str, reference: float, aim: float
) -> Figure:
    """A duration that should be at most `aim`, whatever its reference."""
    text = f"at most {aim:g} {unit}"
    ratio = value / reference if reference else 0.0
    return Figure(name, value, unit, reference_name, reference, ratio, aim, text, value <= aim)


def added(
    name: str, value: float, unit: str, reference_name: str, reference: float, aim: float
) -> Figure:
    """A cost that should be at most `aim` above its reference."""
    text = f"at most {aim:g} {unit} more"
    return Figure(
        name,
        value,
        unit,
        reference_name,
        reference,
        value / reference,
        aim,
        text,
        value - reference <= aim,
    )


def rounds(n: int, *measures: Callable[[], float]) -> list[float]:
    """Each measure's median over `n` rounds; a round runs them all, one after the other."""
    taken: list[list[float]] = [[] for _ in measures]
    for turn in range(n):
        order = list(enumerate(measures))
        # Who runs second profits from warm caches, so the order turns round.
        for at, measure in order if turn % 2 == 0 else reversed(order):
            taken[at].append(measure())
    return [statistics.median(values) for values in taken]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
