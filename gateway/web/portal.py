"""Calls of the portal: requests and later events in, the current status out.

The order of a call: who sends (over the raw query), whether the route exists, the body no further
than allowed, its content, and one transaction. A 2xx says that it is on disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.catalogue.catalogue import Catalogue
from gateway.core.canary import is_canary
from gateway.core.errors import Rejected, Unavailable
from gateway.core.request import EventKind
from gateway.core.tracing import read_traceparent
from gateway.flow.intake import IntakeResult, Sender, names_of
from gateway.flow.request_state import RequestState
from gateway.flow.tracing import TracedPush
from gateway.sdk import beside
from gateway.sdk.work import work_of
from gateway.web.body import take_body
from gateway.web.contract import SIGNED, Insee, Ref, Slug, failures, takes
from gateway.web.models import AcceptedAnswer, EventBody, PushBody, StandingAnswer
from gateway.web.room import BodyTurn
from gateway.web.senders import sender_of
from gateway.web.state import Web, exchange_of
from gateway.wire.event import AnnouncedEvent, read_event
from gateway.wire.formdata import Formdata, parse_formdata
from gateway.wire.spool import BodyReader, SpooledBody

_ONE = "/portal/v1/communes/{insee}/teleservices/{slug}/requests"
_ANY = "/portal/v1/teleservices/{slug}/requests"
_REFUSALS = failures(400, 401, 403, 404, 408, 409, 410, 413, 415, 503, publik=True)
_ASKED = failures(401, 403, 404, 410, 503, publik=True)
_TAKEN: dict[int | str, dict[str, Any]] = {
    200: {"model": AcceptedAnswer, "description": "It was here already; nothing new is owed."},
    201: {"model": AcceptedAnswer, "description": "It is on disk."},
}
_TOLD: dict[int | str, dict[str, Any]] = {
    200: {"model": StandingAnswer, "description": "Where the request stands."}
}


def portal_router(web: Web) -> APIRouter:
    """Return the routes, with the commune in the address or in the formdata."""
    router = APIRouter(tags=["portal"])
    use = _Calls(web)

    @router.post(
        _ONE, responses=_TAKEN | _REFUSALS, openapi_extra=takes(PushBody), operation_id="push"
    )
    async def push(request: Request, insee: Insee, slug: Slug) -> Response:
        """Take a request in (or a later event that `extra` announces)."""
        return await use.push(request, use.catalogue.insee(insee), slug)

    @router.post(
        _ANY, responses=_TAKEN | _REFUSALS, openapi_extra=takes(PushBody), operation_id="push_any"
    )
    async def push_any(request: Request, slug: Slug) -> Response:
        """The same, the commune being read from the form's field."""
        return await use.push(request, None, slug)

    @router.post(
        _ONE + "/{ref}/events",
        responses=_TAKEN | _REFUSALS,
        openapi_extra=takes(EventBody),
        operation_id="tell",
    )
    async def tell(request: Request, insee: Insee, slug: Slug, ref: Ref) -> Response:
        """Take a later event in: message, document, change or cancellation."""
        return await use.receive(request, use.catalogue.insee(insee), slug, ref)

    @router.post(
        _ANY + "/{ref}/events",
        responses=_TAKEN | _REFUSALS,
        openapi_extra=takes(EventBody),
        operation_id="tell_any",
    )
    async def tell_any(request: Request, slug: Slug, ref: Ref) -> Response:
        """The same, the commune being that of the request."""
        return await use.receive(request, None, slug, ref)

    @router.get(
        _ONE + "/{ref}", responses=_TOLD | _ASKED, openapi_extra=SIGNED, operation_id="standing"
    )
    async def standing(request: Request, insee: Insee, slug: Slug, ref: Ref) -> Response:
        """Tell how a request stands to a workflow that asks."""
        return await use.state(request, use.catalogue.insee(insee), slug, ref)

    @router.get(
        _ANY + "/{ref}", responses=_TOLD | _ASKED, openapi_extra=SIGNED, operation_id="standing_any"
    )
    async def standing_any(request: Request, slug: Slug, ref: Ref) -> Response:
        """The same, whatever the commune."""
        return await use.state(request, None, slug, ref)

    return router


