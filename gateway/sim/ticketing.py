"""A GRU with a REST interface like those of French communes, in memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.types import ASGIApp

from gateway.core.request import Json
from gateway.sim.control import Clock, now_utc
from gateway.sim.faults import Faults
from gateway.sim.lies import Lies
from gateway.sim.wscall import CALL_FAILURES

#: Payload keys that survive an erasure. Whatever a citizen wrote or attached may be personal.
NOT_PERSONAL = frozenset({"external_id", "category"})


@dataclass(frozen=True, slots=True)
class TicketDocument:
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class TicketComment:
    """A comment. An `internal` one is for agents only, and must never reach the citizen."""

    id: str
    text: str
    at: datetime
    internal: bool = False
    external_id: str | None = None
    document: TicketDocument | None = None
    by_agent: bool = False


@dataclass(slots=True)
class Ticket:
    """A ticket. `payload` is the JSON of the creation; an erasure removes personal data from it."""

    id: str
    external_id: str | None
    payload: dict[str, Json]
    created: datetime
    updated: datetime
    status: str = "new"
    comments: list[TicketComment] = field(default_factory=list)
    documents: list[TicketDocument] = field(default_factory=list)
    erased: bool = False

    def erase_person(self) -> None:
        self.payload = {k: v for k, v in self.payload.items() if k in NOT_PERSONAL}
        self.comments.clear()
        self.documents.clear()
        self.erased = True

    def as_json(self, lies: Lies | None = None) -> dict[str, Json]:
        lies = lies or Lies()
        return {
            **self.payload,
            "id": self.id,
            "external_id": self.external_id,
            "status": self.status,
            "created_at": stamp(self.created),
            "updated_at": stamp(lies.date(self.id, self.updated)),
            "person_erased": self.erased,
            "comments": [
                {
                    "id": one.id,
                    "text": one.text,
                    "created_at": stamp(lies.date(self.id, one.at)),
                    "internal": one.internal,
                    "external_id": one.external_id,
                    "author": "agent" if one.by_agent or lies.echo else "connector",
                    "document": _document_json(one.document) if one.document else None,
                }
                for one in self.comments
            ],
            "attachments": [
                {
                    "filename": one.filename,
                    "content_type": one.content_type,
                    "size": len(one.content),
                    "sha256": hashlib.sha256(one.content).hexdigest(),
                }
                for one in self.documents
            ],
        }


@dataclass(slots=True)
class Ticketing:
    """The state and the settings of the GRU.

    All ways to authenticate are open at once: the header `X-Api-Key` (`token`), HTTP Basic and
    `POST /session` (`login`), and OAuth2 client credentials (`client`). `unique_external_id`: a
    second ticket with a known external id is a 409; otherwise it is created, and `duplicates` lists
    it. `required`: payload keys whose absence is a 422 with `errors`. `errors_in_200`: errors come
    as `{"Error": {...}}` with HTTP 200, as in Znuny. `notify` posts changes to `webhook_url`,
    signed with `webhook_key`.
    """

    token: str = "jeton-essai"  # noqa: S105 (a published default)
    login: tuple[str, str] = ("connecteur", "secret-essai")
    client: tuple[str, str] = ("client-essai", "secret-client")
    required: tuple[str, ...] = ()
    unique_external_id: bool = False
    errors_in_200: bool = False
    webhook_url: str | None = None
    webhook_key: str = "cle-webhook"
    token_life: int = 3600
    clock: Clock = now_utc
    faults: Faults = field(default_factory=Faults)
    lies: Lies = field(default_factory=Lies)
    tickets: list[Ticket] = field(default_factory=list)
    uploads: dict[str, TicketDocument] = field(default_factory=dict)
    #: Live session and access tokens.
    sessions: set[str] = field(default_factory=set)
    access_tokens: set[str] = field(default_factory=set)
    #: The number of sessions and tokens given: a client should not ask for each call.
    issued: int = 0
    _events: list[tuple[str, Ticket]] = field(default_factory=list)
    _event_count: int = 0

    @property
    def app(self) -> ASGIApp:
        # Imported here: the HTTP side needs this module's classes.
        from gateway.sim.ticketing_http import ticketing_app

        return ticketing_app(self)

    def issue(self, kept: set[str], prefix: str) -> str:
        self.issued += 1
        token = f"{prefix}-{self.issued}"
        kept.add(token)
        return token

    def expire(self) -> None:
        """End all sessions and access tokens. The next call gets 401."""
        self.sessions.clear()
        self.access_tokens.clear()

    def create(self, payload: dict[str, Json]) -> Ticket:
        now = self.clock()
        external = payload.get("external_id")
        ticket = Ticket(
            str(len(self.tickets) + 1),
            None if external is None else str(external),
            dict(payload),
            now,
            now,
        )
        self.tickets.append(ticket)
        return ticket

    def find(self, ticket_id: str) -> Ticket:
        """Return the ticket with this id. Raises KeyError when there is none."""
        for ticket in self.tickets:
            if ticket.id == ticket_id:
                return ticket
        raise KeyError(ticket_id)

    def by_external_id(self, external_id: str) -> list[Ticket]:
        return [one for one in self.tickets if one.external_id == external_id]

    def duplicates(self) -> list[str]:
        """Return the external ids that more than one ticket has."""
        seen = Counter(one.external_id for one in self.tickets if one.external_id)
        return [name for name, times in seen.items() if times > 1]

    def add_comment(
        self,
        ticket: Ticket,
        text: str,
        *,
        internal: bool = False,
        external_id: str | None = None,
        document: TicketDocument | None = None,
        by_agent: bool = False,
    ) -> TicketComment:
        now = self.clock()
        number = f"{ticket.id}-{len(ticket.comments) + 1}"
        comment = TicketComment(number, text, now, internal, external_id, document, by_agent)
        ticket.comments.append(comment)
        ticket.updated = now
        return comment

    def advance(
        self,
        ticket_id: str,
        status: str | None = None,
        note: str | None = None,
        internal: bool = False,
        document: TicketDocument | None = None,
    ) -> Ticket:
        """Change a ticket as its agents do. Call `notify` to send the webhook. Raises KeyError."""
        ticket = self.find(ticket_id)
        ticket.status = status or ticket.status
        ticket.updated = self.clock()
        if note is not None or document is not None:
            self.add_comment(
                ticket, note or "", internal=internal, document=document, by_agent=True
            )
        if self.webhook_url is not None:
            self._events.append(("ticket.updated", ticket))
        return ticket

    async def notify(self, client: httpx.AsyncClient | None = None) -> list[int]:
        """Send the due webhooks in order, once each. Return their HTTP statuses (0: no answer)."""
        due, self._events = self._events, []
        statuses: list[int] = []
        for kind, ticket in due:
            self._event_count += 1
            body = {
                "id": f"evt-{self._event_count}",
                "event": kind,
                "at": stamp(self.clock()),
                "ticket": ticket.as_json(self.lies),
            }
            statuses.append(await self._send(body, client))
        return statuses

    async def _send(self, body: dict[str, Json], client: httpx.AsyncClient | None) -> int:
        content = json.dumps(body, ensure_ascii=False).encode()
        mac = hmac.new(self.webhook_key.encode(), content, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={mac}",
            "X-Event-Id": str(body["id"]),
        }
        url = self.webhook_url or ""
        try:
            if client is not None:
                return (await client.post(url, content=content, headers=headers)).status_code
            async with httpx.AsyncClient(timeout=10) as own:
                return (await own.post(url, content=content, headers=headers)).status_code
        except CALL_FAILURES:
            return 0

    def state(self) -> dict[str, Json]:
        return {
            "tickets": [one.as_json() for one in self.tickets],
            "duplicates": self.duplicates(),
            "issued": self.issued,
        }


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _document_json(document: TicketDocument) -> dict[str, Any]:
    return {
        "filename": document.filename,
        "content_type": document.content_type,
        "content": base64.b64encode(document.content).decode("ascii"),
    }
