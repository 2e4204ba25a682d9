"""A short campaign, and the promise that a seed replays."""

from __future__ import annotations

from functools import cache
from itertools import count
from types import SimpleNamespace

import pytest

from gateway.sdk import work
from tests.chaos.simulation import Result, simulate

#: `make chaos SEEDS=N` runs from 1 on; these are others.
FIRST, SEEDS, AT_ONCE = 500_001, 16, 8
#: Short ones with something of everything: there each step takes four times as long. In the one
#: that both play no two deliveries of a lane come due at one instant: which goes first is open.
POSTGRESQL, ALIKE = (500_019, 500_021), 500_025


@cache
def played(seed: int, template: str) -> Result:
    """Return the result of a seed, which is played once for all tests."""
    return simulate(seed, template)


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, AT_ONCE))
def test_nothing_is_lost_doubled_disordered_or_revived(template: str, first: int) -> None:
    results = [played(seed, template) for seed in range(first, first + AT_ONCE)]
    assert {r.seed: r.breaches for r in results if r.breaches} == {}
    assert sum(r.crashes for r in results) > 0
    assert sum(r.lost_replies for r in results) > 0


def test_a_seed_replays_step_for_step(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = played(FIRST, template)
    # On a machine so slow that seconds go by between any two of its lines.
    monkeypatch.setattr(work, "time", SimpleNamespace(monotonic=count(step=9).__next__))
    again = simulate(FIRST, template)
    assert first.trace == again.trace
    assert first.crashes == again.crashes
    assert played(FIRST + 1, template).trace != first.trace


def test_nothing_is_on_postgresql_either(on_postgresql: str) -> None:
    results = [simulate(seed, on_postgresql) for seed in POSTGRESQL]
    assert {r.seed: r.breaches for r in results if r.breaches} == {}
    assert sum(r.crashes for r in results) > 0
    assert sum(r.lost_replies for r in results) > 0


def test_both_engines_take_a_seed_step_for_step_alike(template: str, on_postgresql: str) -> None:
    on_sqlite, there = (
        simulate(ALIKE, database, alike=True) for database in (template, on_postgresql)
    )
    assert on_sqlite.trace == there.trace
    assert on_sqlite.crashes > 0
    assert on_sqlite.lost_replies > 0
