"""A gateway per test, on a database of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flow.rig import Rig, catalogue, make
from tests.flow.scripted import Script

Builder = Callable[..., Rig]


@pytest.fixture
def build_rig(tmp_path: Path, template: Path) -> Iterator[Builder]:
    """Return a function that makes a rig; its keywords are those of `catalogue` and `make`."""
    made: list[Rig] = []

    def build(*, breaker: Any = None, grus: Any = None, **config: Any) -> Rig:
        made.append(make(tmp_path, template, catalogue(**config), grus, breaker))
        return made[-1]

    yield build
    for rig in made:
        rig.database.close()


@pytest.fixture
def rig(build_rig: Builder) -> Rig:
    return build_rig()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def scripted(build_rig: Builder, script: Script) -> Rig:
    """A rig whose GRUs follow `script`."""
    return build_rig(
        adapter="essai",
        adapters={"essai": script.adapter()},
        mapping=lambda text: text.replace("adapter: rest", "adapter: essai"),
    )
