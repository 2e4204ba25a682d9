"""Runs the daemon's work once for a command, beside a running daemon or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from structlog.testing import capture_logs

from gateway.catalogue.catalogue import Settings
from gateway.cli.setting import open_database, running_catalogue
from gateway.flow.engine import Engine, open_engine
from gateway.store.engine import Database

T = TypeVar("T")


def run_beside(
    settings: Settings,
    config: Path,
    mappings: Path,
    work: Callable[[Engine], Awaitable[T]],
    *,
    files: bool,
) -> T:
    """Run `work` over the catalogue that a daemon serves; with `files`, over the files as they are.

    Its log is dropped, since it is not the command's output. Raises ConfigurationFault, and
    GatewayError where there is no database.
    """

    async def run(database: Database) -> T:
        catalogue = await running_catalogue(database, config, mappings, files=files)
        async with open_engine(catalogue, database, alone=False) as engine:
            return await work(engine)

    with open_database(settings) as database, capture_logs():
        return asyncio.run(run(database))
