"""The HTTP side of the simulated w.c.s.: lists, single reads, schemas, triggers and hooks."""

from __future__ import annotations

import base64
import functools
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.core.request import Json
from gateway.sim.control import build_app, read_json
from gateway.sim.formdata import PARIS, Busy, Formdata
from gateway.sim.wcs_signature import AccessDenied

if TYPE_CHECKING:
    from gateway.sim.portal import Portal

_ON = frozenset({"on", "true", "1"})
_OFF = frozenset({"off", "false", "0"})
_SWITCHES = ("user", "fields", "evolution", "roles", "submission", "workflow", "workflow-data")
_ORDERS: dict[str, Callable[[Formdata], Any]] = {
    "receipt_time": lambda item: item.received,
    "last_update_time": lambda item: item.updated,
    "id": lambda item: (len(item.internal_id), item.internal_id),
}

Endpoint = Callable[["Portal", Request], Awaitable[Response]]


class _Refused(Exception):
    def __init__(self, status: int, code: str, description: str | None = None) -> None:
        super().__init__(code)
        self.answer = _error(status, code, description)


def _error(status: int, code: str, description: str | None) -> Response:
    titles = {
        "not-found": "Page not found",
        "invalid-request": "Invalid request",
        "method-not-allowed": "Method not allowed",
    }
    title = titles.get(code, "Access denied")
    body = {"err": 1, "err_class": title, "err_code": code, "err_desc": description}
    headers = {"WWW-Authenticate": "Basic"} if status == 401 else {}
    return JSONResponse(body, status, headers)


def _caller(portal: Portal, request: Request) -> str:
    """The API access that calls. Raises AccessDenied."""
    raw = request.scope["query_string"].decode("latin-1")
    if "signature=" in raw:
        return portal.verifier.verify(raw, portal.clock())
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(value).decode().partition(":")
        except ValueError:
            name, password = "", ""
        if password and portal.keys.get(name) == password:
            return name
    raise AccessDenied("unhandled authorization header", status=401, code="access-unauthorized")