class _Calls:
    """The calls behind the routes."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.engine = web.engine
        self.intake = web.engine.intake

    @property
    def catalogue(self) -> Catalogue:
        return self.engine.catalogue

    async def push(self, request: Request, insee: str | None, slug: str) -> Response:
        self._check_open(insee, "push")
        sender = self._proven(request, insee, slug)
        with self._turn(sender) as seat, self._body_reader(seat) as body_reader:
            try:
                target = self.intake.target(sender, insee, slug)
            except Rejected as refusal:
                ref = await self._ref(request, body_reader)
                await self.intake.pass_over(sender, insee, slug, ref, refusal.code)
                raise
            formdata, event = await self._parsed(request, await self._body(request, body_reader))
            taken = await self.intake.push(target, formdata, event)
            return self._taken(request, target.sender, event, taken)

    async def receive(self, request: Request, insee: str | None, slug: str, ref: str) -> Response:
        self._check_open(insee, "event")
        target = self.intake.target(self._proven(request, insee, slug), insee, slug)
        with self._turn(target.sender) as seat, self._body_reader(seat) as body_reader:
            body = await self._body(request, body_reader)
            found = await self.intake.find(target, ref)
            formdata, event = await self._parsed(request, body, names_of(found))
            taken = await self.intake.receive_event(target, found, formdata, event)
            return self._taken(request, target.sender, event, taken)

    async def state(self, request: Request, insee: str | None, slug: str, ref: str) -> Response:
        departures = self.engine.far_ends.departures
        if insee is not None and departures.is_gone(departures.commune_of(insee, self.catalogue)):
            self._check_open(insee, "state")
        target = self.intake.target(self._proven(request, insee, slug), insee, slug)
        state, owed = await self.intake.state(target, ref)
        data = self._data(state) | {
            "link": state.link,
            "status_at": state.since.isoformat().replace("+00:00", "Z"),
            "waiting": owed,
        }
        return _answer(200, data)

    def _check_open(self, insee: str | None, kind: str) -> None:
        """Raises Rejected 410 for a commune that has left. Its keys prove nothing any more, so it
        is said to anybody, and nothing of the call is read."""
        departures = self.engine.far_ends.departures
        if insee is None:
            return
        commune = departures.commune_of(insee, self.catalogue)
        if departures.is_closed(commune):
            self.web.metrics.departed(kind)
            raise departures.refusal(commune)

    def _proven(self, request: Request, insee: str | None, slug: str) -> Sender:
        """Return the sender, proven before any of the body is read."""
        now = self.engine.environment.now()
        sender = sender_of(self.catalogue, request, insee, slug, now)
        exchange = exchange_of(request.scope)
        exchange.proven, exchange.synthetic = True, insee is not None and is_canary(insee)
        if self.engine.traces is None:
            return sender
        # Of a proven caller alone: a stranger's would lead our traces together.
        return replace(sender, trace=read_traceparent(request.headers.get("traceparent")))

    @contextlib.contextmanager
    def _turn(self, sender: Sender) -> Iterator[BodyTurn]:
        """Give a sender its share of the common resources: large bodies, and work on them."""
        with BodyTurn(self.web.room, sender.name) as seat, work_of(sender.name):
            yield seat

    def _body_reader(self, seat: BodyTurn) -> BodyReader:
        return BodyReader(self.catalogue.settings.data_dir, seat.wait_turn)

    async def _body(self, request: Request, body_reader: BodyReader) -> SpooledBody:
        return await take_body(request, self.engine.limits.max_bytes, body_reader)

    async def _ref(self, request: Request, body_reader: BodyReader) -> str | None:
        """Return the id of a refused formdata; None when it cannot be read."""
        with contextlib.suppress(Rejected, Unavailable, ClientDisconnect):
            formdata, _ = await self._parsed(request, await self._body(request, body_reader))
            return formdata.ref
        return None

    async def _parsed(
        self, request: Request, body: SpooledBody, names: Sequence[str] = ()
    ) -> tuple[Formdata, AnnouncedEvent]:
        content_type = request.headers.get("content-type")
        limits = self.engine.limits

        def read() -> tuple[Formdata, AnnouncedEvent]:
            made = parse_formdata(
                body.text, content_type, limits=limits, texts=body.texts, names=names
            )
            return made, read_event(made.extra)

        return await beside(body.size, read)

    def _taken(
        self, request: Request, sender: Sender, event: AnnouncedEvent, taken: IntakeResult
    ) -> Response:
        if self.engine.traces is not None and not is_canary(taken.state.commune):
            exchange_of(request.scope).push = TracedPush(
                taken.state.id,
                event.kind.value,
                taken.created and event.kind is EventKind.CREATION,
                taken.traceparent,
                sender.trace,
            )
        data = self._data(taken.state) | {"created": taken.created}
        if taken.number is not None:
            data["display_id"] = taken.number
        return _answer(201 if taken.created else 200, data)

    def _data(self, state: RequestState) -> dict[str, Any]:
        path = f"/portal/v1/communes/{quote(state.commune, safe='')}/teleservices/"
        path += f"{quote(state.teleservice, safe='')}/requests/{quote(state.id, safe='')}"
        return {
            "id": state.id,
            "reference": state.id,
            "status": state.status.value,
            "statut": state.word,
            "url": self.catalogue.settings.public_url.rstrip("/") + path,
            "gru_reference": state.gru_reference,
        }


def _answer(status: int, data: dict[str, Any]) -> Response:
    content = orjson.dumps({"err": 0, "data": data})
    return Response(content, status, media_type="application/json")
