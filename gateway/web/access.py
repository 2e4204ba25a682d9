"""The outermost layer: a correlation id, one log line per call, and no error without an answer."""

from __future__ import annotations

import itertools
import secrets
import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.flow.refusals import RefusalMeter
from gateway.flow.tracing import Traces
from gateway.ops.metrics import Metrics
from gateway.telemetry import sparingly
from gateway.web.problems import ErrorPages, problem_of, response_of
from gateway.web.state import CallInProgress

log = structlog.get_logger()

_UNKNOWN = "(none)"
#: Methods for labels and log lines; anything else is a caller's invention.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class AccessLog:
    """Logs `http.answered` with the route's template, never with raw paths or queries."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        refusals: RefusalMeter,
        fixed: frozenset[str],
        pages: ErrorPages,
        traces: Traces | None = None,
    ) -> None:
        """`fixed`: paths that are their own template, served by the framework itself."""
        self.pages = pages
        self.app = app
        self.metrics = metrics
        self.refusals = refusals
        self.fixed = fixed
        self.traces = traces
        # Drawn once: asking the system for each call would cost too much.
        self.run = secrets.token_hex(4)
        self.numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = CallInProgress(f"{self.run}{next(self.numbers):08x}")
        scope["gateway.exchange"] = exchange
        header = (b"x-correlation-id", exchange.correlation.encode())
        clock, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation=exchange.correlation):
            try:
                await self.app(scope, receive, sending)
            except Exception as error:
                # The text of an unforeseen error may hold anything; its type and places do not.
                log.error("http.failed", route=self._template(scope), exc_info=error)
                if not status:
                    problem = problem_of(error, exchange.correlation)
                    exchange.code = problem.code
                    correlation = exchange.correlation
                    failed = response_of(problem, scope["path"], correlation, self.pages)
                    await failed(scope, receive, sending)
            finally:
                self._log(scope, exchange, status, time.perf_counter() - clock)

    def _log(self, scope: Scope, exchange: CallInProgress, status: int, seconds: float) -> None:
        route = self._template(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        if not exchange.synthetic:
            self.metrics.answered(method, route, status, seconds)
        self.refusals.refused(route, status, exchange.code)
        if self.traces is not None and exchange.push is not None:
            self.traces.pushed(exchange.push, route, status, seconds)
        told = {"method": method, "route": route, "status": status, "code": exchange.code or None}
        took = {"ms": round(seconds * 1000, 1)}
        if route.startswith("/ops/") and status < 500 and status != 401:
            log.debug("http.answered", **told, **took)
        elif exchange.proven or status == 500:
            log.info("http.answered", **told, **took)
        else:
            sparingly(log.info, "http.answered", took, **told)

    def _template(self, scope: Scope) -> str:
        if scope["path"] in self.fixed:
            return str(scope["path"])
        route: Any = scope.get("route")
        path = getattr(route, "path", None)
        return path if isinstance(path, str) else _UNKNOWN
