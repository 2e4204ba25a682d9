"""The modules with which lives of the command line are forked: see tests.life.

All that they import, at first or later, and the tree of commands, which takes as long to make as a
command does.
"""

from __future__ import annotations

import gc
from functools import cache

import apscheduler.executors.asyncio
import pydantic.dataclasses
import pydantic.v1
import typer.main
import uvicorn.lifespan.off
import uvloop

import adapters.demo
import adapters.open311
import adapters.rest
import gateway.app
import gateway.cli
import gateway.cli.health
import gateway.cli.root
import gateway.demo.run
import gateway.telemetry
import tests.life

setattr(typer.main, "get_command", cache(typer.main.get_command))  # noqa: B010
typer.main.get_command(gateway.cli.root.app)
# All this stays: a life that begins by collecting what it does not need would look through it, and
# copy each page of it.
gc.collect()
gc.freeze()

__all__ = [
    "adapters",
    "apscheduler",
    "gateway",
    "pydantic",
    "tests",
    "uvicorn",
    "uvloop",
]
