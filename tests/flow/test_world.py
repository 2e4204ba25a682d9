"""What the real world hands out: identifiers that never repeat and lie in the order of time."""

from __future__ import annotations

import time

from gateway.flow.world import World


def test_ids_never_repeat_and_are_of_one_length() -> None:
    world = World()
    made = [world.new_id() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    assert {len(one) for one in made} == {26}


def test_a_later_id_is_behind_an_earlier_one() -> None:
    world = World()
    first = world.new_id()
    time.sleep(0.002)
    assert first < world.new_id()
