"""A GeoReport answer in its two formats: JSON, and the XML that corresponds to it."""

from __future__ import annotations

from xml.etree import ElementTree

from starlette.responses import JSONResponse, Response

from gateway.core.request import Json

#: The XML's name for one row of each list.
_ITEMS = {
    "services": "service",
    "service_requests": "request",
    "service_request_updates": "request_update",
    "errors": "error",
    "attributes": "attribute",
    "values": "value",
    "notes": "note",
}


class GeoReportAnswer:
    """Rows (or one object), and the name of the XML root."""

    def __init__(self, root: str, data: Json, status: int = 200) -> None:
        self.root = root
        self.data = data
        self.status = status

    def response(self, suffix: str) -> Response:
        if suffix == "json":
            return JSONResponse(self.data, self.status)
        body = ElementTree.tostring(_element(self.root, self.data), "utf-8", xml_declaration=True)
        return Response(body, self.status, media_type="text/xml; charset=utf-8")


def _element(name: str, value: Json) -> ElementTree.Element:
    element = ElementTree.Element(name)
    if isinstance(value, dict):
        element.extend([_element(key, item) for key, item in value.items()])
    elif isinstance(value, list):
        element.extend([_element(_ITEMS.get(name, "item"), item) for item in value])
    elif isinstance(value, bool):
        element.text = "true" if value else "false"
    elif value is not None:
        element.text = str(value)
    return element
