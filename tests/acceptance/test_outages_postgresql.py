"""Killed at every named point of the pass, with PostgreSQL: nothing lost, doubled, out of order.

There the next process is not alone: the claims of the dead one stand until their lease is over. All
plays wait for that at the same time. The points where something is under way are played each time;
with EVERY_POINT=1 in the environment all of them are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from gateway.store.schema import upgrade
from tests.acceptance.test_outages import PLAYS, asked_for, played
from tests.store.postgres import TEMPLATE, NotInstalled, binaries, server

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
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, BaseException | None]:
    try:
        binaries()
    except NotInstalled as error:
        pytest.skip(str(error))
    asked = asked_for(request)
    with server() as postgres:
        postgres.run(f"CREATE DATABASE {TEMPLATE}")
        upgrade(postgres.url(TEMPLATE))

        def databases() -> Iterator[str]:
            while True:
                yield postgres.fresh()

        names = [name for name in NAMES if name in asked]
        return played(names, AT_ONCE, tmp_path_factory, databases())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_doubled_or_out_of_order(
    name: str, outcomes: dict[str, BaseException | None]
) -> None:
    error = outcomes[name]
    if error is not None:
        raise error
