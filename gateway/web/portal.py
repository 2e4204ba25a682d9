"""Calls of the portal: requests and later events in, the current status out.

The order of a call: who sends (over the raw query), whether the route exists, the body no further
than allowed, its content, and one transaction. A 2xx says that it is on disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import structlog
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.catalogue.catalogue import Catalogue, Teleservice
from gateway.core.delivery import FINAL, State
from gateway.core.errors import Rejected, Unavailable
from gateway.core.ids import displaced_ref, is_insee, named
from gateway.core.request import EventKind
from gateway.core.status import PORTAL_WORDS
from gateway.sdk import beside
from gateway.sdk.work import work_of
from gateway.store import intake, nonces, requests
from gateway.store.outbox import backlog
from gateway.store.rows import Acceptance, Reception, StoredRequest
from gateway.web.body import take_body
from gateway.web.contract import SIGNED, Insee, Ref, Slug, failures, takes
from gateway.web.models import AcceptedAnswer, EventBody, PushBody, StandingAnswer
from gateway.web.room import Seat
from gateway.web.senders import Sender, sender_of
from gateway.web.state import Web, exchange_of
from gateway.wire.event import Announced, read_event
from gateway.wire.formdata import Formdata, parse_formdata
from gateway.wire.spool import Body, Inflow, read_document

log = structlog.get_logger()

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
_OPEN = [state for state in State if state not in FINAL]


def portal_router(web: Web) -> APIRouter:
    """The routes, with the commune in the address or in the formdata."""
    router = APIRouter(tags=["portal"])
    use = _Intake(web)

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
        return await use.tell(request, use.catalogue.insee(insee), slug, ref)

    @router.post(
        _ANY + "/{ref}/events",
        responses=_TAKEN | _REFUSALS,
        openapi_extra=takes(EventBody),
        operation_id="tell_any",
    )
    async def tell_any(request: Request, slug: Slug, ref: Ref) -> Response:
        """The same, the commune being that of the request."""
        return await use.tell(request, None, slug, ref)

    @router.get(
        _ONE + "/{ref}", responses=_TOLD | _ASKED, openapi_extra=SIGNED, operation_id="standing"
    )
    async def standing(request: Request, insee: Insee, slug: Slug, ref: Ref) -> Response:
        """Where a request stands, for workflows that ask."""
        return await use.standing(request, use.catalogue.insee(insee), slug, ref)

    @router.get(
        _ANY + "/{ref}", responses=_TOLD | _ASKED, openapi_extra=SIGNED, operation_id="standing_any"
    )
    async def standing_any(request: Request, slug: Slug, ref: Ref) -> Response:
        """The same, whatever the commune."""
        return await use.standing(request, None, slug, ref)

    return router


class _Intake:
    """What the routes have in common."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.engine = web.engine

    @property
    def catalogue(self) -> Catalogue:
        return self.engine.catalogue

    async def push(self, request: Request, insee: str | None, slug: str) -> Response:
        sender = self._proven(request, insee, slug)
        with self._turn(sender) as seat, self._inflow(seat) as inflow:
            try:
                teleservice = self._served(sender, insee, slug)
            except Rejected as refusal:
                ref = await self._ref(request, inflow)
                await self._pass_over(sender, slug, ref, insee, refusal.code)
                raise
            body = await take_body(request, self.engine.limits.max_bytes, inflow)
            formdata, event = await self._parsed(request, body)
            if event.kind is not EventKind.CREATION:
                found = await self._found(sender, insee, slug, formdata.ref)
                if await self._for_another(found, teleservice, body):
                    if event.kind is EventKind.CHANGE:
                        raise _moved()
                    # What is said goes where the request is; the form is for another's eyes.
                    formdata, _ = await self._parsed(request, _without_form(body))
                return await self._keep(
                    sender, found.commune, teleservice, formdata, event, aside=_is_aside(found)
                )
            commune = insee
            try:
                commune = await self._commune_of(teleservice, body, insee)
                if not sender.may(commune):
                    raise Rejected(403, "other_commune", "Cette clé n'est pas celle de la commune.")
                self.catalogue.route(sender.portal, commune, slug)
            except Rejected as refusal:
                await self._pass_over(sender, slug, formdata.ref, commune, refusal.code)
                raise
            return await self._keep(sender, commune, teleservice, formdata, event)

    async def tell(self, request: Request, insee: str | None, slug: str, ref: str) -> Response:
        sender = self._proven(request, insee, slug)
        teleservice = self._served(sender, insee, slug)
        with self._turn(sender) as seat, self._inflow(seat) as inflow:
            body = await take_body(request, self.engine.limits.max_bytes, inflow)
            found = await self._found(sender, insee, slug, ref)
            body = await beside(body.size, lambda: _with_id(body, found))
            formdata, event = await self._parsed(request, body)
            if event.kind is EventKind.CREATION:
                raise Rejected(
                    400,
                    "missing_action",
                    "L'action manque : message, document, modification ou annulation.",
                )
            return await self._keep(
                sender, found.commune, teleservice, formdata, event, aside=_is_aside(found)
            )

    async def standing(self, request: Request, insee: str | None, slug: str, ref: str) -> Response:
        sender = self._proven(request, insee, slug)
        self._served(sender, insee, slug)
        spent = sender.nonce
        if spent and not await self.engine.store.write(nonces.spend, spent.key, spent.until):
            raise _replayed()
        found = await self._found(sender, insee, slug, ref)
        owed = await self.engine.store.read(
            backlog.listing, states=_OPEN, request_id=found.id, limit=1
        )
        data = self._data(found) | {
            "link": found.gru_link,
            "status_at": found.status_at.isoformat().replace("+00:00", "Z"),
            "waiting": bool(owed),
        }
        return _answer(200, data)

    def _proven(self, request: Request, insee: str | None, slug: str) -> Sender:
        """Who calls: before anything of the body is read."""
        sender = sender_of(self.catalogue, request, insee, slug, self.engine.environment.now())
        exchange_of(request.scope).proven = True
        return sender

    def _served(self, sender: Sender, insee: str | None, slug: str) -> Teleservice:
        """The teleservice, if there is a way to the commune that the address names."""
        if insee is not None:
            self.catalogue.route(sender.portal, insee, slug)
        return _teleservice(self.catalogue, sender.portal, slug)

    async def _ref(self, request: Request, inflow: Inflow) -> str | None:
        """The id of a pushed formdata that is not taken; None when it cannot be had."""
        with contextlib.suppress(Rejected, Unavailable, ClientDisconnect):
            body = await take_body(request, self.engine.limits.max_bytes, inflow)
            return (await self._parsed(request, body))[0].ref
        return None

    async def _pass_over(
        self, sender: Sender, slug: str, ref: str | None, code: str | None, why: str
    ) -> None:
        """Note a request that has nowhere to go, for the operator; the portal is told as well."""
        portal = sender.portal
        known = slug if slug in self.catalogue.portals[portal].teleservices else None
        self.web.metrics.passed_over(portal, known, why)
        log.warning("request.passed_over", portal=portal, teleservice=known, code=why)
        # A key that is not the commune's writes nothing about it.
        theirs = code is not None and not sender.may(code)
        if ref is not None and known is not None and not theirs:
            with contextlib.suppress(Unavailable):
                await self.engine.store.write(
                    intake.pass_over, portal, slug, ref, why, code, self.engine.environment.now()
                )

    async def _commune_of(self, teleservice: Teleservice, body: Body, insee: str | None) -> str:
        """The commune that the address names, or else the form's field.

        Raises Rejected: 404, 400 when neither names one, 409 when they name two: what is filled in
        for one commune is not for another's eyes, and reconcile goes by the field.
        """

        def code() -> str:
            return teleservice.code_in(read_document(body.text))

        try:
            filled_in = self.catalogue.insee(await beside(body.size, code))
        except Rejected:
            if insee is None:
                raise
            return insee
        if insee is None:
            return filled_in
        if filled_in != insee and is_insee(filled_in):
            text = "Le formulaire est rempli pour une autre commune que celle de l'adresse appelée."
            raise Rejected(409, "other_commune", text)
        return insee

    async def _for_another(
        self, found: StoredRequest, teleservice: Teleservice, body: Body
    ) -> bool:
        """Is the form that comes with an event filled in for another commune than its request's?"""

        def named() -> str | None:
            document = read_document(body.text)
            return self.catalogue.filled_in_for(teleservice, document)

        return await beside(body.size, named) not in (None, found.commune)

    @contextlib.contextmanager
    def _turn(self, sender: Sender) -> Iterator[Seat]:
        """A sender's share of what all have in common: of large bodies, and of work on them."""
        with Seat(self.web.room, sender.name) as seat, work_of(sender.name):
            yield seat

    def _inflow(self, seat: Seat) -> Inflow:
        return Inflow(self.catalogue.settings.data_dir, seat.take)

    async def _parsed(self, request: Request, body: Body) -> tuple[Formdata, Announced]:
        content_type = request.headers.get("content-type")
        limits = self.engine.limits

        def read() -> tuple[Formdata, Announced]:
            made = parse_formdata(body.text, content_type, limits=limits, texts=body.texts)
            return made, read_event(made.extra)

        return await beside(body.size, read)

    async def _found(self, sender: Sender, insee: str | None, slug: str, ref: str) -> StoredRequest:
        """The request that is meant, if this sender may know of it. Raises Rejected 404, 410."""
        found = None
        if ref.isprintable() and len(ref) <= 200:
            found = await self.engine.store.read(requests.find, sender.portal, slug, ref)
            found = found if self._is_for(sender, insee, found) else None
            theirs = sorted(one for one in sender.communes or () if insee in (None, one))
            for commune in theirs if found is None else ():
                # What it brought under another's number is its own.
                kept = displaced_ref(ref, commune)
                mine = await self.engine.store.read(requests.find, sender.portal, slug, kept)
                if self._is_for(sender, insee, mine):
                    found = mine
                    break
        if found is None:
            raise Rejected(
                404, "unknown_request", "Cette demande n'est pas connue de la passerelle."
            )
        if found.erased_at is not None:
            raise _erased()
        return found

    def _is_for(self, sender: Sender, insee: str | None, found: StoredRequest | None) -> bool:
        return found is not None and sender.may(found.commune) and insee in (None, found.commune)

    async def _keep(
        self,
        sender: Sender,
        commune: str,
        teleservice: Teleservice,
        formdata: Formdata,
        event: Announced,
        *,
        aside: bool = False,
    ) -> Response:
        slug = teleservice.slug
        acceptance = await self.engine.receiver.receive(
            sender.portal,
            commune,
            slug,
            formdata,
            nonce=sender.nonce,
            event=event,
            vouched=sender.communes is None,
            aside=aside,
        )
        self.web.metrics.received(sender.portal, slug, acceptance.reception)
        kept = _kept(acceptance, commune)
        created = acceptance.reception is Reception.NEW
        data = self._data(kept) | {"created": created}
        if teleservice.adopt_number:
            # The portal then shows this instead of its own number: never without being asked to.
            data["display_id"] = kept.gru_reference or kept.id
        return _answer(201 if created else 200, data)

    def _data(self, kept: StoredRequest) -> dict[str, Any]:
        path = f"/portal/v1/communes/{quote(kept.commune, safe='')}/teleservices/"
        path += f"{quote(kept.teleservice, safe='')}/requests/{quote(kept.id, safe='')}"
        return {
            "id": kept.id,
            "reference": kept.id,
            "status": kept.status.value,
            "statut": self._word(kept),
            "url": self.catalogue.settings.public_url.rstrip("/") + path,
            "gru_reference": kept.gru_reference,
        }

    def _word(self, kept: StoredRequest) -> str:
        try:
            route = self.catalogue.route(kept.portal, kept.commune, kept.teleservice)
        except Rejected:
            return PORTAL_WORDS[kept.status]  # the route has gone since
        return route.mapping.portal.words.get(kept.status, PORTAL_WORDS[kept.status])


