"""Events that GLC pushes (RFC 8935)."""

from __future__ import annotations

import hmac
from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.catalogue.catalogue import Glc
from gateway.core.errors import Rejected
from gateway.web.body import read_body
from gateway.web.contract import failures
from gateway.web.state import Web, exchange_of
from gateway.wire.security_events import LARGEST, RefusedEvent

log = structlog.get_logger()

PATH = "/glc/events"
CONTENT_TYPE = "application/secevent+jwt"
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {
        "description": "Refused (RFC 8935, 2.3): `err` says why.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["err", "description"],
                    "properties": {"err": {"type": "string"}, "description": {"type": "string"}},
                }
            }
        },
    },
}
_TAKES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {CONTENT_TYPE: {"schema": {"type": "string", "maxLength": LARGEST}}},
    }
}


def glc_router(web: Web) -> APIRouter:
    """Return the receiver of security event tokens."""
    router = APIRouter(tags=["glc"])
    engine = web.engine

    @router.post(
        PATH,
        status_code=202,
        response_class=Response,
        responses=_REFUSED | failures(404, 408, 413, 503),
        operation_id="glc_event",
        openapi_extra=_TAKES,
    )
    async def receive(request: Request) -> Response:
        """A security event token: an account was purged. The same token may come again."""
        glc, keys = engine.catalogue.settings.glc, engine.far_ends.event_keys
        if glc is None or glc.events is None or keys is None:
            raise Rejected(404, "no_events", "Events of GLC are not taken here.")
        exchange = exchange_of(request.scope)
        try:
            _addressed(request, glc)
            with web.unproven.lease() as lease:
                body = await read_body(request, LARGEST, lease)
            source = engine.far_ends.identity
            await engine.identity_events.receive(body, glc, keys, source)
        except RefusedEvent as refusal:
            exchange.code = refusal.code
            log.warning("glc.event_refused", err=refusal.code)
            told = {"err": refusal.code, "description": refusal.text}
            return JSONResponse(told, 400, {"Content-Language": "en"})
        exchange.proven = True
        return Response(status_code=202)

    return router


def _addressed(request: Request, glc: Glc) -> None:
    """Raises RefusedEvent for a call of another type, or without the sender's own secret."""
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told != CONTENT_TYPE:
        raise RefusedEvent("invalid_request", f"the content is not of the type {CONTENT_TYPE}")
    if glc.event_secret is None:
        return
    given = request.headers.get("authorization", "").encode()
    ours = f"Bearer {glc.event_secret.get_secret_value()}".encode()
    if not hmac.compare_digest(given, ours):
        raise RefusedEvent("authentication_failed", "the call does not prove its sender")


__all__ = ["glc_router"]
