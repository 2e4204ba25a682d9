"""Calls of the communes' GRUs: webhooks, read by the adapter, which knows their proof."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from gateway.catalogue.catalogue import Catalogue, Gru
from gateway.core.errors import Rejected
from gateway.flow.departures import LEFT
from gateway.sdk import WebhookCall
from gateway.sdk.work import work_of
from gateway.web.body import read_body
from gateway.web.contract import Insee, failures
from gateway.web.room import BodyTurn
from gateway.web.state import Web, exchange_of
from gateway.wire.spool import LARGE

Which = Annotated[str, Path(description="The GRU's name in the commune's file, or its adapter.")]

_PATH = "/gru/v1/communes/{insee}/webhooks/{adapter}"
_REFUSALS = failures(400, 401, 404, 408, 410, 413, 503)


def gru_router(web: Web) -> APIRouter:
    """Return the webhook, under the methods that GRUs use."""
    router = APIRouter(tags=["gru"])
    engine = web.engine
    largest = largest_webhook(engine.catalogue)

    async def receive(request: Request, insee: str, adapter: str) -> Response:
        if engine.far_ends.departures.is_settled(insee):
            web.metrics.departed("webhook")
            raise Rejected(410, LEFT, "This commune has left the gateway: nothing of it is taken.")
        gru = _gru(engine.catalogue, insee, adapter)
        if not engine.adapters[gru.lane_name].capabilities.webhook:
            raise Rejected(404, "no_webhook", "This GRU's adapter takes no webhook.")
        head = WebhookCall(
            request.method,
            {name.lower(): value for name, value in request.headers.items()},
            dict(request.query_params),
            b"",
            request.url.query,
            None if request.client is None else request.client.host,
        )
        with engine.far_ends.using(gru.lane_name):
            exchange = exchange_of(request.scope)
            exchange.proven = proven = engine.changes.proven(gru, head)
            lease = web.proven.lease(gru.lane_name) if proven else web.unproven.lease()
            # A caller without proof takes none of the GRU's own threads.
            whose = gru.lane_name if proven else f"{gru.lane_name} unproven"
            with lease, BodyTurn(web.webhooks, gru.lane_name) as seat, work_of(whose):
                body = await read_body(request, largest, lease)
                if len(body) > LARGE:
                    await seat.wait_turn()
                try:
                    await engine.changes.webhook(gru, dataclasses.replace(head, body=body))
                except Rejected as refusal:
                    exchange.proven = refusal.status != 401
                    raise
                exchange.proven = True
        return Response(status_code=204)

    @router.post(_PATH, status_code=204, responses=_REFUSALS, operation_id="webhook_post")
    async def post(request: Request, insee: Insee, adapter: Which) -> Response:
        """Something changed at the GRU."""
        return await receive(request, insee, adapter)

    @router.put(_PATH, status_code=204, responses=_REFUSALS, operation_id="webhook_put")
    async def put(request: Request, insee: Insee, adapter: Which) -> Response:
        """The same, for GRUs that call by PUT."""
        return await receive(request, insee, adapter)

    @router.get(_PATH, status_code=204, responses=_REFUSALS, operation_id="webhook_get")
    async def get(request: Request, insee: Insee, adapter: Which) -> Response:
        """The same, for GRUs that call by GET, or verify the address so."""
        return await receive(request, insee, adapter)

    return router


def largest_webhook(catalogue: Catalogue) -> int:
    """Return the bytes of a document in Base64, and of what surrounds it."""
    limits = catalogue.settings.limits
    return min(limits.max_bytes, limits.max_file_bytes * 4 // 3 + 1024 * 1024)


def _gru(catalogue: Catalogue, insee: str, name: str) -> Gru:
    """Find it by its name in the commune's file, or by its adapter where that is unique."""
    commune = catalogue.communes.get(insee)
    if commune is None:
        raise Rejected(404, "unknown_commune", "No such commune is connected.")
    if name in commune.grus:
        return commune.grus[name]
    alike = [gru for gru in commune.grus.values() if gru.adapter == name]
    if len(alike) != 1:
        raise Rejected(
            404, "unknown_gru", "This commune has no such GRU; name it as its file does."
        )
    return alike[0]
