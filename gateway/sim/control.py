"""Parts that all simulators share: control routes, and bounded reading of bodies."""

from __future__ import annotations

import json
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from gateway.sim.faults import FaultCondition, FaultGate, FaultKind, Faults, InjectedFault

#: Gives an aware time. Tests may give their own.
Clock = Callable[[], datetime]

#: Takes the JSON object posted to `/_sim/<name>`, and returns the answer.
Action = Callable[[dict[str, Any]], Awaitable[Any]]


def now_utc() -> datetime:
    return datetime.now(UTC)


def _told_over_http(kind: FaultKind) -> FaultKind:
    if kind is FaultKind.SAY:
        raise ValueError("what is said instead is a function: plan it in Python")
    return kind


class FaultOrder(BaseModel):
    """One rule posted to `/_sim/faults`: all fields of `InjectedFault` and `FaultCondition`."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[FaultKind, AfterValidator(_told_over_http)]
    seconds: Annotated[float, Field(ge=0)] = 0.0
    status: Annotated[int, Field(ge=200, le=599)] = 500
    retry_after: Annotated[int, Field(ge=0)] | None = None
    location: str | None = None
    path: str = ""
    method: str = ""
    after: Annotated[int, Field(ge=0)] = 0
    first: Annotated[int, Field(ge=0)] | None = None
    every: Annotated[int, Field(ge=1)] | None = None
    ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int = 0

    def as_fault(self) -> InjectedFault:
        when = FaultCondition(
            self.path, self.method, self.after, self.first, self.every, self.ratio, self.seed
        )
        return InjectedFault(
            self.kind, when, self.seconds, self.status, self.retry_after, self.location
        )


class FaultPlan(BaseModel):
    """The body of `POST /_sim/faults`. `clear` drops the present rules first."""

    model_config = ConfigDict(extra="forbid")

    clear: bool = False
    faults: list[FaultOrder] = Field(default_factory=list)


async def request_json(request: Request) -> Any:
    """Return the body as JSON; None when it is empty. Raises ValueError when it is not JSON."""
    raw = await request.body()
    return json.loads(raw) if raw.strip() else None


def build_app(
    routes: Sequence[BaseRoute],
    faults: Faults,
    state: Callable[[], Mapping[str, Any]],
    actions: Mapping[str, Action],
) -> ASGIApp:
    """Return a simulator's application: its own routes and the control routes, behind the fault
    plan."""

    async def get_state(request: Request) -> Response:
        return JSONResponse({**state(), "faults": faults.state()})

    async def post_faults(request: Request) -> Response:
        try:
            plan = FaultPlan.model_validate(await request_json(request))
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
            return JSONResponse({"errors": errors}, 422)
        except ValueError:
            return JSONResponse({"errors": ["the body is not JSON"]}, 400)
        if plan.clear:
            faults.clear()
        for order in plan.faults:
            faults.add(order.as_fault())
        return JSONResponse(faults.state())

    async def post_action(request: Request) -> Response:
        action = actions.get(request.path_params["action"])
        if action is None:
            return JSONResponse({"errors": [f"known actions: {', '.join(sorted(actions))}"]}, 404)
        try:
            body = await request_json(request)
            if not isinstance(body, dict):
                return JSONResponse({"errors": ["a JSON object is expected"]}, 400)
            return JSONResponse(await action(body))
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"errors": [f"{type(error).__name__}: {error}"]}, 400)

    async def crashed(request: Request, error: Exception) -> Response:
        # The server is silent: the trace goes to the caller, who debugs against the simulator.
        return PlainTextResponse("".join(traceback.format_exception(error)), 500)

    app = Starlette(
        routes=[
            Route("/_sim/state", get_state, methods=["GET"]),
            Route("/_sim/faults", post_faults, methods=["POST"]),
            Route("/_sim/{action}", post_action, methods=["POST"]),
            *routes,
        ],
        exception_handlers={Exception: crashed},
    )
    return FaultGate(app, faults)
