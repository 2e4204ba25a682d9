"""Serving an application under uvicorn, as the gateway does, and saying where."""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.types import ASGIApp

from tests.bench.processes import say


async def serve(app: ASGIApp) -> None:
    """On a port of the loopback, which is said once it listens; until SIGTERM."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    say({"port": server.servers[0].sockets[0].getsockname()[1]})
    await task
