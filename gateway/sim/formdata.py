"""One formdata, with its JSON as w.c.s. writes it (publik-wire.md section 2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import itertools
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.core.request import Json
from gateway.sim.form import Form, roles_of

#: The zone of the portal's naive times.
PARIS = ZoneInfo("Europe/Paris")


class FormdataBusy(Exception):
    """The formdata runs its actions. The answer is 403: try again."""


def is_file_value(value: Json) -> bool:
    return isinstance(value, Mapping) and "filename" in value


def file_value(filename: str, content_type: str, content: bytes) -> dict[str, Json]:
    """Return a file field's value, for the fields of a submission."""
    return {
        "filename": filename,
        "content_type": content_type,
        "content": base64.b64encode(content).decode("ascii"),
        "content_is_base64": True,
    }


def files_in(values: Json) -> Iterable[Mapping[str, Json]]:
    """Yield all file values, also in rows of blocks."""
    if is_file_value(values):
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


@dataclass(slots=True)
class Evolution:
    """One entry of the history. `status` is None when the status did not change.

    Actions add parts to the last entry; a part has no time of its own.
    """

    time: datetime
    status: str | None = None
    who: Mapping[str, Json] | None = None
    who_id: str | None = None
    parts: list[dict[str, Json]] = field(default_factory=list)


@dataclass(slots=True)
class Trigger:
    """An outside call that runs actions. Its payload is the variable
    `form_trigger_<name>_content`."""

    name: str
    content: Json


#: Counts the writes of all formdata: rows of the same time are in this order.
_WRITES = itertools.count()


@dataclass(slots=True)
class SimulatedFormdata:
    """One citizen's request in the portal. Times are aware; the JSON has w.c.s.'s own formats.

    `processing` is the time since which actions run (or ran, if their worker died). `past` holds
    former values of `fields` and `workflow_fields`, each with the time until which it was valid.
    `written` is the row's place in the table: rows of the same time have no other order.
    """

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
    history: list[Evolution] = field(default_factory=list)
    roles: dict[str, Json] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    processing: datetime | None = None
    busy_until: datetime | None = None
    anonymised: bool = False
    past: list[tuple[datetime, dict[str, Json], dict[str, Json]]] = field(default_factory=list)
    written: int = field(default_factory=lambda: next(_WRITES))

    @property
    def updated(self) -> datetime:
        """The time of the latest history entry. A silent edit does not change it."""
        return self.history[-1].time if self.history else self.received

    @property
    def account(self) -> str | None:
        """The submitter's uuid at GLC."""
        names = (self.user or {}).get("NameID") or []
        return str(names[0]) if names else None

    @property
    def visible_status(self) -> str:
        """Return the status that the citizen sees: the latest one that is not hidden."""
        seen = [one.status for one in self.history if one.status is not None]
        for status in [self.status, *reversed(seen)]:
            if not self.form.status(status).hidden:
                return status
        return self.status

    def seen(self) -> list[tuple[str, list[str]]]:
        """Return the history that the citizen sees: each status by name, with its messages.

        The messages of a hidden status are hidden too.
        """
        found: list[tuple[str, list[str]]] = []
        hidden = False
        for entry in self.history:
            if entry.status is not None:
                status = self.form.status(entry.status)
                hidden = status.hidden
                if not hidden:
                    found.append((status.name, []))
            if not hidden and found:
                told = (part.get("content") or part.get("comment") for part in entry.parts)
                found[-1][1].extend(text for text in told if text)
        return found

    def touch(self) -> None:
        """Move the row to the end of the table, as every write does."""
        self.written = next(_WRITES)

    def set_fields(self, values: Mapping[str, Json], now: datetime) -> None:
        """Write backoffice fields. Former values can still be read (`at=`)."""
        self.past.append((now, dict(self.fields), dict(self.workflow_fields)))
        self.workflow_fields |= values
        self.touch()

    def change(self, values: Mapping[str, Json], now: datetime) -> None:
        """Write the form's fields. Former values can still be read."""
        self.past.append((now, dict(self.fields), dict(self.workflow_fields)))
        self.fields |= values
        self.touch()

    def at(self, moment: datetime) -> tuple[dict[str, Json], dict[str, Json]]:
        """Return `fields` and `workflow_fields` with their values at that time."""
        for until, fields, workflow_fields in self.past:
            if moment < until:
                return fields, workflow_fields
        return self.fields, self.workflow_fields

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
        """Return the row of a list that was asked for without switches."""
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
        at: datetime | None = None,
    ) -> dict[str, Json]:
        """Return the complete formdata. `push`: as a webservice call posts it, with `actions`.

        `files`: include the files' contents. `without`: the parts that the API's switches leave out
        (`user`, `fields`, `evolution`, `roles`, `submission`, `workflow`, `workflow-data`). `at`:
        use the values that the fields had at that time.
        """
        hidden = anonymise
        fields, workflow_fields = (self.fields, self.workflow_fields) if at is None else self.at(at)
        body = self.row(base)
        digest = body.pop("digest")
        body["digests"] = {"default": digest} if digest else None
        if self.user is not None and not hidden and "user" not in without:
            body["user"] = self.user
        if "fields" not in without:
            body["criticality_level"] = 0
            body["api_url"] = self.api_url(base)
            body["backoffice_url"] = self.backoffice_url(base)
            kept = {n: v for n, v in fields.items() if not hidden or not self.form.is_personal(n)}
            body["fields"] = self._values(kept, base, files)
        if "workflow" not in without:
            body["workflow"] = self._workflow(
                self._values(workflow_fields, base, files), push, hidden, "workflow-data" in without
            )
        if push:
            body["actions"] = self.actions(base, None)
        if "roles" not in without:
            body["roles"] = self.roles or roles_of(self.form.functions)
        if "submission" not in without:
            body["submission"] = {"backoffice": self.channel != "web", "channel": self.channel}
        if "evolution" not in without:
            body["evolution"] = [self._entry(one, push, files, hidden) for one in self.history]
        if self.geolocations and not (hidden or self.anonymised):
            body["geolocations"] = self.geolocations
        return body

    def actions(self, base: str, fires: bool | None) -> dict[str, Json]:
        """Return the triggers. `fires`: may the caller use them? None: there is no caller."""
        api = self.api_url(base)
        actions = {
            f"global-action:{hook.identifier}": f"{api}hooks/{hook.identifier}/"
            for hook in self.form.hooks
            if fires or hook.open
        }
        for name in self.form.status(self.status).jumps if fires else ():
            actions[f"jump:{name}"] = f"{api}jump/trigger/{name}/"
        return actions

    def _values(self, values: Json, base: str, content: bool) -> Json:
        if is_file_value(values):
            shown = {
                name: values[name]
                for name in ("filename", "content_type", "content", "content_is_base64")
                if name in values
            }
            if not content:
                shown.pop("content", None)
                shown.pop("content_is_base64", None)
            url = f"{self.url(base)}download?hash={file_hash(values)}"
            shown["url"] = url
            shown["thumbnail_url"] = f"{url}&thumbnail=1"
            shown["field_id"] = str(values.get("field_id") or "1")
            return shown
        if isinstance(values, Mapping):
            return {name: self._values(value, base, content) for name, value in values.items()}
        if isinstance(values, list):
            return [self._values(value, base, content) for value in values]
        return values

    def _workflow(self, fields: Json, push: bool, hidden: bool, no_data: bool) -> dict[str, Json]:
        body: dict[str, Json] = {
            "status": self._standing(self.visible_status, push),
            "real_status": self._standing(self.status, push),
        }
        if self.form.backoffice or self.workflow_fields:
            known: dict[str, Json] = {one.varname: None for one in self.form.backoffice}
            body["fields"] = {} if hidden else known | fields
        if self.workflow_data and not no_data and not hidden:
            body["data"] = dict(self.workflow_data)
        return body

    def _standing(self, status_id: str, push: bool) -> dict[str, Json]:
        arrivals = [one.time for one in self.history if one.status == status_id]
        status = self.form.status(status_id)
        return {
            "id": status.id,
            "name": status.name,
            "endpoint": status.endpoint,
            "first_arrival_datetime": self._instant(arrivals[0], push) if arrivals else None,
            "latest_arrival_datetime": self._instant(arrivals[-1], push) if arrivals else None,
        }

    def _instant(self, moment: datetime, push: bool) -> str:
        """Format with an offset: local for the present run's writes, else UTC."""
        now_running = push and self.processing is not None and moment >= self.processing
        zone = PARIS if now_running or (push and self.processing is None) else UTC
        return moment.astimezone(zone).isoformat()

    def _entry(self, one: Evolution, push: bool, files: bool, hidden: bool) -> dict[str, Json]:
        body: dict[str, Json] = {
            "time": self._instant(one.time, push),
            "last_jump_datetime": None,
            "who_id": one.who_id,
        }
        if one.status is not None:
            body["status"] = one.status
        if one.who is not None and not (hidden and one.who_id == "_submitter"):
            body["who"] = one.who
        parts = _shown(one.parts, files and not hidden, hidden)
        if parts:
            body["parts"] = parts
        return body