def _teleservice(catalogue: Catalogue, portal: str, slug: str) -> Teleservice:
    configured = catalogue.portals[portal].teleservices
    if slug in configured:
        return configured[slug]
    listed = ", ".join(sorted(configured)) or "rien"
    text = f"Cette démarche n'est pas déclarée pour ce portail. Configuré : {listed}."
    raise Rejected(404, "unknown_teleservice", text)


def _with_id(body: Body, found: StoredRequest) -> Body:
    """The body with the request's id in it. Raises Rejected 400 when it names another one."""
    try:
        document = read_document(body.text)
    except orjson.JSONDecodeError:
        return body  # refused in due form when it is parsed
    if not isinstance(document, dict):
        return body
    given, ref = document.get("id"), named(found.ref, found.commune)
    if given is not None and str(given).strip() not in ("", ref, found.id):
        raise Rejected(400, "id_mismatch", "L'identifiant (id) n'est pas celui de l'adresse.")
    if given == ref:
        return body
    try:
        return dataclasses.replace(body, text=orjson.dumps(document | {"id": ref}))
    except TypeError:
        raise Rejected(400, "too_deep", "Le corps JSON est trop profondément imbriqué.") from None


def _is_aside(found: StoredRequest) -> bool:
    return found.ref != named(found.ref, found.commune)


