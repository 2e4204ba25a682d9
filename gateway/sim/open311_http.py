"""The HTTP side of the simulated GeoReport server. The suffix of the path decides the format."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.core.request import Json
from gateway.sim.control import build_app
from gateway.sim.georeport import GeoReportAnswer
from gateway.sim.open311 import FINAL, STATUSES, Media, Open311, Open311Request, Service

#: The search window by default, its greatest width, and the greatest row count.
WINDOW = timedelta(days=90)
MAX_ROWS = 1000
MAX_DESCRIPTION = 4000

_CREATE_NAMES = (
    "api_key jurisdiction_id service_code lat long address_string address_id email device_id "
    "account_id first_name last_name phone description media_url"
)
_UPDATE_NAMES = (
    "api_key jurisdiction_id service_request_id update_id status updated_datetime description "
    "email first_name last_name title phone media_url account_id service_request_id_ext "
    "public_anonymity_required email_alerts_requested service_code"
)
_IDENTIFIER = re.compile(r"[\w-]+", re.ASCII)
_CREATE = frozenset(_CREATE_NAMES.split())
_UPDATE = frozenset(_UPDATE_NAMES.split())
#: A false row: without a number or a valid status.
_BAD_ROW: dict[str, Any] = {"service_request_id": None, "status": ["?"], "updated_datetime": "?"}
Endpoint = Callable[[Open311, Request], Awaitable["GeoReportAnswer"]]


class _Fault(Exception):
    def __init__(self, status: int, *descriptions: str) -> None:
        super().__init__(status)
        rows = [{"code": str(status), "description": text} for text in descriptions]
        self.answer = GeoReportAnswer("errors", rows, status)


def _given(request: Request) -> dict[str, str]:
    """Return the parameters of the query that are not empty."""
    return {name: value for name, value in request.query_params.items() if value}


def _check_access(sim: Open311, given: dict[str, str], *, write: bool) -> None:
    if (write or sim.key_on_reads) and given.get("api_key") != sim.api_key:
        raise _Fault(403, "api_key is missing or wrong")
    if sim.jurisdiction_id is not None and given.get("jurisdiction_id") != sim.jurisdiction_id:
        status = 404 if "jurisdiction_id" in given else 400
        raise _Fault(status, "jurisdiction_id was not found or not given")


async def _form(request: Request) -> tuple[list[tuple[str, str]], list[Media]]:
    """Return the parameters in order, and the files. Empty ones are left out."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        try:
            text = (await request.body()).decode("utf-8")
            pairs = parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict")
        except UnicodeDecodeError:
            raise _Fault(400, "the form is not UTF-8") from None
        return [(name, value) for name, value in pairs if value], []
    if kind != "multipart/form-data":
        raise _Fault(400, "the body must be a form")
    params: list[tuple[str, str]] = []
    media: list[Media] = []
    async with request.form() as form:
        for name, item in form.multi_items():
            if isinstance(item, UploadFile):
                content_type = item.content_type or "application/octet-stream"
                media.append(Media(item.filename or "", content_type, await item.read()))
            elif item:
                params.append((name, item))
    return params, media


def _check_plain(sim: Open311, params: Sequence[tuple[str, str]], known: frozenset[str]) -> None:
    unknown = sorted(
        {name for name, _ in params if name not in known and not name.startswith("attribute[")}
    )
    if sim.strict and unknown:
        raise _Fault(400, "Error in input: " + ", ".join(unknown))


