"""The table of what is replayed says the truth."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.recorded.recordings import DATA, TOPICS, exchanges
from tests.recorded.table import GATEWAY, SIMULATOR, Part, replayed


@pytest.mark.parametrize("way", [GATEWAY, SIMULATOR], ids=["gateway", "simulator"])
def test_every_exchange_is_replayed_or_left_out_for_a_reason(way: Mapping[str, Part]) -> None:
    assert tuple(way) == TOPICS
    for topic, part in way.items():
        numbers = {one.number for one in exchanges(topic)}
        assert part.left_out.keys() <= numbers
        assert all(part.left_out.values())
        assert len(replayed(way, topic)) == part.replayed, topic
        assert part.replayed + len(part.left_out) == len(numbers)


def test_the_whole() -> None:
    """The ten judged answers and the five instants of change nights are replayed besides."""
    assert sum(len(exchanges(topic)) for topic in TOPICS) == 193
    assert sum(part.replayed for part in GATEWAY.values()) == 157
    assert sum(part.replayed for part in SIMULATOR.values()) == 167


def test_no_recording_is_forgotten() -> None:
    named = {path.stem for path in DATA.glob("*.json")}
    assert named == {*TOPICS, "08-answers-judged", "09-dst"}
