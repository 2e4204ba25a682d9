"""The bodies of the pivot contract 1.2.0.

Generated from docs/pivot/openapi.json by `python -m clients.generate .`: not to be edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from toodego_pivot import reading as r
from toodego_pivot.reading import Unknown

VERSION: Final = "1.2.0"


class PivotEventType:
    """The events of a request."""

    ALL: Final = (
        "request.created",
        "request.message",
        "request.document",
        "request.changed",
        "request.cancelled",
    )
    CREATED: Final = "request.created"
    MESSAGE: Final = "request.message"
    DOCUMENT: Final = "request.document"
    CHANGED: Final = "request.changed"
    CANCELLED: Final = "request.cancelled"


class PivotStatus:
    """The statuses that a commune may give. `done`, `refused` and `cancelled` end a request."""

    ALL: Final = (
        "accepted",
        "in_progress",
        "planned",
        "waiting_citizen",
        "done",
        "refused",
        "cancelled",
    )
    ACCEPTED: Final = "accepted"
    IN_PROGRESS: Final = "in_progress"
    PLANNED: Final = "planned"
    WAITING_CITIZEN: Final = "waiting_citizen"
    DONE: Final = "done"
    REFUSED: Final = "refused"
    CANCELLED: Final = "cancelled"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """RFC 6749, 5.1."""

    access_token: str
    #: Seconds.
    expires_in: int
    token_type: str

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> AccessToken:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            access_token=r.text(raw, "access_token"),
            expires_in=r.whole(raw, "expires_in"),
            token_type=r.text(raw, "token_type"),
        )


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The answer to a pushed event: a 2xx, with this body or none. Other fields are ignored.

    After any other status we send again or, for a 4xx, show the event to a person.
    """

    #: The commune's own number.
    reference: str | None = None
    erasure: ErasureReceipt | None = None
    #: Where agents see it.
    link: str | None = None

    def written(self) -> dict[str, Any]:
        """Return it as JSON has it, without what was left out."""
        found: dict[str, Any] = {}
        if self.reference is not None:
            found["reference"] = self.reference
        if self.erasure is not None:
            found["erasure"] = self.erasure.written()
        if self.link is not None:
            found["link"] = self.link
        return found


@dataclass(frozen=True, slots=True)
class ChangeReceipt:
    """The change is on disk."""

    key: str
    reference: str
    #: True when this key had come before, with the same content.
    known: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ChangeReceipt:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            key=r.text(raw, "key"),
            reference=r.text(raw, "reference"),
            known=r.truth(raw, "known"),
        )


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """The fate of each result, the next messages, and whether there are more."""

    heartbeat: Heartbeat
    items: tuple[ClaimedItem, ...]
    more: bool
    settled: tuple[SettledClaim, ...]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ClaimAnswer:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            heartbeat=Heartbeat.read(r.model(raw, "heartbeat")),
            items=tuple(ClaimedItem.read(one) for one in r.models(raw, "items")),
            more=r.truth(raw, "more"),
            settled=tuple(SettledClaim.read(one) for one in r.models(raw, "settled")),
        )


