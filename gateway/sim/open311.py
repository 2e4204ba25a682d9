"""A GeoReport v2 server with mySociety's updates, in memory.

Sources: open311/open311.github.io `GeoReport/v2/index.md`; mysociety/open311-adapter
`Open311/Endpoint.pm` and `Open311/Endpoint/Role/mySociety.pm`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.types import ASGIApp

from gateway.core.request import Json
from gateway.sim.control import Clock, now_utc
from gateway.sim.faults import Faults
from gateway.sim.lies import Lies

#: mySociety's extended statuses; plain GeoReport knows `open` and `closed` only.
STATUSES = frozenset(
    {
        "unchanged",
        "open",
        "closed",
        "fixed",
        "in_progress",
        "planned",
        "action_scheduled",
        "investigating",
        "duplicate",
        "not_councils_responsibility",
        "no_further_action",
        "internal_referral",
        "cancelled",
        "reopen",
        "for_triage",
    }
)
#: Statuses that end a report: `closed` in plain GeoReport.
FINAL = frozenset(
    {
        "closed",
        "fixed",
        "duplicate",
        "not_councils_responsibility",
        "no_further_action",
        "internal_referral",
        "cancelled",
    }
)


@dataclass(frozen=True, slots=True)
class Attribute:
    code: str
    description: str
    datatype: str = "string"
    required: bool = False
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A type of report. With attributes, its `metadata` is true."""

    code: str
    name: str
    group: str = ""
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Media:
    filename: str
    content_type: str
    content: bytes


@dataclass(slots=True)
class Open311Request:
    """A service request with everything that was sent for it.

    `params` holds every plain and attribute parameter in order, without the API key.
    """

    id: str
    service: Service
    params: list[tuple[str, str]]
    requested: datetime
    updated: datetime
    token: str | None = None
    status: str = "open"
    note: str = ""
    media: list[Media] = field(default_factory=list)

    def param(self, name: str) -> str | None:
        return next((value for key, value in self.params if key == name), None)

    @property
    def attributes(self) -> dict[str, Any]:
        """Return the `attribute[CODE]` parameters; a list for `attribute[CODE][]`."""
        found: dict[str, Any] = {}
        for name, value in self.params:
            if not name.startswith("attribute["):
                continue
            code = name.removeprefix("attribute[").partition("]")[0]
            if name.endswith("[]"):
                found.setdefault(code, []).append(value)
            else:
                found[code] = value
        return found


@dataclass(frozen=True, slots=True)
class Update:
    """An update, by a sender (`sender_id` is the sender's id for it) or by the agents."""

    id: str
    ticket_id: str
    status: str
    description: str
    at: datetime
    sender_id: str | None = None
    media_url: str = ""
    params: tuple[tuple[str, str], ...] = ()
    media: tuple[Media, ...] = ()


def usual_services() -> dict[str, Service]:
    """Return two services, the first with attributes."""
    attributes = (
        Attribute("reference", "Référence de la demande"),
        Attribute(
            "volume", "Volume", "singlevaluelist", values=(("petit", "Petit"), ("grand", "Grand"))
        ),
    )
    services = (
        Service("depot-sauvage", "Dépôt sauvage", "Propreté", attributes),
        Service("voirie", "Voirie", "Espace public"),
    )
    return {service.code: service for service in services}


@dataclass(slots=True)
class Open311:
    """The state and the settings of the server.

    `batch`: a creation answers a token; its id is known after `token_polls` polls in vain.
    `extended`: rows have the extended status instead of open or closed. `strict`: as mySociety's
    server, answer 400 to an unknown plain parameter, or to an update_id with other characters than
    letters, digits, - and _; lists have no attributes. `drafts`: accept `updated_after`,
    `updated_before` and media uploads of the v2.1 draft. `key_on_reads`: reads need the key too.
    """

    api_key: str = "cle-essai"
    jurisdiction_id: str | None = None
    batch: bool = False
    token_polls: int = 1
    extended: bool = False
    strict: bool = False
    extensions: bool = True
    drafts: bool = True
    key_on_reads: bool = False
    services: dict[str, Service] = field(default_factory=usual_services)
    clock: Clock = now_utc
    base_url: str = ""
    faults: Faults = field(default_factory=Faults)
    lies: Lies = field(default_factory=Lies)
    tickets: list[Open311Request] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    #: The number of posts of each sender's update id.
    posted_updates: Counter[str] = field(default_factory=Counter)
    token_asked: Counter[str] = field(default_factory=Counter)

    @property
    def app(self) -> ASGIApp:
        # Imported here: the HTTP side needs this module's classes.
        from gateway.sim.open311_http import open311_app

        return open311_app(self)

    def create(
        self, service: Service, params: list[tuple[str, str]], media: list[Media]
    ) -> Open311Request:
        now = self.clock()
        number = len(self.tickets) + 1
        token = f"jeton-{number}" if self.batch else None
        ticket = Open311Request(str(1000 + number), service, params, now, now, token, media=media)
        self.tickets.append(ticket)
        return ticket

    def find(self, ticket_id: str) -> Open311Request:
        """Return the request with this id. Raises KeyError when there is none."""
        for ticket in self.tickets:
            if ticket.id == ticket_id:
                return ticket
        raise KeyError(ticket_id)

    def advance(
        self, ticket: Open311Request | str, status: str, note: str = "", media_url: str = ""
    ) -> Update:
        """Change a ticket as its agents do. `unchanged` only adds the note.

        Raises KeyError for an unknown ticket, ValueError for an unknown status.
        """
        if status not in STATUSES:
            raise ValueError(f"unknown status: {status}")
        found = self.find(ticket) if isinstance(ticket, str) else ticket
        now = self.clock()
        found.updated = now
        found.note = note or found.note
        if status != "unchanged":
            found.status = status
        update = Update(
            f"u{len(self.updates) + 1}", found.id, status, note, now, media_url=media_url
        )
        self.updates.append(update)
        return update

    def take_update(
        self,
        ticket: Open311Request,
        sender_id: str,
        status: str,
        description: str,
        params: list[tuple[str, str]],
        media: list[Media],
    ) -> Update:
        """Store an update from outside. A repeated id of the same sender returns the first
        update."""
        self.posted_updates[sender_id] += 1
        for update in self.updates:
            if update.sender_id == sender_id:
                return update
        now = self.clock()
        update = Update(
            f"u{len(self.updates) + 1}",
            ticket.id,
            status,
            description,
            now,
            sender_id,
            params=tuple(params),
            media=tuple(media),
        )
        self.updates.append(update)
        ticket.updated = now
        return update

    def duplicates(self, code: str = "reference") -> list[str]:
        """Return the values of an attribute that more than one ticket has."""
        seen = Counter(str(t.attributes[code]) for t in self.tickets if code in t.attributes)
        return [value for value, times in seen.items() if times > 1]

    def state(self) -> dict[str, Json]:
        return {
            "tickets": [
                {
                    "service_request_id": ticket.id,
                    "token": ticket.token,
                    "service_code": ticket.service.code,
                    "status": ticket.status,
                    "status_notes": ticket.note,
                    "params": ticket.params,
                    "attributes": ticket.attributes,
                    "media": [one.filename for one in ticket.media],
                }
                for ticket in self.tickets
            ],
            "updates": [
                {
                    "update_id": update.id,
                    "service_request_id": update.ticket_id,
                    "status": update.status,
                    "description": update.description,
                    "sender_id": update.sender_id,
                }
                for update in self.updates
            ],
            "posted_updates": dict(self.posted_updates),
        }