def _shown(parts: Sequence[Mapping[str, Json]], files: bool, hidden: bool) -> list[dict[str, Json]]:
    found = []
    for part in parts:
        if part["type"] == "workflow-attachment" and not files:
            continue
        if not hidden:
            found.append(dict(part))
        elif "content" in part:  # of a citizen's own comment nothing stays
            found.append({name: part[name] for name in ("type", "to")})
    return found


def message_part(text: str) -> dict[str, Json]:
    """Return a message of the workflow that everyone may see. `text` is HTML, or one line of
    text."""
    content = text if text.startswith("<") else f"<div>{text}</div>"
    return {"type": "workflow-comment", "to": None, "content": content}


def comment_part(name: str, text: str) -> dict[str, Json]:
    """Return a person's comment, as HTML (`text`) and plain."""
    plain = html.unescape(re.sub(r"<[^>]*>", "", text))
    return {
        "type": "workflow-comment",
        "identifier": name,
        "comment": text,
        "comment_plain_text": plain,
    }


def attachment_part(filename: str, content_type: str, content: bytes) -> dict[str, Json]:
    """Return a document of the history. Its Base64 has a line break after each 76 characters, as in
    MIME."""
    return {
        "type": "workflow-attachment",
        "content_type": content_type,
        "filename": filename,
        "to": None,
        "content": base64.encodebytes(content).decode("ascii"),
    }


def naive(moment: datetime) -> str:
    """Format a time as local time without offset, in seconds. w.c.s. writes `receipt_time` so."""
    return moment.astimezone(PARIS).replace(tzinfo=None).isoformat(timespec="seconds")


def stable_uuid(slug: str, number: int) -> str:
    """Return a formdata's uuid. It is the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{slug}/{number}"))


def payload_file(document: Mapping[str, Json]) -> bytes:
    """Read a file of a payload by w.c.s.'s rules. Without the Base64 flag the text itself is the
    file."""
    try:
        if "b64_content" in document:
            return base64.b64decode(str(document["b64_content"]))
        content = str(document.get("content") or "")
        if document.get("content_is_base64"):
            return base64.b64decode(content)
    except binascii.Error:
        return b""
    return content.encode()
