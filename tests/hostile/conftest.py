"""What the measuring of stalls needs."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from gateway.app import spare_the_collector


@pytest.fixture(scope="module", autouse=True)
def collector() -> Iterator[None]:
    """As the daemon has it: what a test run holds is not gone through again and again."""
    before = gc.get_threshold()
    spare_the_collector()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
