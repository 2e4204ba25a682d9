"""The fixtures of adapters' tests: a far end played by respx."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import respx


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow the checks that read the largest answers, or use sockets."""
    for item in items:
        if "[answer." in item.name or "[wire." in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    """A far end for one test: a call without a route fails, and so does a route without a call."""
    mock = respx.MockRouter(assert_all_called=True)
    yield mock
    mock.assert_all_called()
