"""The HTTP side of the simulated w.c.s.: lists, single reads, schemas, triggers and hooks."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.request import Json
from gateway.sim import texts
from gateway.sim.control import build_app
from gateway.sim.faults import cut_answer
from gateway.sim.form import Form
from gateway.sim.formdata import PARIS, FormdataBusy, SimulatedFormdata
from gateway.sim.listing import OFF, ON, SWITCHES, BadQuery, list_page, matching, row_of
from gateway.sim.running import WorkerKilled
from gateway.sim.wcs_signature import AccessDenied
from gateway.sim.workflow import Jump

if TYPE_CHECKING:
    from gateway.sim.portal import SimulatedPortal

Endpoint = Callable[["SimulatedPortal", Request], Awaitable[Response]]
_ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class _Caller:
    """The caller. `name` is None for nobody; `wrong_basic` marks an HTTP Basic login that
    failed."""

    name: str | None = None
    wrong_basic: bool = False


class _Refused(Exception):
    """A refusal. `text` is one of `gateway.sim.texts`, or a text that w.c.s. does not translate."""

    def __init__(self, status: int, code: str, text: str | None = None, *values: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.text = text
        self.values = values


class _Cut(Response):
    """The process is gone: no answer comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await cut_answer(scope, receive)


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    # ASCII, as w.c.s. writes it.
    content = json.dumps(body)
    return Response(content, status, headers, media_type="application/json")


def _error(
    portal: SimulatedPortal, status: int, code: str, text: str | None, *values: str
) -> Response:
    titles = {"not-found": texts.NOT_FOUND, "invalid-request": "Invalid request"}
    body = {
        "err": 1,
        "err_class": texts.translated(portal.language, titles.get(code, "Access denied")),
        "err_code": code,
        "err_desc": texts.translated(portal.language, text, *values),
    }
    return _json(body, status, {"WWW-Authenticate": 'Basic realm="list"'} if status == 401 else {})


def _denied(text: str | None = None, code: str = "access-denied") -> _Refused:
    return _Refused(403, code, text)


def _missing() -> _Refused:
    return _Refused(404, "not-found")


# --- who calls ----------------------------------------------------------------------------------


def _caller(portal: SimulatedPortal, request: Request) -> _Caller:
    """Find the caller. Raises AccessDenied for a wrong signature."""
    raw = request.scope["query_string"].decode("latin-1")
    if "signature=" in raw:
        return _Caller(portal.verifier.verify(raw, portal.clock()))
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return _Caller()
    try:
        name, _, password = base64.b64decode(value).decode().partition(":")
    except ValueError:
        name, password = "", ""
    if password and name not in portal.site_wide and portal.keys.get(name) == password:
        return _Caller(name)
    return _Caller(wrong_basic=True)


def _has_role(portal: SimulatedPortal, caller: _Caller, form: Form | None) -> bool:
    name = caller.name
    if name is None or name in portal.roleless or name in portal.site_wide:
        return False
    return form is None or name not in form.closed_to


def _may_fire(portal: SimulatedPortal, caller: _Caller, form: Form) -> bool:
    return _has_role(portal, caller, form) and caller.name not in portal.read_only


def _check_read(portal: SimulatedPortal, request: Request) -> None:
    """Require a role to read one formdata; a signer may read it anonymised. Raises _Refused."""
    caller: _Caller = request.state.caller
    form = portal.forms.get(request.path_params["slug"])
    if _has_role(portal, caller, form):
        return
    query = request.query_params
    if "anonymise" in query and caller.name is not None:
        return
    if caller.name in portal.site_wide:
        users = [item.user for item in portal.formdata.values() if item.user]
        if query.get("NameID"):
            if not any(query["NameID"] in (user.get("NameID") or []) for user in users):
                raise _denied(texts.NAME_ID, "unknown-name-id")
            raise _denied(texts.ROLES)
        if query.get("email"):
            raise _denied(texts.ROLES)
    if form is not None and caller.name in form.closed_to:
        raise _denied(texts.ROLES)
    raise _denied(texts.NOBODY)


def _check_known(request: Request, text: str | None = texts.NOBODY) -> None:
    """Require the key of any caller. Raises _Refused."""
    if request.state.caller.name is None:
        raise _denied(text)