def _without_form(body: Body) -> Body:
    document = read_document(body.text)
    kept = {k: v for k, v in document.items() if k not in ("workflow", "geolocations")}
    return dataclasses.replace(body, text=orjson.dumps(kept | {"fields": {}}))


def _same_commune(found: StoredRequest, commune: str) -> StoredRequest:
    if found.commune != commune:
        raise _moved()
    return found


def _moved() -> Rejected:
    text = "Cette demande a été transmise à une autre commune ; elle ne peut en changer."
    return Rejected(409, "other_commune", text)


def _kept(acceptance: Acceptance, commune: str) -> StoredRequest:
    """The request behind what was taken; the rest raises Rejected."""
    kept = acceptance.request
    match acceptance.reception:
        case Reception.REPLAYED:
            raise _replayed()
        case Reception.ERASED:
            raise _erased()
        case Reception.UNKNOWN:
            text = "Cette demande n'est pas connue de la passerelle."
            raise Rejected(404, "unknown_request", text)
        case Reception.CONFLICT:
            if kept is not None:
                _same_commune(kept, commune)
            text = "Cet identifiant est déjà pris par un contenu différent."
            raise Rejected(409, "different_content", text)
        case Reception.NEW | Reception.SAME:
            if kept is None:
                raise AssertionError("a request that was taken is there")
            return _same_commune(kept, commune)


def _replayed() -> Rejected:
    return Rejected(403, "replayed", "Cet appel signé a déjà servi (nonce).")


def _erased() -> Rejected:
    return Rejected(410, "erased", "Les données de cette demande ont été effacées.")


def _answer(status: int, data: dict[str, Any]) -> Response:
    content = orjson.dumps({"err": 0, "data": data})
    return Response(content, status, media_type="application/json")
