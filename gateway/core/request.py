"""The canonical request: one citizen's demand, whatever portal it came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

#: A JSON value, as parsed.
Json = Any


class EventKind(StrEnum):
    """The events of a request that the portal tells."""

    CREATION = "creation"
    MESSAGE = "message"
    DOCUMENT = "document"
    CHANGE = "change"
    CANCELLATION = "cancellation"


@dataclass(frozen=True, slots=True)
class Person:
    """The citizen as the portal shows them; `uuid` is the GLC account (NameID), if any."""

    name: str | None = None
    email: str | None = None
    uuid: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file by reference: its bytes lie in the store at `address`, empty until they are there."""

    field: str
    filename: str
    content_type: str
    size: int
    sha256: str
    address: str = dataclasses.field(default="", compare=False)

    def as_json(self) -> dict[str, Json]:
        return {
            "field": self.field,
            "filename": self.filename,
            "content_type": self.content_type,
            "size": self.size,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a request that the portal told, in order. `key` makes it unique within its
    request. `message` is plain text."""

    key: str
    kind: EventKind
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """One event of a request, with the request as it was then.

    `id` is ours, and the reference by which a GRU finds the request. `ref` is the portal's formdata
    id. All times are aware UTC. `fields` are the form's values with each file replaced by its
    `Attachment.as_json()` (its `field` is the dotted path, e.g.
    `enfants_raw.0.carnet_vaccination`).
    """

    id: str
    portal: str
    commune: str
    teleservice: str
    ref: str
    event: Event
    submitted_at: datetime
    uuid: str | None = None
    number: str | None = None
    channel: str = "web"
    url: str | None = None
    api_url: str | None = None
    user: Person | None = None
    fields: Mapping[str, Json] = field(default_factory=dict)
    workflow_fields: Mapping[str, Json] = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)
    location: tuple[float, float] | None = None
    attachments: tuple[Attachment, ...] = ()
    #: The citizen's changes: `gateway.core.difference`.
    changes: tuple[Mapping[str, Json], ...] = ()

    def document(self) -> dict[str, Json]:
        """Return the value that mapping expressions (JMESPath) read; it is also stored as
        payload."""
        return {
            "id": self.id,
            "portal": self.portal,
            "commune": self.commune,
            "teleservice": self.teleservice,
            "ref": self.ref,
            "uuid": self.uuid,
            "number": self.number,
            "channel": self.channel,
            "url": self.url,
            "api_url": self.api_url,
            "submitted_at": self.submitted_at.isoformat().replace("+00:00", "Z"),
            "event": {
                "key": self.event.key,
                "kind": self.event.kind.value,
                "message": self.event.message,
            },
            "user": None
            if self.user is None
            else {"name": self.user.name, "email": self.user.email, "uuid": self.user.uuid},
            "fields": dict(self.fields),
            "workflow_fields": dict(self.workflow_fields),
            "extra": dict(self.extra),
            "location": None
            if self.location is None
            else {"lat": self.location[0], "lon": self.location[1]},
            "attachments": [a.as_json() for a in self.attachments],
            "changes": [dict(one) for one in self.changes],
        }