def _guarded(
    portal: SimulatedPortal, endpoint: Endpoint
) -> Callable[[Request], Awaitable[Response]]:
    @functools.wraps(endpoint)
    async def run(request: Request) -> Response:
        try:
            request.state.caller = _caller(portal, request)
            return await endpoint(portal, request)
        except AccessDenied as refusal:
            return _error(portal, refusal.status, refusal.code, refusal.description)
        except _Refused as refusal:
            return _error(portal, refusal.status, refusal.code, refusal.text, *refusal.values)
        except BadQuery as fault:
            return _error(portal, 400, "invalid-request", fault.text, *fault.values)
        except FormdataBusy:
            return _error(portal, 403, "access-denied", texts.BUSY)
        except WorkerKilled:
            return _Cut()

    return run


# --- reads --------------------------------------------------------------------------------------


def _form(portal: SimulatedPortal, request: Request) -> Form:
    form = portal.forms.get(request.path_params["slug"])
    if form is None:
        raise _missing()
    return form


def _item(portal: SimulatedPortal, request: Request) -> SimulatedFormdata:
    params = request.path_params
    try:
        return portal.get(params["slug"], params["id"])
    except KeyError:
        raise _missing() from None


async def _read(portal: SimulatedPortal, request: Request) -> Response:
    _check_read(portal, request)
    item = _item(portal, request)
    query = request.query_params
    without = frozenset(name for name in SWITCHES if query.get(f"include-{name}") in OFF)
    body = item.document(
        portal.base_url,
        files=query.get("include-files-content") not in OFF,
        anonymise="anonymise" in query,
        without=without,
        at=_moment(item, query.get("at")),
    )
    if query.get("include-actions") in ON:
        fires = _may_fire(portal, request.state.caller, item.form)
        body["actions"] = item.actions(portal.base_url, fires)
    return _json(body)