@dataclass(frozen=True, slots=True)
class ClaimResultTold:
    """The result of a fetched message. `token` is the one that came with it.

    `done`: the commune has it, under its number if there is one. `refused`: it will never be taken
    as it is, because of `problems`; a person has to look. `later`: it may be fetched again after
    `after` seconds. `release`: it is given back, untried. `extend`: the commune is still at work,
    and keeps it for this call's `lease` from now, at most twelve hours from when it was fetched.
    """

    token: str
    result: str
    reference: str | None = None
    after: int | None = None
    erasure: ErasureReceipt | None = None
    link: str | None = None
    #: At least one with `refused`.
    problems: tuple[str, ...] = ()

    def written(self) -> dict[str, Any]:
        """Return it as JSON has it, without what was left out."""
        found: dict[str, Any] = {}
        found["token"] = self.token
        found["result"] = self.result
        if self.reference is not None:
            found["reference"] = self.reference
        if self.after is not None:
            found["after"] = self.after
        if self.erasure is not None:
            found["erasure"] = self.erasure.written()
        if self.link is not None:
            found["link"] = self.link
        if self.problems:
            found["problems"] = list(self.problems)
        return found


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """A fetched message. Those of one request come one at a time, in their order."""

    #: To be told with the result. It outlives our restarts.
    token: str
    #: How often it has been fetched: 1 the first time.
    attempt: int
    event: PivotEvent | PivotErasure | Unknown
    lease_until: datetime

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ClaimedItem:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            token=r.text(raw, "token"),
            attempt=r.whole(raw, "attempt"),
            event=read_pivot_event_or_pivot_erasure(r.model(raw, "event")),
            lease_until=r.moment(raw, "lease_until"),
        )


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """The end of a person's data. `kept` needs its legal ground and, if known, its end and who
    decided it. None of them names the person.
    """

    outcome: str
    #: Who decided to keep: an office, or its agent.
    decided_by: str | None = None
    ground: str | None = None
    until: datetime | None = None

    def written(self) -> dict[str, Any]:
        """Return it as JSON has it, without what was left out."""
        found: dict[str, Any] = {}
        found["outcome"] = self.outcome
        if self.decided_by is not None:
            found["decided_by"] = self.decided_by
        if self.ground is not None:
            found["ground"] = self.ground
        if self.until is not None:
            found["until"] = self.until.isoformat()
        return found


@dataclass(frozen=True, slots=True)
class EventsPage:
    """A page of the feed. While there is `more`, go on from the last `seq` that you read."""

    items: tuple[FedEvent, ...]
    #: The last number in the feed; 0 while there is none.
    last_seq: int
    more: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> EventsPage:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            items=tuple(FedEvent.read(one) for one in r.models(raw, "items")),
            last_seq=r.whole(raw, "last_seq"),
            more=r.truth(raw, "more"),
        )


@dataclass(frozen=True, slots=True)
class FedEvent:
    """A message in the feed. `event` is null for a message that was erased, or that cannot be made
    at present; its number stays.
    """

    reference: str
    erased: bool
    event: PivotEvent | PivotErasure | Unknown | None
    #: Its number: larger than any before it; some may be missing.
    seq: int
    #: You have acknowledged it.
    taken: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> FedEvent:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            reference=r.text(raw, "reference"),
            erased=r.truth(raw, "erased"),
            event=r.model_or_none(raw, "event", read_pivot_event_or_pivot_erasure),
            seq=r.whole(raw, "seq"),
            taken=r.truth(raw, "taken"),
        )


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One fault of a body: its problem, and its place (JSON Pointer)."""

    type: str
    detail: str
    pointer: str

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> FieldFault:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            type=r.text(raw, "type"),
            detail=r.text(raw, "detail"),
            pointer=r.text(raw, "pointer"),
        )


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The state of the mailbox. Each answer has it, also one without a message."""

    at: datetime
    #: The last number in the feed; 0 while there is none.
    last_seq: int
    #: Since when the oldest of them waits.
    oldest_at: datetime | None
    #: Messages that may be fetched now, besides these.
    waiting: int

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Heartbeat:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            at=r.moment(raw, "at"),
            last_seq=r.whole(raw, "last_seq"),
            oldest_at=r.moment_or_none(raw, "oldest_at"),
            waiting=r.whole(raw, "waiting"),
        )


@dataclass(frozen=True, slots=True)
class PivotChange:
    """A change of a request, from the commune: all of it is taken, or nothing.

    `key` is the commune's own and names one change of the request. A repeated key is known if its
    content is the same, else it is refused. Each other field is optional. After the change that
    ends a request, the commune may still write to the citizen.
    """

    key: str
    status: str | None = None
    #: When it happened, if not now, with its offset from UTC.
    at: datetime | None = None
    documents: tuple[PivotDocument, ...] = ()
    #: The commune's own number, where it is given only now.
    gru_reference: str | None = None
    #: Stays inside; no citizen reads it.
    internal: str | None = None
    #: The citizen reads it: plain text.
    public: str | None = None

    def written(self) -> dict[str, Any]:
        """Return it as JSON has it, without what was left out."""
        found: dict[str, Any] = {}
        found["key"] = self.key
        if self.status is not None:
            found["status"] = self.status
        if self.at is not None:
            found["at"] = self.at.isoformat()
        if self.documents:
            found["documents"] = [one.written() for one in self.documents]
        if self.gru_reference is not None:
            found["gru_reference"] = self.gru_reference
        if self.internal is not None:
            found["internal"] = self.internal
        if self.public is not None:
            found["public"] = self.public
        return found


