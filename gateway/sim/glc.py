"""GrandLyon Connect: an Authentic server that knows accounts and deletions.

Source: Authentic `api_views.py`. The simulator can lie in the ways that
must not make the gateway erase anybody.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.core.request import Json
from gateway.sim.control import Clock, build_app, now_utc, request_json
from gateway.sim.faults import Faults

#: Page size of the list of deletions: default and greatest.
PAGE = 50
MAX_PAGE = 100


class Lie(StrEnum):
    """The ways in which the answers are untrue."""

    NONE = "none"
    #: Every uuid is unknown; every account is listed as deleted.
    ALL_UNKNOWN = "all_unknown"
    #: The right to search covers half of the accounts: the others are unknown.
    HALF_VISIBLE = "half_visible"
    #: The client lost its right to search: 403.
    NO_RIGHT = "no_right"
    #: The right covers a unit, the accounts in `SimulatedGlc.narrowed_to`: all others are unknown.
    NARROWED = "narrowed"
    #: `next` of the first page of deletions leads to an empty last page.
    EMPTY_PAGE = "empty_page"
    #: `next` of the first page of deletions leads to a 500.
    BROKEN_PAGE = "broken_page"
    #: 200 with `err` 1.
    ERR = "err"
    #: 200 with a body that is cut in the middle.
    MALFORMED = "malformed"


class Spelling(StrEnum):
    """The spellings of a uuid in the list of deletions. Authentic writes and compares it without
    change."""

    PLAIN = "plain"
    UPPER = "upper"
    DASHED = "dashed"
    BLANKS = "blanks"

    def of(self, uuid: str) -> str:
        match self:
            case Spelling.UPPER:
                return uuid.upper()
            case Spelling.DASHED:
                return "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:])).upper()
            case Spelling.BLANKS:
                return f" {uuid} "
            case _:
                return uuid


@dataclass(frozen=True, slots=True)
class Deletion:
    uuid: str
    at: datetime


@dataclass(slots=True)
class SimulatedGlc:
    """The state of the identity provider.

    `clients` maps the name of an HTTP Basic client to its password. `asked` records each list of
    uuids that was asked about. `accounts` are the accounts that exist.
    """

    clients: dict[str, str] = field(default_factory=lambda: {"connecteur": "secret-essai"})
    accounts: set[str] = field(default_factory=set)
    deleted: list[Deletion] = field(default_factory=list)
    lie: Lie = Lie.NONE
    spelling: Spelling = Spelling.PLAIN
    narrowed_to: set[str] = field(default_factory=set)
    clock: Clock = now_utc
    base_url: str = ""
    faults: Faults = field(default_factory=Faults)
    asked: list[list[str]] = field(default_factory=list)

    @property
    def app(self) -> ASGIApp:
        return _glc_app(self)

    def create(self, *uuids: str) -> None:
        self.accounts.update(uuids)

    def delete(self, uuid: str) -> None:
        """Delete the account for good. Raises KeyError when there is none."""
        self.accounts.remove(uuid)
        self.deleted.append(Deletion(uuid, self.clock()))

    def visible(self) -> set[str]:
        """Return the accounts that the caller may find. Lies apply."""
        if self.lie is Lie.ALL_UNKNOWN:
            return set()
        if self.lie is Lie.NARROWED:
            return self.accounts & self.narrowed_to
        if self.lie is Lie.HALF_VISIBLE:
            return set(sorted(self.accounts)[::2])
        return self.accounts

    def listed(self) -> list[Deletion]:
        """Return the deletions that are listed, oldest first. Lies apply."""
        if self.lie is not Lie.ALL_UNKNOWN:
            return self.deleted
        now = self.clock()
        return [*self.deleted, *(Deletion(uuid, now) for uuid in sorted(self.accounts))]

    def state(self) -> dict[str, Json]:
        return {
            "accounts": sorted(self.accounts),
            "deleted": [one.uuid for one in self.deleted],
            "lie": self.lie.value,
            "asked": self.asked,
        }


def _refusal(glc: SimulatedGlc, request: Request) -> Response | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(value).decode().partition(":")
    except ValueError:
        name, password = "", ""
    if scheme.lower() == "basic" and password and glc.clients.get(name) == password:
        return None
    why = "Nom d'utilisateur et/ou mot de passe non valide(s)."
    if not value:
        why = "Informations d'authentification non fournies."
    return JSONResponse(
        {"result": 0, "errors": why}, 401, {"WWW-Authenticate": 'Basic realm="api"'}
    )


def _shared_lies(glc: SimulatedGlc) -> Response | None:
    if glc.lie is Lie.NO_RIGHT:
        why = "You do not have permission to perform this action."
        return JSONResponse({"result": 0, "errors": why}, 403)
    if glc.lie is Lie.ERR:
        return JSONResponse({"err": 1, "err_desc": "simulated", "unknown_uuids": []})
    if glc.lie is Lie.MALFORMED:
        return Response(
            '{"err": 0, "result": 1, "unknown_uuids": ["', media_type="application/json"
        )
    return None


def _invalid(errors: dict[str, Json]) -> Response:
    return JSONResponse({"err": 1, "result": 0, "errors": errors}, 400)


async def _synchronize(glc: SimulatedGlc, request: Request) -> Response:
    if request.method != "POST":
        why = "Méthode « GET » non autorisée."
        return JSONResponse({"result": 0, "errors": why}, 405)
    try:
        body = await request_json(request)
    except ValueError:
        return JSONResponse({"result": 0, "errors": "JSON parse error"}, 400)
    known = body.get("known_uuids") if isinstance(body, dict) else None
    if known is None:
        return _invalid({"known_uuids": ["Ce champ est obligatoire."]})
    if not isinstance(known, list) or not all(isinstance(one, str) for one in known):
        return _invalid({"known_uuids": ["Attendait une liste d'éléments."]})
    if body.get("keepalive"):
        why = "keepalive requires the admin_user permission"
        return JSONResponse({"result": 0, "errors": why}, 403)
    glc.asked.append(known)
    lie = _shared_lies(glc)
    if lie is not None:
        return lie
    # The real one has a set, in any order. Here it is always the same wrong one.
    unknown = sorted(set(known) - glc.visible(), reverse=True)
    answer: dict[str, Json] = {"err": 0, "result": 1, "unknown_uuids": unknown}
    if body.get("timestamp"):
        answer["modified_users_uuids"] = []
    return JSONResponse(answer)


async def _deletions(glc: SimulatedGlc, request: Request) -> Response:
    cursor = request.query_params.get("cursor", "c0")
    size = request.query_params.get("limit", str(PAGE))
    if not (cursor[:1] == "c" and cursor[1:].isdigit()):
        return JSONResponse({"err": 1, "err_desc": "Invalid cursor"}, 404)
    if not size.isdigit() or size == "0":
        return _invalid({"limit": ["A valid integer is required."]})
    lie = _shared_lies(glc)
    if lie is not None:
        return lie
    start, limit = int(cursor[1:]), min(int(size), MAX_PAGE)
    if start > 0 and glc.lie is Lie.BROKEN_PAGE:
        return JSONResponse({"err": 1}, 500)
    if start > 0 and glc.lie is Lie.EMPTY_PAGE:
        return JSONResponse({"err": 0, "next": None, "results": []})
    listed = glc.listed()
    page, end = listed[start : start + limit], start + limit
    more = end < len(listed)
    base = glc.base_url or str(request.base_url).rstrip("/")
    results = [
        {"uuid": glc.spelling.of(one.uuid), "deleted_at": one.at.astimezone(UTC).isoformat()}
        for one in page
    ]
    return JSONResponse(
        {
            "err": 0,
            "next": f"{base}/api/deletions/?cursor=c{end}&limit={limit}" if more else None,
            "results": results,
        }
    )


def _glc_app(glc: SimulatedGlc) -> ASGIApp:
    """Return the application. `/_sim/create` and `/_sim/delete` take `{"uuids": [...]}`;
    `/_sim/lie` takes `{"lie": ...}`."""

    def guarded(
        run: Callable[[SimulatedGlc, Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return _refusal(glc, request) or await run(glc, request)

        return answer

    async def create(body: dict[str, Any]) -> Any:
        glc.create(*_texts(body["uuids"]))
        return {"err": 0}

    async def delete(body: dict[str, Any]) -> Any:
        for uuid in _texts(body["uuids"]):
            glc.delete(uuid)
        return {"err": 0}

    async def lie(body: dict[str, Any]) -> Any:
        glc.lie = Lie(body["lie"])
        return {"err": 0}

    routes = [
        Route("/api/users/synchronization/", guarded(_synchronize), methods=["POST", "GET"]),
        Route("/api/deletions/", guarded(_deletions), methods=["GET"]),
    ]
    actions = {"create": create, "delete": delete, "lie": lie}
    return build_app(routes, glc.faults, glc.state, actions)


def _texts(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values]
