"""The bodies of the pivot contract, `/pivot/v1`. The OpenAPI document is generated from them."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

#: The contract's version: major in the address, minor for additions, patch for wording.
API_VERSION = "1.2.0"
LONGEST_KEY = 100
#: Items of a claim, of a page of events, of one call's results.
MOST_ITEMS = 100
#: Faults of one body in an answer.
MOST_ERRORS = 20
#: Documents of one change.
MOST_DOCUMENTS = 20

Key = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY, pattern=r"^[\x21-\x7e]+$")]
Number = Annotated[str, Field(min_length=1, max_length=200)]


def _has_place(told: datetime) -> datetime:
    """Return the time. Raises PydanticCustomError at the edge of the calendar."""
    try:
        told.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("no_such_time", "it has no place in UTC") from None
    return told


#: An outside time, with its offset, that has a place in UTC.
Instant = Annotated[AwareDatetime, AfterValidator(_has_place)]


class OutgoingModel(BaseModel):
    """Base of our bodies: a later version may add fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class IncomingModel(BaseModel):
    """Base of a commune's bodies: an unknown field is refused, lest it be lost in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PivotEventType(StrEnum):
    """The events of a request."""

    CREATED = "request.created"
    MESSAGE = "request.message"
    DOCUMENT = "request.document"
    CHANGED = "request.changed"
    CANCELLED = "request.cancelled"


class PivotStatus(StrEnum):
    """The statuses that a commune may give. `done`, `refused` and `cancelled` end a request."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    PLANNED = "planned"
    WAITING_CITIZEN = "waiting_citizen"
    DONE = "done"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class Recipient(OutgoingModel):
    """The addressee of a message. Refuse a message for another one."""

    commune: str = Field(description="INSEE code, five characters.")
    environment: Literal["production", "test"]


class PivotService(OutgoingModel):
    """The service in charge of the request, and its contact details (CRPA, R112-11-1)."""

    name: str = Field(min_length=1, max_length=200)
    email: str | None = Field(None, max_length=200)
    phone: str | None = Field(None, max_length=50)
    address: str | None = Field(None, max_length=500)


class PivotRequest(OutgoingModel):
    """A citizen's request, as it was filed."""

    reference: str = Field(description="Ours, for ever: the key of everything about the request.")
    gru_reference: str | None = Field(description="The commune's own number, once it has given it.")
    portal: str
    teleservice: str = Field(description="The form's slug at the portal.")
    number: str | None = Field(description="The number that the citizen reads.")
    commune: str = Field(description="INSEE code of the commune that the request is for.")
    service: PivotService
    filed_at: datetime = Field(description="When the citizen filed it (UTC).")
    received_at: datetime = Field(description="When the gateway took it (UTC).")


class PivotFile(OutgoingModel):
    """A citizen's file: either its bytes in `content`, or a link in `url`."""

    field: str = Field(description="The form's field.")
    filename: str
    content_type: str = Field(description="Its true type, found in its bytes.")
    size: int = Field(description="Bytes.")
    sha256: str = Field(
        description="Of the bytes, 64 hexadecimal digits. Where what came has another, read the"
        " file again."
    )
    content: str | None = Field(None, description="Base64, for a small file.")
    url: str | None = Field(
        None, description="A signed link, good until `expires_at`; it takes `Range`."
    )
    expires_at: datetime | None = None


class PivotEvent(OutgoingModel):
    """One event of a request. It keeps its `id` each time it is sent: take each `id` once."""

    id: str
    type: PivotEventType
    api_version: str
    recipient: Recipient
    sequence: int = Field(description="Its place among the events of its request: 1, 2, 3...")
    request: PivotRequest
    message: str | None = Field(description="What the citizen wrote, plain text.")
    data: dict[str, Any] = Field(description="What the commune's mapping makes of it.")
    files: tuple[PivotFile, ...]


class PivotErasure(OutgoingModel):
    """An order to forget a person: erase all data of this request, and answer a receipt."""

    id: str
    type: Literal["request.erased"]
    api_version: str
    recipient: Recipient
    reference: str
    gru_reference: str | None


class ErasureReceipt(IncomingModel):
    """The end of a person's data. `kept` needs its legal ground and, if known, its end and who
    decided it. None of them names the person."""

    outcome: Literal["erased", "anonymised", "kept", "absent"]
    ground: str | None = Field(None, max_length=500)
    until: Instant | None = None
    decided_by: str | None = Field(
        None, max_length=200, description="Who decided to keep: an office, or its agent."
    )


class Acknowledgement(OutgoingModel):
    """The answer to a pushed event: a 2xx, with this body or none. Other fields are ignored.

    After any other status we send again or, for a 4xx, show the event to a person.
    """

    reference: Number | None = Field(None, description="The commune's own number.")
    link: str | None = Field(None, max_length=2000, description="Where agents see it.")
    erasure: ErasureReceipt | None = None


class PivotDocument(IncomingModel):
    """A file for the citizen."""

    filename: str = Field(min_length=1, max_length=255)
    content_type: str = Field(min_length=1, max_length=100)
    content: str = Field(min_length=1, description="Base64.")


