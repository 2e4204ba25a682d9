"""`/api/v1`: for programs, what the console's pages show and do, from the same rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.console import acting
from gateway.console.gate import Gate, text_values
from gateway.console.pages import kept_file
from gateway.console.views import VIEWS
from gateway.console.views.view import ConsoleFile, View
from gateway.core.errors import Rejected
from gateway.web.body import read_body

API: Final = "/api/v1"
_LONGEST: Final = 64 * 1024


def api_router(gate: Gate) -> APIRouter:
    """Return `/api/v1/...`."""
    router = APIRouter(prefix=API, include_in_schema=False)
    use = _Api(gate)
    router.add_api_route("", use.contents, methods=["GET"])
    router.add_api_route("/acts/{act}", use.act, methods=["POST"])
    for view in VIEWS:
        router.add_api_route(view.api, use.value_of(view), methods=["GET"])
    return router


class _Api:
    """The calls behind the routes."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def contents(self, request: Request) -> Response:
        """List the views and acts of the caller's role."""
        role = (await self.gate.program(request)).role
        views = [{"name": v.name, "path": API + v.api} for v in VIEWS if v.allows(role)]
        acts = [
            {
                "name": act.name,
                "path": f"{API}/acts/{act.name}",
                "because": act.because,
                "bulk": act.bulk,
                "command": act.command,
                "parameters": [asdict(one) for one in act.parameters],
            }
            for act in acting.ACTS.values()
            if act.allows(role)
        ]
        return _json({"views": views, "acts": acts})

    def value_of(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            reader = await self.gate.program(request)
            if not view.allows(reader.role):
                raise Rejected(403, "not_allowed", "This role may not read it.")
            query = text_values(request.query_params) | text_values(request.path_params)
            data = await view.load(self.gate.sight(reader), query)
            if isinstance(data, ConsoleFile):
                return kept_file(data.name, data.media_type, data.text)
            return _json(data)

        return handle

    async def act(self, request: Request) -> Response:
        """Do an act, or with `dry_run` say what it would do."""
        reader = await self.gate.program(request)
        sight = self.gate.sight(reader)
        act = acting.act_named(request.path_params["act"], sight)
        asked = await self._asked(request)
        targets = asked["targets"]
        if asked["dry_run"]:
            lines = await acting.foresee(act, sight, targets)
        else:
            place = self.gate.place(request, "api")
            lines = await acting.perform(
                act, sight, place, targets, asked["because"], asked["parameters"]
            )
        alone = len(lines) == 1 and lines[0].refused
        return _json({"act": act.name, "results": lines}, 409 if alone else 200)

    async def _asked(self, request: Request) -> dict[str, Any]:
        with self.gate.web.unproven.lease() as lease:
            body = await read_body(request, _LONGEST, lease)
        try:
            told = orjson.loads(body)
        except ValueError:
            raise _malformed() from None
        found = {"targets": [], "because": "", "parameters": {}, "dry_run": False}
        if not isinstance(told, dict) or told.keys() - found.keys():
            raise _malformed()
        found |= told
        if not (
            _texts(found["targets"])
            and isinstance(found["because"], str)
            and isinstance(found["parameters"], Mapping)
            and _texts([*found["parameters"], *found["parameters"].values()])
            and isinstance(found["dry_run"], bool)
        ):
            raise _malformed()
        return found


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _malformed() -> Rejected:
    text = 'A JSON object: {"targets": [ids], "because": "", "parameters": {}, "dry_run": false}.'
    return Rejected(400, "malformed", text)


def _json(value: Any, status: int = 200) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=_plain)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(body, status, headers, media_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError
