"""The health of the gateway for probes, scrapers and people on call. No personal data."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.errors import Rejected
from gateway.core.ids import REFERENCE
from gateway.ops import health as parts
from gateway.ops.metrics import CONTENT_TYPE
from gateway.ops.shapes import CommuneHealth, Health, IncidentSummary, Overall
from gateway.ops.stored_parts import incident_summaries
from gateway.ops.why import causes_of
from gateway.web.contract import Insee, failures
from gateway.web.models import CauseBody, Live, Ready, Why
from gateway.web.state import Web

RequestId = Annotated[str, Path(description="Our identifier, TDG-...")]


def prove_token(request: Request, tokens: Sequence[SecretStr]) -> None:
    """Take a caller that shows one of the tokens. Raises Rejected 401 for another."""
    kind, _, shown = request.headers.get("authorization", "").partition(" ")
    told = shown.strip().encode() if kind.lower() == "bearer" else b""
    # All are compared, so that the time tells nothing.
    good = [hmac.compare_digest(told, one.get_secret_value().encode()) for one in tokens]
    if not any(good):
        code = "bad_ops_token" if told else "no_ops_token"
        raise Rejected(401, code, "Authorization: Bearer TOKEN is needed (ops.token).")


def operations_router(web: Web) -> APIRouter:
    """Return `/ops/...`. With a token all but `/ops/live` and `/ops/ready` ask for it: probes keep
    no secret, and hear no more than yes or no."""
    engine, condition = web.engine, web.condition

    async def allowed(request: Request) -> None:
        tokens = engine.catalogue.settings.ops.tokens
        if tokens:
            prove_token(request, tokens)

    router = APIRouter(prefix="/ops", tags=["ops"])
    locked = [Depends(allowed)]

    async def looked(*, counting: bool) -> Health:
        ready = condition.ready and await parts.database_writable(engine)
        since = condition.started_at
        return await parts.health(engine, ready=ready, started_at=since, counting=counting)

    @router.get("/live", responses=failures(), operation_id="live")
    async def live() -> Live:
        """The event loop runs. Restart the process when this does not answer."""
        return Live()

    @router.get(
        "/ready",
        responses=failures() | {503: {"model": Ready, "description": "Not taking requests."}},
        operation_id="ready",
    )
    async def ready(response: Response) -> Ready:
        """Requests are taken: started, not stopping, and the database keeps them in 2 seconds."""
        database = await parts.database_writable(engine)
        answer = Ready(ready=condition.ready and database, database=database)
        response.status_code = 200 if answer.ready else 503
        return answer

    @router.get(
        "/health",
        dependencies=locked,
        responses=failures(401) | {503: {"model": Health, "description": "Down."}},
        operation_id="health",
    )
    async def health(response: Response) -> Health:
        """Every part: database, disk, lanes, timers, counts. 503 when requests cannot be taken."""
        answer = await looked(counting=True)
        response.status_code = 503 if answer.status is Overall.DOWN else 200
        return answer

    @router.get(
        "/communes/{insee}",
        dependencies=locked,
        responses=failures(401, 404) | {503: {"model": CommuneHealth, "description": "Down."}},
        operation_id="commune",
    )
    async def commune(insee: Insee, response: Response) -> CommuneHealth:
        """One commune's lanes and polls."""
        answer = await parts.commune_health(engine, insee, started_at=condition.started_at)
        response.status_code = 503 if answer.status is Overall.DOWN else 200
        return answer

    @router.get(
        "/incidents",
        dependencies=locked,
        responses=failures(401, 503),
        operation_id="incidents",
    )
    async def incidents() -> list[IncidentSummary]:
        """The incidents that want a person, the last one first, each with its deadline."""
        return await incident_summaries(engine)

    @router.get(
        "/requests/{id}/why",
        dependencies=locked,
        responses=failures(401, 404, 503),
        operation_id="why",
    )
    async def why(id: RequestId) -> Why:
        """Explain why a request waits, what happens next by itself, and who can act."""
        if not REFERENCE.fullmatch(id):
            raise Rejected(404, "not_found", "There is no such request.")
        causes = await causes_of(engine.store, engine.catalogue, id, engine.environment.now())
        return Why(id=id, causes=[CauseBody(**cause.told()) for cause in causes])

    @router.get(
        "/metrics",
        dependencies=locked,
        response_class=Response,
        responses=failures(401, 503)
        | {
            200: {
                "description": "Prometheus text.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
        operation_id="metrics",
    )
    async def metrics(request: Request) -> Response:
        """Counters and gauges, by configured names."""
        scraped = await web.metrics.scrape(engine, await looked(counting=False))
        return Response(scraped, media_type=CONTENT_TYPE)

    return router
