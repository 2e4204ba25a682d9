"""A w.c.s. form, and one formdata of it, with its JSON as w.c.s. writes it (section 2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.request import Json

#: The zone of the portal's server: its naive times mean this.
PARIS = ZoneInfo("Europe/Paris")


class Busy(Exception):
    """The formdata is executing actions: 403, to be tried again."""


@dataclass(frozen=True, slots=True)
class Status:
    """A workflow status. `jumps`: trigger name to the id of the status it leads to."""

    id: str
    name: str
    endpoint: bool = False
    jumps: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Field:
    """A form field; tests rename or remove one to make a form drift."""

    varname: str
    label: str
    type: str = "string"
    required: bool = False
    items: tuple[str, ...] = ()


def usual_statuses() -> list[Status]:
    """A plain workflow: new, sent, being treated, done, refused."""
    return [
        Status("new", "Nouvelle demande", jumps={"transmis": "transmis"}),
        Status("transmis", "Transmise à la commune", jumps={"en_cours": "en_cours"}),
        Status("en_cours", "En cours de traitement", jumps={"termine": "termine"}),
        Status("termine", "Traitée", endpoint=True),
        Status("refuse", "Refusée", endpoint=True),
    ]


@dataclass(slots=True)
class Form:
    """A teleservice: its fields, its statuses (the first is the initial one) and its hooks."""

    slug: str
    title: str
    number: int
    fields: list[Field] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=usual_statuses)
    hooks: list[str] = field(default_factory=list)

    def status(self, status_id: str) -> Status:
        """Raises KeyError when the workflow has no such status."""
        for status in self.statuses:
            if status.id == status_id:
                return status
        raise KeyError(status_id)

    def find_field(self, varname: str) -> Field:
        """Raises KeyError."""
        for one in self.fields:
            if one.varname == varname:
                return one
        raise KeyError(varname)

    def rename_field(self, old: str, new: str) -> None:
        self.find_field(old).varname = new

    def remove_field(self, varname: str) -> None:
        self.fields.remove(self.find_field(varname))

    def learn_fields(self, values: Mapping[str, Json]) -> None:
        """Add the fields that `values` shows and the form has not yet."""
        known = {one.varname for one in self.fields}
        for name, value in values.items():
            if name in known or name.endswith(("_raw", "_structured", "_digests")):
                continue
            self.fields.append(Field(name, name.replace("_", " ").capitalize(), _kind(value)))

    def schema(self) -> dict[str, Json]:
        return {
            "name": self.title,
            "url_name": self.slug,
            "category": None,
            "workflow": {
                "name": self.title,
                "functions": {"_receiver": "Destinataire"},
                "statuses": [
                    {
                        "id": status.id,
                        "name": status.name,
                        "endpoint": status.endpoint,
                        "waitpoint": True,
                        "forced_endpoint": False,
                    }
                    for status in self.statuses
                ],
                "fields": [],
                "actions": {f"global-action:{hook}": hook for hook in self.hooks},
            },
            "fields": [
                {
                    "label": one.label,
                    "type": one.type,
                    "varname": one.varname,
                    "required": one.required,
                    **({"items": list(one.items)} if one.items else {}),
                }
                for one in self.fields
            ],
            "geolocations": {"base": "Géolocalisation"},
            "options": {},
        }


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return "bool"
    if is_file(value):
        return "file"
    if isinstance(value, Mapping):
        return "map"
    if isinstance(value, list):
        return "items"
    return "string"


def is_file(value: Json) -> bool:
    return isinstance(value, Mapping) and "filename" in value


def file_value(filename: str, content_type: str, content: bytes) -> dict[str, Json]:
    """A file field's value, to be given among the fields of a submission."""
    return {
        "filename": filename,
        "content_type": content_type,
        "content": base64.b64encode(content).decode("ascii"),
        "content_is_base64": True,
    }


