"""What all tests share."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made depends on what else the machine does; bounds on time are not tests.
settings.register_profile("gateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gateway")
# Commands speak the language of who runs them; tests read English unless they say otherwise.
os.environ["LC_ALL"] = "C.UTF-8"


def pytest_collection_finish() -> None:
    """As the daemon has it: what stays is not gone through again and again for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database of the present schema: made once, copied for each test."""
    from gateway.store.schema import upgrade  # most tests need no database

    path = tmp_path_factory.mktemp("template") / "gateway.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A folder that stands for an object store: on a share that can be taken away."""
    path = tmp_path / "share" / "attachments"
    path.mkdir(parents=True)
    return path
