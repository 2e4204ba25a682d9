"""A little of `make fuzz` in each run: what was found once, and inputs made by a seed."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import lines
from tests.fuzz.mutation import corpus, inputs
from tests.fuzz.targets import LONGEST, TARGETS, TooSlow, judged

#: Inputs made in a run: some seconds of CPU for all targets together.
INPUTS = {"answer": 150, "hook": 400, "mapping": 100, "commune": 40}
OTHERS = 1000


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_kept_is_taken_or_refused(target: str) -> None:
    kept = corpus(target)
    assert kept
    for data in kept:
        judged(TARGETS[target], data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_made_is_taken_or_refused(target: str) -> None:
    for data in inputs(corpus(target), INPUTS.get(target, OTHERS), 1, LONGEST):
        try:
            judged(TARGETS[target], data)
        except Exception as error:
            error.add_note(f"input: {data[:2000]!r}")
            raise


def test_a_finding_is_seen() -> None:
    with pytest.raises(TooSlow):
        judged(lambda data: sum(range(20_000_000)), b"")
    with pytest.raises(ZeroDivisionError):
        judged(lambda data: len(data) // 0, b"")


def test_the_same_seed_makes_the_same_inputs() -> None:
    kept = corpus("event")
    assert list(inputs(kept, 20, 7, 1000)) == list(inputs(kept, 20, 7, 1000))
    assert list(inputs(kept, 20, 7, 1000)) != list(inputs(kept, 20, 8, 1000))


def test_what_reaches_more_is_told_from_what_does_not() -> None:
    plain, rich = lines(TARGETS["event"], b"Bonjour"), lines(TARGETS["event"], b"<p>a</p>")
    assert plain
    assert rich - plain
    assert lines(TARGETS["event"], b"Bonsoir") <= plain
