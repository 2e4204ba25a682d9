"""The fixtures of adapters' tests: a far end played by respx."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import respx


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what reads answers of the size that the bounds allow, or over sockets."""
    for item in items:
        if "[answer." in item.name or "[wire." in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    """A far end of its own: a call without a route fails, and so does a route never called."""
    mock = respx.MockRouter(assert_all_called=True)
    yield mock
    mock.assert_all_called()