def files_in(values: Json) -> Iterable[Mapping[str, Json]]:
    """All file values, blocks' rows included."""
    if is_file(values):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from files_in(value)
    elif isinstance(values, list):
        for value in values:
            yield from files_in(value)


def file_hash(value: Mapping[str, Json]) -> str:
    content = f"{value['filename']}\n{value.get('content') or ''}"
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One history entry; `status` is None when the status did not change."""

    time: datetime
    status: str | None = None
    who: Mapping[str, Json] | None = None
    who_id: str | None = None
    parts: tuple[dict[str, Json], ...] = ()


@dataclass(slots=True)
class Formdata:
    """One citizen's demand in the portal. Times are aware; the JSON makes them what w.c.s. does."""

    form: Form
    id: str
    internal_id: str
    uuid: str
    fields: dict[str, Json]
    received: datetime
    status: str
    user: dict[str, Json] | None = None
    display_id: str = ""
    digest: str | None = None
    channel: str = "web"
    geolocations: dict[str, Json] | None = None
    workflow_fields: dict[str, Json] = field(default_factory=dict)
    workflow_data: dict[str, Json] = field(default_factory=dict)
    history: list[Entry] = field(default_factory=list)
    roles: dict[str, Json] = field(default_factory=dict)
    busy_until: datetime | None = None
    anonymised: bool = False

    @property
    def updated(self) -> datetime:
        """The time of the latest history entry: silent edits do not move it."""
        return self.history[-1].time if self.history else self.received

    @property
    def account(self) -> str | None:
        """The submitter's GLC uuid."""
        names = (self.user or {}).get("NameID") or []
        return str(names[0]) if names else None

    def url(self, base: str) -> str:
        return f"{base}/{self.form.slug}/{self.id}/"

    def api_url(self, base: str) -> str:
        return f"{base}/api/forms/{self.form.slug}/{self.id}/"

    def backoffice_url(self, base: str) -> str:
        return f"{base}/backoffice/management/{self.form.slug}/{self.id}/"

    def find_file(self, digest: str) -> Mapping[str, Json] | None:
        for one in files_in([self.fields, self.workflow_fields]):
            if file_hash(one) == digest:
                return one
        return None

    def row(self, base: str) -> dict[str, Json]:
        """What a list shows without switches."""
        name = f"{self.form.title} n°{self.display_id}"
        return {
            "uuid": self.uuid,
            "id": self.id,
            "internal_id": self.internal_id,
            "display_id": self.display_id,
            "display_name": name,
            "digest": self.digest,
            "text": f"{name} ({self.digest})" if self.digest else name,
            "url": self.url(base),
            "receipt_time": naive(self.received),
            "last_update_time": naive(self.updated),
        }

    def document(
        self,
        base: str,
        *,
        push: bool = False,
        files: bool = True,
        anonymise: bool = False,
        without: frozenset[str] = frozenset(),
    ) -> dict[str, Json]:
        """The complete formdata. `push`: as a webservice call posts it, local offset and actions.

        `files`: with their content. `without`: parts to leave out, named as the API's switches
        (`user`, `fields`, `evolution`, `roles`, `submission`, `workflow`, `workflow-data`).
        """
        hidden = anonymise or self.anonymised
        zone = PARIS if push else UTC
        body = self.row(base)
        digest = body.pop("digest")
        body["digests"] = {"default": digest} if digest else None
        body["criticality_level"] = 0
        if self.user is not None and not hidden and "user" not in without:
            body["user"] = self.user
        if "fields" not in without:
            body["api_url"] = self.api_url(base)
            body["backoffice_url"] = self.backoffice_url(base)
            body["fields"] = {} if hidden else self._values(self.fields, base, files)
        if "workflow" not in without:
            body["workflow"] = self._workflow(
                base, zone, files, hidden or "workflow-data" in without
            )
        if push:
            body["actions"] = self._actions(base)
        if "roles" not in without:
            body["roles"] = self.roles or {"_receiver": [], "concerned": [], "actions": []}
        if "submission" not in without:
            body["submission"] = {"backoffice": self.channel != "web", "channel": self.channel}
        if "evolution" not in without:
            body["evolution"] = [self._entry(one, zone, files, hidden) for one in self.history]
        if self.geolocations and not hidden:
            body["geolocations"] = self.geolocations
        return body

    def _values(self, values: Json, base: str, content: bool) -> Json:
        if is_file(values):
            shown = dict(values)
            if not content:
                shown.pop("content", None)
                shown.pop("content_is_base64", None)
            shown["url"] = f"{self.url(base)}download?hash={file_hash(values)}"
            shown.pop("thumbnail_url", None)
            return shown
        if isinstance(values, Mapping):
            return {name: self._values(value, base, content) for name, value in values.items()}
        if isinstance(values, list):
            return [self._values(value, base, content) for value in values]
        return values

    def _workflow(self, base: str, zone: Any, files: bool, no_data: bool) -> dict[str, Json]:
        arrivals = [one.time for one in self.history if one.status == self.status]
        status = self.form.status(self.status)
        shown = {
            "id": status.id,
            "name": status.name,
            "endpoint": status.endpoint,
            "first_arrival_datetime": arrivals[0].astimezone(zone).isoformat()
            if arrivals
            else None,
            "latest_arrival_datetime": (
                arrivals[-1].astimezone(zone).isoformat() if arrivals else None
            ),
        }
        body: dict[str, Json] = {"status": shown, "real_status": dict(shown)}
        if self.workflow_fields:
            body["fields"] = self._values(self.workflow_fields, base, files)
        if self.workflow_data and not no_data:
            body["data"] = dict(self.workflow_data)
        return body

    def _actions(self, base: str) -> dict[str, Json]:
        api = self.api_url(base)
        actions = {f"global-action:{hook}": f"{api}hooks/{hook}/" for hook in self.form.hooks}
        for name in self.form.status(self.status).jumps:
            actions[f"jump:{name}"] = f"{api}jump/trigger/{name}/"
        return actions

    def _entry(self, one: Entry, zone: Any, files: bool, hidden: bool) -> dict[str, Json]:
        body: dict[str, Json] = {
            "time": one.time.astimezone(zone).isoformat(),
            "last_jump_datetime": None,
            "who_id": one.who_id,
        }
        if one.status is not None:
            body["status"] = one.status
        if one.who is not None and not hidden:
            body["who"] = one.who
        parts = [
            part
            for part in one.parts
            if not hidden and (files or part["type"] != "workflow-attachment")
        ]
        if parts:
            body["parts"] = parts
        return body


def comment_part(text: str) -> dict[str, Json]:
    """A history message that everyone may see."""
    return {"type": "workflow-comment", "content": f"<p>{text}</p>", "to": None}


def attachment_part(filename: str, content_type: str, content: bytes) -> dict[str, Json]:
    """A document in the history; its Base64 has line breaks each 76 characters, as MIME's."""
    return {
        "type": "workflow-attachment",
        "filename": filename,
        "content_type": content_type,
        "to": None,
        "content": base64.encodebytes(content).decode("ascii"),
    }


def naive(moment: datetime) -> str:
    """Local time without offset, in seconds: what `receipt_time` and its like are."""
    return moment.astimezone(PARIS).replace(tzinfo=None).isoformat(timespec="seconds")


def stable_uuid(slug: str, number: int) -> str:
    """The same formdata has the same uuid in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{slug}/{number}"))


def payload_file(document: Mapping[str, Json]) -> bytes:
    """A file in a payload, by w.c.s.'s rules: without the flag, the text itself is the file."""
    try:
        if "b64_content" in document:
            return base64.b64decode(str(document["b64_content"]))
        content = str(document.get("content") or "")
        if document.get("content_is_base64"):
            return base64.b64decode(content)
    except binascii.Error:
        return b""
    return content.encode()
