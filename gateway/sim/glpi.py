"""A simulated GLPI: what its `apirest.php` shows of tickets, follow-ups and solutions.

It answers as the documentation and the exchanges kept in `adapters/packs/glpi` say; no GLPI was
asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.sim.control import Clock, build_app, now_utc, request_json
from gateway.sim.faults import Faults

#: The states of GLPI.
NEW, ASSIGNED, PLANNED, PENDING, SOLVED, CLOSED = range(1, 7)
#: The account of the connector, and a technician's.
OURS, TECHNICIAN = 7, 3
_PARIS = ZoneInfo("Europe/Paris")
_STAMP = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class GlpiEntry:
    """A follow-up, or a solution."""

    id: int
    author: int
    content: str
    at: datetime
    private: bool = False
    solution: bool = False


@dataclass(slots=True)
class GlpiTicket:
    id: int
    fields: dict[str, Any]
    changed: datetime
    status: int = NEW
    entries: list[GlpiEntry] = field(default_factory=list)


@dataclass(slots=True)
class Glpi:
    """The server's state. `token` is the user's token of the API."""

    token: str = "jeton-glpi"  # noqa: S105 (a published default)
    clock: Clock = now_utc
    faults: Faults = field(default_factory=Faults)
    tickets: list[GlpiTicket] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    _last: int = 0

    @property
    def app(self) -> ASGIApp:
        return _app(self)

    def number(self) -> int:
        self._last += 1
        return self._last

    def find(self, number: int) -> GlpiTicket:
        """Return a ticket. Raises KeyError."""
        for one in self.tickets:
            if one.id == number:
                return one
        raise KeyError(number)

    def duplicates(self) -> list[str]:
        """Return the references that more than one ticket has, and contents that occur twice."""
        names = Counter(str(one.fields.get("externalid")) for one in self.tickets)
        told = Counter((t.id, e.content) for t in self.tickets for e in t.entries)
        twice = [content for (_, content), times in told.items() if times > 1]
        return [name for name, times in names.items() if times > 1] + twice

    def write(
        self, ticket: GlpiTicket, author: int, content: str, *, private: bool, solution: bool
    ) -> GlpiEntry:
        """Add a follow-up or a solution; a solution solves the ticket."""
        at = self.clock()
        entry = GlpiEntry(self.number(), author, content, at, private, solution)
        ticket.entries.append(entry)
        ticket.changed = at
        if solution:
            ticket.status = SOLVED
        return entry

    def advance(
        self,
        number: int,
        status: int | None = None,
        note: str | None = None,
        *,
        private: bool = False,
    ) -> GlpiTicket:
        """Change a ticket as a technician does. Raises KeyError."""
        ticket = self.find(number)
        if note is not None:
            content = f"<p>{escape(note)}</p>"
            self.write(ticket, TECHNICIAN, content, private=private, solution=False)
        if status is not None:
            ticket.status = status
        ticket.changed = self.clock()
        return ticket

    def state(self) -> dict[str, Any]:
        return {"tickets": [_shown(one) for one in self.tickets]}


def _stamp(at: datetime) -> str:
    """Return a time as GLPI writes it: of its own zone, without saying so."""
    return at.astimezone(_PARIS).strftime(_STAMP)


def _shown(one: GlpiTicket) -> dict[str, Any]:
    return {
        **{name: value for name, value in one.fields.items() if name != "content"},
        "id": one.id,
        "status": one.status,
        "date_mod": _stamp(one.changed),
        "content": _escaped(str(one.fields.get("content", ""))),
    }


def _escaped(text: str) -> str:
    """GLPI 10 gives texts escaped once more."""
    return text.replace("&", "&#38;").replace("<", "&#60;").replace(">", "&#62;")


def _entry(one: GlpiEntry, ticket: GlpiTicket) -> dict[str, Any]:
    private = {} if one.solution else {"is_private": int(one.private)}
    return {
        "id": one.id,
        "items_id": ticket.id,
        "itemtype": "Ticket",
        "users_id": one.author,
        "content": _escaped(one.content),
        "date_creation": _stamp(one.at),
        **private,
    }


Endpoint = Callable[[Glpi, Request], Awaitable[Response]]


class _Fault(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.answer = JSONResponse([code, "message de GLPI"], status)


async def _session(sim: Glpi, request: Request) -> Response:
    if request.headers.get("authorization") != f"user_token {sim.token}":
        raise _Fault(401, "ERROR_GLPI_LOGIN_USER_TOKEN")
    token = f"session-{sim.number()}"
    sim.sessions.add(token)
    return JSONResponse({"session_token": token})


async def _profile(sim: Glpi, request: Request) -> Response:
    return JSONResponse({"active_profile": {"id": 1}})


async def _input(request: Request) -> dict[str, Any]:
    body = await request_json(request)
    given = body.get("input") if isinstance(body, dict) else None
    if not isinstance(given, dict):
        raise _Fault(400, "ERROR_JSON_PAYLOAD_INVALID")
    return given


async def _create(sim: Glpi, request: Request) -> Response:
    ticket = GlpiTicket(sim.number(), await _input(request), sim.clock())
    sim.tickets.append(ticket)
    return JSONResponse({"id": ticket.id, "message": ""}, 201)


async def _list(sim: Glpi, request: Request) -> Response:
    # `searchText` finds what contains the text.
    wanted = request.query_params.get("searchText[externalid]", "")
    found = [one for one in sim.tickets if wanted in str(one.fields.get("externalid", ""))]
    return JSONResponse([_shown(one) for one in found])


def _ticket(sim: Glpi, number: Any) -> GlpiTicket:
    try:
        return sim.find(int(number))
    except (KeyError, ValueError, TypeError):
        raise _Fault(404, "ERROR_ITEM_NOT_FOUND") from None


async def _read(sim: Glpi, request: Request) -> Response:
    return JSONResponse(_shown(_ticket(sim, request.path_params["id"])))


def _writing(*, solution: bool) -> Endpoint:
    async def write(sim: Glpi, request: Request) -> Response:
        given = await _input(request)
        ticket = _ticket(sim, given.get("items_id"))
        if ticket.status == CLOSED:
            raise _Fault(400, "ERROR_GLPI_ADD")
        private = bool(given.get("is_private"))
        content = str(given.get("content", ""))
        entry = sim.write(ticket, OURS, content, private=private, solution=solution)
        return JSONResponse({"id": entry.id, "message": ""}, 201)

    return write


def _entries(*, solutions: bool) -> Endpoint:
    async def entries(sim: Glpi, request: Request) -> Response:
        ticket = _ticket(sim, request.path_params["id"])
        mine = [_entry(one, ticket) for one in ticket.entries if one.solution is solutions]
        return JSONResponse(mine)

    return entries


async def _search(sim: Glpi, request: Request) -> Response:
    since = request.query_params.get("criteria[0][value]", "")
    found = [one for one in sim.tickets if _stamp(one.changed) > since]
    found.sort(key=lambda one: one.changed)
    rows = [{"2": one.id, "12": one.status, "19": _stamp(one.changed)} for one in found]
    return JSONResponse({"totalcount": len(rows), "count": len(rows), "data": rows})


def _app(sim: Glpi) -> ASGIApp:
    """Return the application. `POST /_sim/advance` takes `{"number", "status", "note"}`."""

    def endpoint(run: Endpoint) -> Callable[..., Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                if run is not _session and request.headers.get("session-token") not in sim.sessions:
                    raise _Fault(401, "ERROR_SESSION_TOKEN_INVALID")
                return await run(sim, request)
            except _Fault as fault:
                return fault.answer

        return answer

    async def advance(body: dict[str, Any]) -> Any:
        return _shown(sim.advance(**body))

    base = "/apirest.php"
    routes = [
        Route(f"{base}/initSession", endpoint(_session)),
        Route(f"{base}/getActiveProfile", endpoint(_profile)),
        Route(f"{base}/Ticket", endpoint(_list)),
        Route(f"{base}/Ticket", endpoint(_create), methods=["POST"]),
        Route(f"{base}/Ticket/{{id}}", endpoint(_read)),
        Route(f"{base}/Ticket/{{id}}/ITILFollowup", endpoint(_entries(solutions=False))),
        Route(f"{base}/Ticket/{{id}}/ITILSolution", endpoint(_entries(solutions=True))),
        Route(f"{base}/ITILFollowup", endpoint(_writing(solution=False)), methods=["POST"]),
        Route(f"{base}/ITILSolution", endpoint(_writing(solution=True)), methods=["POST"]),
        Route(f"{base}/search/Ticket", endpoint(_search)),
    ]
    return build_app(routes, sim.faults, sim.state, {"advance": advance})


__all__ = ["ASSIGNED", "CLOSED", "NEW", "OURS", "PENDING", "PLANNED", "SOLVED", "TECHNICIAN"]
__all__ += ["Glpi", "GlpiEntry", "GlpiTicket"]
