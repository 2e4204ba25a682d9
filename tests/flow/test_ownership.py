"""Lanes are shared out among the replicas that live, and none is forgotten when they change."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.core.lane_name import GruLane
from gateway.flow.environment import Environment
from gateway.flow.lanes.ownership import BEAT, SILENT, Ownership
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


def test_alone_everything_is_ours_and_nobody_is_asked(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'none.db'}")
    ownership = Ownership(database, Environment(), "a", alone=True)
    assert ownership.live
    assert all(ownership.owns(lane) for lane in LANES)
    database.close()
