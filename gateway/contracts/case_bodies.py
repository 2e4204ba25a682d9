"""The bodies of a case, as the portal sends them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from gateway.contracts.case_model import GivenFile
from gateway.contracts.cases import Case
from gateway.core.request import EventKind, Json

EVENT_KEY = "evenement-du-cas"
#: `{150 caractères}`: a text of that length.
LENGTH = re.compile(r"\{(\d+) caractères\}")


def creation_of(case: Case, api_url: str) -> dict[str, Json]:
    """Return the formdata of a case, as the portal pushes it at the creation."""
    given = case.given
    body = dict(case.formdata) | {"api_url": api_url}
    if given.event is not EventKind.CHANGE:
        body["fields"] = _merged(body.get("fields"), _made(dict(given.fields)))
    if given.workflow_fields:
        workflow = dict(body.get("workflow") or {})
        workflow["fields"] = _merged(workflow.get("fields"), given.workflow_fields)
        body["workflow"] = workflow
    if given.user != "as_is":
        body["user"] = given.user
    if given.location != "as_is":
        body["geolocations"] = {"base": given.location}
        if given.location is None:
            body["fields"] = {k: v for k, v in body["fields"].items() if not _is_place(v)}
    if given.channel is not None:
        body["submission"] = _merged(body.get("submission"), {"channel": given.channel})
    extra = {"action": "creation", "evenement": "creation-du-cas"} | given.extra
    body["extra"] = _merged(body.get("extra"), extra)
    return body


def event_of_case(case: Case, api_url: str) -> dict[str, Json]:
    """Return the later event of a case, as the portal pushes it."""
    given = case.given
    body = creation_of(case, api_url)
    extra: dict[str, Json] = {"action": given.event.value, "evenement": EVENT_KEY}
    if given.message is not None:
        extra["message"] = _made(given.message)
    if given.file is not None:
        # A document has a payload of its own, without the creation's files.
        extra["piece"] = _file_made(given.file)
        body["fields"] = _without_files(body["fields"])
    if given.event is EventKind.CHANGE:
        body["fields"] = _merged(body.get("fields"), _made(dict(given.fields)))
    body["extra"] = _merged(body.get("extra"), extra)
    return body


def _merged(base: Json, over: Mapping[str, Json]) -> dict[str, Json]:
    return (dict(base) if isinstance(base, Mapping) else {}) | dict(over)


def _made(value: Json) -> Any:
    """Replace each `{filename, text}` by a file of the portal, and write out long texts."""
    if isinstance(value, dict):
        if {"filename", "text"} <= value.keys() <= GivenFile.model_fields.keys():
            return _file_made(GivenFile.model_validate(value))
        return {name: _made(inner) for name, inner in value.items()}
    if isinstance(value, str):
        return LENGTH.sub(lambda found: "x" * int(found[1]), value)
    return [_made(inner) for inner in value] if isinstance(value, list) else value


def _file_made(file: GivenFile) -> dict[str, Json]:
    return {
        "filename": file.filename,
        "content_type": file.content_type,
        "content": base64.b64encode(file.text.encode()).decode(),
        "content_is_base64": True,
    }


def _is_place(value: Json) -> bool:
    return isinstance(value, dict) and value.keys() == {"lat", "lon"}


def _without_files(value: Json) -> Any:
    if isinstance(value, dict):
        if "content_is_base64" in value:
            return None
        return {name: _without_files(inner) for name, inner in value.items()}
    return [_without_files(inner) for inner in value] if isinstance(value, list) else value
