"""The real environment: identifiers that never repeat and lie in the order of time."""

from __future__ import annotations

import time

from gateway.flow.environment import Environment


def test_ids_never_repeat_and_are_of_one_length() -> None:
    environment = Environment()
    made = [environment.new_id() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    assert {len(one) for one in made} == {26}


def test_a_later_id_is_behind_an_earlier_one() -> None:
    environment = Environment()
    first = environment.new_id()
    time.sleep(0.002)
    assert first < environment.new_id()
