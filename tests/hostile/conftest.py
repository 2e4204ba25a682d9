"""The fixtures for measuring stalls."""

from __future__ import annotations

import pytest

from gateway.app import spare_the_collector


@pytest.fixture(scope="module", autouse=True)
def collector() -> None:
    """As the daemon has it: what a test run holds is not gone through again and again."""
    spare_the_collector()
