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
    """Calls an endpoint of `routes` at once; what fits none of them goes on to the framework.

    The routes are the application's own, so the published contract describes them as any other.
    Their endpoints take the request and the parameters of the path, all text, and nothing else.
    What they raise of `errors` is answered by `answer`.
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
