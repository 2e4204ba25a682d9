"""The ASGI application: routers, errors to answers, and the published contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway import __version__
from gateway.core.errors import Conflict, NotFound, Rejected, Unavailable
from gateway.flow.engine import Engine
from gateway.ops.metrics import Metrics
from gateway.telemetry import sparingly
from gateway.web.access import AccessLog
from gateway.web.announcements import announcements_router
from gateway.web.contract import publish
from gateway.web.direct import Direct
from gateway.web.glc import glc_router
from gateway.web.gru import gru_router, largest_webhook
from gateway.web.models import EventBody, PushBody
from gateway.web.operations import operations_router
from gateway.web.pivot import pivot_router
from gateway.web.portal import portal_router
from gateway.web.problems import ErrorPages, problem_of, response_of
from gateway.web.room import BodyBudget
from gateway.web.state import DaemonCondition, Web, exchange_of

log = structlog.get_logger()

#: Errors with an answer of their own; any other becomes a 500 in `AccessLog`.
NAMED: tuple[type[Exception], ...] = (
    Rejected,
    Unavailable,
    NotFound,
    Conflict,
    HTTPException,
    RequestValidationError,
    ClientDisconnect,
)
CONTRACT = "/contract/v1/openapi.json"


#: Makes routers of a room above.
MoreRouters = Callable[[Web], Sequence[APIRouter]]


def application(
    engine: Engine,
    condition: DaemonCondition,
    metrics: Metrics,
    *,
    intake: bool = True,
    more: MoreRouters | None = None,
    error_pages: ErrorPages | None = None,
) -> FastAPI:
    """Build the HTTP side over a running engine, whose observer `metrics` are. Without `intake` it
    serves operators alone, and takes nothing from portals and GRUs. `more` gives routers of a room
    above, `error_pages` its failures."""
    pages = error_pages or {}

    async def named(request: Request, error: Exception) -> Response:
        return await _named(request, error, pages)

    # The largest webhook must fit, and no second one beside it.
    largest = largest_webhook(engine.catalogue)
    web = Web(engine, condition, metrics, BodyBudget(largest), BodyBudget(2 * largest, largest))
    app = FastAPI(
        title="toodego-gru-gateway",
        version=__version__,
        openapi_url=CONTRACT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=dict.fromkeys(NAMED, named),
    )
    app.state.web = web
    if engine.catalogue.settings.ops.listen is None:
        app.include_router(operations_router(web))
    for router in () if more is None else more(web):
        app.include_router(router)
    if intake:
        portal = portal_router(web)
        app.include_router(portal)
        app.include_router(gru_router(web))
        app.include_router(glc_router(web))
        app.include_router(pivot_router(web))
        app.include_router(announcements_router(web))
        if engine.linking is not None:
            from gateway.web.linking import linking_router  # few have it
            from gateway.web.linking_api import linking_api_router

            app.include_router(linking_router(web, engine.linking))
            app.include_router(linking_api_router(web, engine.linking))
        publish(app, PushBody, EventBody)
        app.add_middleware(Direct, routes=portal.routes, errors=NAMED, answer=named)
    fixed = frozenset({CONTRACT})
    # The outermost:
    app.add_middleware(
        AccessLog,
        metrics=metrics,
        refusals=engine.refusals,
        fixed=fixed,
        pages=pages,
        traces=engine.traces,
    )
    return app


def operations(engine: Engine, condition: DaemonCondition, metrics: Metrics) -> FastAPI:
    """Build what answers on the port that `/ops` has to itself: that, and nothing else."""

    async def named(request: Request, error: Exception) -> Response:
        return await _named(request, error, {})

    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=dict.fromkeys(NAMED, named),
    )
    app.include_router(
        operations_router(Web(engine, condition, metrics, BodyBudget(0), BodyBudget(0)))
    )
    app.add_middleware(
        AccessLog, metrics=metrics, refusals=engine.refusals, fixed=frozenset(), pages={}
    )
    return app


async def _named(request: Request, error: Exception, pages: ErrorPages) -> Response:
    exchange = exchange_of(request.scope)
    problem = problem_of(error, exchange.correlation)
    exchange.code = problem.code
    if problem.status >= 500 and exchange.proven:
        log.warning("http.unavailable", error=type(error).__name__)
    elif problem.status >= 500:
        sparingly(log.warning, "http.unavailable", error=type(error).__name__)
    return response_of(problem, request.url.path, exchange.correlation, pages)
