"""The busiest routes, served without the framework's routing and dependency machinery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

Answer = Callable[[Request, Exception], Awaitable[Response]]


class Direct:
    """Calls an endpoint of `routes` directly; the framework gets whatever fits none of them.

    The routes are the application's own, so the published contract has them. Their endpoints take
    the request and the path's parameters, all text. `answer` answers those of `errors` that they
    raise.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Iterable[BaseRoute],
        errors: tuple[type[Exception], ...],
        answer: Answer,
    ) -> None:
        self.app = app
        self.errors = errors
        self.answer = answer
        self.routes = [
            (route.methods or set(), compile_path(route.path)[0], route)
            for route in routes
            if isinstance(route, APIRoute)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for methods, pattern, route in self.routes:
                if scope["method"] in methods and (found := pattern.match(scope["path"])):
                    scope["route"] = route
                    scope["path_params"] = found.groupdict()
                    await self._call(route, scope, receive, send)
                    return
        await self.app(scope, receive, send)

    async def _call(self, route: APIRoute, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request, **scope["path_params"])
        except self.errors as error:
            response = await self.answer(request, error)
        await response(scope, receive, send)