class PivotChange(IncomingModel):
    """A change of a request, from the commune: all of it is taken, or nothing.

    `key` is the commune's own and names one change of the request. A repeated key is known if its
    content is the same, else it is refused. Each other field is optional. After the change that
    ends a request, the commune may still write to the citizen.
    """

    key: Key
    status: PivotStatus | None = None
    public: str | None = Field(
        None, min_length=1, max_length=20_000, description="The citizen reads it: plain text."
    )
    internal: str | None = Field(
        None, min_length=1, max_length=20_000, description="Stays inside; no citizen reads it."
    )
    documents: tuple[PivotDocument, ...] = Field((), max_length=MOST_DOCUMENTS)
    at: Instant | None = Field(
        None, description="When it happened, if not now, with its offset from UTC."
    )
    gru_reference: Number | None = Field(
        None, description="The commune's own number, where it is given only now."
    )


class ChangeReceipt(OutgoingModel):
    """The change is on disk."""

    reference: str
    key: str
    known: bool = Field(description="True when this key had come before, with the same content.")


class ClaimResultTold(IncomingModel):
    """The result of a fetched message. `token` is the one that came with it.

    `done`: the commune has it, under its number if there is one. `refused`: it will never be taken
    as it is, because of `problems`; a person has to look. `later`: it may be fetched again after
    `after` seconds. `release`: it is given back, untried. `extend`: the commune is still at work,
    and keeps it for this call's `lease` from now, at most twelve hours from when it was fetched.
    """

    token: Annotated[str, Field(min_length=1, max_length=200)]
    result: Literal["done", "refused", "later", "release", "extend"]
    reference: Number | None = None
    link: str | None = Field(None, max_length=2000)
    problems: tuple[Annotated[str, Field(max_length=500)], ...] = Field(
        (), max_length=20, validate_default=True, description="At least one with `refused`."
    )
    after: int | None = Field(None, ge=0, le=86_400)
    erasure: ErasureReceipt | None = None

    @field_validator("problems")
    @classmethod
    def _why(cls, problems: tuple[str, ...], told: ValidationInfo) -> tuple[str, ...]:
        if told.data.get("result") == "refused" and not any(one.strip() for one in problems):
            raise PydanticCustomError("problems_missing", "a refusal says why")
        return problems


class PivotClaim(IncomingModel):
    """Gives the results of fetched messages, and fetches the next ones, in one call.

    `lease`: seconds in which you give the result of each message; then it may be fetched again. It
    holds for the messages of this call, and for those that it extends. `wait`: seconds that the
    call may stay open while there is no message.
    """

    max: int = Field(10, ge=0, le=MOST_ITEMS)
    lease: int = Field(600, ge=60, le=3600)
    wait: int = Field(0, ge=0, le=25)
    settled: tuple[ClaimResultTold, ...] = Field((), max_length=MOST_ITEMS)


class SettledClaim(OutgoingModel):
    """The fate of a result.

    `recorded`: it is on disk. `known`: the message was already over, with the same number. `lost`:
    the message was fetched again since, is over with another result, or is not yours. An `extend`
    is also `lost` after the longest time; a result still counts then.
    """

    token: str
    outcome: Literal["recorded", "known", "lost"]
    lease_until: datetime | None = Field(None, description="Of an `extend`: its end now.")


class ClaimedItem(OutgoingModel):
    """A fetched message. Those of one request come one at a time, in their order."""

    token: str = Field(description="To be told with the result. It outlives our restarts.")
    lease_until: datetime
    attempt: int = Field(description="How often it has been fetched: 1 the first time.")
    event: PivotEvent | PivotErasure


class Heartbeat(OutgoingModel):
    """The state of the mailbox. Each answer has it, also one without a message."""

    at: datetime
    waiting: int = Field(description="Messages that may be fetched now, besides these.")
    oldest_at: datetime | None = Field(description="Since when the oldest of them waits.")
    last_seq: int = Field(description="The last number in the feed; 0 while there is none.")


class ClaimAnswer(OutgoingModel):
    """The fate of each result, the next messages, and whether there are more."""

    settled: tuple[SettledClaim, ...]
    items: tuple[ClaimedItem, ...]
    more: bool
    heartbeat: Heartbeat


class FedEvent(OutgoingModel):
    """A message in the feed. `event` is null for a message that was erased, or that cannot be made
    at present; its number stays."""

    seq: int = Field(description="Its number: larger than any before it; some may be missing.")
    reference: str
    taken: bool = Field(description="You have acknowledged it.")
    erased: bool
    event: PivotEvent | PivotErasure | None


class EventsPage(OutgoingModel):
    """A page of the feed. While there is `more`, go on from the last `seq` that you read."""

    items: tuple[FedEvent, ...]
    more: bool
    last_seq: int = Field(description="The last number in the feed; 0 while there is none.")


class FieldFault(OutgoingModel):
    """One fault of a body: its problem, and its place (JSON Pointer)."""

    type: str
    detail: str
    pointer: str


class PivotFailure(OutgoingModel):
    """RFC 9457, with who is at fault and whether to send it again.

    `type` never changes; the registry of problems lists all types. `errors` are all faults of the
    body; `pointer` and `detail` are those of the first one. Give us `correlation` when you ask.
    """

    type: str
    title: str
    status: int
    detail: str
    fault: Literal["yours", "ours", "portal", "nobody"]
    retry: Literal["never", "after", "now"]
    pointer: str | None
    errors: tuple[FieldFault, ...] = Field((), max_length=MOST_ERRORS)
    correlation: str


class AccessToken(OutgoingModel):
    """RFC 6749, 5.1."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds.")