def _instant(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _Fault(400, f"{name} must be a date with its offset")
    return moment


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


async def _services(sim: Open311, request: Request) -> GeoReportAnswer:
    _check_access(sim, _given(request), write=False)
    rows = [
        {
            "service_code": service.code,
            "service_name": service.name,
            "description": service.name,
            "metadata": bool(service.attributes),
            "type": "batch" if sim.batch else "realtime",
            "keywords": "",
            "group": service.group,
        }
        for service in sim.services.values()
    ]
    return GeoReportAnswer("services", rows)


async def _definition(sim: Open311, request: Request) -> GeoReportAnswer:
    _check_access(sim, _given(request), write=False)
    service = sim.services.get(request.path_params["code"])
    if service is None or not service.attributes:
        raise _Fault(404, "service_code was not found or has no definition")
    attributes = [
        {
            "variable": True,
            "code": one.code,
            "datatype": one.datatype,
            "required": one.required,
            "datatype_description": "",
            "order": order,
            "description": one.description,
            "values": [{"key": key, "name": name} for key, name in one.values],
        }
        for order, one in enumerate(service.attributes, 1)
    ]
    return GeoReportAnswer(
        "service_definition", {"service_code": service.code, "attributes": attributes}
    )


def _check_request(service: Service | None, params: list[tuple[str, str]]) -> list[str]:
    given = dict(params)
    faults: list[str] = []
    if service is None:
        faults.append("service_code is missing or unknown")
    if "lat" in given and "long" in given:
        try:
            inside = abs(float(given["lat"])) <= 90 and abs(float(given["long"])) <= 180
        except ValueError:
            inside = False
        if not inside:
            faults.append("lat and long must be WGS84 degrees")
    elif not ("address_string" in given or "address_id" in given):
        faults.append("a location is required: lat and long, address_string or address_id")
    if len(given.get("description", "")) > MAX_DESCRIPTION:
        faults.append(f"description is over {MAX_DESCRIPTION} characters")
    for one in service.attributes if service else ():
        values = [
            v for k, v in params if k in (f"attribute[{one.code}]", f"attribute[{one.code}][]")
        ]
        if one.required and not values:
            faults.append(f"attribute {one.code} is required")
        allowed = {key for key, _ in one.values}
        if allowed and not allowed.issuperset(values):
            faults.append(f"attribute {one.code} has an unknown value")
    return faults


async def _create(sim: Open311, request: Request) -> GeoReportAnswer:
    params, media = await _form(request)
    given = dict(params)
    _check_access(sim, given, write=True)
    _check_plain(sim, params, _CREATE)
    if media and not sim.drafts:
        raise _Fault(400, "media upload is not supported")
    service = sim.services.get(given.get("service_code", ""))
    faults = _check_request(service, params)
    if service is None or faults:
        raise _Fault(400, *faults)
    kept = [(name, value) for name, value in params if name != "api_key"]
    ticket = sim.create(service, kept, media)
    name, value = ("token", ticket.token) if sim.batch else ("service_request_id", ticket.id)
    row = {name: value, "service_notice": "", "account_id": None}
    return GeoReportAnswer("service_requests", [row])


async def _token(sim: Open311, request: Request) -> GeoReportAnswer:
    _check_access(sim, _given(request), write=False)
    token = request.path_params["token"]
    ticket = next((one for one in sim.tickets if one.token == token), None)
    if ticket is None:
        raise _Fault(404, "token was not found")
    sim.token_asked[token] += 1
    known = sim.token_asked[token] > sim.token_polls
    row = {"service_request_id": ticket.id if known else "", "token": token}
    return GeoReportAnswer("service_requests", [row])


def _row(sim: Open311, ticket: Open311Request) -> dict[str, Json]:
    plain = "closed" if ticket.status in FINAL else "open"
    media_url = ticket.param("media_url")
    if media_url is None and ticket.media:
        media_url = f"{sim.base_url}/media/{ticket.id}/0"
    lat, long = ticket.param("lat"), ticket.param("long")
    return {
        "service_request_id": ticket.id,
        "status": ticket.status if sim.extended else plain,
        "status_notes": ticket.note or None,
        "service_name": ticket.service.name,
        "service_code": ticket.service.code,
        "description": ticket.param("description"),
        "agency_responsible": None,
        "service_notice": None,
        "requested_datetime": _stamp(ticket.requested),
        "updated_datetime": _stamp(sim.lies.date(ticket.id, ticket.updated)),
        "expected_datetime": None,
        "address": ticket.param("address_string"),
        "address_id": ticket.param("address_id"),
        "zipcode": None,
        "lat": float(lat) if lat else None,
        "long": float(long) if long else None,
        "media_url": media_url,
        "attributes": ticket.attributes,
    }


async def _search(sim: Open311, request: Request) -> GeoReportAnswer:
    given = _given(request)
    _check_access(sim, given, write=False)
    if "extensions" in given and not sim.extensions:
        raise _Fault(400, "Error in input: extensions")
    if "service_request_id" in given:
        wanted = given["service_request_id"].split(",")
        rows = [_row(sim, one) for one in sim.tickets if one.id in wanted]
        return GeoReportAnswer("service_requests", sim.lies.rows(rows, _BAD_ROW))
    found = list(sim.tickets)
    by_update = sim.drafts and ("updated_after" in given or "updated_before" in given)
    if by_update:
        if "updated_after" in given:
            start = _instant(given["updated_after"], "updated_after")
            found = [one for one in found if one.updated >= start]
        if "updated_before" in given:
            end = _instant(given["updated_before"], "updated_before")
            found = [one for one in found if one.updated <= end]
    else:
        end = _instant(given["end_date"], "end_date") if "end_date" in given else sim.clock()
        start = end - WINDOW
        if "start_date" in given:
            start = _instant(given["start_date"], "start_date")
            if "end_date" not in given:
                end = min(end, start + WINDOW)
        if end - start > WINDOW:
            raise _Fault(400, "the dates span more than 90 days")
        found = [one for one in found if start <= one.requested <= end]
    if "service_code" in given:
        codes = given["service_code"].split(",")
        found = [one for one in found if one.service.code in codes]
    rows = [_row(sim, one) for one in found]
    if "status" in given:
        rows = [row for row in rows if row["status"] in given["status"].split(",")]
    size = _count(given, "page_size", MAX_ROWS)
    first = (_count(given, "page", 1) - 1) * size
    rows = rows[first : first + min(size, MAX_ROWS)]
    return GeoReportAnswer("service_requests", sim.lies.rows(rows, _BAD_ROW, whole=True))


def _count(given: dict[str, str], name: str, usual: int) -> int:
    text = given.get(name, str(usual))
    if not text.isdigit() or text == "0":
        raise _Fault(400, f"{name} must be a number from 1")
    return int(text)


async def _one(sim: Open311, request: Request) -> GeoReportAnswer:
    _check_access(sim, _given(request), write=False)
    return GeoReportAnswer("service_requests", [_row(sim, _ticket(sim, request.path_params["id"]))])


def _ticket(sim: Open311, ticket_id: str) -> Open311Request:
    try:
        return sim.find(ticket_id)
    except KeyError:
        raise _Fault(404, "service_request_id was not found") from None


async def _post_update(sim: Open311, request: Request) -> GeoReportAnswer:
    params, media = await _form(request)
    given = dict(params)
    _check_access(sim, given, write=True)
    _check_plain(sim, params, _UPDATE)
    needed = ("service_request_id", "update_id", "status", "updated_datetime", "description")
    missing = [f"{name} is required" for name in needed if name not in given]
    if missing:
        raise _Fault(400, *missing)
    if sim.strict and not _IDENTIFIER.fullmatch(given["update_id"]):
        raise _Fault(400, "update_id is not an identifier")
    if not given["status"].isupper() or given["status"].lower() not in STATUSES:
        raise _Fault(400, "status is not a known word in upper case")
    _instant(given["updated_datetime"], "updated_datetime")
    ticket = _ticket(sim, given["service_request_id"])
    kept = [(name, value) for name, value in params if name != "api_key"]
    update = sim.take_update(
        ticket, given["update_id"], given["status"].lower(), given["description"], kept, media
    )
    return GeoReportAnswer("service_request_updates", [{"update_id": update.id}])


async def _updates(sim: Open311, request: Request) -> GeoReportAnswer:
    given = _given(request)
    _check_access(sim, given, write=False)
    found = [one for one in sim.updates if one.sender_id is None or sim.lies.echo]
    if "start_date" in given:
        start = _instant(given["start_date"], "start_date")
        found = [one for one in found if one.at >= start]
    if "end_date" in given:
        end = _instant(given["end_date"], "end_date")
        found = [one for one in found if one.at <= end]
    rows = [
        {
            "update_id": one.id,
            "service_request_id": one.ticket_id,
            "status": one.status,
            "description": one.description,
            "updated_datetime": _stamp(sim.lies.date(one.ticket_id, one.at)),
            "media_url": one.media_url,
        }
        for one in found
    ]
    return GeoReportAnswer("service_request_updates", sim.lies.rows(rows, _BAD_ROW))


def open311_app(sim: Open311) -> ASGIApp:
    """Return the application. `POST /_sim/advance` takes `{"ticket", "status", "note",
    "media_url"}`."""

    def endpoint(run: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            suffix = request.path_params["suffix"]
            if suffix not in ("json", "xml"):
                return Response("unknown format", 404, media_type="text/plain")
            try:
                return (await run(sim, request)).response(suffix)
            except _Fault as fault:
                return fault.answer.response(suffix)

        return answer

    async def media(request: Request) -> Response:
        try:
            found = sim.find(request.path_params["id"]).media[request.path_params["index"]]
        except (KeyError, IndexError):
            return Response("not found", 404, media_type="text/plain")
        return Response(found.content, media_type=found.content_type)

    async def advance(body: dict[str, Any]) -> Any:
        return {"update_id": sim.advance(**body).id}

    routes = [
        Route("/services.{suffix}", endpoint(_services), methods=["GET"]),
        Route("/services/{code}.{suffix}", endpoint(_definition), methods=["GET"]),
        Route("/requests.{suffix}", endpoint(_create), methods=["POST"]),
        Route("/requests.{suffix}", endpoint(_search), methods=["GET"]),
        Route("/requests/{id}.{suffix}", endpoint(_one), methods=["GET"]),
        Route("/tokens/{token}.{suffix}", endpoint(_token), methods=["GET"]),
        Route("/servicerequestupdates.{suffix}", endpoint(_post_update), methods=["POST"]),
        Route("/servicerequestupdates.{suffix}", endpoint(_updates), methods=["GET"]),
        Route("/media/{id}/{index:int}", media, methods=["GET"]),
    ]
    return build_app(routes, sim.faults, sim.state, {"advance": advance})
