"""Worker: take requests in through the receiver, every lane being paused, so that they all wait."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import structlog
import uvloop

from gateway.flow.engine import open_engine
from gateway.store.engine import Database
from gateway.store.outbox import lanes
from gateway.store.schema import upgrade
from tests.bench.bundle import catalogue
from tests.bench.draining import fill
from tests.bench.processes import options, say


async def _main(told: dict[str, Any]) -> None:
    url, communes = told["url"], told["communes"]
    upgrade(url)
    database = Database(url)
    try:
        with tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder:
            found = catalogue(Path(folder), told["far"], database=url, communes=communes)
            async with open_engine(found, database) as engine:
                for name in engine.lane_names():
                    await database.write(lanes.pause, name, True)
                await fill(engine, told["n"], told["far"], communes)
    finally:
        database.close()
    say(told["n"])


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(options()))
