"""Puts the console beside what the daemon serves."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from gateway.console.api import api_router
from gateway.console.gate import Gate
from gateway.console.pages import CONSOLE, console_problem
from gateway.console.router import console_router
from gateway.console.sight import HealthLook
from gateway.flow.console.access import ConsoleAccess
from gateway.flow.engine import Engine
from gateway.ops.metrics import Metrics
from gateway.web.application import application
from gateway.web.state import DaemonCondition, Web


def console_application(
    engine: Engine,
    access: ConsoleAccess,
    condition: DaemonCondition,
    metrics: Metrics,
    *,
    intake: bool = True,
) -> FastAPI:
    """Build the HTTP side with the console and its API."""

    def routers(web: Web) -> Sequence[APIRouter]:
        gate = Gate(web, access, HealthLook(engine, condition))
        return console_router(gate), api_router(gate)

    return application(
        engine,
        condition,
        metrics,
        intake=intake,
        more=routers,
        error_pages={CONSOLE: console_problem},
    )