@dataclass(frozen=True, slots=True)
class PivotClaim:
    """Gives the results of fetched messages, and fetches the next ones, in one call.

    `lease`: seconds in which you give the result of each message; then it may be fetched again. It
    holds for the messages of this call, and for those that it extends. `wait`: seconds that the
    call may stay open while there is no message.
    """

    lease: int = 600
    max: int = 10
    settled: tuple[ClaimResultTold, ...] = ()
    wait: int = 0

    def written(self) -> dict[str, Any]:
        """Return it as JSON has it, without what was left out."""
        found: dict[str, Any] = {}
        found["lease"] = self.lease
        found["max"] = self.max
        if self.settled:
            found["settled"] = [one.written() for one in self.settled]
        found["wait"] = self.wait
        return found


@dataclass(frozen=True, slots=True)
class PivotDocument:
    """A file for the citizen."""

    #: Base64.
    content: str
    content_type: str
    filename: str

    def written(self) -> dict[str, Any]:
        """Return it as JSON has it, without what was left out."""
        found: dict[str, Any] = {}
        found["content"] = self.content
        found["content_type"] = self.content_type
        found["filename"] = self.filename
        return found


@dataclass(frozen=True, slots=True)
class PivotErasure:
    """An order to forget a person: erase all data of this request, and answer a receipt."""

    id: str
    type: str
    reference: str
    api_version: str
    gru_reference: str | None
    recipient: Recipient

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> PivotErasure:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            id=r.text(raw, "id"),
            type=r.text(raw, "type"),
            reference=r.text(raw, "reference"),
            api_version=r.text(raw, "api_version"),
            gru_reference=r.text_or_none(raw, "gru_reference"),
            recipient=Recipient.read(r.model(raw, "recipient")),
        )


@dataclass(frozen=True, slots=True)
class PivotEvent:
    """One event of a request. It keeps its `id` each time it is sent: take each `id` once."""

    id: str
    type: str
    api_version: str
    #: What the commune's mapping makes of it.
    data: Mapping[str, Any] = field(repr=False)
    files: tuple[PivotFile, ...]
    #: What the citizen wrote, plain text.
    message: str | None
    recipient: Recipient
    request: PivotRequest
    #: Its place among the events of its request: 1, 2, 3...
    sequence: int

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> PivotEvent:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            id=r.text(raw, "id"),
            type=r.text(raw, "type"),
            api_version=r.text(raw, "api_version"),
            data=r.object(raw, "data"),
            files=tuple(PivotFile.read(one) for one in r.models(raw, "files")),
            message=r.text_or_none(raw, "message"),
            recipient=Recipient.read(r.model(raw, "recipient")),
            request=PivotRequest.read(r.model(raw, "request")),
            sequence=r.whole(raw, "sequence"),
        )


@dataclass(frozen=True, slots=True)
class PivotFailure:
    """RFC 9457, with who is at fault and whether to send it again.

    `type` never changes; the registry of problems lists all types. `errors` are all faults of the
    body; `pointer` and `detail` are those of the first one. Give us `correlation` when you ask.
    """

    type: str
    status: int
    correlation: str
    detail: str
    fault: str
    pointer: str | None
    retry: str
    title: str
    errors: tuple[FieldFault, ...] = ()

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> PivotFailure:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            type=r.text(raw, "type"),
            status=r.whole(raw, "status"),
            correlation=r.text(raw, "correlation"),
            detail=r.text(raw, "detail"),
            fault=r.text(raw, "fault"),
            pointer=r.text_or_none(raw, "pointer"),
            retry=r.text(raw, "retry"),
            title=r.text(raw, "title"),
            errors=tuple(FieldFault.read(one) for one in r.models_or_none(raw, "errors")),
        )