def _guarded(portal: Portal, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    @functools.wraps(endpoint)
    async def run(request: Request) -> Response:
        try:
            request.state.caller = _caller(portal, request)
            return await endpoint(portal, request)
        except AccessDenied as refusal:
            return _error(refusal.status, refusal.code, refusal.description)
        except _Refused as refusal:
            return refusal.answer

    return run


def _item(portal: Portal, request: Request) -> Formdata:
    params = request.path_params
    try:
        return portal.get(params["slug"], params["id"])
    except KeyError:
        raise _Refused(404, "not-found") from None


def _may_read(portal: Portal, request: Request) -> None:
    """An access without roles reads one formdata only when it acts as a known user."""
    if request.state.caller not in portal.roleless:
        return
    query = request.query_params
    users = [item.user for item in portal.formdata.values() if item.user]
    if query.get("NameID"):
        if any(query["NameID"] in (user.get("NameID") or []) for user in users):
            return
        raise _Refused(403, "unknown-name-id", "unknown NameID")
    if query.get("email") and any(query["email"] == user.get("email") for user in users):
        return
    raise _Refused(403, "access-denied", "user not authenticated")


async def _read(portal: Portal, request: Request) -> Response:
    _may_read(portal, request)
    item = _item(portal, request)
    query = request.query_params
    without = frozenset(name for name in _SWITCHES if query.get(f"include-{name}") in _OFF)
    body = item.document(
        portal.base_url,
        files=query.get("include-files-content") not in _OFF,
        anonymise="anonymise" in query,
        without=without,
    )
    if query.get("include-actions") in _ON:
        body["actions"] = item.document(portal.base_url, push=True)["actions"]
    return JSONResponse(body)


async def _download(portal: Portal, request: Request) -> Response:
    _may_read(portal, request)
    found = _item(portal, request).find_file(request.query_params.get("hash", ""))
    if found is None:
        raise _Refused(404, "not-found")
    content = base64.b64decode(str(found.get("content") or ""))
    return Response(content, media_type=str(found.get("content_type")))


def _local(text: str) -> datetime | None:
    """A filter's date as w.c.s. reads it: local, its zone dropped; None when unparsable."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _wall(moment: datetime) -> datetime:
    return moment.astimezone(PARIS).replace(tzinfo=None, microsecond=0)


def _filters(request: Request, fields: set[str]) -> list[Callable[[Formdata], bool]]:
    query = request.query_params
    checks: list[Callable[[Formdata], bool]] = []
    bounds: dict[str, Callable[[Formdata, datetime], bool]] = {
        "filter-start": lambda item, at: _wall(item.received) >= at,
        "filter-end": lambda item, at: _wall(item.received) <= at,
        "filter-start-mtime": lambda item, at: _wall(item.updated) >= at,
        "filter-end-mtime": lambda item, at: _wall(item.updated) <= at,
    }
    exact: dict[str, Callable[[Formdata, str], bool]] = {
        "filter-internal-id": lambda item, text: item.internal_id == text,
        "filter-number": lambda item, text: item.display_id == text,
        "filter-identifier": lambda item, text: item.id in text.split(","),
        "filter-user-uuid": lambda item, text: item.account == text,
    }
    for name, value in query.items():
        if not name.startswith("filter-") or name.endswith(("-value", "-operator")):
            continue
        if name in bounds:
            at = _local(query.get(f"{name}-value", ""))
            # An unparsable date filters nothing, silently, as the real one.
            if value in _ON and at is not None:
                checks.append(functools.partial(_bounded, bounds[name], at))
        elif name in exact:
            checks.append(functools.partial(_equal, exact[name], value))
        elif name.removeprefix("filter-") in fields:
            checks.append(functools.partial(_valued, name.removeprefix("filter-"), value))
        else:
            raise _Refused(400, "invalid-request", f'Invalid filter "{name[7:]}".')
    status = query.get("filter", "all")
    if status == "done":
        checks.append(lambda item: item.form.status(item.status).endpoint)
    elif status in ("open", "waiting"):
        checks.append(lambda item: not item.form.status(item.status).endpoint)
    elif status != "all":
        checks.append(lambda item: status in (item.status, item.form.status(item.status).name))
    if query.get("include-anonymised") not in _ON:
        checks.append(lambda item: not item.anonymised)
    return checks


def _bounded(check: Callable[[Formdata, datetime], bool], at: datetime, item: Formdata) -> bool:
    return check(item, at)


def _equal(check: Callable[[Formdata, str], bool], text: str, item: Formdata) -> bool:
    return check(item, text)


def _valued(field: str, text: str, item: Formdata) -> bool:
    return text in (str(item.fields.get(f"{field}_raw")), str(item.fields.get(field)))


def _whole(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise _Refused(400, "invalid-request", f"Invalid {name} value.")
    return int(text)


async def _list(portal: Portal, request: Request) -> Response:
    form = portal.forms.get(request.path_params["slug"])
    if form is None:
        raise _Refused(404, "not-found")
    query = request.query_params
    checks = _filters(request, {one.varname for one in form.fields})
    rows = [
        item
        for item in portal.formdata.values()
        if item.form is form and all(check(item) for check in checks)
    ]
    order = query.get("order_by", "-receipt_time")
    column = order.removeprefix("-")
    if column not in _ORDERS:
        raise _Refused(400, "invalid-request", "Invalid order_by value.")
    rows.sort(key=_ORDERS["id"])
    rows.sort(key=_ORDERS[column], reverse=order.startswith("-"))
    count = len(rows)
    limit, offset = _whole(request, "limit"), _whole(request, "offset") or 0
    rows = rows[offset : None if limit is None else offset + limit]
    data = [_row(portal, item, request) for item in rows]
    if query.get("response_type") != "dict":
        return JSONResponse(data)
    body: dict[str, Json] = {"err": 0, "count": count, "data": data}
    if limit is not None:
        if offset + limit < count:
            body["next"] = _page(portal, request, limit, offset + limit)
        if offset > 0:
            body["previous"] = _page(portal, request, limit, max(0, offset - limit))
    return JSONResponse(body)


def _row(portal: Portal, item: Formdata, request: Request) -> dict[str, Json]:
    query = request.query_params
    full = query.get("full") in _ON
    wanted = {name for name in _SWITCHES if full or query.get(f"include-{name}") in _ON}
    row = item.row(portal.base_url)
    if not wanted:
        return row
    without = frozenset(_SWITCHES) - wanted
    whole = item.document(portal.base_url, files=False, without=without)
    whole.pop("digests")
    return {**whole, "digest": row["digest"]}


def _page(portal: Portal, request: Request, limit: int, offset: int) -> str:
    signed = {"orig", "algo", "timestamp", "nonce", "signature", "limit", "offset"}
    kept = [(k, v) for k, v in request.query_params.multi_items() if k not in signed]
    query = urlencode([*kept, ("limit", limit), ("offset", offset)])
    return f"{portal.base_url}{request.url.path}?{query}"


async def _payload(request: Request) -> Json:
    if request.method == "PUT":
        content = base64.b64encode(await request.body()).decode("ascii")
        return {
            "filename": request.headers.get("filename"),
            "content_type": request.headers.get("content-type"),
            "b64_content": content,
        }
    try:
        return await read_json(request)
    except ValueError:
        raise _Refused(400, "invalid-request", "Invalid request: not JSON") from None


def _idle(portal: Portal, item: Formdata, request: Request) -> None:
    if request.query_params.get("bypass-processing-check") in _ON:
        return
    try:
        portal.check_idle(item)
    except Busy:
        raise _Refused(403, "access-denied", "formdata currently processing actions") from None


async def _hook(portal: Portal, request: Request) -> Response:
    item = _item(portal, request)
    payload = await _payload(request)
    identifier = request.path_params["name"]
    if identifier not in item.form.hooks:
        raise _Refused(404, "not-found")
    _idle(portal, item, request)
    portal.run_hook(item, identifier, payload)
    return JSONResponse({"err": 0})


async def _jump(portal: Portal, request: Request) -> Response:
    item = _item(portal, request)
    payload = await _payload(request)
    trigger = request.path_params["name"]
    if trigger not in item.form.status(item.status).jumps:
        raise _Refused(404, "not-found")
    _idle(portal, item, request)
    portal.run_jump(item, trigger, payload)
    return JSONResponse({"err": 0, "url": None})


async def _formdefs(portal: Portal, request: Request) -> Response:
    data: list[dict[str, Json]] = [
        {
            "title": form.title,
            "slug": form.slug,
            "url": f"{portal.base_url}/{form.slug}/",
            "description": "",
            "keywords": [],
            "authentication_required": False,
            "category": None,
            "category_slug": None,
            "functions": {"_receiver": {"label": "Destinataire"}},
            "redirection": False,
        }
        for form in portal.forms.values()
    ]
    return JSONResponse({"err": 0, "data": data})


async def _schema(portal: Portal, request: Request) -> Response:
    form = portal.forms.get(request.path_params["slug"])
    if form is None:
        raise _Refused(404, "not-found")
    return JSONResponse(form.schema())


def portal_app(portal: Portal) -> ASGIApp:
    """The application, its control calls included.

    `POST /_sim/submit` takes `{"slug", "fields", "user", ...}` as `Portal.submit` or
    `{"sample": formdata}`; `/_sim/push` `{"id", "slug", "url", "key", "orig", "extra"}`;
    `/_sim/say`, `/_sim/move`, `/_sim/edit`, `/_sim/process` as the methods of these names.
    """

    async def submit(body: dict[str, Any]) -> Any:
        item = portal.submit_sample(**body) if "sample" in body else portal.submit(**body)
        return item.document(portal.base_url, files=False)

    async def push(body: dict[str, Any]) -> Any:
        verdict = await portal.push(body.pop("id"), **body)
        return {
            "judgement": verdict.judgement.value,
            "status": verdict.status,
            "goes_on": verdict.goes_on,
            "body": verdict.body,
        }

    def simple(method: Callable[..., None]) -> Callable[[dict[str, Any]], Awaitable[Any]]:
        async def run(body: dict[str, Any]) -> Any:
            method(**body)
            return {"err": 0}

        return run

    def route(path: str, endpoint: Endpoint, *methods: str) -> list[Route]:
        run = _guarded(portal, endpoint)
        both = (path.rstrip("/"), path.rstrip("/") + "/")
        return [Route(one, run, methods=list(methods or ("GET",))) for one in both]

    one = "/api/forms/{slug}/{id}"
    routes = [
        *route("/api/forms/{slug}/list", _list),
        *route(f"{one}/download", _download),
        *route(one, _read),
        *route(f"{one}/hooks/{{name}}", _hook, "POST", "PUT"),
        *route(f"{one}/jump/trigger/{{name}}", _jump, "POST", "PUT"),
        *route("/api/formdefs", _formdefs),
        *route("/api/formdefs/{slug}/schema", _schema),
    ]
    actions = {
        "submit": submit,
        "push": push,
        "say": simple(portal.say),
        "move": simple(portal.move),
        "edit": simple(portal.edit),
        "process": simple(portal.process),
    }
    return build_app(routes, portal.faults, portal.state, actions)