def _moment(item: SimulatedFormdata, text: str | None) -> datetime | None:
    """Read `at=`: a time at which the formdata existed. Raises _Refused."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Refused(400, "invalid-request", texts.VALUE, text, "at") from None
    moment = moment.replace(tzinfo=moment.tzinfo or PARIS)
    if moment < item.received:
        raise _Refused(400, "invalid-request", texts.NO_DATA_THEN)
    return moment


async def _download(portal: SimulatedPortal, request: Request) -> Response:
    _check_read(portal, request)
    found = _item(portal, request).find_file(request.query_params.get("hash", ""))
    if found is None:
        raise _missing()
    content = base64.b64decode(str(found.get("content") or ""))
    return Response(content, media_type=str(found.get("content_type")))


async def _list(portal: SimulatedPortal, request: Request) -> Response:
    caller: _Caller = request.state.caller
    if caller.name is None:
        told = "invalid authorization" if caller.wrong_basic else "unhandled authorization header"
        raise _Refused(401, "access-unauthorized", told)
    form = _form(portal, request)
    query = request.query_params
    rows = matching(form, list(portal.formdata.values()), query)
    fires = _may_fire(portal, caller, form)
    raw = request.scope["query_string"].decode("latin-1")
    url = f"{portal.base_url}{request.url.path}"
    found = list_page(
        rows, query, raw, url, lambda item: row_of(item, query, portal.base_url, fires)
    )
    return _json(found)


async def _formdefs(portal: SimulatedPortal, request: Request) -> Response:
    _check_known(request)
    data = [form.listed(portal.base_url) for form in portal.forms.values()]
    return _json({"err": 0, "data": data})


async def _schema(portal: SimulatedPortal, request: Request) -> Response:
    _check_known(request, None)
    return _json(_form(portal, request).schema(ids=request.query_params.get("include-id") in ON))


async def _schema_of_data(portal: SimulatedPortal, request: Request) -> Response:
    _check_known(request)
    return await _schema(portal, request)


# --- writes -------------------------------------------------------------------------------------


async def _payload(request: Request) -> Json:
    """Read the JSON of a POST, or the file of a PUT. Raises _Refused when it is not JSON."""
    raw = await request.body()
    kind = request.headers.get("content-type", "")
    if request.method == "PUT":
        return {
            "filename": request.headers.get("filename"),
            "content_type": kind,
            "b64_content": base64.b64encode(raw).decode("ascii"),
        }
    if not raw.strip() or not kind.startswith("application/json"):
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise _Refused(400, "invalid-request", texts.NOT_JSON, str(error)) from None


async def _hook(portal: SimulatedPortal, request: Request) -> Response:
    payload = await _payload(request)
    item = _item(portal, request)
    try:
        hook = item.form.hook(request.path_params["name"])
    except KeyError:
        raise _missing() from None
    if request.method not in ("POST", "PUT"):
        raise _denied(texts.METHOD)
    if not hook.open and not _may_fire(portal, request.state.caller, item.form):
        raise _denied(texts.ROLES)
    _check_idle(portal, item, request)
    await portal.run_hook(item, hook, payload, keeps=request.method == "POST")
    return _json({"err": 0})


async def _jump(portal: SimulatedPortal, request: Request) -> Response:
    payload = await _payload(request)
    _check_read(portal, request)
    item = _item(portal, request)
    status = item.form.status(item.status)
    if not any(isinstance(action, Jump) for action in status.all_actions):
        raise _missing()
    _check_idle(portal, item, request)
    jump = status.trigger(request.path_params["name"])
    if jump is None:
        raise _missing()
    if request.method not in ("POST", "PUT"):
        raise _denied(texts.METHOD)
    await portal.run_jump(item, jump, payload)
    return _json({"err": 0, "url": None})


def _check_idle(portal: SimulatedPortal, item: SimulatedFormdata, request: Request) -> None:
    if request.query_params.get("bypass-processing-check") not in ON:
        portal.check_idle(item)


async def _submit(portal: SimulatedPortal, request: Request) -> Response:
    payload = await _payload(request)
    _check_known(request)
    form = _form(portal, request)
    if request.state.caller.name not in portal.site_wide:
        raise _denied(texts.NO_SUBMISSION_ROLE, "no-backoffice-submission-role")
    given: dict[str, Any] = payload if isinstance(payload, dict) else {}
    item = portal.submit(form.slug, given.get("data") or {}, portal.user_of(given.get("user")))
    base = portal.base_url
    data = {
        "id": item.id,
        "url": item.url(base),
        "backoffice_url": item.backoffice_url(base),
        "api_url": item.api_url(base),
    }
    return _json({"err": 0, "data": data})


def portal_app(portal: SimulatedPortal) -> ASGIApp:
    """Return the application, with its control calls.

    `POST /_sim/submit` takes `{"slug", "fields", "user", ...}` as `SimulatedPortal.submit`, or
    `{"sample": formdata}`. `/_sim/push` takes `{"id", "slug", "url", "key", "orig", "extra"}`.
    `/_sim/say`, `/_sim/move`, `/_sim/edit`, `/_sim/process`, `/_sim/press`, `/_sim/write`,
    `/_sim/amend` and `/_sim/tick` work as the methods of these names.
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

    def played(
        method: Callable[..., Awaitable[Any]],
    ) -> Callable[[dict[str, Any]], Awaitable[Any]]:
        async def run(body: dict[str, Any]) -> Any:
            await method(**body)
            return {"err": 0}

        return run

    def route(path: str, endpoint: Endpoint, *methods: str) -> list[Route]:
        run = _guarded(portal, endpoint)
        both = (path.rstrip("/"), path.rstrip("/") + "/")
        return [Route(one, run, methods=list(methods or ("GET",))) for one in both]

    one = "/api/forms/{slug}/{id}"
    routes = [
        *route("/api/forms/{slug}/list", _list),
        *route("/api/forms/{slug}/schema", _schema_of_data),
        *route(f"{one}/download", _download),
        *route(one, _read),
        *route(f"{one}/hooks/{{name}}", _hook, *_ALL_METHODS),
        *route(f"{one}/jump/trigger/{{name}}", _jump, *_ALL_METHODS),
        *route("/api/formdefs", _formdefs),
        *route("/api/formdefs/{slug}/schema", _schema),
        *route("/api/formdefs/{slug}/submit", _submit, "POST"),
        *route("/{slug}/{id}/hooks/{name}", _hook, *_ALL_METHODS),
        *route("/{path:path}", _nothing, *_ALL_METHODS),
    ]
    actions = {
        "submit": submit,
        "push": push,
        "say": simple(portal.say),
        "move": simple(portal.move),
        "edit": simple(portal.edit),
        "process": simple(portal.process),
        "press": played(portal.press),
        "write": played(portal.write),
        "amend": played(portal.amend),
        "tick": played(portal.tick),
    }
    return build_app(routes, portal.faults, portal.state, actions)


async def _nothing(portal: SimulatedPortal, request: Request) -> Response:
    raise _missing()
