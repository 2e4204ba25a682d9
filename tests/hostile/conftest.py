"""The fixtures for measuring stalls."""

from __future__ import annotations

import pytest

from gateway.app import spare_the_collector


@pytest.fixture(scope="module", autouse=True)
def collector() -> None:
    """Set the garbage collector as the daemon does, so that it skips what a test run holds."""
    spare_the_collector()
