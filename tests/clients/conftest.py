"""A gateway per test, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from structlog.typing import EventDict

from tests.web.harness import Gateway, gateway


@pytest.fixture
async def gw(tmp_path: Path, template: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, template) as running:
        yield running


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as captured:
        yield captured
