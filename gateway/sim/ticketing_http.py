"""The HTTP side of the simulated ticketing GRU."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.core.request import Json
from gateway.sim.control import build_app, request_json
from gateway.sim.ticketing import Ticket, TicketDocument, Ticketing

PER_PAGE = 25
MAX_PER_PAGE = 100

Endpoint = Callable[[Ticketing, Request], Awaitable[Response]]


class _Fault(Exception):
    def __init__(self, status: int, code: str, *messages: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.messages = messages or (code,)

    def response(self, sim: Ticketing) -> Response:
        if sim.errors_in_200:
            error = {"ErrorCode": self.code, "ErrorMessage": "; ".join(self.messages)}
            return JSONResponse({"Error": error})
        if self.status == 422:
            return JSONResponse({"errors": list(self.messages)}, 422)
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        body = {"error": self.code, "message": "; ".join(self.messages)}
        return JSONResponse(body, self.status, headers)


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(value).decode().partition(":")
    except ValueError:
        return None
    return name, password


def _check_access(sim: Ticketing, request: Request) -> None:
    headers = request.headers
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if (
        headers.get("x-api-key") == sim.token
        or headers.get("session-token") in sim.sessions
        or (scheme.lower() == "bearer" and bearer in sim.access_tokens)
        or _basic(request) == sim.login
    ):
        return
    raise _Fault(401, "unauthorized", "authentication is missing, wrong or over")


async def _object(request: Request) -> dict[str, Json]:
    try:
        body = await request_json(request)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _Fault(400, "bad_request", "a JSON object is expected")
    return body


async def _session(sim: Ticketing, request: Request) -> Response:
    body = await _object(request)
    if (body.get("login"), body.get("password")) != sim.login:
        raise _Fault(401, "unauthorized", "wrong login or password")
    return JSONResponse({"session_token": sim.issue(sim.sessions, "session")})


async def _oauth(sim: Ticketing, request: Request) -> Response:
    async with request.form() as form:
        fields = {name: str(value) for name, value in form.items()}
    if fields.get("grant_type") != "client_credentials":
        return JSONResponse({"error": "unsupported_grant_type"}, 400)
    given = _basic(request) or (fields.get("client_id", ""), fields.get("client_secret", ""))
    if given != sim.client:
        return JSONResponse({"error": "invalid_client"}, 401, {"WWW-Authenticate": "Basic"})
    token = sim.issue(sim.access_tokens, "acces")
    return JSONResponse(
        {"access_token": token, "token_type": "Bearer", "expires_in": sim.token_life}
    )


async def _create(sim: Ticketing, request: Request) -> Response:
    body = await _object(request)
    missing = [name for name in sim.required if body.get(name) in (None, "")]
    if missing:
        raise _Fault(422, "invalid", *(f"{name} can't be blank" for name in missing))
    external = body.get("external_id")
    if sim.unique_external_id and external is not None and sim.by_external_id(str(external)):
        raise _Fault(409, "conflict", "external_id is taken")
    wanted = body.get("uploads") or []
    tokens = [one.get("token") if isinstance(one, Mapping) else None for one in wanted]
    if any(token not in sim.uploads for token in tokens):
        raise _Fault(422, "invalid", "uploads: unknown token")
    ticket = sim.create({name: value for name, value in body.items() if name != "uploads"})
    ticket.documents += [sim.uploads.pop(str(token)) for token in tokens]
    return JSONResponse({"ticket": ticket.as_json()}, 201)


def _count(request: Request, name: str, usual: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not text.isdigit() or text == "0":
        raise _Fault(400, "bad_request", f"{name} must be a number from 1")
    return int(text)


async def _search(sim: Ticketing, request: Request) -> Response:
    query = request.query_params
    found = list(sim.tickets)
    if "external_id" in query:
        found = sim.by_external_id(query["external_id"])
    if "updated_since" in query:
        try:
            since = datetime.fromisoformat(query["updated_since"].replace(" ", "+"))
            found = [one for one in found if one.updated >= since]
        except (ValueError, TypeError):
            raise _Fault(
                400, "bad_request", "updated_since must be a date with its offset"
            ) from None
        found.sort(key=lambda one: (one.updated, int(one.id)))
    page = _count(request, "page", 1)
    size = min(_count(request, "per_page", PER_PAGE), MAX_PER_PAGE)
    rows = [one.as_json(sim.lies) for one in found[(page - 1) * size : page * size]]
    rows = sim.lies.rows(rows, {"id": None, "status": {"label": "?"}, "comments": "?"})
    body = {"tickets": rows, "page": page, "per_page": size, "total": len(found)}
    return JSONResponse(body)


def _ticket(sim: Ticketing, request: Request) -> Ticket:
    try:
        return sim.find(request.path_params["id"])
    except KeyError:
        raise _Fault(404, "not_found", "no such ticket") from None


async def _read(sim: Ticketing, request: Request) -> Response:
    return JSONResponse({"ticket": _ticket(sim, request).as_json(sim.lies)})


async def _comment(sim: Ticketing, request: Request) -> Response:
    ticket = _ticket(sim, request)
    body = await _object(request)
    text = body.get("text")
    if not isinstance(text, str) or not text:
        raise _Fault(422, "invalid", "text can't be blank")
    external = body.get("external_id")
    comment = sim.add_comment(
        ticket,
        text,
        internal=body.get("internal") is True,
        external_id=None if external is None else str(external),
    )
    return JSONResponse({"comment": {"id": comment.id, "external_id": external}}, 201)


async def _upload(sim: Ticketing, request: Request) -> Response:
    content = await request.body()
    if not content:
        raise _Fault(422, "invalid", "the file is empty")
    content_type = request.headers.get("content-type", "application/octet-stream")
    name = request.query_params.get("filename") or unquote(request.headers.get("filename", "file"))
    token = f"fichier-{len(sim.uploads) + sum(len(one.documents) for one in sim.tickets) + 1}"
    sim.uploads[token] = TicketDocument(name, content_type, content)
    return JSONResponse({"upload": {"token": token}}, 201)


async def _attach(sim: Ticketing, request: Request) -> Response:
    ticket = _ticket(sim, request)
    added: list[TicketDocument] = []
    async with request.form() as form:
        for _, item in form.multi_items():
            if isinstance(item, UploadFile):
                content_type = item.content_type or "application/octet-stream"
                added.append(
                    TicketDocument(item.filename or "file", content_type, await item.read())
                )
    if not added:
        raise _Fault(422, "invalid", "no file part")
    ticket.documents += added
    ticket.updated = sim.clock()
    return JSONResponse({"attachments": [{"filename": one.filename} for one in added]}, 201)


async def _erase(sim: Ticketing, request: Request) -> Response:
    _ticket(sim, request).erase_person()
    return Response(status_code=204)


def ticketing_app(sim: Ticketing) -> ASGIApp:
    """Return the application.

    `POST /_sim/advance` takes `{"ticket_id", "status", "note", "internal", "document": {"filename",
    "content_type", "content" (Base64)}}` and sends the webhook.
    """

    def endpoint(run: Endpoint, *, open_to_all: bool = False) -> Callable[..., Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                if not open_to_all:
                    _check_access(sim, request)
                return await run(sim, request)
            except _Fault as fault:
                return fault.response(sim)

        return answer

    async def advance(body: dict[str, Any]) -> Any:
        given = body.pop("document", None)
        document = None
        if given is not None:
            content = base64.b64decode(given["content"])
            document = TicketDocument(given["filename"], given["content_type"], content)
        ticket = sim.advance(**body, document=document)
        return {"ticket": ticket.as_json(), "webhooks": await sim.notify()}

    one = "/api/tickets/{id}"
    routes = [
        Route("/session", endpoint(_session, open_to_all=True), methods=["POST"]),
        Route("/oauth/token", endpoint(_oauth, open_to_all=True), methods=["POST"]),
        Route("/api/tickets", endpoint(_create), methods=["POST"]),
        Route("/api/tickets", endpoint(_search), methods=["GET"]),
        Route(one, endpoint(_read), methods=["GET"]),
        Route(f"{one}/comments", endpoint(_comment), methods=["POST"]),
        Route(f"{one}/attachments", endpoint(_attach), methods=["POST"]),
        Route(f"{one}/person", endpoint(_erase), methods=["DELETE"]),
        Route("/api/uploads", endpoint(_upload), methods=["POST"]),
    ]
    return build_app(routes, sim.faults, sim.state, {"advance": advance})
