"""The calls of half-connectors: `/pivot/v1`."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway.catalogue.catalogue import Gru
from gateway.flow.pivot import PivotDesk, PivotFault, PivotRefusal
from gateway.sdk import Unreadable, beside, read_json
from gateway.sdk.pivot import PivotClient, message_weight
from gateway.sdk.pivot_models import (
    MOST_ERRORS,
    MOST_ITEMS,
    AccessToken,
    ChangeReceipt,
    ClaimAnswer,
    EventsPage,
    PivotChange,
    PivotClaim,
)
from gateway.sdk.work import work_of
from gateway.web.body import read_body
from gateway.web.gru import largest_webhook
from gateway.web.pivot_access import TOKEN_LIFE, TokenRefusal, client_of, give_token, linked
from gateway.web.pivot_deprecation import PivotRoute
from gateway.web.pivot_document import (
    CALLED,
    FILE,
    FILE_HEADERS,
    READS_LINK,
    SHOWS_LINK,
    TAKES_FORM,
    TOKEN_FAILURES,
    pivot_failures,
    pivot_openapi,
    takes_told,
)
from gateway.web.pivot_files import file_answer
from gateway.web.pivot_pace import CallPace
from gateway.web.room import BodyTurn
from gateway.web.state import Web, exchange_of
from gateway.wire.spool import LARGE

Reference = Annotated[str, Path(description="Our reference of the request, `TDG-...`.")]
Sha256 = Annotated[str, Path(description="The file's SHA-256, as the event names it.")]
After = Annotated[str, Query(description="The last `seq` that was read; 0 for all.")]
Limit = Annotated[str, Query(description="So many at most: 1 to 100.")]
#: Words that these calls never answer, though others of the same status may.
_NOT_OF_CHANGES = frozenset({"invalid_query", "unknown_file", "not_found", "no_mailbox"})
_NOT_OF_CLAIMS = frozenset({"invalid_query", "key_conflict", "document_too_large", "erased"})
#: The remedies by the kind of an error in a body; the document has the rest.
_REMEDIES = {
    "extra_forbidden": "Ce champ n'est pas du contrat : l'ôter, ou corriger son nom.",
    "missing": "Ce champ est exigé.",
    "enum": "Cette valeur n'est pas une de celles que nomme le contrat.",
    "literal_error": "Cette valeur n'est pas une de celles que nomme le contrat.",
    "no_such_time": "Cette heure n'existe pas en UTC : corriger l'année.",
    "timezone_aware": "L'heure doit porter son décalage : `Z`, ou `+01:00`.",
    "problems_missing": "Un refus dit pourquoi : au moins un texte dans `problems`.",
    "string_pattern_mismatch": "Ce texte a des caractères qui ne sont pas admis, comme une espace.",
}
_FILE = "/requests/{reference}/files/{sha256}"
_NUMBER = re.compile(r"[0-9]{1,16}\Z")
_Model = TypeVar("_Model", bound=BaseModel)


def pivot_router(web: Web) -> APIRouter:
    """Return the routes of half-connectors."""
    router = APIRouter(prefix="/pivot/v1", tags=["pivot"], route_class=PivotRoute)
    use = _Calls(web)

    @router.get("/openapi.json", include_in_schema=False)
    async def document() -> Response:
        return JSONResponse(pivot_openapi(router))

    @router.post(
        "/token",
        responses={200: {"model": AccessToken}, **TOKEN_FAILURES},
        openapi_extra=TAKES_FORM,
        operation_id="token",
    )
    async def token(request: Request) -> Response:
        """Give a token for the client's secret: OAuth 2.0, client credentials. It is good for an
        hour, and goes along with every other call."""
        return await use.token(request)

    @router.post(
        "/requests/{reference}/changes",
        status_code=201,
        responses={
            200: {"model": ChangeReceipt, "description": "Known already."},
            201: {"model": ChangeReceipt, "description": "New, and kept."},
            **pivot_failures(400, 401, 404, 408, 409, 410, 413, 422, 503, never=_NOT_OF_CHANGES),
        },
        openapi_extra=takes_told(PivotChange),
        operation_id="tell_change",
    )
    async def change(request: Request, reference: Reference) -> Response:
        """Tell a change of a request: status, text, documents and number, all at once or nothing.

        Send it again, with the same key, until it is answered."""
        return await use.change(request, reference)

    @router.post(
        "/mailbox/claim",
        responses={
            200: {"model": ClaimAnswer},
            **pivot_failures(400, 401, 408, 409, 410, 413, 503, never=_NOT_OF_CLAIMS),
        },
        openapi_extra=takes_told(PivotClaim),
        operation_id="claim",
    )
    async def claim(request: Request) -> Response:
        """Settle what was fetched before and fetch what is next, where `mode: mailbox`.

        Of each request one message at a time is given, so their order is kept; other requests do
        not wait. An answer that was lost loses nothing: the lease ends, and it is given again."""
        return await use.claim(request)

    @router.get(
        "/events",
        responses={
            200: {"model": EventsPage},
            **pivot_failures(400, 401, 410, 503, never={"invalid_body", "erased"}),
        },
        openapi_extra=CALLED,
        operation_id="events",
    )
    async def events(request: Request, after: After = "0", limit: Limit = "50") -> Response:
        """Read again what you were sent or could fetch: to catch up after a loss of your own.

        It consumes nothing, and goes back to the beginning. Erased requests keep their numbers."""
        return await use.events(request, after, limit)

    @router.head(
        _FILE,
        responses={
            200: FILE_HEADERS,
            **pivot_failures(403, 404, 410, 503, never={"no_route", "commune_left"}),
        },
        operation_id="look_at_file",
        openapi_extra=SHOWS_LINK,
        response_class=Response,
    )
    async def file_headers(request: Request, reference: Reference, sha256: Sha256) -> Response:
        """Read the size and type of a file alone."""
        return await use.file(request, reference, sha256)

    @router.get(
        _FILE,
        responses={
            **FILE,
            **pivot_failures(403, 404, 410, 416, 503, never={"no_route", "commune_left"}),
        },
        operation_id="read_file",
        openapi_extra=READS_LINK,
        response_class=StreamingResponse,
    )
    async def file(request: Request, reference: Reference, sha256: Sha256) -> Response:
        """Read a citizen's file at the link that an event gave, as it stands in `url`: it bears its
        own proof, no token is needed. `Range` resumes a broken read: one range of bytes; with
        `If-Range`, of the same file. Any other `Range` is passed over: the whole file comes."""
        return await use.file(request, reference, sha256)

    return router


class _Calls:
    """The calls behind the routes."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.pace = CallPace(lambda: web.engine.environment.monotonic())

    @property
    def desk(self) -> PivotDesk:
        return self.web.engine.pivot

    async def token(self, request: Request) -> Response:
        now = self.web.engine.environment.now()
        try:
            with self.web.unproven.lease() as lease:
                client, found = await give_token(self.desk, request, lease, now)
        except TokenRefusal as refusal:
            exchange_of(request.scope).code = refusal.error
            headers = {"Cache-Control": "no-store"}
            if refusal.status == 401:
                headers["WWW-Authenticate"] = 'Basic realm="pivot", charset="UTF-8"'
            return JSONResponse({"error": refusal.error}, refusal.status, headers)
        self.known(request, client.id)
        told = AccessToken(access_token=found, token_type="Bearer", expires_in=TOKEN_LIFE)  # noqa: S106
        return JSONResponse(told.model_dump(), headers={"Cache-Control": "no-store"})

    async def change(self, request: Request, reference: str) -> Response:
        gru, _ = self.proven(request)
        self.desk.check_open(gru)
        told = await self.body(request, gru, PivotChange)
        known = await self.desk.record_change(gru, reference, told)
        receipt = ChangeReceipt(reference=reference, key=told.key, known=known)
        return JSONResponse(receipt.model_dump(), 200 if known else 201)

    async def claim(self, request: Request) -> Response:
        gru, client = self.proven(request)
        told = await self.body(request, gru, PivotClaim)
        if not gru.capabilities.pulled:
            text = "Cette GRU est en mode push : la passerelle appelle, rien n'est à relever."
            raise PivotRefusal(409, "no_mailbox", text)
        with self.web.engine.far_ends.using(gru.lane_name):
            answer = await self.web.engine.mailbox.claim(gru, client, told)
        return await _written(answer)

    async def events(self, request: Request, after: str, limit: str) -> Response:
        gru, client = self.proven(request)
        numbers = [int(n) if _NUMBER.match(n) else -1 for n in (after, limit)]
        bounds = {"after": (0, 2**53), "limit": (1, MOST_ITEMS)}
        for number, (name, (least, most)) in zip(numbers, bounds.items(), strict=True):
            if not least <= number <= most:
                text = f"`{name}` est un nombre de {least} à {most}."
                raise PivotRefusal(400, "invalid_query", text, f"/{name}")
        with self.web.engine.far_ends.using(gru.lane_name):
            page = await self.web.engine.mailbox.read_feed(gru, client, *numbers)
        return await _written(page)

    async def file(self, request: Request, reference: str, sha256: str) -> Response:
        now = self.web.engine.environment.now()
        gru, links = linked(self.desk, request, reference, sha256, now)
        self.known(request, links.client)
        return file_answer(await self.desk.file(gru, reference, sha256), request)

    def proven(self, request: Request) -> tuple[Gru, PivotClient]:
        """Return who calls. Raises PivotRefusal 401 and 429."""
        found = client_of(self.desk, request, self.web.engine.environment.now())
        self.known(request, found[1].id)
        return found

    def known(self, request: Request, client: str) -> None:
        """Count a call that is proven to be this client's. Raises PivotRefusal 429."""
        exchange_of(request.scope).proven = True
        self.pace.count(client)

    async def body(self, request: Request, gru: Gru, model: type[_Model]) -> _Model:
        """Return the body of a call that proved its sender. Raises PivotRefusal 400, as `read_body`
        does, and TookTooLong."""
        largest, lane = largest_webhook(self.web.engine.catalogue), gru.lane_name
        lease, seat = self.web.proven.lease(lane), BodyTurn(self.web.webhooks, lane)
        with lease, seat, work_of(lane):
            raw = await read_body(request, largest, lease)
            if len(raw) > LARGE:
                await seat.wait_turn()
            return await beside(len(raw), partial(_parsed, raw, model))


async def _written(told: ClaimAnswer | EventsPage) -> Response:
    size = sum(message_weight(one.event) for one in told.items if one.event is not None)
    return Response(await beside(size, told.model_dump_json), media_type="application/json")


def _parsed(raw: bytes, model: type[_Model]) -> _Model:
    try:
        return model.model_validate(read_json(raw))
    except Unreadable:
        raise PivotRefusal(400, "invalid_body", "Le corps n'est pas du JSON.", "") from None
    except ValidationError as error:
        # The sentences may repeat what was sent; the kinds of the errors do not.
        every = error.errors(include_input=False, include_url=False, include_context=False)
        faults = [
            PivotFault(
                "invalid_body",
                f"{_REMEDIES.get(one['type'], 'Ce champ ne convient pas.')} ({one['type']})",
                "".join(f"/{_escaped(str(part)[:100])}" for part in one["loc"]),
            )
            for one in every[:MOST_ERRORS]
        ]
        raise PivotRefusal.of(400, faults, len(every)) from None


def _escaped(part: str) -> str:
    """Return a part of a JSON Pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")
