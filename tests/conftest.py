"""The fixtures of all tests."""

from __future__ import annotations

import asyncio
import gc
import logging  # noqa: TID251 - undoes the set-up of a command's logs
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
import uvloop
from hypothesis import HealthCheck, settings

from tests.processes import pytest_addoption, pytest_runtestloop

if TYPE_CHECKING:
    from structlog.typing import EventDict

    from tests.store.postgres import Server

__all__ = ["pytest_addoption", "pytest_runtestloop"]

# The speed of examples depends on the machine's load, so it is not tested.
settings.register_profile("gateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `make fast` tries fewer examples of each property.
settings.register_profile("fast", settings.get_profile("gateway"), max_examples=20)
settings.load_profile("gateway")
# Commands speak the user's language; tests read English unless they say otherwise.
os.environ["LC_ALL"] = "C.UTF-8"
# The daemon's loop.
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
# Imports make no garbage: see pytest_collection_finish.
gc.disable()


#: Files that take longest, in the order in which processes of a run take them: first what waits
#: most, and between two of those one that computes.
LONGEST = (
    "tests/demo/test_scenarios.py",
    "tests/replicas/test_decommission.py",
    "tests/chaos/test_chaos.py",
    "tests/console/test_pages.py",
    "tests/acceptance/test_clock.py",
    "tests/fuzz/test_fuzz.py",
    "tests/erasure/test_killed_daemon.py",
    "tests/contracts/test_run.py",
    "tests/acceptance/test_outages.py",
    "tests/chaos/test_bites.py",
    "tests/replicas/test_replicas.py",
    "tests/demo/test_hostile.py",
    "tests/acceptance/test_outages_postgresql.py",
    "tests/contracts/test_release_serve.py",
    "tests/contracts/test_half_connector.py",
    "tests/contracts/test_upgrade.py",
    "tests/cli/test_keys_vault.py",
    "tests/cli/test_keys_killed.py",
    "tests/console/test_isolation.py",
    "tests/replicas/test_objects.py",
    "tests/replicas/test_turns.py",
    "tests/acceptance/test_start.py",
    "tests/acceptance/test_fsync.py",
    "tests/contracts/test_release.py",
    "tests/acceptance/test_disk.py",
    "tests/demo/test_demo.py",
    "tests/demo/test_metropole.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the longest files as slow. Where several processes share a run, run these first, then
    those with most tests, so that no process ends long after the others."""
    file = {item: item.nodeid.partition("::")[0] for item in items}
    for item in items:
        if file[item] in LONGEST:
            item.add_marker(pytest.mark.slow)
    if not config.getoption("processes"):
        return
    tests = Counter(file.values())
    rank = {name: place - len(LONGEST) for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (rank.get(file[item], 0), -tests[file[item]], file[item]))


def pytest_collection_finish() -> None:
    """Set the garbage collector as the daemon does: it skips what stays anyway."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)
    _plain_logs()


def _plain_logs() -> None:
    """Log plain lines, without colours, until a test sets logs up itself."""
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            _line,
        ],
        # As commands do: logs are no part of their output.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _line(_logger: object, level: str, event: EventDict) -> str:
    return f"{level} {event.pop('event', '')} {event}"


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Put the logs back after each test.

    A command sets the process's logs up; without this, later tests would miss lines.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    _plain_logs()
    # Leave out handlers that pytest has added meanwhile: it removes them itself.
    root.handlers[:] = [one for one in root.handlers if one in handlers]
    root.setLevel(level)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of an empty SQLite database of the present schema, which tests copy."""
    from gateway.store.schema import upgrade  # most tests need no database

    path = tmp_path_factory.mktemp("template") / "gateway.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The PostgreSQL server of this process. A test that stops it starts it again."""
    from tests.store.postgres import server, skip_unless_installed  # most tests need none

    skip_unless_installed()
    with server() as running:
        yield running


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A folder on a removable share, which stands for an object store."""
    path = tmp_path / "share" / "attachments"
    path.mkdir(parents=True)
    return path