@dataclass(frozen=True, slots=True)
class PivotFile:
    """A citizen's file: either its bytes in `content`, or a link in `url`."""

    #: Its true type, found in its bytes.
    content_type: str
    #: The form's field.
    field: str
    filename: str
    #: Of the bytes, 64 hexadecimal digits. Where what came has another, read the file again.
    sha256: str
    #: Bytes.
    size: int
    #: Base64, for a small file.
    content: str | None = None
    expires_at: datetime | None = None
    #: A signed link, good until `expires_at`; it takes `Range`.
    url: str | None = None

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> PivotFile:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            content_type=r.text(raw, "content_type"),
            field=r.text(raw, "field"),
            filename=r.text(raw, "filename"),
            sha256=r.text(raw, "sha256"),
            size=r.whole(raw, "size"),
            content=r.text_or_none(raw, "content"),
            expires_at=r.moment_or_none(raw, "expires_at"),
            url=r.text_or_none(raw, "url"),
        )


@dataclass(frozen=True, slots=True)
class PivotRequest:
    """A citizen's request, as it was filed."""

    #: Ours, for ever: the key of everything about the request.
    reference: str
    #: INSEE code of the commune that the request is for.
    commune: str
    #: When the citizen filed it (UTC).
    filed_at: datetime
    #: The commune's own number, once it has given it.
    gru_reference: str | None
    #: The number that the citizen reads.
    number: str | None
    portal: str
    #: When the gateway took it (UTC).
    received_at: datetime
    service: PivotService
    #: The form's slug at the portal.
    teleservice: str

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> PivotRequest:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            reference=r.text(raw, "reference"),
            commune=r.text(raw, "commune"),
            filed_at=r.moment(raw, "filed_at"),
            gru_reference=r.text_or_none(raw, "gru_reference"),
            number=r.text_or_none(raw, "number"),
            portal=r.text(raw, "portal"),
            received_at=r.moment(raw, "received_at"),
            service=PivotService.read(r.model(raw, "service")),
            teleservice=r.text(raw, "teleservice"),
        )


@dataclass(frozen=True, slots=True)
class PivotService:
    """The service in charge of the request, and its contact details (CRPA, R112-11-1)."""

    name: str
    address: str | None = None
    email: str | None = None
    phone: str | None = None

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> PivotService:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            name=r.text(raw, "name"),
            address=r.text_or_none(raw, "address"),
            email=r.text_or_none(raw, "email"),
            phone=r.text_or_none(raw, "phone"),
        )


@dataclass(frozen=True, slots=True)
class Recipient:
    """The addressee of a message. Refuse a message for another one."""

    #: INSEE code, five characters.
    commune: str
    environment: str

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Recipient:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            commune=r.text(raw, "commune"),
            environment=r.text(raw, "environment"),
        )


@dataclass(frozen=True, slots=True)
class SettledClaim:
    """The fate of a result.

    `recorded`: it is on disk. `known`: the message was already over, with the same number. `lost`:
    the message was fetched again since, is over with another result, or is not yours. An `extend`
    is also `lost` after the longest time; a result still counts then.
    """

    token: str
    outcome: str
    #: Of an `extend`: its end now.
    lease_until: datetime | None = None

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> SettledClaim:
        """Return it from JSON. Raises Unreadable; what is not known is passed over."""
        return cls(
            token=r.text(raw, "token"),
            outcome=r.text(raw, "outcome"),
            lease_until=r.moment_or_none(raw, "lease_until"),
        )


def read_pivot_event_or_pivot_erasure(
    raw: Mapping[str, Any],
) -> PivotEvent | PivotErasure | Unknown:
    """Return the one that its `type` says; Unknown for a type of a later contract."""
    if raw.get("type") == "request.erased":
        return PivotErasure.read(raw)
    if raw.get("type") in PivotEventType.ALL:
        return PivotEvent.read(raw)
    return Unknown.read(raw)
