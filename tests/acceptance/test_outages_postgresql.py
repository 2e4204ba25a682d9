"""Killed at every named point of the pass, with PostgreSQL: nothing lost, doubled, out of order.

There the next process is not alone: the claims of the dead one stand until their lease is over. All
plays wait for that at the same time. The points where something is under way are played each time;
with EVERY_POINT=1 in the environment all of them are.
"""

from __future__ import annotations

import os

import pytest

from tests.acceptance.plays import Outcomes, asked_for, long, played, tell
from tests.acceptance.test_outages import PLAYS
from tests.store.postgres import Server

AT_ONCE = 6
EACH_TIME = (
    "killed at receive.after_commit",
    "killed at deliver.claimed",
    "killed at deliver.answered",
    "killed at report.answered",
    "killed at changes.before_commit",
    "killed at find.answered",
)
NAMES = [name for name in PLAYS if name.startswith("killed ")]
if "EVERY_POINT" not in os.environ:
    NAMES = [name for name in NAMES if name in EACH_TIME]


def test_the_points_exist() -> None:
    assert set(EACH_TIME) <= set(PLAYS)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: Server
) -> Outcomes:
    asked = asked_for(request, {name: PLAYS[name] for name in NAMES})
    return played(asked, AT_ONCE, tmp_path_factory, lambda name: postgres.fresh())


@long
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_doubled_or_out_of_order(name: str, outcomes: Outcomes) -> None:
    tell(outcomes, name)
