"""A town with a console per test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.console.browser import ServedTown, served_town
from tests.console.town import ConsoleTown, console_town


@pytest.fixture
async def town(tmp_path: Path, template: Path) -> AsyncIterator[ConsoleTown]:
    async with console_town(tmp_path, template) as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[ServedTown]:
    """A town before a real browser, for all tests of a file: leave it as it was.

    While the driver runs it holds a loop, and no test of another file could have its own.
    """
    with served_town(tmp_path_factory.mktemp("console"), template) as running:
        yield running
