"""The real daemon, as `gru-gateway serve` runs it, over the measured configuration."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import uvloop

from gateway import app, telemetry
from tests.bench.bundle import catalogue
from tests.bench.processes import options, say


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def _main(told: dict[str, object]) -> None:
    port = free_port()
    data_dir = Path(str(told.pop("data_dir")))
    far = str(told.pop("far"))
    if not told.pop("sealed", True):
        vars(app)["open_sealer"] = lambda settings: None
    role = app.Role(str(told.pop("role", app.Role.ALL)))
    found = catalogue(data_dir, far, port=port, **told)  # type: ignore[arg-type]
    telemetry.configure(found.settings.log_format, found.settings.log_level)
    ready = asyncio.Event()

    async def tell() -> None:
        await ready.wait()
        say({"port": port})

    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell())
        await app.serve(found, role=role, ready=ready)
        telling.cancel()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(options()))
