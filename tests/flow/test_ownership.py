"""Lanes are shared out among the replicas that live, and none is forgotten when they change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.core.lane_name import GruLane
from gateway.flow.environment import Environment
from gateway.flow.lanes.ownership import BEAT, SILENT, Ownership, lane_weight
from gateway.store.engine import Database
from gateway.store.schema import upgrade

LANES = [str(GruLane(f"{n:05}", "outil")) for n in range(300)]
NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)


@dataclass
class Group:
    """Some replicas under one clock."""

    database: Database
    at: float = 0.0
    members: dict[str, Ownership] = field(default_factory=dict)

    def join(self, name: str) -> Ownership:
        environment = Environment(
            now=lambda: NOON + timedelta(seconds=self.at), monotonic=lambda: self.at
        )
        self.members[name] = Ownership(self.database, environment, name, alone=False)
        return self.members[name]

    async def beat(self, *names: str, seconds: float = BEAT) -> None:
        self.at += seconds
        for name in names:
            ownership = self.members[name]
            ownership.adopt(*await ownership.announce())

    def owners(self, lane: str) -> list[str]:
        return [name for name, ownership in self.members.items() if ownership.owns(lane)]


async def test_each_lane_is_worked_by_one_and_by_another_when_it_goes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    upgrade(url)
    database = Database(url)
    try:
        group = Group(database)
        group.join("a")
        await group.beat("a")
        assert all(group.owners(lane) == ["a"] for lane in LANES), "the first need not wait"
        group.join("b")
        await group.beat("b", "a")
        assert all("b" not in group.owners(lane) for lane in LANES), "the others must hear first"
        for _ in range(2):
            await group.beat("a", "b")
        assert all(len(group.owners(lane)) == 1 for lane in LANES)
        counts = [
            sum(ownership.owns(lane) for lane in LANES) for ownership in group.members.values()
        ]
        assert min(counts) > 100
        # Stopped without a word, it holds nothing by its own account before others take over.
        for _ in range(int(SILENT / BEAT) + 1):
            await group.beat("a")
            assert all(len(group.owners(lane)) <= 1 for lane in LANES)
        assert all(group.owners(lane) == ["a"] for lane in LANES)
        # It wakes, and waits until it has been heard.
        await group.beat("b", "a")
        assert all("b" not in group.owners(lane) for lane in LANES)
        for _ in range(2):
            await group.beat("a", "b")
        assert all(len(group.owners(lane)) == 1 for lane in LANES)
        await group.members["b"].leave()
        await group.beat("a")
        assert all(group.owners(lane) == ["a"] for lane in LANES), "a word spares the silence"
    finally:
        database.close()


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    """Replicas that are told who lives: nothing is asked of the database."""
    database = Database(f"sqlite:///{tmp_path / 'none.db'}")
    yield Group(database)
    database.close()


def test_who_has_been_silent_works_on_nothing(group: Group) -> None:
    """The others must think that it is dead, and take its lanes."""
    one = group.join("a")
    live = [one.live]
    one.adopt(("a",), 0)
    for group.at in (0, SILENT - 0.1, SILENT):
        live.append(one.live)
        assert one.owns(LANES[0]) is one.live
    assert live == [False, True, True, False], "nor before it has said that it lives"


@pytest.mark.parametrize(("silence", "waits"), [(SILENT - 0.1, False), (SILENT, True)])
def test_who_comes_back_from_a_silence_waits_until_the_others_have_heard(
    group: Group, silence: float, waits: bool
) -> None:
    one = group.join("a")
    one.adopt(("a",), 0)
    group.at = silence
    one.adopt(("a", "b"), silence)
    assert one.live is not waits
    group.at = silence + 2 * BEAT - 0.1
    one.adopt(("a", "b"), group.at)
    assert one.live is not waits
    group.at = silence + 2 * BEAT
    one.adopt(("a", "b"), group.at)
    assert one.live


def test_who_finds_nobody_else_does_not_wait(group: Group) -> None:
    one = group.join("a")
    group.at = 100
    one.adopt(("a",), 100)
    assert one.live


def test_lanes_are_shared_anew_when_who_lives_changes(group: Group) -> None:
    one = group.join("a")
    one.adopt(("a",), 0)
    assert all(one.owns(lane) for lane in LANES)
    one.adopt(("a", "b"), 1)
    shared = [one.owns(lane) for lane in LANES]
    assert 0 < sum(shared) < len(LANES)
    heaviest = [max("ab", key=lambda name: lane_weight(name, lane)) for lane in LANES]
    assert shared == [name == "a" for name in heaviest]


async def test_alone_everything_is_ours_and_nobody_is_asked(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'none.db'}")
    ownership = Ownership(database, Environment(), "a", alone=True)
    assert ownership.live
    assert all(ownership.owns(lane) for lane in LANES)
    await ownership.leave()
    database.close()


async def test_who_has_not_said_that_it_lives_leaves_nothing(group: Group) -> None:
    """A process that stops before its database was there does not fail."""
    await group.join("a").leave()
